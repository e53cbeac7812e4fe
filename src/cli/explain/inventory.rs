//! The packages of a stack in words: a table, JSON, a bill of materials.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use slashopt::host::read::stack::LoadedStack;
use slashopt::packages::{
    Cures, Ecosystem, Package, PackageId, PackageSet, Packages, SetState, SharedClasses,
};
use slashopt::runtime::Runtime;

use crate::cli::output::json as shape;
use crate::cli::output::words::legend;

/// The packages of a stack, and for whom they were compared.
#[derive(Clone, Copy)]
pub(crate) struct Inventory<'a> {
    pub(crate) loaded: &'a LoadedStack,
    pub(crate) packages: &'a Packages,
    pub(crate) runtime: Option<&'static Runtime>,
}

impl<'a> Inventory<'a> {
    /// Every package with its set, in the order in which they are shown.
    fn members(self) -> impl Iterator<Item = (PackageId, &'a Package, &'a PackageSet)> {
        self.packages.sets.iter().flat_map(move |set| {
            let members = set.members.iter();
            members.map(move |&id| (id, self.packages.package(id), set))
        })
    }

    /// A line for each package, in columns.
    pub(crate) fn to_text(self) -> String {
        let mut rows = vec![
            [
                "ECOSYSTEM",
                "NAME",
                "VERSION",
                "LAYER",
                "FILES",
                "BYTES",
                "FOUND",
            ]
            .map(str::to_owned),
        ];
        rows.extend(self.members().map(|(id, package, set)| {
            [
                package.ecosystem.to_string(),
                package.display_name.clone(),
                package.version.clone().unwrap_or_else(|| "-".to_owned()),
                package.layer.number().to_string(),
                package.files.len().to_string(),
                package.bytes.to_string(),
                self.verdict(id, package, set),
            ]
        }));
        let mut text = legend(&self.loaded.stack);
        let widths: [usize; 7] = std::array::from_fn(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        });
        for row in &rows {
            let mut line = String::new();
            for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
                let gap = if column == 0 { "" } else { "  " };
                let _ = match column {
                    3..=5 => write!(line, "{gap}{cell:>width$}"),
                    _ => write!(line, "{gap}{cell:<width$}"),
                };
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        for (winner, loser, shared) in self.shared_classes() {
            let (winner, loser, example) = (&winner.path, &loser.path, &shared.example);
            let _ = match shared.count {
                1 => writeln!(
                    text,
                    "{winner} is loaded before {loser} and provides a class of both: {example}"
                ),
                count => writeln!(
                    text,
                    "{winner} is loaded before {loser} and provides {count} classes of both, such as {example}"
                ),
            };
        }
        text
    }

    /// Whether a program finds this package, and if not, what it finds.
    fn verdict(self, id: PackageId, package: &Package, set: &PackageSet) -> String {
        if package.position.is_none() {
            let is_replaced = set.winner != Some(id);
            return match (is_replaced, package.is_private, self.runtime) {
                (true, ..) => "no: replaced".to_owned(),
                (_, true, _) => "by its parent only".to_owned(),
                (.., Some(runtime)) => format!("no: {runtime} does not look in {}", package.folder),
                (.., None) => format!("no: no runtime looks in {}", package.folder),
            };
        }
        let Some(winner) = set.winner else {
            return "no: replaced".to_owned();
        };
        if winner != id {
            let by = self.packages.package(winner);
            let version = by.version.as_deref().unwrap_or_default();
            let layer = by.layer.number();
            let space = if version.is_empty() { "" } else { " " };
            return format!(
                "no: layer {layer} has{space}{version}{}",
                if version.is_empty() { " another" } else { "" }
            );
        }
        match set.state {
            SetState::Clean => "yes".to_owned(),
            SetState::Parallel => "yes, one of several".to_owned(),
            SetState::Mixed => match set.leftovers.len() {
                0 => "yes, mixed".to_owned(),
                1 => "yes, mixed with 1 file of another".to_owned(),
                files => format!("yes, mixed with {files} files of another"),
            },
        }
    }

    pub(crate) fn to_json(self) -> Value {
        let cures = Cures::new(self.packages, &self.loaded.stack);
        let packages = self.members().map(|(id, package, set)| {
            let mut map = shape::with_path(&package.path);
            map.insert("ecosystem".to_owned(), package.ecosystem.to_string().into());
            map.insert("name".to_owned(), package.display_name.clone().into());
            map.insert("key".to_owned(), package.name.clone().into());
            map.insert("version".to_owned(), package.version.clone().into());
            map.insert("layer".to_owned(), package.layer.number().into());
            shape::put_bytes(&mut map, "folder", package.folder.as_bytes());
            map.insert("files".to_owned(), package.files.len().into());
            map.insert("size".to_owned(), package.bytes.into());
            map.insert("searched".to_owned(), package.position.is_some().into());
            map.insert("private".to_owned(), package.is_private.into());
            map.insert("winner".to_owned(), (set.winner == Some(id)).into());
            map.insert("state".to_owned(), set.state.to_string().into());
            let cure = (set.winner == Some(id)).then(|| cures.of(set)).flatten();
            map.insert("cure".to_owned(), cure.map(|cure| cure.to_string()).into());
            Value::Object(map)
        });
        json!({
            "schema_version": shape::SCHEMA_VERSION,
            "layers": shape::layers(self.loaded),
            "runtime": self.runtime.map(|runtime| runtime.identifier),
            "packages": packages.collect::<Vec<_>>(),
            "shared_classes": self.shared_classes().map(|(winner, loser, shared)| json!({
                "winner": { "layer": winner.layer.number(), "path": winner.path.to_string() },
                "loser": { "layer": loser.layer.number(), "path": loser.path.to_string() },
                "classes": shared.count,
                "example": shared.example,
            })).collect::<Vec<_>>(),
        })
    }

