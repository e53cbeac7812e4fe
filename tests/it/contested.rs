//! `collisions` reads the packages that may be there several times, and no others. What it finds is what `list --packages`, which
//! reads all of them, has several times. What stands beside a distribution under its name, and not in its record, is the one thing
//! that only the inventory knows.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;

use crate::real_layers::{five, real};
use crate::support::command::Sandbox;
use crate::support::zip::{Entry, archive, file, link};

/// A set of packages of one name: ecosystem, name, state and cure, with version, layer and path of each.
type Sets = BTreeSet<(String, BTreeSet<String>)>;

fn told(sandbox: &Sandbox, command: &[&str], layers: &[PathBuf], runtime: &str) -> Value {
    let arguments = command.iter().map(Path::new);
    let arguments = arguments.chain(layers.iter().map(PathBuf::as_path));
    let more = ["--runtime", runtime, "--format", "json", "-q"];
    let told = sandbox.slashopt(arguments.chain(more.map(Path::new)));
    told.success().json()
}

fn member(package: &Value) -> String {
    format!(
        "{} {} {}",
        package["version"], package["layer"], package["path"]
    )
}

/// Whether these are a distribution and a module beside it.
fn are_beside(packages: &[&Value]) -> bool {
    let place = |package: &Value| {
        let path = package["path"].as_str().expect("text");
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        (package["layer"].as_u64(), folder.to_owned())
    };
    let places: BTreeSet<_> = packages.iter().map(|one| place(one)).collect();
    let described = packages.iter().filter(|one| !one["version"].is_null());
    places.len() == 1 && described.count() < 2
}

fn by_collisions(sandbox: &Sandbox, layers: &[PathBuf], runtime: &str) -> Sets {
    let json = told(sandbox, &["collisions"], layers, runtime);
    let sets = json["packages"].as_array().expect("a list").iter();
    let sets = sets.map(|set| {
        let of = format!(
            "{} {} {} {}",
            set["ecosystem"], set["key"], set["state"], set["cure"]
        );
        let versions = set["versions"].as_array().expect("a list");
        (of, versions.iter().collect::<Vec<&Value>>())
    });
    let sets = sets.filter(|(_, versions)| !are_beside(versions));
    sets.map(|(of, versions)| (of, versions.into_iter().map(member).collect()))
        .collect()
}

fn by_inventory(sandbox: &Sandbox, layers: &[PathBuf], runtime: &str) -> Sets {
    let json = told(sandbox, &["list", "--packages"], layers, runtime);
    let mut sets: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
    for package in json["packages"].as_array().expect("a list") {
        // Where nobody looks, packages are only taken for those beside them.
        let is_searched = package["searched"] == true;
        let apart = if is_searched {
            &Value::Null
        } else {
            &package["folder"]
        };
        let key = format!("{} {} {apart}", package["ecosystem"], package["key"]);
        sets.entry(key).or_default().push(package);
    }
    let several = sets.into_values();
    let several = several.filter(|set| set.len() > 1 && !are_beside(set));
    several
        .map(|set| {
            let cure = set
                .iter()
                .map(|one| &one["cure"])
                .find(|one| !one.is_null());
            let first = set[0];
            let of = format!(
                "{} {} {} {}",
                first["ecosystem"],
                first["key"],
                first["state"],
                cure.unwrap_or(&Value::Null)
            );
            (of, set.into_iter().map(member).collect())
        })
        .collect()
}

