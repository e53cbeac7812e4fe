//! The rules about packages that are there twice, or in part.

use std::fs;

use serde_json::Value;

use crate::check::{assert_found, assert_silent, checked, of_rule, stack};
use crate::real_layers::real;
use crate::support::command::{Sandbox, skip_without};
use crate::support::machine::tool;
use crate::support::zip::{Archive, Entry, archive, file};

/// A Python distribution with these modules.
fn distribution(folder: &str, name: &str, version: &str, modules: &[&str]) -> Vec<Entry> {
    let info = format!("{folder}/{name}-{version}.dist-info");
    let metadata = format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n");
    let mut record = format!("{name}-{version}.dist-info/METADATA,,\n");
    let mut entries = Vec::new();
    for module in modules {
        record.extend([*module, ",,\n"]);
        entries.push(file(format!("{folder}/{module}"), format!("# {version}\n")));
    }
    entries.push(file(format!("{info}/METADATA"), metadata));
    entries.push(file(format!("{info}/RECORD"), record));
    entries
}

fn python(name: &str, version: &str) -> Vec<Entry> {
    distribution("python", name, version, &[&format!("{name}/__init__.py")])
}

fn merged(parts: impl IntoIterator<Item = Vec<Entry>>) -> [Archive; 1] {
    [archive(parts.into_iter().flatten())]
}

/// A Node.js package with these dependencies.
fn node(name: &str, version: &str, dependencies: &[&str]) -> Vec<Entry> {
    let wanted: Vec<String> = dependencies
        .iter()
        .map(|name| format!("\"{name}\": \"*\""))
        .collect();
    let manifest = format!(
        "{{\"name\": \"{name}\", \"version\": \"{version}\", \"dependencies\": {{{}}}, \
         \"peerDependencies\": {{\"@aws-sdk/never\": \"*\"}}}}",
        wanted.join(", ")
    );
    let folder = format!("nodejs/node_modules/{name}");
    vec![
        file(format!("{folder}/package.json"), manifest),
        file(format!("{folder}/index.js"), ""),
    ]
}

const PYTHON: [&str; 2] = ["--runtime", "python3.12"];

#[test]
fn two_versions_in_one_folder_of_one_layer_are_found() {
    let rule = "two-distributions";
    let second = || distribution("python", "a", "2.0", &["a/new.py"]);
    let both = || merged([python("a", "1.0"), second(), python("b", "1.0")]);
    for arguments in [&PYTHON[..], &[]] {
        assert_found(rule, both(), arguments, &["stands beside a "]);
    }
    assert_silent(
        rule,
        merged([python("a", "1.0"), python("b", "1.0")]),
        &PYTHON,
    );
    // The same one for two Pythons is no mistake.
    let other = distribution(
        "python/lib/python3.11/site-packages",
        "a",
        "2.0",
        &["a/__init__.py"],
    );
    assert_silent(rule, merged([python("a", "1.0"), other]), &PYTHON);
    // What another layer brings is the matter of another rule.
    let layers = [archive(python("a", "1.0")), archive(python("a", "2.0"))];
    assert_silent(rule, layers, &PYTHON);
}

#[test]
fn python_sees_both_distributions_that_check_finds() {
    if skip_without("python3") {
        return;
    }
    // What happens to who copies one installation over another.
    let sandbox = Sandbox::new();
    for version in ["1.0", "2.0"] {
        for entry in ["METADATA", "RECORD"] {
            let folder = format!("layer/python/a-{version}.dist-info");
            fs::create_dir_all(sandbox.path(&folder)).expect("it can be made");
            let text = format!("Metadata-Version: 2.1\nName: a\nVersion: {version}\n");
            sandbox.write(
                format!("{folder}/{entry}"),
                if entry == "METADATA" { &text } else { "" },
            );
        }
    }
    let code = "import importlib.metadata as m; print(sorted(d.version for d in m.distributions(path=['layer/python'])))";
    let said = tool("python3")
        .args(["-c", code])
        .current_dir(sandbox.work())
        .output()
        .expect("it was found");
    assert_eq!(String::from_utf8_lossy(&said.stdout), "['1.0', '2.0']\n");
    let json = checked(&sandbox, &["check".to_owned(), "layer".to_owned()], &PYTHON);
    assert_eq!(of_rule("two-distributions", &json).len(), 1, "{json:#}");
}

