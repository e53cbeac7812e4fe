//! `list --packages`: what it finds is what package managers find, what it says wins is what interpreters load, and a cure that
//! it gives can be pasted.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::sample::subsequence;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;

use crate::real_layers::{
    Interpreter, Root, five, flattened_requests_old, gems_for, printed, real, runtime_or,
};
use crate::support::command::{Finished, Sandbox, skip_without};
use crate::support::machine::tool;
use crate::support::project::output;
use crate::support::zip::{Entry, archive, file, link};

fn list<P: AsRef<Path>>(sandbox: &Sandbox, layers: &[P], more: &[&str]) -> Finished {
    let mut arguments: Vec<OsString> = vec!["list".into(), "--packages".into(), "--quiet".into()];
    arguments.extend(layers.iter().map(|layer| layer.as_ref().into()));
    arguments.extend(more.iter().map(OsString::from));
    sandbox.slashopt(arguments)
}

/// The packages as JSON.
#[track_caller]
fn packages<P: AsRef<Path>>(sandbox: &Sandbox, layers: &[P], more: &[&str]) -> Vec<Value> {
    let listed = list(sandbox, layers, &[&["--format", "json"], more].concat()).success();
    let listed: Value = serde_json::from_str(listed.stdout()).expect("it is JSON");
    listed["packages"].as_array().expect("it is a list").clone()
}

/// Name and version of those of an ecosystem in a folder.
fn named(packages: &[Value], ecosystem: &str, folder: &str) -> BTreeSet<String> {
    packages
        .iter()
        .filter(|package| package["ecosystem"] == ecosystem && package["folder"] == folder)
        .map(|package| format!("{} {}", text(&package["name"]), text(&package["version"])))
        .collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("-")
}

fn the<'p>(packages: &'p [Value], name: &str, layer: usize) -> &'p Value {
    packages
        .iter()
        .find(|package| package["name"] == name && package["layer"] == layer)
        .unwrap_or_else(|| panic!("there is no {name} in layer {layer}: {packages:#?}"))
}

fn lines(text: &str) -> BTreeSet<String> {
    text.lines().map(str::to_owned).collect()
}

mod inventory {
    use super::*;

    #[test]
    fn python_distributions_are_those_that_python_finds_with_their_files() {
        let python = Interpreter::python();
        let script = "
import importlib.metadata, sys
for one in importlib.metadata.distributions(path=[sys.argv[1]]):
    files = sum(1 for path in one.files if path.locate().is_file())
    print(one.metadata['Name'], one.version, files)
";
        for (layer, folder) in [
            ("python-requests-old", "python/lib/python3.11/site-packages"),
            ("python-requests-new", "python"),
            ("python-pandas", "python"),
            ("python-boto3", "python"),
            // Not where any runtime looks, and a package all the same.
            ("cdk-awscli", "awscli"),
        ] {
            let root = Root::of([real(layer)]);
            let mut command = tool(&python.program);
            command.args(["-c", script]).arg(root.opt().join(folder));
            let found = packages(&root.sandbox, &root.layers, &[]);
            let mut judged = BTreeSet::new();
            for line in printed(&mut command).lines() {
                let (package, files) = line.rsplit_once(' ').expect("three words");
                let (name, _) = package.split_once(' ').expect("two words");
                let ours = the(&found, name, 1)["files"].as_u64().expect("a number");
                let files: u64 = files.parse().expect("a number");
                // pip moves scripts that the record still has elsewhere, and compiles what it does not.
                assert!(ours >= files && ours <= files * 3, "{line}: {ours}");
                judged.insert(package.to_owned());
            }
            let versioned = |package: &String| !package.ends_with(" -");
            let ours: BTreeSet<String> = named(&found, "python", folder)
                .into_iter()
                .filter(versioned)
                .collect();
            assert_eq!(ours, judged, "{layer}");
            assert!(!judged.is_empty());
        }
    }

    #[test]
    fn every_file_of_a_python_layer_belongs_to_one_package() {
        let layer = real("python-pandas");
        let sandbox = Sandbox::new();
        let found = packages(&sandbox, &[&layer], &[]);
        let sum = |key: &str| -> u64 {
            found
                .iter()
                .filter_map(|package| package[key].as_u64())
                .sum()
        };
        let root = Root::of([layer]);
        let mut files = 0;
        let mut bytes = 0;
        let mut below = vec![root.opt()];
        while let Some(directory) = below.pop() {
            for child in fs::read_dir(directory).expect("it can be listed") {
                let child = child.expect("it can be listed");
                let metadata = child.metadata().expect("it is there");
                if metadata.is_dir() {
                    below.push(child.path());
                } else {
                    files += 1;
                    bytes += metadata.len();
                }
            }
        }
        assert_eq!((sum("files"), sum("size")), (files, bytes));
    }

