//! What the rules about contents claim, judged by those who would fail: the kernel, the loader, Node.js, Python, Java.

use std::fs;

use crate::check::judges::{judged, run};
use crate::check::native::needing;
use crate::elf::{PROGRAM, compiled};
use crate::support::command::skip_without;
use crate::support::machine::tool;
use crate::support::zip::{archive, file};

#[test]
fn the_kernel_does_not_start_what_the_rules_name() {
    if skip_without("gcc") {
        return;
    }
    let mut foreign = compiled(PROGRAM, &[]);
    // EM_AARCH64, or EM_X86_64 on a machine that is one.
    foreign[18] = if cfg!(target_arch = "x86_64") {
        183
    } else {
        62
    };
    let own = [
        "--architecture",
        if cfg!(target_arch = "x86_64") {
            "x86_64"
        } else {
            "arm64"
        },
    ];
    let nix = compiled(PROGRAM, &["-Wl,--dynamic-linker=/nix/a"]);
    for (rule, program, sentence) in [
        ("wrong-architecture", foreign, "Exec format error"),
        ("missing-interpreter", nix, "No such file or directory"),
        (
            "missing-interpreter",
            b"#!/usr/bin/no-such-thing\n".to_vec(),
            "No such file or directory",
        ),
        (
            "crlf-in-script",
            b"#!/bin/sh\r\necho\r\n".to_vec(),
            "No such file or directory",
        ),
        ("", compiled(PROGRAM, &[]), ""),
        ("", b"#!/bin/sh\n".to_vec(), ""),
    ] {
        let layer = archive([file("bin/tool", program).mode(0o755)]);
        let arguments = ["--runtime", "provided.al2023", own[0], own[1]];
        let (found, _sandbox, root) = judged(rule, layer, &arguments);
        let started = tool(root.join("bin/tool")).output();
        let said = started.as_ref().err().map(ToString::to_string);
        assert_eq!(found.len(), usize::from(!rule.is_empty()), "{rule}");
        assert_eq!(said.is_none(), rule.is_empty(), "{rule}: {said:?}");
        assert!(said.unwrap_or_default().contains(sentence), "{rule}");
    }
}

#[test]
fn the_loader_refuses_a_library_that_needs_a_newer_system() {
    if skip_without("gcc") {
        return;
    }
    let layer = archive([file("lib/a.so", needing("libc.so.6", "GLIBC_2.99", &[]))]);
    let runtime = ["--runtime", "provided.al2023"];
    let (found, _sandbox, root) = judged("needs-newer-system", layer, &runtime);
    assert_eq!(found.len(), 1);
    let (code, said) = run(tool("true")
        .current_dir(&root)
        .env("LD_PRELOAD", "lib/a.so"));
    assert_ne!(code, Some(0));
    assert!(said.contains("version `GLIBC_2.99' not found"), "{said}");
}

#[test]
fn node_loads_addons_of_its_own_version_only() {
    if skip_without("gcc") || skip_without("node") {
        return;
    }
    let own = run(tool("node").args(["-p", "process.versions.modules"])).1;
    let major = run(tool("node").args(["-p", "process.versions.node.split('.')[0]"])).1;
    let (own, major) = (own.trim(), major.trim());
    let runtime = format!("nodejs{major}.x");
    if slashopt::runtime::Runtime::find(&runtime).is_err() {
        eprintln!("skipped: this Node.js {major} is no runtime of Lambda");
        return;
    }
    for (symbol, is_loaded) in [
        (format!("node_register_module_v{own}"), true),
        ("node_register_module_v64".to_owned(), false),
    ] {
        let code = format!("void {symbol}(void) {{}}\n");
        let addon = compiled(&code, &["-shared", "-fPIC", "-nostdlib"]);
        let layer = archive([file("nodejs/node_modules/a/a.node", addon)]);
        let arguments = ["--runtime", &runtime];
        let (found, _sandbox, root) = judged("addon-of-another-node", layer, &arguments);
        let (code, said) = run(tool("node")
            .args(["-e", "require(process.argv[1])"])
            .arg(root.join("nodejs/node_modules/a/a.node")));
        assert_eq!(code == Some(0), is_loaded, "{symbol}: {said}");
        assert_eq!(found.is_empty(), is_loaded, "{symbol}: {found:?}");
    }
}

