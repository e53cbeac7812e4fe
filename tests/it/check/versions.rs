//! The rules about versions of languages: folders, native modules, bytecode, classes. Python and Java make what is judged, and
//! Python says whether the judgement on its bytecode is right.

use std::fs;
use std::path::Path;

use crate::check::{assert_found, assert_silent, checked, found, of_rule, stack};
use crate::real_layers::real;
use crate::support::command::{Sandbox, skip_without};
use crate::support::machine::tool;
use crate::support::zip::{Archive, Entry, archive, file};

fn one(entries: impl IntoIterator<Item = Entry>) -> [Archive; 1] {
    [archive(entries)]
}

/// What a rule finds in a real layer for a runtime.
fn found_in(rule: &str, layer: &str, runtime: &str) -> Vec<String> {
    let arguments = ["check".to_owned(), real(layer).display().to_string()];
    of_rule(
        rule,
        &checked(&Sandbox::new(), &arguments, &["--runtime", runtime]),
    )
}

/// Runs a foreign tool; what it prints on both streams.
fn run(command: &str, arguments: &[&str], directory: &Path) -> String {
    let output = tool(command)
        .args(arguments)
        .current_dir(directory)
        .output()
        .expect("it was found");
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(output.status.success(), "{command} {arguments:?}: {text}");
    text
}

// ---- folders ------------------------------------------------------------------------------------------------------------------

#[test]
fn a_folder_of_another_version_is_not_searched() {
    let rule = "folder-of-another-version";
    for (name, runtime, own) in [
        (
            "python/lib/python3.11/site-packages/a.py",
            "python3.12",
            "python/lib/python3.12/site-packages/a.py",
        ),
        (
            "nodejs/node20/node_modules/a/index.js",
            "nodejs22.x",
            "nodejs/node22/node_modules/a/index.js",
        ),
        (
            "ruby/gems/3.3.0/gems/a-1/lib/a.rb",
            "ruby3.4",
            "ruby/gems/3.4.0/gems/a-1/lib/a.rb",
        ),
    ] {
        let arguments = ["--runtime", runtime];
        let sentence = format!("{runtime} does not look here; it looks in ");
        assert_found(rule, one([file(name, "")]), &arguments, &[&sentence]);
        assert_silent(rule, one([file(own, "")]), &arguments);
        // For several versions at once, also with the runtime's own in the same layer.
        assert_silent(rule, one([file(name, ""), file(own, "")]), &arguments);
        // That of another layer does not help this one.
        let layers = [archive([file(name, "")]), archive([file(own, "")])];
        assert_found(rule, layers, &arguments, &[&sentence]);
        assert_silent(rule, one([file(name, "")]), &["--runtime", "java21"]);
    }
}

#[test]
fn a_folder_of_another_version_beside_one_for_all_is_a_warning() {
    let entries = [
        file("nodejs/node20/node_modules/a/index.js", ""),
        file("nodejs/node_modules/a/index.js", ""),
        file("nodejs/node-is-no-version/node_modules/a.js", ""),
    ];
    assert_found(
        "folder-of-another-version",
        one(entries),
        &["--runtime", "nodejs22.x"],
        &["warning nodejs/node20/node_modules: nodejs22.x does not look here"],
    );
}

#[test]
fn real_layers_for_another_version_are_told_so() {
    let rule = "folder-of-another-version";
    let found = found_in(rule, "python-requests-old", "python3.12");
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].starts_with("error python/lib/python3.11/site-packages: "));
    assert!(found_in(rule, "python-requests-old", "python3.11").is_empty());

    let rule = "extension-of-another-python";
    let found = found_in(rule, "python-pandas", "python3.12");
    assert_eq!(found.len(), 2, "numpy and pandas: {found:#?}");
    assert!(found.iter().all(|found| found.starts_with("error ")));
    assert!(found_in(rule, "python-pandas", "python3.11").is_empty());

    let rule = "newer-java-classes";
    assert!(!found_in(rule, "java-jpype-new", "java8.al2").is_empty());
    assert!(found_in(rule, "java-jpype-new", "java11").is_empty());
    assert!(found_in(rule, "java-commons", "java8.al2").is_empty());
}