    #[test]
    fn node_packages_are_those_that_npm_finds_nested_ones_too() {
        if skip_without("npm") {
            return;
        }
        for layer in ["node-aws-sdk", "node-sharp", "cdk-proxy-agent"] {
            let root = Root::of([real(layer)]);
            let home = root.opt().join("nodejs");
            let mut npm = tool("npm");
            npm.args([
                "ls",
                "--all",
                "--parseable",
                "--long",
                "--offline",
                "--prefix",
            ])
            .arg(&home);
            // What is not in a lock file is extraneous to npm, which is a status of failure; it lists everything all the same.
            let judged = npm.output().expect("npm starts");
            let judged = String::from_utf8(judged.stdout).expect("its paths are text");
            let opt = format!("{}/", root.opt().display());
            let judged: BTreeSet<String> = judged
                .lines()
                .filter_map(|line| {
                    let mut fields = line.strip_prefix(&opt)?.split(':');
                    let (path, package) = (fields.next()?, fields.next()?);
                    let (_, version) = package.rsplit_once('@')?;
                    path.contains("node_modules")
                        .then(|| format!("{path} {version}"))
                })
                .collect();
            let found = packages(&root.sandbox, &root.layers, &[]);
            let ours: BTreeSet<String> = found
                .iter()
                .filter(|package| package["ecosystem"] == "node")
                .map(|package| format!("{} {}", text(&package["path"]), text(&package["version"])))
                .collect();
            assert_eq!(ours, judged, "{layer}");
            assert!(judged.len() > 3, "{judged:?}");
            for package in &found {
                let depth = text(&package["path"]).matches("node_modules").count();
                if package["ecosystem"] == "node" {
                    assert_eq!(package["private"], depth > 1, "{package}");
                }
            }
        }
    }

    #[test]
    fn gems_are_those_that_rubygems_finds() {
        let Some(ruby) = Interpreter::ruby() else {
            return;
        };
        let runtime = runtime_or(format!("ruby{}", ruby.version), "ruby3.4");
        let sandbox = Sandbox::new();
        let mut layers = vec![real("ruby-rack")];
        layers.extend(gems_for(&sandbox, &runtime, &ruby));
        let root = Root::of(layers);
        let script = "Gem::Specification.each { |one| puts \"#{one.name} #{one.version}\" \
                      if one.full_gem_path.include?('/opt/ruby/') }";
        let program = ruby.program.as_os_str();
        let judged = root.under(&runtime, &[program, OsStr::new("-e"), OsStr::new(script)]);
        let found = packages(&root.sandbox, &root.layers, &["--runtime", &runtime]);
        let folder = format!("ruby/gems/{}.0", ruby.version);
        assert_eq!(named(&found, "ruby", &folder), lines(&judged));
        // Behind a link they are searched as well.
        assert!(
            found.iter().all(|package| package["searched"] == true),
            "{found:#?}"
        );
    }