#[test]
fn python_finds_native_modules_of_its_own_version_only() {
    if skip_without("python3") {
        return;
    }
    let own = run(tool("python3").args(["-c", "import sys; print(sys.version_info[1])"])).1;
    let minor: u16 = own.trim().parse().expect("a number");
    let runtime = format!("python3.{minor}");
    if slashopt::runtime::Runtime::find(&runtime).is_err() {
        eprintln!("skipped: this Python 3.{minor} is no runtime of Lambda");
        return;
    }
    let platform = "x86_64-linux-gnu";
    for (tag, is_found) in [
        (format!(".cpython-3{minor}-{platform}"), true),
        (format!(".cpython-3{}-{platform}", minor + 1), false),
        (format!(".pypy3{minor}-pp73-{platform}"), false),
        (".abi3".to_owned(), true),
        (String::new(), true),
    ] {
        let layer = archive([file(format!("python/a/b{tag}.so"), "")]);
        let arguments = ["--runtime", &runtime];
        let (found, _sandbox, root) = judged("extension-of-another-python", layer, &arguments);
        let (_, said) = run(tool("python3")
            .args([
                "-c",
                "import importlib.util as u; print(u.find_spec('a.b') is not None)",
            ])
            .env("PYTHONPATH", root.join("python")));
        if cfg!(target_arch = "x86_64") {
            assert_eq!(said.trim() == "True", is_found, "{tag}: {said}");
        }
        assert_eq!(found.is_empty(), is_found, "{tag}: {found:?}");
    }
}

#[test]
fn java_refuses_the_classes_that_are_too_new_and_no_others() {
    if skip_without("javac") || skip_without("java") {
        return;
    }
    let sandbox = crate::support::command::Sandbox::new();
    let source = "public class Main { public static void main(String[] a) { System.out.println(\"ran\"); } }\n";
    sandbox.write("Main.java", source);
    let (code, said) = run(tool("javac")
        .args(["--release", "8", "Main.java"])
        .current_dir(sandbox.work()));
    assert_eq!(code, Some(0), "{said}");
    let class = fs::read(sandbox.path("Main.class")).expect("it was compiled");
    let for_java = |version: u8| {
        let mut class = class.clone();
        class[7] = 44 + version;
        class
    };
    let version = run(tool("javac").arg("-version")).1;
    let version: u8 = version
        .split([' ', '.'])
        .nth(1)
        .and_then(|major| major.trim().parse().ok())
        .expect("a version");
    let runtime = format!("java{version}");
    if slashopt::runtime::Runtime::find(&runtime).is_err() {
        eprintln!("skipped: this Java {version} is no runtime of Lambda");
        return;
    }
    let manifest = "Manifest-Version: 1.0\nMulti-Release: true\nMain-Class: Main\n";
    let newer = format!("META-INF/versions/{}/Main.class", version + 1);
    for (main, runs) in [(8, true), (version, true), (version + 1, false)] {
        let jar = archive([
            file("META-INF/MANIFEST.MF", manifest),
            file("Main.class", for_java(main)).deflated(),
            file(&newer, for_java(version + 1)),
            file("module-info.class", for_java(version + 1)),
        ]);
        let layer = archive([file("java/lib/a.jar", jar.bytes())]);
        let arguments = ["--runtime", &runtime];
        let (found, _sandbox, root) = judged("newer-java-classes", layer, &arguments);
        let (code, said) = run(tool("java").arg("-jar").arg(root.join("java/lib/a.jar")));
        assert_eq!(code == Some(0), runs, "{main}: {said}");
        assert_eq!(
            said.contains("UnsupportedClassVersionError"),
            !runs,
            "{said}"
        );
        assert_eq!(found.is_empty(), runs, "{main}: {found:?}");
    }
}
