//! What `check` says of layers as people really make them: nothing that is not so.

use std::path::{Path, PathBuf};

use crate::check::{checked, of_rule};
use crate::real_layers::real;
use crate::support::command::Sandbox;

/// Each real layer with the runtime that it is made for.
const REAL: [(&str, &str); 13] = [
    ("bin-tool", "provided.al2023"),
    ("cdk-awscli", "python3.11"),
    ("cdk-kubectl", "python3.11"),
    ("cdk-proxy-agent", "nodejs22.x"),
    ("java-commons", "java21"),
    ("java-jpype-new", "java21"),
    ("java-jpype-old", "java21"),
    ("node-aws-sdk", "nodejs22.x"),
    ("node-sharp", "nodejs22.x"),
    ("python-boto3", "python3.11"),
    ("python-pandas", "python3.11"),
    ("python-requests-new", "python3.11"),
    ("python-requests-old", "python3.11"),
];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("testdata")
        .join(name)
}

#[test]
fn real_layers_have_no_errors() {
    let sandbox = Sandbox::new();
    for (name, runtime) in REAL {
        let layer = real(name).display().to_string();
        let json = checked(
            &sandbox,
            &["check".to_owned(), layer],
            &["--runtime", runtime],
        );
        assert_eq!(json["summary"]["error"], 0, "{name}: {json:#}");
    }
}

#[test]
fn a_real_layer_for_another_ruby_is_told_so_and_nothing_else_is_wrong_with_it() {
    let layer = real("ruby-rack").display().to_string();
    let arguments = ["check".to_owned(), layer];
    let json = checked(&Sandbox::new(), &arguments, &["--runtime", "ruby3.4"]);
    assert_eq!(json["summary"]["error"], 1, "{json:#}");
    assert_eq!(of_rule("folder-of-another-version", &json).len(), 1);
}

#[test]
fn a_layer_that_windows_packed_has_no_programs() {
    let layer = fixture("layers/config-windows-python.zip");
    let json = checked(
        &Sandbox::new(),
        &["check".to_owned(), layer.display().to_string()],
        &[],
    );
    let found = of_rule("command-not-executable", &json);
    assert_eq!(found.len(), 1, "{json:#}");
    assert!(
        found[0].contains("bin/hello: the archive gives it no mode"),
        "{found:?}"
    );
}

#[test]
fn two_layers_that_disagree_are_told_so() {
    let layers = ["order/first-infozip.zip", "order/second-infozip.zip"].map(fixture);
    let mut arguments = vec!["check".to_owned()];
    arguments.extend(layers.iter().map(|layer| layer.display().to_string()));
    let json = checked(&Sandbox::new(), &arguments, &[]);
    let found = of_rule("type-conflict", &json);
    let paths = ["bin/tool", "conf", "data", "lib64"];
    assert_eq!(found.len(), paths.len(), "{found:?}");
    assert!(
        found
            .iter()
            .zip(paths)
            .all(|(found, path)| found.starts_with(&format!("warning {path}: "))),
        "{found:?}"
    );
    assert_eq!(of_rule("unreadable-file", &json).len(), 1);
    assert_eq!(of_rule("extension-not-executable", &json).len(), 1);
}