    #[test]
    fn jars_are_named_as_maven_names_them() {
        let layer = real("java-commons");
        let sandbox = Sandbox::new();
        let found = packages(&sandbox, &[&layer], &["--runtime", "java21"]);
        let root = Root::of([layer]);
        for package in &found {
            let mut unzip = tool("unzip");
            unzip
                .arg("-p")
                .arg(root.opt().join(text(&package["path"])))
                .arg("META-INF/maven/*/pom.properties");
            let properties = printed(&mut unzip);
            let (group, artifact) = text(&package["name"])
                .split_once(':')
                .expect("group and artifact");
            for (key, value) in [
                ("groupId", group),
                ("artifactId", artifact),
                ("version", text(&package["version"])),
            ] {
                assert!(
                    lines(&properties).contains(&format!("{key}={value}")),
                    "{key}={value}\n{properties}"
                );
            }
            // The link beside it has no package of its own.
            assert_eq!(package["files"], 2);
        }
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn jars_with_the_same_classes_are_named_whatever_they_are_called() {
        let sandbox = Sandbox::new();
        let jar = |name: &str, classes: &[&str]| {
            let classes = classes.iter().map(|class| file(class, name));
            file(format!("java/lib/{name}"), archive(classes).bytes())
        };
        let shared = [
            "p/A.class",
            "p/A$In.class",
            "module-info.class",
            "p/package-info.class",
        ];
        let lower = archive([jar("b.jar", &shared), jar("c.jar", &["q/Other.class"])]);
        let upper = archive([
            jar(
                "a.jar",
                &[&shared[..], &["META-INF/versions/17/q/Other.class"]].concat(),
            ),
            file("java/lib/d.jar", "no jar"),
        ]);
        let layers = [
            sandbox.archive("lower.zip", &lower),
            sandbox.archive("upper.zip", &upper),
        ];
        let listed = list(
            &sandbox,
            &layers,
            &["--runtime", "java21", "--format", "json"],
        )
        .success();
        let listed: Value = serde_json::from_str(listed.stdout()).expect("it is JSON");
        let expected = serde_json::json!([{
            "winner": { "layer": 2, "path": "java/lib/a.jar" },
            "loser": { "layer": 1, "path": "java/lib/b.jar" },
            "classes": 2,
            "example": "p.A",
        }]);
        assert_eq!(listed["shared_classes"], expected);
        let listed = list(&sandbox, &layers, &["--runtime", "java21"]).success();
        let line = "java/lib/a.jar is loaded before java/lib/b.jar and provides 2 classes of both, such as p.A";
        assert!(
            listed.stdout().lines().any(|one| one == line),
            "{}",
            listed.stdout()
        );
    }

    #[test]
    fn distributions_of_older_tools_are_found_with_their_files() {
        let sandbox = Sandbox::new();
        let described = |name: &str, version: &str| {
            format!(
                "Metadata-Version: 1.1\nName: {name}\nVersion: {version}\nSummary: a\n  b\n\nName: no header\n"
            )
        };
        let layer = sandbox.archive(
            "layer.zip",
            &archive([
                file(
                    "python/One.Two-1.0-py3.12.egg-info/PKG-INFO",
                    described("One.Two", "1.0"),
                ),
                file(
                    "python/One.Two-1.0-py3.12.egg-info/installed-files.txt",
                    "../one/__init__.py\n../one/gone.py\nPKG-INFO\n",
                ),
                file("python/one/__init__.py", ""),
                file("python/one/__pycache__/__init__.cpython-312.pyc", ""),
                file("python/three-3.0.egg-info", described("three", "3.0")),
                file("python/three.py", ""),
                file(
                    "python/four-4.0.dist-info/METADATA",
                    described("four", "4.0"),
                ),
                file("python/four-4.0.dist-info/top_level.txt", "five\nsix_\n"),
                file("python/five/deep/x.py", ""),
                file("python/six_.cpython-312-x86_64-linux-gnu.so", ""),
                file(
                    "python/quoted-1.dist-info/METADATA",
                    described("quoted", "1"),
                ),
                file(
                    "python/quoted-1.dist-info/RECORD",
                    "\"quoted/a,\"\"b.py\",sha256=x,3\r\nquoted-1.dist-info/RECORD,,\r\n",
                ),
                file("python/quoted/a,\"b.py", "abc"),
                // The name of the directory says what no metadata does.
                file("python/bare-7.1.dist-info/WHEEL", ""),
                file("python/bare.py", ""),
            ]),
        );
        let root = Root::of([layer]);
        let python = Interpreter::python();
        let script = "
import importlib.metadata, sys
for one in importlib.metadata.distributions(path=[sys.argv[1]]):
    print(one.metadata['Name'] or 'bare', one.version or '7.1')
";
        let mut command = tool(&python.program);
        command.args(["-c", script]).arg(root.opt().join("python"));
        let found = packages(&root.sandbox, &root.layers, &[]);
        assert_eq!(
            named(&found, "python", "python"),
            lines(&printed(&mut command))
        );
        let files: BTreeMap<&str, u64> = found
            .iter()
            .map(|one| (text(&one["name"]), one["files"].as_u64().expect("a number")))
            .collect();
        let expected = [
            ("One.Two", 4),
            ("bare", 2),
            ("four", 4),
            ("quoted", 3),
            ("three", 2),
        ];
        assert_eq!(files, BTreeMap::from(expected));
    }

    #[test]
    fn files_that_are_not_what_their_names_promise_are_no_failure() {
        let good = archive([
            file("META-INF/MANIFEST.MF", "Implementation-Version: 1\n").deflated(),
            file(
                "META-INF/maven/g/a/pom.properties",
                "groupId=g\nartifactId=a\nversion=1\n",
            )
            .deflated(),
            file("a/B.class", ""),
        ])
        .bytes();
        let config = Config {
            cases: 64,
            failure_persistence: None,
            ..Config::default()
        };
        let bytes = prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..200),
            "[\\[\\]{}\",:\\\\/.*a-z0-9\n -]{0,60}".prop_map(String::into_bytes),
            // An archive, cut or whole, with a byte changed.
            (0..200_usize, any::<proptest::sample::Index>(), any::<u8>()).prop_map(
                move |(cut, place, byte)| {
                    let mut bytes = good.clone();
                    bytes.truncate(good.len() - cut.saturating_sub(100));
                    let place = place.index(bytes.len());
                    bytes[place] = byte;
                    bytes
                }
            ),
        ];
        let outcome = TestRunner::new(config).run(&bytes, |bytes| {
            let sandbox = Sandbox::new();
            let names = [
                "python/x-1.dist-info/METADATA",
                "python/x-1.dist-info/RECORD",
                "python/x-1.dist-info/top_level.txt",
                "python/y-1.egg-info",
                "python/z.egg-info/PKG-INFO",
                "python/z.egg-info/installed-files.txt",
                "python/x.py",
                "nodejs/node_modules/x/package.json",
                "nodejs/node_modules/@s/x/package.json",
                "java/lib/x.jar",
                "ruby/gems/3.4.0/specifications/x.gemspec",
                "lib/libx.so",
            ];
            let layer = archive(names.iter().map(|name| file(name, &bytes)));
            let layer = sandbox.archive("layer.zip", &layer);
            let found = packages(&sandbox, &[&layer], &[]);
            prop_assert!(found.len() >= 8);
            for (runtime, name) in [
                ("nodejs22.x", "x/y"),
                ("java21", "a.B"),
                ("ruby3.4", "x"),
                ("python3.12", "x"),
            ] {
                let looked = sandbox.slashopt([
                    OsStr::new("which"),
                    OsStr::new("--module"),
                    OsStr::new(name),
                    layer.as_os_str(),
                    OsStr::new("--runtime"),
                    OsStr::new(runtime),
                ]);
                prop_assert!(matches!(looked.code(), Some(0 | 1)), "{}", looked);
            }
            Ok(())
        });
        outcome.unwrap_or_else(|error| panic!("{error}"));
    }

    #[test]
    fn what_has_no_metadata_is_named_by_its_place() {
        let sandbox = Sandbox::new();
        let layer = sandbox.archive(
            "layer.zip",
            &archive([
                file("python/own/deep/module.py", ""),
                file("python/own/data.txt", ""),
                file("python/single.py", ""),
                file("python/lib/python3.12/site-packages/other.abi3.so", ""),
                file("python/README.md", ""),
                file("python/no code/module.py", ""),
                file("python/data/file.txt", ""),
                file("nodejs/node_modules/.bin/tool", ""),
                file("nodejs/node_modules/bare/index.js", ""),
                file("nodejs/node_modules/@scope/bare/index.js", ""),
                file("java/lib/thing-1.2.jar", "no jar"),
                file("java/lib/below/thing-1.2.jar", ""),
                file("lib/libx.so.1.2.3", "no library"),
                link("lib/libx.so.1", "libx.so.1.2.3"),
                link("lib/libx.so", "libx.so.1"),
                file("lib/libx.a", ""),
                file("bin/tool", ""),
                file("extensions/watcher", ""),
            ]),
        );
        let found = packages(&sandbox, &[layer], &[]);
        let ours: Vec<String> = found
            .iter()
            .map(|one| {
                format!(
                    "{} {} {} {}",
                    text(&one["ecosystem"]),
                    text(&one["name"]),
                    text(&one["version"]),
                    one["files"]
                )
            })
            .collect();
        assert_eq!(
            ours,
            [
                "python other - 1",
                "python own - 2",
                "python single - 1",
                "node @scope/bare - 1",
                "node bare - 1",
                "java thing 1.2 1",
                "library libx.so.1 1.2.3 2",
                "command tool - 1",
                "extension watcher - 1",
            ]
        );
    }

    #[test]
    fn a_library_is_named_by_its_soname() {
        let library = [
            "/lib/x86_64-linux-gnu/libz.so.1",
            "/lib/aarch64-linux-gnu/libz.so.1",
            "/lib64/libz.so.1",
        ];
        let Some(library) = library.iter().find(|path| Path::new(path).exists()) else {
            eprintln!("skipped: this machine has no libz to take as a library");
            return;
        };
        let sandbox = Sandbox::new();
        let bytes = fs::read(library).expect("it can be read");
        let layer = |name: &str, file_name: &str| {
            sandbox.archive(name, &archive([file(format!("lib/{file_name}"), &bytes)]))
        };
        let layers = [
            layer("a.zip", "libz-of-mine.so"),
            layer("b.zip", "libz.so.1"),
        ];
        let found = packages(&sandbox, &layers, &["--runtime", "provided.al2023"]);
        // The loader looks for a file of that name, so the other one is never found.
        for (layer, wins) in [(1, false), (2, true)] {
            let one = the(&found, "libz.so.1", layer);
            assert_eq!(one["winner"], wins, "{one}");
            assert_eq!(one["state"], "parallel");
        }
    }
}