#[test]
fn what_a_later_layer_leaves_of_a_package_is_found_with_a_cure() {
    let rule = "package-half-replaced";
    let old = || {
        distribution(
            "python",
            "a",
            "1.0",
            &["a/__init__.py", "a/old.py", "a/older.py"],
        )
    };
    let new = || distribution("python", "a", "2.0", &["a/__init__.py"]);
    let (sandbox, arguments) = stack([archive(old()), archive(new())]);
    let json = checked(&sandbox, &arguments, &PYTHON);
    assert_eq!(
        of_rule(rule, &json),
        [
            "warning python/a/old.py: a 1.0 is replaced by a 2.0 of layer 2, and 2 files of it are left"
        ]
    );
    let finding = json["findings"]
        .as_array()
        .and_then(|findings| findings.iter().find(|finding| finding["rule"] == rule))
        .expect("it was found");
    assert_eq!(finding["layer"], 1);
    let help = finding["help"].as_str().unwrap_or_default();
    assert!(help.contains("1.zip"), "{help}");
    // Nothing but what describes it.
    let same_files = distribution(
        "python",
        "a",
        "2.0",
        &["a/__init__.py", "a/old.py", "a/older.py"],
    );
    assert_found(
        rule,
        [archive(old()), archive(same_files)],
        &PYTHON,
        &[
            "note python/a-1.0.dist-info/METADATA: a 1.0 is replaced by a 2.0 of layer 2, and its metadata is left",
        ],
    );
    // The same version, of which somebody left out a part.
    let trimmed = distribution("python", "a", "1.0", &["a/__init__.py"]);
    assert_silent(rule, [archive(old()), archive(trimmed)], &PYTHON);
}

#[test]
fn a_package_of_node_js_can_be_half_replaced_too() {
    let rule = "package-half-replaced";
    let mut old = node("a", "1.0.0", &[]);
    old.push(file("nodejs/node_modules/a/lib/old.js", ""));
    let new = node("a", "2.0.0", &[]);
    assert_found(
        rule,
        [archive(old.clone()), archive(new.clone())],
        &["--runtime", "nodejs22.x"],
        &[
            "warning nodejs/node_modules/a/lib/old.js: a 1.0.0 is replaced by a 2.0.0 of layer 2, and a file of it is left",
        ],
    );
    assert_silent(
        rule,
        [archive(new), archive(old)],
        &["--runtime", "nodejs22.x"],
    );
}

#[test]
fn one_half_of_boto3_is_found() {
    let rule = "runtime-sdk-shadowed";
    let parts =
        |names: &[(&str, &str)]| merged(names.iter().map(|(name, version)| python(name, version)));
    let found = |names: &[(&str, &str)], runtime: &str, sentences: &[&str]| {
        assert_found(rule, parts(names), &["--runtime", runtime], sentences);
    };
    found(
        &[("boto3", "1.40.0"), ("botocore", "1.40.0")],
        "python3.12",
        &[],
    );
    found(
        &[("botocore", "1.40.0")],
        "python3.12",
        &["warning python/botocore-1.40.0.dist-info: botocore 1.40.0 is here and no boto3"],
    );
    found(
        &[("boto3", "1.40.0")],
        "python3.12",
        &["boto3 1.40.0 is here and no botocore: it is loaded with the botocore of the runtime"],
    );
    found(&[("botocore", "1.40.0")], "nodejs22.x", &[]);
    // Only the botocore for Python 3.9 and older cannot do with urllib3 2.
    found(&[("urllib3", "2.2.1")], "python3.12", &[]);
    found(&[("urllib3", "1.26.18")], "python3.9", &[]);
    found(
        &[("urllib3", "2.2.1")],
        "python3.9",
        &["urllib3 2.2.1 is loaded by the runtime's botocore"],
    );
    found(
        &[
            ("urllib3", "2.2.1"),
            ("boto3", "1.40.0"),
            ("botocore", "1.40.0"),
        ],
        "python3.9",
        &[],
    );
    // In another layer is beside it all the same.
    let layers = [
        archive(python("boto3", "1.40.0")),
        archive(python("botocore", "1.40.0")),
    ];
    assert_silent(rule, layers, &PYTHON);
}

#[test]
fn a_client_of_the_javascript_sdk_without_what_it_needs_is_found() {
    let rule = "runtime-sdk-shadowed";
    let client = || node("@aws-sdk/client-s3", "3.700.0", &["@smithy/core", "tslib"]);
    let core = || node("@smithy/core", "3.0.0", &[]);
    let runtime = ["--runtime", "nodejs22.x"];
    assert_silent(rule, merged([client(), core()]), &runtime);
    assert_silent(rule, [archive(client()), archive(core())], &runtime);
    assert_found(
        rule,
        merged([client()]),
        &runtime,
        &[
            "@aws-sdk/client-s3 3.700.0 needs @smithy/core, which the runtime's own SDK then provides, in its version",
        ],
    );
    assert_found(
        rule,
        merged([client()]),
        &["--runtime", "nodejs16.x"],
        &["needs @smithy/core, which is nowhere"],
    );
    // Its own copy.
    let mut own = client();
    let nested = "nodejs/node_modules/@aws-sdk/client-s3/node_modules/@smithy/core";
    own.push(file(
        format!("{nested}/package.json"),
        "{\"name\": \"@smithy/core\"}",
    ));
    assert_silent(rule, merged([own]), &runtime);
}

#[test]
fn real_layers_have_their_sdk_whole() {
    for (layer, runtime) in [
        ("python-boto3", "python3.11"),
        ("node-aws-sdk", "nodejs22.x"),
    ] {
        let arguments = ["check".to_owned(), real(layer).display().to_string()];
        let json: Value = checked(&Sandbox::new(), &arguments, &["--runtime", runtime]);
        for rule in ["runtime-sdk-shadowed", "two-distributions"] {
            assert_eq!(of_rule(rule, &json), [""; 0], "{layer}");
        }
    }
}