// ---- native modules -----------------------------------------------------------------------------------------------------------

#[test]
fn a_native_module_of_another_python_cannot_be_imported() {
    let rule = "extension-of-another-python";
    let runtime = ["--runtime", "python3.12"];
    let of = |version: &str| {
        file(
            format!("python/a/b.cpython-{version}-x86_64-linux-gnu.so"),
            "",
        )
    };
    assert_silent(rule, one([of("312")]), &runtime);
    assert_silent(rule, one([file("python/a/b.abi3.so", "")]), &runtime);
    assert_silent(rule, one([file("python/a/b.so", "")]), &runtime);
    assert_silent(rule, one([of("311"), of("312")]), &runtime);
    let abi3 = file("python/a/b.abi3.so", "");
    assert_silent(rule, one([of("311"), abi3]), &runtime);
    assert_silent(rule, one([of("311")]), &["--runtime", "nodejs22.x"]);
    assert_found(
        rule,
        one([of("311"), of("313t")]),
        &runtime,
        &[
            "it is for Python 3.11, and python3.12 cannot import it",
            "it is for another Python",
        ],
    );
    // The same module in Python is slower, and works.
    assert_found(
        rule,
        one([of("311"), file("python/a/b.py", "")]),
        &runtime,
        &["warning python/a/b.cpython-311-x86_64-linux-gnu.so: it is for Python 3.11"],
    );
    // Where the runtime does not look, another rule says so.
    let elsewhere = "python/lib/python3.11/site-packages/a.cpython-311-x86_64-linux-gnu.so";
    assert_silent(rule, one([file(elsewhere, "")]), &runtime);
}

// ---- bytecode -----------------------------------------------------------------------------------------------------------------

/// When the sources in these tests were modified: an odd second, which no DOS time is.
const MODIFIED: i32 = 1_700_000_001;

/// A version of Python that there is: the command, and the minor version.
fn pythons() -> Vec<(String, u16)> {
    let is_it = |command: &str, minor: u16| {
        let version = tool(command).arg("--version").output();
        version.is_ok_and(|output| {
            output.status.success()
                && output
                    .stdout
                    .starts_with(format!("Python 3.{minor}.").as_bytes())
        })
    };
    (6..=14)
        .flat_map(|minor| {
            [format!("python3.{minor}"), "python3".to_owned()].map(|name| (name, minor))
        })
        .filter(|(command, minor)| is_it(command, *minor))
        .collect()
}

/// A source of that time, with what Python compiles it to.
fn compiled_by(python: &str, mode: &str) -> (&'static str, String, Vec<u8>) {
    const SOURCE: &str = "print('source')\n";
    let sandbox = Sandbox::new();
    let source = sandbox.write("m.py", SOURCE);
    let touched = fs::File::options()
        .write(true)
        .open(source)
        .expect("it was written");
    let time =
        std::time::UNIX_EPOCH + std::time::Duration::from_secs(MODIFIED.unsigned_abs().into());
    touched.set_modified(time).expect("it is ours");
    let mut arguments = vec!["-m", "compileall", "-q"];
    if !mode.is_empty() {
        arguments.extend(["--invalidation-mode", mode]);
    }
    arguments.push("m.py");
    run(python, &arguments, &sandbox.work());
    let mut cache = fs::read_dir(sandbox.path("__pycache__")).expect("it was compiled");
    let bytecode = cache.next().expect("one file").expect("it can be listed");
    let name = bytecode.file_name().into_string().expect("text");
    (
        SOURCE,
        name,
        fs::read(bytecode.path()).expect("it was written"),
    )
}