mod winners {
    use super::*;

    /// For each package the version that its module says, which is what was loaded.
    const LOADED: &str = "
import importlib, sys
for name in sys.argv[1:]:
    print(name, importlib.import_module(name).__version__)
";

    #[test]
    fn the_version_that_wins_is_the_one_that_python_loads() {
        let Some(python) = Interpreter::python_of_the_wheels() else {
            return;
        };
        let sandbox = Sandbox::new();
        let (old, new) = (real("python-requests-old"), real("python-requests-new"));
        let flat = flattened_requests_old(&sandbox);
        for (layers, state) in [
            ([old.clone(), new.clone()], "parallel"),
            ([new.clone(), old.clone()], "parallel"),
            ([flat.clone(), new.clone()], "mixed"),
            ([new.clone(), flat.clone()], "mixed"),
            ([new.clone(), new.clone()], "clean"),
        ] {
            let root = Root::of(layers);
            let modules = [
                "requests",
                "urllib3",
                "idna",
                "charset_normalizer",
                "certifi",
            ];
            let loaded = root.under(
                "python3.11",
                &python.with(&[&["-c", LOADED], &modules[..]].concat()),
            );
            let found = packages(&root.sandbox, &root.layers, &["--runtime", "python3.11"]);
            let winners = found.iter().filter(|one| one["winner"] == true);
            let ours: BTreeSet<String> = winners
                .map(|one| {
                    format!(
                        "{} {}",
                        text(&one["name"]).replace('-', "_"),
                        text(&one["version"])
                    )
                })
                .collect();
            // certifi writes its version with two digits for the month, and its metadata without.
            assert_eq!(ours, lines(&loaded.replace(".08.03", ".8.3")));
            assert!(
                found.iter().all(|one| one["state"] == state),
                "{state}: {found:#?}"
            );
            assert_eq!(found.len(), 2 * modules.len());
        }
    }

