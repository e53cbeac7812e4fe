//! Real layers, at the real `/opt`, by stock interpreters started through `exec`: as root and as nobody, cold and warm.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use crate::real_layers::real;
use crate::support::command::{Sandbox, skip_unless_root, skip_without};
use crate::support::machine::{PATH, tool};
use crate::support::zip::{archive, link};

/// A sandbox in which nobody can read the layers and keep a cache.
fn sandbox(layers: &[&str]) -> Option<(Sandbox, Vec<PathBuf>)> {
    let sandbox = Sandbox::new();
    if skip_unless_root(&sandbox) {
        return None;
    }
    for name in ["home", "tmp"] {
        let mode = fs::Permissions::from_mode(0o1777);
        fs::set_permissions(sandbox.root().join(name), mode).expect("it is ours");
    }
    // What is built may lie where nobody can go.
    let copied = layers.iter().map(|layer| {
        let copy = sandbox.path(format!("{layer}.zip"));
        fs::copy(real(layer), &copy).expect("it can be copied");
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o644)).expect("it is ours");
        copy
    });
    let copied = copied.collect();
    Some((sandbox, copied))
}

/// What a command prints with the layers at `/opt`, which must be the same for everybody, every time.
#[track_caller]
fn printed(sandbox: &Sandbox, layers: &[PathBuf], runtime: &str, command: &[&str]) -> String {
    let mut seen = Vec::new();
    for is_nobody in [false, true] {
        let cache = sandbox.home().join(format!(".cache-{is_nobody}"));
        for _cold_then_warm in 0..2 {
            let layers = layers.iter().map(|layer| layer.as_os_str());
            let before = ["exec", "--require-mount", "--runtime", runtime];
            let words = before.map(std::ffi::OsStr::new).into_iter().chain(layers);
            let words = words.chain([std::ffi::OsStr::new("--")]);
            let words = words.chain(command.iter().map(std::ffi::OsStr::new));
            let words = sandbox.command(words).env("XDG_CACHE_HOME", &cache);
            let words = if is_nobody { words.by_nobody() } else { words };
            seen.push(words.run().success().stdout().to_owned());
        }
    }
    seen.dedup();
    assert_eq!(seen.len(), 1, "{seen:#?}");
    seen.remove(0)
}

/// The version that an interpreter of the system says it has.
fn version(command: &[&str]) -> Option<String> {
    if skip_without(command[0]) {
        return None;
    }
    let output = tool(command[0])
        .args(&command[1..])
        .env("PATH", PATH)
        .output()
        .ok()?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[test]
fn python_imports_pandas() {
    let script = "import sys; print('%d.%d' % sys.version_info[:2])";
    if version(&["/usr/bin/python3", "-c", script]).as_deref() != Some("3.11") {
        eprintln!("skipped: the wheels are for Python 3.11, which /usr/bin/python3 is not");
        return;
    }
    let Some((sandbox, layers)) = sandbox(&["python-boto3", "python-pandas"]) else {
        return;
    };
    let script = "
import boto3, numpy, pandas
frame = pandas.DataFrame({'a': numpy.arange(4)})
assert frame.a.sum() == 6
for module in boto3, numpy, pandas: print(module.__file__)
";
    let seen = printed(
        &sandbox,
        &layers,
        "python3.11",
        &["/usr/bin/python3", "-c", script],
    );
    assert_eq!(
        seen,
        "/opt/python/boto3/__init__.py\n/opt/python/numpy/__init__.py\n/opt/python/pandas/__init__.py\n"
    );
}

#[test]
fn node_requires_the_sdk() {
    if skip_without("node") {
        return;
    }
    let Some((sandbox, layers)) = sandbox(&["node-aws-sdk", "node-sharp"]) else {
        return;
    };
    let script = "
const { S3Client } = require('@aws-sdk/client-s3');
new S3Client({ region: 'eu-central-1' });
for (const name of ['@aws-sdk/client-s3', 'sharp']) console.log(require.resolve(name));
";
    let seen = printed(&sandbox, &layers, "nodejs22.x", &["node", "-e", script]);
    for line in seen.lines() {
        assert!(line.starts_with("/opt/nodejs/node_modules/"), "{seen}");
    }
    assert_eq!(seen.lines().count(), 2);
}

#[test]
fn java_loads_classes_from_jars() {
    if skip_without("javac") || skip_without("java") {
        return;
    }
    let Some((sandbox, layers)) = sandbox(&["java-commons"]) else {
        return;
    };
    let source = sandbox.write(
        "Probe.java",
        "public class Probe { public static void main(String[] names) throws Exception { for (String name : names) \
         System.out.println(Class.forName(name).getProtectionDomain().getCodeSource().getLocation().getPath()); } }",
    );
    let code = sandbox.mkdir("code", 0o755);
    let compiled = tool("javac").arg("-d").arg(&code).arg(source).status();
    assert!(compiled.is_ok_and(|status| status.success()));
    let classes = "cd code && CLASSPATH=$PWD:$CLASSPATH exec java Probe org.apache.commons.lang3.StringUtils com.google.gson.Gson";
    let seen = printed(&sandbox, &layers, "java21", &["sh", "-c", classes]);
    assert_eq!(
        seen,
        "/opt/java/lib/commons-lang3.jar\n/opt/java/lib/gson.jar\n"
    );
}

#[test]
fn ruby_requires_gems() {
    let Some(version) = version(&["ruby", "-e", "puts RUBY_VERSION[/\\d+\\.\\d+/]"]) else {
        return;
    };
    let Some((sandbox, mut layers)) = sandbox(&["ruby-rack"]) else {
        return;
    };
    // The gems of this machine's Ruby are what a runtime of Lambda would look for.
    if version != "3.2" {
        let gems = archive([link("ruby/gems/3.2.0", format!("{version}.0"))]);
        layers.push(sandbox.archive("gems.zip", &gems));
    }
    let script = "require 'rack'; puts Gem.loaded_specs['rack'].full_gem_path";
    let seen = printed(&sandbox, &layers, "ruby3.2", &["ruby", "-e", script]);
    assert!(seen.starts_with("/opt/ruby/gems/"), "{seen}");
}

#[test]
fn a_command_of_a_layer_runs_by_its_name() {
    let Some((sandbox, layers)) = sandbox(&["bin-tool"]) else {
        return;
    };
    let script = "command -v ripgrep; ripgrep --version | head -c 7";
    let seen = printed(&sandbox, &layers, "provided.al2023", &["sh", "-c", script]);
    assert_eq!(seen, "/opt/bin/ripgrep\nripgrep");
}