/// Whether Python itself, in what was extracted from the layer, uses the bytecode of `m`.
fn python_uses_it(python: &str, layer: &Archive) -> bool {
    let (sandbox, _) = stack([archive([])]);
    sandbox.archive("layer.zip", layer);
    sandbox
        .slashopt(["extract", "layer.zip", "--into", "root"])
        .success();
    let directory = sandbox.path("root/python");
    let said = run(python, &["-v", "-B", "-c", "import m"], &directory);
    let matches = said
        .lines()
        .any(|line| line.contains("__pycache__/m.") && line.contains(" matches "));
    assert!(said.contains("source\n"), "{said}");
    matches
}

#[test]
fn bytecode_that_python_would_not_use_is_found_and_no_other() {
    let mut judged = 0;
    for (python, minor) in pythons() {
        let runtime = format!("python3.{minor}");
        let modes: &[&str] = if minor < 7 {
            &[""]
        } else {
            &["timestamp", "checked-hash", "unchecked-hash"]
        };
        for mode in modes {
            let (source, name, bytecode) = compiled_by(&python, mode);
            let layer = |modified: i32, source: &str| {
                archive([
                    file("python/m.py", source).extended(modified),
                    file(format!("python/__pycache__/{name}"), &bytecode).extended(MODIFIED),
                ])
            };
            for (layer, is_touched) in [
                (layer(MODIFIED, source), false),
                (layer(MODIFIED + 1, source), true),
                (layer(315_532_800, source), true),
                (
                    layer(MODIFIED, "print('source')\n\n"),
                    *mode == "timestamp" || mode.is_empty(),
                ),
            ] {
                let uses_it = python_uses_it(&python, &layer);
                let found = found("stale-bytecode", [layer], &["--runtime", &runtime]);
                let is_stale = is_touched && !mode.contains("hash");
                assert_eq!(!found.is_empty(), is_stale, "{python} {mode}: {found:?}");
                // A checked hash of another source is stale, too, and only reading the source would tell.
                if *mode != "checked-hash" {
                    assert_eq!(uses_it, !is_stale, "{python} {mode}");
                }
                judged += 1;
            }
        }
    }
    if judged == 0 {
        skip_without("python3");
    }
}

#[test]
fn one_finding_counts_the_modules_of_a_layer() {
    let header = |magic: u16, modified: i32, size: u32| {
        let mut bytes = magic.to_le_bytes().to_vec();
        bytes.extend(b"\r\n\0\0\0\0");
        bytes.extend(modified.to_le_bytes());
        bytes.extend(size.to_le_bytes());
        bytes
    };
    let mut entries = Vec::new();
    for module in ["a", "b", "c", "d"] {
        entries.push(file(format!("python/{module}.py"), "x").extended(MODIFIED));
    }
    let pyc = |module: &str, tag: u16, bytes: Vec<u8>| {
        file(
            format!("python/__pycache__/{module}.cpython-{tag}.pyc"),
            bytes,
        )
    };
    entries.extend([
        // It fits; that it is there for another Python as well is no matter.
        pyc("a", 312, header(3531, MODIFIED, 1)),
        pyc("a", 311, header(3495, MODIFIED, 1)),
        // Another time, another size, another Python, of which one has the right name.
        pyc("b", 312, header(3531, MODIFIED + 2, 1)),
        pyc("c", 312, header(3531, MODIFIED, 2)),
        pyc("d", 312, header(3500, MODIFIED, 1)),
        // No source: Python does not look at it.
        pyc("e", 312, header(3531, 0, 0)),
    ]);
    assert_found(
        "stale-bytecode",
        one(entries.clone()),
        &["--runtime", "python3.12"],
        &[
            "warning python/__pycache__/b.cpython-312.pyc: the .pyc files of 3 of 4 modules do not fit, so python3.12 \
           compiles them at each cold start: 2 record another time or size than the source has, 1 are of another Python; this \
           one says 2023-11-14T22:13:23Z, and its source is of 2023-11-14T22:13:21Z",
        ],
    );
    assert_silent("stale-bytecode", one(entries), &["--runtime", "nodejs22.x"]);
}