    #[test]
    fn a_runtime_of_another_version_finds_another_package() {
        let sandbox = Sandbox::new();
        let layers = [real("python-requests-old"), real("python-requests-new")];
        for (runtime, winner) in [("python3.11", 1), ("python3.12", 2)] {
            let found = packages(&sandbox, &layers, &["--runtime", runtime]);
            assert_eq!(the(&found, "urllib3", winner)["winner"], true);
            assert_eq!(
                the(&found, "urllib3", 1)["searched"],
                runtime == "python3.11"
            );
        }
        let table = list(&sandbox, &layers, &["--runtime", "python3.12"]).success();
        let row = table
            .stdout()
            .lines()
            .find(|line| line.contains("1.26.20"))
            .expect("it is listed");
        assert!(
            row.ends_with("no: python3.12 does not look in python/lib/python3.11/site-packages"),
            "{row}"
        );
    }

    #[test]
    fn the_gem_that_wins_is_the_newest_whatever_the_order_of_the_layers() {
        let sandbox = Sandbox::new();
        let gem = |version: &str| {
            sandbox.archive(
                &format!("{version}.zip"),
                &archive([
                    file(
                        format!("ruby/gems/3.4.0/specifications/g-{version}.gemspec"),
                        format!("# -*- encoding: utf-8 -*-\n# stub: g {version} ruby lib\n"),
                    ),
                    file(
                        format!("ruby/gems/3.4.0/gems/g-{version}/lib/g.rb"),
                        version,
                    ),
                ]),
            )
        };
        let (low, high) = (gem("1.9.0"), gem("1.10.0"));
        for (layers, winner) in [([&low, &high], 2), ([&high, &low], 1)] {
            let found = packages(&sandbox, &layers, &["--runtime", "ruby3.4"]);
            assert_eq!(the(&found, "g", winner)["winner"], true);
            assert_eq!(the(&found, "g", winner)["state"], "parallel");
        }
    }

    #[test]
    fn a_private_package_does_not_collide_with_that_of_all() {
        let sandbox = Sandbox::new();
        let package = |place: &str, version: &str| {
            file(
                format!("nodejs/node_modules/{place}/package.json"),
                format!("{{\"name\":\"x\",\"version\":{version:?}}}"),
            )
        };
        let lower = sandbox.archive("lower.zip", &archive([package("x", "1.0.0")]));
        let upper = sandbox.archive(
            "upper.zip",
            &archive([
                package("parent", "1.0.0"),
                package("parent/node_modules/x", "2.0.0"),
            ]),
        );
        let found = packages(&sandbox, &[lower, upper], &["--runtime", "nodejs22.x"]);
        for (layer, is_private) in [(1, false), (2, true)] {
            let one = found
                .iter()
                .find(|one| {
                    one["name"] == "x"
                        && one["layer"] == layer
                        && text(&one["path"]).ends_with("/x")
                })
                .expect("it is listed");
            assert_eq!(one["winner"], true, "{one}");
            assert_eq!(one["state"], "clean", "{one}");
            assert_eq!(one["private"], is_private, "{one}");
        }
    }

    /// A distribution with these modules; the content of each depends on the version and has its own length.
    pub(super) fn distribution(name: &str, version: &str, modules: &[&str]) -> Vec<Entry> {
        let mut entries: Vec<(String, String)> = modules
            .iter()
            .map(|module| {
                (
                    format!("{name}/{module}.py"),
                    format!("version = {version:?}\n"),
                )
            })
            .collect();
        let place = format!("{name}-{version}.dist-info");
        entries.push((
            format!("{place}/METADATA"),
            format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"),
        ));
        let mut record = format!("{place}/RECORD,,\n");
        for (path, content) in &entries {
            writeln!(record, "{path},sha256=x,{}", content.len()).expect("a string takes it");
        }
        entries.push((format!("{place}/RECORD"), record));
        entries
            .into_iter()
            .map(|(path, content)| file(format!("python/{path}"), content))
            .collect()
    }

