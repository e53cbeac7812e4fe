//! What the rules claim, judged by those who would fail: real interpreters, the kernel, the loader.

use std::path::PathBuf;
use std::process::{Command, Output};

use crate::check::{checked, of_rule, stack};
use crate::support::command::{Sandbox, is_root, skip_without};
use crate::support::machine::{scratch, tool};
use crate::support::zip::{Archive, archive, file};

/// The findings of a rule in a layer, and the root that the layer makes.
#[track_caller]
pub(super) fn judged(rule: &str, layer: Archive, more: &[&str]) -> (Vec<String>, Sandbox, PathBuf) {
    let (sandbox, arguments) = stack([layer]);
    let found = of_rule(rule, &checked(&sandbox, &arguments, more));
    sandbox
        .slashopt(["extract", "1.zip", "--into", "opt", "--quota", "off", "-q"])
        .success();
    let root = sandbox.path("opt");
    (found, sandbox, root)
}

pub(super) fn run(command: &mut Command) -> (Option<i32>, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("it starts");
    let text = String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned();
    (status.code(), text)
}

#[test]
fn python_reads_a_pth_file_as_lambda_adds_folders_and_not_with_pythonpath() {
    if skip_without("python3") {
        return;
    }
    let layer = archive([file("python/a.pth", "import sys; sys.from_pth = True\n")]);
    let (found, _sandbox, root) = judged("pth-file", layer, &["--runtime", "python3.12"]);
    assert_eq!(found.len(), 1);
    let folder = root.join("python");
    let by_variable = run(tool("python3")
        .args(["-c", "import sys; print(hasattr(sys, 'from_pth'))"])
        .env("PYTHONPATH", &folder));
    assert_eq!(by_variable.1.trim(), "False");
    let as_lambda = run(tool("python3")
        .args([
            "-c",
            "import site, sys; site.addsitedir(sys.argv[1]); print(sys.from_pth)",
        ])
        .arg(&folder));
    assert_eq!(as_lambda.1.trim(), "True");
}

#[test]
fn python_does_not_find_what_lies_outside_its_folders() {
    if skip_without("python3") {
        return;
    }
    let rule = "python-package-not-searched";
    let runtime = ["--runtime", "python3.12"];
    for (folder, is_found) in [
        ("", false),
        ("python/site-packages/", false),
        ("python/", true),
    ] {
        let layer = archive([
            file(format!("{folder}slash_package/__init__.py"), ""),
            file(
                format!("{folder}slash_package-1.dist-info/METADATA"),
                "Name: x\n",
            ),
        ]);
        let (found, _sandbox, root) = judged(rule, layer, &runtime);
        let search = format!(
            "{0}/python/lib/python3.12/site-packages:{0}/python",
            root.display()
        );
        let (code, text) = run(tool("python3")
            .args(["-c", "import slash_package"])
            .current_dir("/")
            .env("PYTHONPATH", search));
        assert_eq!(code == Some(0), is_found, "{folder}: {text}");
        assert_eq!(found.is_empty(), is_found, "{folder}: {found:?}");
    }
}

#[test]
fn node_requires_from_node_path_and_does_not_import_from_it() {
    if skip_without("node") {
        return;
    }
    let layer = archive([
        file(
            "nodejs/node_modules/only-es/package.json",
            r#"{"type":"module","exports":"./index.js"}"#,
        ),
        file(
            "nodejs/node_modules/only-es/index.js",
            "export default 1;\n",
        ),
    ]);
    let (found, sandbox, root) = judged("es-module-not-found", layer, &["--runtime", "nodejs16.x"]);
    assert_eq!(found.len(), 1);
    let script = sandbox.write("function.mjs", "import 'only-es';\n");
    let (code, text) = run(tool("node")
        .arg(script)
        .env("NODE_PATH", root.join("nodejs/node_modules")));
    assert_ne!(code, Some(0));
    assert!(text.contains("ERR_MODULE_NOT_FOUND"), "{text}");
}