#[test]
fn a_stray_file_of_bytecode_is_a_note() {
    let mut entries: Vec<Entry> = (0..50)
        .map(|number| file(format!("python/m{number}.py"), "x"))
        .collect();
    entries.push(file(
        "python/__pycache__/m7.cpython-311.pyc",
        b"\xa7\x0d\r\n\0\0\0\0\0\0\0\0\0\0\0\0",
    ));
    assert_found(
        "stale-bytecode",
        one(entries),
        &["--runtime", "python3.12"],
        &["note python/__pycache__/m7.cpython-311.pyc: the .pyc files of 1 of 1 modules"],
    );
}

#[test]
fn bytecode_without_a_source_must_be_of_the_runtimes_python() {
    let rule = "bytecode-of-another-python";
    let bytecode = b"\xa7\x0d\r\n\0\0\0\0\0\0\0\0\0\0\0\0";
    let module = || file("python/a.pyc", bytecode);
    assert_found(
        rule,
        one([module()]),
        &["--runtime", "python3.12"],
        &[
            "error python/a.pyc: its bytecode is of Python 3.11, its source is not there, and python3.12 cannot import it",
        ],
    );
    assert_silent(rule, one([module()]), &["--runtime", "python3.11"]);
    assert_silent(
        rule,
        one([module(), file("python/a.py", "")]),
        &["--runtime", "python3.12"],
    );
}

// ---- classes ------------------------------------------------------------------------------------------------------------------

/// A jar with a class for this Java at each of these paths.
fn jar(classes: &[(&str, u32)]) -> Vec<u8> {
    let sandbox = Sandbox::new();
    sandbox.write("A.java", "class A {}\n");
    let mut entries = vec![file(
        "META-INF/MANIFEST.MF",
        "Manifest-Version: 1.0\nMulti-Release: true\n",
    )];
    for (path, release) in classes {
        let arguments = ["--release", &release.to_string(), "A.java"];
        run("javac", &arguments, &sandbox.work());
        let bytes = fs::read(sandbox.path("A.class")).expect("it was compiled");
        entries.push(file(*path, bytes).deflated());
    }
    archive(entries).bytes()
}

#[test]
fn classes_for_a_newer_java_are_errors() {
    if skip_without("javac") {
        return;
    }
    let rule = "newer-java-classes";
    let layer = |bytes: Vec<u8>| one([file("java/lib/a.jar", bytes)]);
    let bytes = jar(&[("com/A.class", 17), ("com/B.class", 17)]);
    assert_silent(rule, layer(bytes.clone()), &["--runtime", "java17"]);
    assert_silent(rule, layer(bytes.clone()), &["--runtime", "java21"]);
    assert_silent(rule, layer(bytes.clone()), &["--runtime", "python3.12"]);
    assert_found(
        rule,
        layer(bytes),
        &["--runtime", "java11"],
        &[
            "error java/lib/a.jar: its classes are for Java 17 or newer, and java11 has Java 11: com/A.class",
        ],
    );
}

#[test]
fn classes_that_an_old_java_never_loads_are_no_error() {
    if skip_without("javac") {
        return;
    }
    let rule = "newer-java-classes";
    let layer = |bytes: Vec<u8>| one([file("java/lib/a.jar", bytes)]);
    let several = jar(&[
        ("com/A.class", 8),
        ("module-info.class", 17),
        ("META-INF/versions/17/com/A.class", 17),
    ]);
    assert_silent(rule, layer(several), &["--runtime", "java8.al2"]);
    let mostly = jar(&[("a/A.class", 8), ("b/A.class", 8), ("c/A.class", 17)]);
    assert_found(
        rule,
        layer(mostly),
        &["--runtime", "java11"],
        &["warning java/lib/a.jar: 1 of its 3 classes are for Java 17"],
    );
    assert_silent(
        rule,
        layer(b"PK\x03\x04 and no archive".to_vec()),
        &["--runtime", "java11"],
    );
}