    #[test]
    fn a_replacement_is_clean_if_nothing_of_the_loser_is_left() {
        const MODULES: [&str; 4] = ["__init__", "a", "b", "c"];
        let modules = || subsequence(MODULES.to_vec(), 1..=MODULES.len());
        let config = Config {
            cases: 32,
            failure_persistence: None,
            ..Config::default()
        };
        let mut runner = TestRunner::new(config);
        let outcome = runner.run(
            &(modules(), modules(), any::<bool>()),
            |(lower, upper, is_same)| {
                let sandbox = Sandbox::new();
                let version = if is_same { "1.0" } else { "2.0.0" };
                let layers = [
                    sandbox.archive("lower.zip", &archive(distribution("x", "1.0", &lower))),
                    sandbox.archive("upper.zip", &archive(distribution("x", version, &upper))),
                ];
                let found = packages(&sandbox, &layers, &["--runtime", "python3.12"]);
                let left = lower.iter().any(|module| !upper.contains(module));
                // Of two versions the metadata of both is there.
                let expected = if left || !is_same { "mixed" } else { "clean" };
                prop_assert_eq!(text(&the(&found, "x", 2)["state"]), expected);
                prop_assert_eq!(&the(&found, "x", 2)["winner"], true);
                Ok(())
            },
        );
        outcome.unwrap_or_else(|error| panic!("{error}"));
    }

    #[test]
    fn of_two_versions_in_one_layer_the_one_whose_record_fits_wins() {
        let sandbox = Sandbox::new();
        let mut entries = distribution("x", "2.0.0", &["__init__", "a"]);
        // The metadata alone is left of the other one, whose name comes later.
        entries.extend(distribution("x", "3.0", &["__init__", "a"]).split_off(2));
        let layer = sandbox.archive("layer.zip", &archive(entries));
        let found = packages(&sandbox, &[layer], &["--runtime", "python3.12"]);
        let winners: BTreeMap<&str, bool> = found
            .iter()
            .map(|one| (text(&one["version"]), one["winner"] == true))
            .collect();
        assert_eq!(winners, BTreeMap::from([("2.0.0", true), ("3.0", false)]));
        assert!(
            found.iter().all(|one| one["state"] == "mixed"),
            "{found:#?}"
        );
    }
}

mod cures {
    use super::winners::distribution;
    use super::*;

    fn of_winners(found: &[Value]) -> BTreeSet<String> {
        let winners = found.iter().filter(|one| one["winner"] == true);
        winners
            .map(|one| format!("{} {}", text(&one["name"]), text(&one["version"])))
            .collect()
    }

    /// Pastes every cure into a shell until there is none; all packages must be clean then. Gives what won before, and now.
    #[track_caller]
    fn paste_all<P: AsRef<Path>>(
        sandbox: &Sandbox,
        layers: &[P],
        runtime: &str,
    ) -> [BTreeSet<String>; 2] {
        let before = packages(sandbox, layers, &["--runtime", runtime]);
        for one in &before {
            let Some(cure) = one["cure"].as_str() else {
                continue;
            };
            let place = cure.find(": zip -d ").or_else(|| cure.find(": rm -r "));
            let place = place.unwrap_or_else(|| panic!("no command: {cure}"));
            let mut shell = tool("sh");
            shell.args(["-ec", &cure[place + 2..]]);
            printed(shell.current_dir(sandbox.work()));
        }
        let after = packages(sandbox, layers, &["--runtime", runtime]);
        for one in &after {
            assert_eq!(one["state"], "clean", "{one}");
            assert_eq!(one["cure"], Value::Null, "{one}");
        }
        [of_winners(&before), of_winners(&after)]
    }

    #[test]
    fn a_pasted_cure_leaves_the_winner_alone_and_loadable() {
        if skip_without("zip") {
            return;
        }
        let Some(python) = Interpreter::python_of_the_wheels() else {
            return;
        };
        let sandbox = Sandbox::new();
        let new = fs::read(real("python-requests-new")).expect("it can be read");
        let new = sandbox.write("new.zip", new);
        let flat = flattened_requests_old(&sandbox);
        // A name that a shell and a pattern would both misread.
        let old = sandbox.path("it's [old].zip");
        printed(
            tool("zip")
                .args(["-qr"])
                .arg(&old)
                .arg("python")
                .current_dir(flat),
        );
        let layers = [old, new];
        let [before, after] = paste_all(&sandbox, &layers, "python3.11");
        assert_eq!((before.len(), before), (5, after));
        let plain = sandbox.path("old.zip");
        let [old, new] = layers;
        fs::rename(old, &plain).expect("on the same file system");
        let root = Root::of([plain, new]);
        let script = "import requests, urllib3; print(requests.__version__, urllib3.__version__)";
        assert_eq!(
            root.under("python3.11", &python.with(&["-c", script])),
            "2.32.5 2.5.0\n"
        );
    }