#[test]
fn node_does_not_find_what_lies_outside_nodejs() {
    if skip_without("node") {
        return;
    }
    for (folder, is_found) in [("node_modules", false), ("nodejs/node_modules", true)] {
        let layer = archive([
            file(format!("{folder}/slash-package/package.json"), "{}"),
            file(format!("{folder}/slash-package/index.js"), ""),
        ]);
        let runtime = ["--runtime", "nodejs22.x"];
        let (found, _sandbox, root) = judged("node-modules-not-searched", layer, &runtime);
        let search = format!(
            "{0}/nodejs/node22/node_modules:{0}/nodejs/node_modules",
            root.display()
        );
        let (code, text) = run(tool("node")
            .args(["-e", "require('slash-package')"])
            .current_dir("/")
            .env("NODE_PATH", search));
        assert_eq!(code == Some(0), is_found, "{folder}: {text}");
        assert_eq!(found.is_empty(), is_found, "{folder}: {found:?}");
    }
}

#[test]
fn ruby_does_not_find_what_bundler_leaves_where_it_installs() {
    if skip_without("ruby") {
        return;
    }
    let specification = "Gem::Specification.new { |s| s.name = 'slash_gem'; s.version = '1.0.0'; \
                         s.summary = s.author = 'x'; s.files = []; s.require_paths = ['lib'] }\n";
    for (home, is_found) in [("ruby/3.4.0", false), ("ruby/gems/3.4.0", true)] {
        let layer = archive([
            file(
                format!("{home}/specifications/slash_gem-1.0.0.gemspec"),
                specification,
            ),
            file(format!("{home}/gems/slash_gem-1.0.0/lib/slash_gem.rb"), ""),
        ]);
        let runtime = ["--runtime", "ruby3.4"];
        let (found, _sandbox, root) = judged("ruby-gem-not-searched", layer, &runtime);
        let (code, text) = run(tool("ruby")
            .args(["-e", "require 'slash_gem'"])
            .current_dir("/")
            .env("GEM_PATH", root.join("ruby/gems/3.4.0")));
        assert_eq!(code == Some(0), is_found, "{home}: {text}");
        assert_eq!(found.is_empty(), is_found, "{home}: {found:?}");
    }
}

#[test]
fn the_loader_says_of_a_link_that_is_a_text_what_the_rule_says() {
    let layer = archive([
        file("lib/libz.so.1", "libz.so.1.3"),
        file("lib/libz.so.1.3", "\x7fELF"),
    ]);
    let (found, _sandbox, root) = judged("link-stored-as-text", layer, &[]);
    assert_eq!(found.len(), 1);
    let (_, text) = run(tool("true")
        .current_dir(&root)
        .env("LD_PRELOAD", "lib/libz.so.1"));
    if text.is_empty() {
        eprintln!("skipped: this loader does not speak of what it cannot preload");
        return;
    }
    assert!(text.contains("file too short"), "{text}");
}

#[test]
fn the_kernel_refuses_to_another_user_what_the_rules_name() {
    if !is_root() || skip_without("setpriv") {
        eprintln!("skipped: only root can become another user");
        return;
    }
    let layer = archive([
        file("secret", "x").mode(0o640),
        file("extensions/agent", "#!/bin/sh\n").mode(0o744),
        file("bin/tool", "#!/bin/sh\n").mode(0o755),
    ]);
    let (sandbox, arguments) = stack([layer]);
    let json = checked(&sandbox, &arguments, &[]);
    assert_eq!(of_rule("unreadable-file", &json).len(), 1);
    assert_eq!(of_rule("extension-not-executable", &json).len(), 1);
    assert_eq!(of_rule("command-not-executable", &json).len(), 0);
    // Where anybody can get to it, as to /opt.
    let place = scratch();
    let root = place.path().join("opt");
    let into = root.display().to_string();
    sandbox
        .slashopt(["extract", "1.zip", "--into", &into, "-q"])
        .success();
    // A number that is neither root's nor, here, an owner's; nobody need have it.
    let as_user = |program: &str, argument: PathBuf| {
        let mut command = tool("setpriv");
        command.args(["--reuid=1051", "--regid=1051", "--clear-groups", program]);
        run(command.arg(argument).current_dir("/"))
    };
    let (code, text) = as_user("cat", root.join("secret"));
    assert_ne!(code, Some(0));
    assert!(text.contains("Permission denied"), "{text}");
    assert_ne!(as_user("env", root.join("extensions/agent")).0, Some(0));
    assert_eq!(as_user("env", root.join("bin/tool")).0, Some(0));
}
