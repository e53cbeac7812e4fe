//! The shapes that several commands print as JSON. They are a contract; the library's own types are free to change.

use base64::Engine as _;
use serde_json::{Map, Value, json};

use slashopt::collisions::{Class, Counts};
use slashopt::entry::{Kind, Object};
use slashopt::host::read::stack::LoadedStack;
use slashopt::packages::Package;
use slashopt::path::LayerPath;

/// The version of all shapes; it changes when a key goes or changes its meaning.
pub(crate) const SCHEMA_VERSION: u32 = 1;

/// The layers of a stack. Nothing needed their whole digest, so that is not known.
pub(crate) fn layers(loaded: &LoadedStack) -> Value {
    let layers = loaded.stack.in_merge_order().map(|(id, layer)| {
        json!({
            "index": id.number(),
            "source": layer.source,
            "code_sha256": null,
            "code_size": layer.code_bytes,
            "unzipped_size": layer.unzipped_bytes,
            "entries": layer.entries(),
        })
    });
    Value::Array(layers.collect())
}

/// How many collisions there are of each class.
pub(crate) fn counts(counts: &Counts) -> Value {
    Value::Object(
        Class::ALL
            .into_iter()
            .map(|class| (class.to_string(), counts.of(class).into()))
            .collect(),
    )
}

/// Puts bytes under `key`: as they are if they are UTF-8, else lossily and, losslessly, as base64 under `<key>_bytes`.
pub(crate) fn put_bytes(object: &mut Map<String, Value>, key: &str, bytes: &[u8]) {
    object.insert(key.to_owned(), String::from_utf8_lossy(bytes).into());
    if std::str::from_utf8(bytes).is_err() {
        object.insert(
            format!("{key}_bytes"),
            base64::engine::general_purpose::STANDARD
                .encode(bytes)
                .into(),
        );
    }
}

/// An object that begins with a path.
pub(crate) fn with_path(path: &LayerPath) -> Map<String, Value> {
    let mut object = Map::new();
    put_bytes(&mut object, "path", path.as_bytes());
    object
}

/// Appends what an object is: its kind, mode and size, the CRC-32 of a file, the target of a link.
pub(crate) fn put_object(map: &mut Map<String, Value>, object: &Object, target: Option<&[u8]>) {
    map.insert("kind".to_owned(), object.kind.to_string().into());
    map.insert("mode".to_owned(), object.mode.to_string().into());
    map.insert("size".to_owned(), object.size.into());
    if object.kind == Kind::File {
        map.insert(
            "crc32".to_owned(),
            object.crc32.map(|crc32| format!("{crc32:08x}")).into(),
        );
    }
    if let Some(target) = target {
        put_bytes(map, "target", target);
    }
}

/// A package of one layer as one of several versions.
pub(crate) fn version_json(package: &Package) -> Value {
    let mut version = with_path(&package.path);
    version.insert("version".to_owned(), package.version.clone().into());
    version.insert("layer".to_owned(), package.layer.number().into());
    Value::Object(version)
}