    fn shared_classes(self) -> impl Iterator<Item = (&'a Package, &'a Package, &'a SharedClasses)> {
        self.packages.shared_classes.iter().map(move |shared| {
            let (winner, loser) = (
                self.packages.package(shared.winner),
                self.packages.package(shared.loser),
            );
            (winner, loser, shared)
        })
    }

    /// A bill of materials of the merged tree: `CycloneDX` 1.6. It says nothing of when and by whom, so that the same layers give
    /// the same bill.
    pub(crate) fn to_cyclonedx(self) -> Value {
        let components: Vec<Value> = self
            .members()
            .filter(|&(id, _, set)| self.packages.is_visible(set, id))
            .map(|(id, package, set)| self.component(id, package, set))
            .collect();
        json!({
            "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
            "bomFormat": "CycloneDX",
            "specVersion": "1.6",
            "version": 1,
            "metadata": {
                "tools": { "components": [{
                    "type": "application",
                    "name": env!("CARGO_PKG_NAME"),
                    "version": env!("CARGO_PKG_VERSION"),
                }]},
            },
            "components": components,
        })
    }

    fn component(self, id: PackageId, package: &Package, set: &PackageSet) -> Value {
        let kind = match package.ecosystem {
            Ecosystem::Command | Ecosystem::Extension => "application",
            _ => "library",
        };
        let (group, name) = name_parts(package);
        let source = &self.loaded.stack.layer(package.layer).source;
        let properties = [
            ("slashopt:ecosystem", package.ecosystem.to_string()),
            ("slashopt:layer", package.layer.number().to_string()),
            ("slashopt:source", source.clone()),
            ("slashopt:path", package.path.to_string()),
            ("slashopt:winner", (set.winner == Some(id)).to_string()),
            ("slashopt:state", set.state.to_string()),
        ];
        let properties: Vec<Value> = properties
            .into_iter()
            .map(|(name, value)| json!({ "name": name, "value": value }))
            .collect();
        let mut component = Map::new();
        component.insert("type".to_owned(), kind.into());
        let reference = format!("{}:{}", package.layer.number(), package.path);
        component.insert("bom-ref".to_owned(), reference.into());
        if let Some(group) = group {
            component.insert("group".to_owned(), group.into());
        }
        component.insert("name".to_owned(), name.into());
        if let Some(version) = &package.version {
            component.insert("version".to_owned(), version.clone().into());
        }
        if let Some(purl) = purl(package) {
            component.insert("purl".to_owned(), purl.into());
        }
        component.insert("properties".to_owned(), properties.into());
        Value::Object(component)
    }
}

/// The group of a package, where its ecosystem has groups, and the rest of its name.
fn name_parts(package: &Package) -> (Option<&str>, &str) {
    let name = package.display_name.as_str();
    let parts = match package.ecosystem {
        Ecosystem::Java => name.split_once(':'),
        Ecosystem::Node if name.starts_with('@') => name.split_once('/'),
        _ => None,
    };
    parts.map_or((None, name), |(group, name)| (Some(group), name))
}

/// The package URL (ECMA-427), where the version is known; without one it names no package.
fn purl(package: &Package) -> Option<String> {
    let version = package.version.as_deref()?;
    let (group, name) = name_parts(package);
    let (kind, name) = match package.ecosystem {
        Ecosystem::Python => ("pypi", package.name.as_str()),
        Ecosystem::Node => ("npm", name),
        Ecosystem::Java if group.is_some() => ("maven", name),
        Ecosystem::Ruby => ("gem", name),
        Ecosystem::Java | Ecosystem::Library => ("generic", name),
        Ecosystem::Command | Ecosystem::Extension => return None,
    };
    let mut purl = format!("pkg:{kind}/");
    if let Some(group) = group {
        purl.push_str(&percent_encoded(group));
        purl.push('/');
    }
    purl.push_str(&percent_encoded(name));
    purl.push('@');
    purl.push_str(&percent_encoded(version));
    Some(purl)
}

/// What a component of a package URL may hold as it is, and the rest byte by byte.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b".-_~".contains(&byte) {
            encoded.push(byte.into());
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}
