//! Collisions as comma-separated values (RFC 4180), for spreadsheets.

use std::borrow::Cow;

use base64::Engine as _;

use slashopt::collisions::{Collision, Collisions};
use slashopt::entry::Kind;
use slashopt::merge::{MergedTree, Origin};

/// The columns. `path_bytes` is the path in base64 where it is not UTF-8, and empty elsewhere.
const HEADER: [&str; 15] = [
    "path",
    "class",
    "winner_layer",
    "winner_kind",
    "winner_mode",
    "winner_size",
    "winner_crc32",
    "winner_target",
    "shadowed_layer",
    "shadowed_kind",
    "shadowed_mode",
    "shadowed_size",
    "shadowed_crc32",
    "shadowed_target",
    "path_bytes",
];

/// A header, then a row for each object that is shadowed.
pub(crate) fn rows(tree: &MergedTree<'_>, collisions: &Collisions) -> Vec<u8> {
    let mut csv = String::new();
    put_row(&mut csv, HEADER);
    for collision in &collisions.all {
        for &loser in &collision.shadowed {
            put_collision(&mut csv, tree, collision, loser);
        }
    }
    csv.into_bytes()
}

fn put_collision(csv: &mut String, tree: &MergedTree<'_>, collision: &Collision, loser: Origin) {
    let path = collision.path.as_bytes();
    let path_bytes = if std::str::from_utf8(path).is_ok() {
        String::new()
    } else {
        base64::engine::general_purpose::STANDARD.encode(path)
    };
    let path = [String::from_utf8_lossy(path).into_owned()];
    let class = [collision.class.to_string()];
    let winner = side(tree, collision.winner);
    let shadowed = side(tree, loser);
    let fields = path.iter().chain(&class).chain(&winner).chain(&shadowed);
    put_row(csv, fields.map(String::as_str).chain([&*path_bytes]));
}

fn side(tree: &MergedTree<'_>, origin: Origin) -> [String; 6] {
    let object = tree.object_of(origin);
    let crc32 = object.crc32.filter(|_| object.kind == Kind::File);
    let target = tree.target_of(origin).unwrap_or_default();
    [
        origin.layer.number().to_string(),
        object.kind.to_string(),
        object.mode.to_string(),
        object.size.to_string(),
        crc32.map_or_else(String::new, |crc32| format!("{crc32:08x}")),
        String::from_utf8_lossy(target).into_owned(),
    ]
}

fn put_row<'f>(csv: &mut String, fields: impl IntoIterator<Item = &'f str>) {
    for (column, field) in fields.into_iter().enumerate() {
        if column > 0 {
            csv.push(',');
        }
        csv.push_str(&quoted(field));
    }
    csv.push_str("\r\n");
}

/// A field, in quotes where it would end early without them.
fn quoted(field: &str) -> Cow<'_, str> {
    if field.contains(['"', ',', '\r', '\n']) {
        format!("\"{}\"", field.replace('"', "\"\"")).into()
    } else {
        field.into()
    }
}