    #[test]
    fn a_directory_is_cured_as_well() {
        let sandbox = Sandbox::new();
        let flat = flattened_requests_old(&sandbox);
        let layer = sandbox.path("it's [old]");
        fs::rename(flat, &layer).expect("on the same file system");
        let layers = [layer, real("python-requests-new")];
        let [before, after] = paste_all(&sandbox, &layers, "python3.11");
        assert_eq!((before.len(), before), (5, after));
    }

    #[test]
    fn where_a_later_layer_does_not_win_the_cure_makes_it() {
        if skip_without("zip") {
            return;
        }
        let sandbox = Sandbox::new();
        let copy = |name: &str| {
            let bytes = fs::read(real(name)).expect("it can be read");
            sandbox.write(format!("{name}.zip"), bytes)
        };
        for (lower, upper, runtime, expected) in [
            (
                "python-requests-old",
                "python-requests-new",
                "python3.11",
                "urllib3 2.5.0",
            ),
            ("java-jpype-old", "java-jpype-new", "java21", "jpype 1.6.0"),
        ] {
            let layers = [copy(lower), copy(upper)];
            let [_, after] = paste_all(&sandbox, &layers, runtime);
            assert!(after.contains(expected), "{after:?}");
            let now = packages(&sandbox, &layers, &["--runtime", runtime]);
            assert!(
                now.iter().all(|one| one["winner"] == (one["layer"] == 2)),
                "{now:#?}"
            );
        }
    }

    #[test]
    fn a_few_files_over_a_package_are_removed_and_not_the_package() {
        if skip_without("zip") {
            return;
        }
        let sandbox = Sandbox::new();
        let whole = sandbox.write(
            "whole.zip",
            fs::read(real("python-requests-new")).expect("it can be read"),
        );
        let patch = archive([
            file("python/requests/models.py", "# patched"),
            file("python/mine.py", ""),
        ]);
        let layers = [whole, sandbox.archive("patch.zip", &patch)];
        let before = packages(&sandbox, &layers, &["--runtime", "python3.11"]);
        assert_eq!(the(&before, "requests", 2)["state"], "mixed");
        let [_, after] = paste_all(&sandbox, &layers, "python3.11");
        assert!(
            after.contains("requests 2.32.5") && after.contains("mine -"),
            "{after:?}"
        );
    }

    #[test]
    fn what_is_no_file_of_the_users_is_named_without_a_command() {
        let sandbox = Sandbox::new();
        let zip = archive(distribution("x", "1.0", &["__init__", "old"]));
        sandbox.archive("old.zip", &zip);
        sandbox.archive("new.zip", &archive(distribution("x", "2.0", &["__init__"])));
        let added = sandbox.slashopt(["cache", "add", "old.zip"]).success();
        let digest = added.stdout().trim().to_owned();
        sandbox
            .slashopt(["registry", "publish", "stored", "old.zip"])
            .success();
        let cure_of = |old: &str| {
            let listed = sandbox
                .command([
                    "list",
                    "--packages",
                    "--format",
                    "json",
                    "--runtime",
                    "python3.12",
                    old,
                    "new.zip",
                ])
                .stdin(zip.bytes())
                .run()
                .success();
            let found = listed.json()["packages"].clone();
            let cure = the(found.as_array().expect("a list"), "x", 2)["cure"].clone();
            text(&cure).to_owned()
        };
        let advice = |name: &str| format!("remove x 1.0 from layer 1 of 2 (`{name}`)");
        for name in [&*digest, "stored:1", "stored", "-"] {
            assert_eq!(cure_of(name), advice(name));
        }
        let command = ": zip -d old.zip 'python/*'";
        for name in ["old.zip", &format!("old.zip@{digest}")] {
            assert_eq!(cure_of(name), format!("{}{command}", advice("old.zip")));
        }
    }

    #[test]
    fn what_the_runtime_does_not_search_needs_no_cure() {
        let sandbox = Sandbox::new();
        let layers = [real("python-requests-old"), real("python-requests-new")];
        for (runtime, needs) in [("python3.11", true), ("python3.12", false)] {
            let found = packages(&sandbox, &layers, &["--runtime", runtime]);
            assert_eq!(
                found.iter().any(|one| one["cure"].is_string()),
                needs,
                "{found:#?}"
            );
        }
    }
}

mod bill_of_materials {
    use super::*;

    /// The schema by the makers of `CycloneDX`, with the two that it refers to.
    const VALIDATE: &str = "
import json, pathlib, sys
import jsonschema
from referencing import Registry, Resource
schemas = pathlib.Path(sys.argv[1])
load = lambda name: json.loads((schemas / name).read_text())
schema = load('bom-1.6.SNAPSHOT.schema.json')
others = [load(name) for name in ('spdx.SNAPSHOT.schema.json', 'jsf-0.82.SNAPSHOT.schema.json')]
registry = Registry().with_resources((one['$id'], Resource.from_contents(one)) for one in [schema, *others])
validator = jsonschema.Draft7Validator(schema, registry=registry)
errors = [f'{error.json_path}: {error.message}' for error in validator.iter_errors(json.load(sys.stdin))]
print('\\n'.join(errors) or 'valid')
";