/// A part of a layer: something that is or looks like a package.
fn part() -> impl Strategy<Value = Vec<Entry>> {
    let folders = select(vec![
        "python",
        "python/lib/python3.12/site-packages",
        "python/lib/python3.11/site-packages",
        "tool",
    ]);
    // A distribution, with the modules that it has: its own, a shared directory, one called otherwise.
    let distribution = (
        folders.clone(),
        select(vec!["one", "two-x", "three"]),
        select(vec!["1.0", "2.0"]),
        subsequence(
            vec!["own", "shared/a", "shared/b", "other", "bin/tool"],
            1..=4,
        ),
        0..4_u8,
    )
        .prop_map(|(folder, name, version, modules, recorded)| {
            let own = name.replace('-', "_");
            let mut files = Vec::new();
            for module in modules {
                let module = module.replace("own", &own);
                files.push(format!("{module}/__init__.py"));
                files.push(format!("{module}/{version}.py"));
            }
            let metadata = format!("{own}-{version}.dist-info");
            let mut entries = vec![file(
                format!("{folder}/{metadata}/METADATA"),
                format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"),
            )];
            if recorded > 0 {
                // One in three records is short of a file.
                let recorded = files.iter().skip(usize::from(recorded == 1));
                let lines: Vec<String> = recorded.map(|file| format!("{file},,")).collect();
                entries.push(file(
                    format!("{folder}/{metadata}/RECORD"),
                    lines.join("\n"),
                ));
            }
            entries.extend(files.into_iter().map(|path| {
                let content = format!("# {name} {version}");
                file(format!("{folder}/{path}"), content)
            }));
            entries
        });
    let module = (folders, select(vec!["one", "two_x", "other", "shared/c"]))
        .prop_map(|(folder, name)| vec![file(format!("{folder}/{name}/__init__.py"), "bare")]);
    let node = (
        select(vec![
            "nodejs/node_modules",
            "nodejs/node22/node_modules",
            "nodejs/node_modules/a/node_modules",
        ]),
        select(vec!["a", "b", "@s/a", "@s/b"]),
        select(vec!["1.0.0", "2.0.0"]),
    )
        .prop_map(|(folder, name, version)| {
            let manifest = format!(r#"{{"name":"{name}","version":"{version}"}}"#);
            vec![file(format!("{folder}/{name}/package.json"), manifest)]
        });
    let others = select(vec!["bin/tool", "extensions/agent", "lib/libz.so.1"])
        .prop_map(|path| vec![file(path, "x").mode(0o755)]);
    let linked = Just(vec![link("python/lib/python3.12", "python3.11")]);
    prop_oneof![
        6 => distribution,
        3 => module,
        3 => node,
        1 => others,
        1 => linked,
    ]
}

#[test]
fn what_collides_is_what_the_whole_inventory_has_several_times() {
    let config = Config {
        cases: 96,
        failure_persistence: None,
        ..Config::default()
    };
    let layer = proptest::collection::vec(part(), 0..5);
    let stack = proptest::collection::vec(layer, 1..4);
    let outcome = TestRunner::new(config).run(&stack, |stack| {
        let sandbox = Sandbox::new();
        let mut layers = Vec::new();
        for (number, parts) in stack.into_iter().enumerate() {
            let mut names = BTreeSet::new();
            let mut entries: Vec<Entry> = parts.into_iter().flatten().collect();
            entries.retain(|entry| names.insert(entry.name.clone()));
            // Nothing lies below a link.
            let is_linked = names.contains(b"python/lib/python3.12".as_slice());
            entries
                .retain(|entry| !is_linked || !entry.name.starts_with(b"python/lib/python3.12/"));
            layers.push(sandbox.archive(&format!("{number}.zip"), &archive(entries)));
        }
        for runtime in ["python3.12", "nodejs22.x"] {
            prop_assert_eq!(
                by_collisions(&sandbox, &layers, runtime),
                by_inventory(&sandbox, &layers, runtime)
            );
        }
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn the_same_is_true_of_real_layers() {
    let sandbox = Sandbox::new();
    let of = |names: &[&str]| names.iter().map(|name| real(name)).collect::<Vec<_>>();
    for (layers, runtime) in [
        (five(), "python3.11"),
        (five(), "nodejs22.x"),
        (
            of(&["python-requests-old", "python-requests-new"]),
            "python3.11",
        ),
        (
            of(&["python-boto3", "cdk-awscli", "python-boto3"]),
            "python3.11",
        ),
        (
            of(&["node-aws-sdk", "node-sharp", "cdk-proxy-agent"]),
            "nodejs22.x",
        ),
        (
            of(&["java-jpype-old", "java-jpype-new", "java-commons"]),
            "java21",
        ),
    ] {
        assert_eq!(
            by_collisions(&sandbox, &layers, runtime),
            by_inventory(&sandbox, &layers, runtime)
        );
    }
}