    #[test]
    fn it_is_valid_and_names_what_the_root_holds() {
        let schemas = output("judges/cyclonedx/cyclonedx/schema/_res");
        if !schemas.exists() {
            eprintln!("skipped: scripts/judges fetches the schema of CycloneDX");
            return;
        }
        let validate = |bill: &str| {
            let sandbox = Sandbox::new();
            let path = sandbox.write("bom.json", bill);
            let mut python = tool("python3");
            python
                .args(["-c", VALIDATE])
                .arg(&schemas)
                .stdin(fs::File::open(path).expect("it can be read"));
            printed(&mut python)
        };
        let sandbox = Sandbox::new();
        let stacks = [
            five(),
            vec![
                real("python-requests-old"),
                real("python-requests-new"),
                real("java-commons"),
                real("ruby-rack"),
                real("bin-tool"),
            ],
        ];
        for layers in stacks {
            let bill = list(&sandbox, &layers, &["--format", "cyclonedx"]).success();
            assert_eq!(validate(bill.stdout()), "valid\n");
        }
        // So that the judge is known to find something.
        assert_ne!(
            validate(
                r#"{"bomFormat":"CycloneDX","specVersion":"1.6","components":[{"name":"x"}]}"#
            ),
            "valid\n"
        );
    }

    #[test]
    fn each_component_has_its_package_url() {
        let sandbox = Sandbox::new();
        let layers = [
            real("python-requests-new"),
            real("node-aws-sdk"),
            real("java-commons"),
            real("ruby-rack"),
        ];
        let bill = list(&sandbox, &layers, &["--format", "cyclonedx"]).success();
        for url in [
            "pkg:pypi/charset-normalizer@3.4.3",
            "pkg:npm/%40aws-sdk/client-s3@3.1144.0",
            "pkg:maven/com.google.code.gson/gson@2.10",
            "pkg:gem/rack@2.2.22",
        ] {
            assert!(
                bill.stdout().contains(&format!("\"purl\": \"{url}\"")),
                "{url}"
            );
        }
    }

    #[test]
    fn what_was_replaced_is_not_in_it() {
        let sandbox = Sandbox::new();
        let layer = real("python-requests-new");
        let component = |layers: &[PathBuf]| -> usize {
            let bill = list(&sandbox, layers, &["--format", "cyclonedx"]).success();
            let bill: Value = serde_json::from_str(bill.stdout()).expect("it is JSON");
            bill["components"].as_array().expect("it is a list").len()
        };
        assert_eq!(
            component(&[layer.clone(), layer.clone()]),
            component(&[layer])
        );
    }
}

#[test]
fn what_metadata_says_does_not_write_over_a_terminal() {
    let sandbox = Sandbox::new();
    let layer = |version: &str| {
        archive([
            file("python/x/__init__.py", version),
            file(
                format!("python/x-{}.dist-info/METADATA", version.len()),
                format!("Name: x\x1b[2J\nVersion: {version}\x07\n"),
            ),
            file(
                "nodejs/node_modules/y/package.json",
                format!(r#"{{"name":"y\u001b[2J","version":"{version}\u000a"}}"#),
            ),
        ])
    };
    let layers = ["a\nb.zip", "two.zip"];
    sandbox.archive(layers[0], &layer("1"));
    sandbox.archive(layers[1], &layer("20"));
    for (command, status) in [
        (&["collisions"][..], 0),
        (&["list", "--packages"], 0),
        (&["check"], 0),
        (&["which", "--module", "x", "--runtime", "python3.12"], 0),
        (&["diff"], 1),
    ] {
        let told = sandbox.slashopt([command, &layers].concat()).status(status);
        let printed = told.stdout();
        assert!(!printed.contains(['\x1b', '\x07']), "{printed:?}");
        assert!(printed.contains("a\\x0ab.zip"), "{printed}");
    }
}

#[test]
fn the_list_is_the_same_with_any_number_of_threads() {
    let sandbox = Sandbox::new();
    let layers = five();
    for format in ["text", "json", "cyclonedx"] {
        let mut said = BTreeSet::new();
        for threads in ["1", "2", "7"] {
            let listed = list(
                &sandbox,
                &layers,
                &["--threads", threads, "--format", format],
            )
            .success();
            said.insert(listed.stdout().to_owned());
        }
        assert_eq!(said.len(), 1, "{format}");
    }
}

#[test]
fn a_format_of_packages_is_none_of_the_tree() {
    let sandbox = Sandbox::new();
    let layer = real("java-commons");
    let arguments = [
        OsStr::new("list"),
        layer.as_os_str(),
        OsStr::new("--format"),
        OsStr::new("cyclonedx"),
    ];
    let failed = sandbox.slashopt(arguments).status(2);
    assert!(
        failed.stderr().contains("`cyclonedx` is unknown"),
        "{}",
        failed.stderr()
    );
}
