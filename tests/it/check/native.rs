//! The rules about what is executed and loaded: native code, what it needs of the system, interpreters. The code is compiled here.

use std::sync::OnceLock;

use proptest::prelude::*;
use proptest::sample::Index;
use slashopt::check::facts::{FileBytes, look};
use slashopt::path::LayerPath;

use crate::check::{assert_found, assert_silent};
use crate::elf::{PROGRAM, compiled};
use crate::properties::config;
use crate::support::command::{Sandbox, skip_without};
use crate::support::zip::{Archive, Entry, archive, file, link};

fn one(entries: impl IntoIterator<Item = Entry>) -> [Archive; 1] {
    [archive(entries)]
}

/// A library that needs nothing. It is compiled once.
fn library() -> Vec<u8> {
    static LIBRARY: OnceLock<Vec<u8>> = OnceLock::new();
    LIBRARY
        .get_or_init(|| {
            compiled(
                "int f(void) { return 1; }\n",
                &["-shared", "-fPIC", "-nostdlib"],
            )
        })
        .clone()
}

/// The same for a machine, by its number.
fn library_for(machine: u16) -> Vec<u8> {
    let mut bytes = library();
    bytes[18..20].copy_from_slice(&machine.to_le_bytes());
    bytes
}

const X86_64: u16 = 62;
const ARM64: u16 = 183;
const I386: u16 = 3;

fn so(name: &str, machine: u16) -> Entry {
    file(name, library_for(machine))
}

/// A library that needs a function of another library in one version of it.
pub(super) fn needing(library: &str, version: &str, options: &[&str]) -> Vec<u8> {
    let sandbox = Sandbox::new();
    let map = sandbox.write("map", format!("{version} {{ global: g; }};\n"));
    let soname = format!("-Wl,-soname,{library}");
    let script = format!("-Wl,--version-script={}", map.display());
    let stub = sandbox.write(
        "stub.so",
        compiled(
            "int g(void) { return 1; }\n",
            &["-shared", "-fPIC", "-nostdlib", &soname, &script],
        ),
    );
    let stub = stub.to_str().expect("our paths are text");
    let mut all = vec!["-shared", "-fPIC", "-nostdlib"];
    all.extend(options);
    all.push(stub);
    compiled("int g(void);\nint f(void) { return g(); }\n", &all)
}

#[test]
fn code_for_another_processor_is_an_error() {
    if skip_without("gcc") {
        return;
    }
    let rule = "wrong-architecture";
    let layer = || {
        one([
            so("python/a/b.so", X86_64),
            so("python/a/c.so", X86_64),
            so("nodejs/node_modules/d/e.node", X86_64),
            so("lib/libf.so.1", X86_64),
        ])
    };
    assert_silent(rule, layer(), &[]);
    assert_found(
        rule,
        layer(),
        &["--architecture", "arm64"],
        &[
            "error lib/libf.so.1: it is for x86_64, and the function is arm64",
            "error nodejs/node_modules/d/e.node: it is for x86_64, and the function is arm64",
            "error python/a/b.so: it is for x86_64, and the function is arm64; and 1 more in python/a",
        ],
    );
    assert_found(
        rule,
        one([so("lib/a.so", ARM64), so("bin/b", I386)]),
        &[],
        &[
            "error bin/b: it is for i386, and the function is x86_64",
            "error lib/a.so: it is for arm64",
        ],
    );
}

#[test]
fn code_of_32_bits_is_an_error() {
    // A header and nothing else, of the x32 ABI.
    let mut bytes = vec![0; 52];
    bytes[..7].copy_from_slice(b"\x7fELF\x01\x01\x01");
    bytes[16..20].copy_from_slice(&[3, 0, 62, 0]);
    assert_found(
        "wrong-architecture",
        one([file("lib/a.so", bytes)]),
        &[],
        &["error lib/a.so: it is for 32 bits, and the function is x86_64"],
    );
}

#[test]
fn what_a_mac_or_windows_compiled_is_an_error_where_linux_would_load_it() {
    let mac = b"\xcf\xfa\xed\xfe\x07\0\0\x01\x03\0\0\0";
    assert_found(
        "wrong-architecture",
        one([
            file("python/a/b.cpython-312-darwin.so", mac),
            file("bin/tool", mac),
            // Nobody on Linux asks for these.
            file("python/a/b.dylib", mac),
            file("python/setuptools/cli-64.exe", b"MZ\x90\0"),
            file("nodejs/node_modules/fsevents/fsevents.node", mac),
        ]),
        &[],
        &[
            "error bin/tool: it is for macOS, and the function is x86_64",
            "error python/a/b.cpython-312-darwin.so: it is for macOS",
        ],
    );
}

#[test]
fn builds_for_several_platforms_are_no_mistake_while_one_fits() {
    if skip_without("gcc") {
        return;
    }
    let rule = "wrong-architecture";
    let mac = b"\xcf\xfa\xed\xfe\x07\0\0\x01\x03\0\0\0";
    let others = || {
        vec![
            so("nodejs/node_modules/a/prebuilds/linux-arm64/a.node", ARM64),
            file(
                "nodejs/node_modules/a/prebuilds/darwin-x64+arm64/a.node",
                mac,
            ),
            so("bin/arm64/tool", ARM64),
            so("python/p/q.cpython-312-aarch64-linux-gnu.so", ARM64),
        ]
    };
    let mut all = others();
    all.extend([
        so("nodejs/node_modules/a/prebuilds/linux-x64/a.node", X86_64),
        so("bin/amd64/tool", X86_64),
        so("python/p/q.cpython-312-x86_64-linux-gnu.so", X86_64),
    ]);
    assert_silent(rule, one(all), &[]);
    assert_silent(rule, one(others()), &["--architecture", "arm64"]);
    assert_found(
        rule,
        one(others()),
        &[],
        &["bin/arm64/tool", "darwin", "linux-arm64", "q.cpython"],
    );
}

#[test]
fn what_only_tests_use_is_a_note_and_objects_are_nothing() {
    if skip_without("gcc") {
        return;
    }
    let mut object = library_for(ARM64);
    object[16] = 1;
    assert_found(
        "wrong-architecture",
        one([
            so("python/a/tests/data/b.so", ARM64),
            file("python/a/c.o", object),
        ]),
        &[],
        &["note python/a/tests/data/b.so"],
    );
}

#[test]
fn code_for_alpine_does_not_run_unless_the_layer_has_a_twin() {
    if skip_without("gcc") {
        return;
    }
    let rule = "musl-binary";
    let musl = || needing("libc.musl-x86_64.so.1", "V", &[]);
    let program = || compiled(PROGRAM, &["-Wl,--dynamic-linker=/lib/ld-musl-x86_64.so.1"]);
    assert_found(
        rule,
        one([
            file("bin/tool", program()).mode(0o755),
            file("nodejs/node_modules/@a/b-linuxmusl-x64/b.node", musl()),
        ]),
        &[],
        &[
            "error bin/tool: it is linked with musl",
            "error nodejs/node_modules/@a/b-linuxmusl-x64/b.node",
        ],
    );
    assert_silent(
        rule,
        one([
            file("nodejs/node_modules/@a/b-linuxmusl-x64/b.node", musl()),
            so("nodejs/node_modules/@a/b-linux-x64/b.node", X86_64),
            file("bin/tool", compiled(PROGRAM, &[])).mode(0o755),
        ]),
        &[],
    );
    // A musl in lib serves libraries, whose loader is that of the program that loads them, and no programs.
    let musl_itself = so("lib/libc.musl-x86_64.so.1", X86_64);
    assert_found(
        rule,
        one([
            musl_itself,
            file("lib/a.so", musl()),
            file("bin/tool", program()).mode(0o755),
        ]),
        &[],
        &["error bin/tool: it is linked with musl"],
    );
    // Its loader is missing, but that is told once.
    assert_silent(
        "missing-interpreter",
        one([file("bin/tool", program()).mode(0o755)]),
        &["--runtime", "provided.al2023"],
    );
}

#[test]
fn newer_symbols_than_those_of_the_system_are_errors() {
    if skip_without("gcc") {
        return;
    }
    let rule = "needs-newer-system";
    let layer = || {
        one([
            file("lib/glibc.so", needing("libc.so.6", "GLIBC_2.34", &[])),
            file(
                "python/a/b.so",
                needing("libstdc++.so.6", "GLIBCXX_3.4.29", &[]),
            ),
        ])
    };
    assert_silent(rule, layer(), &["--runtime", "python3.12"]);
    assert_found(
        rule,
        layer(),
        &["--runtime", "python3.11"],
        &[
            "error lib/glibc.so: it needs GLIBC_2.34, and Amazon Linux 2 has GLIBC_2.26",
            "error python/a/b.so: it needs GLIBCXX_3.4.29, and Amazon Linux 2 has GLIBCXX_3.4.24",
        ],
    );
    for (library, version, system) in [
        ("libc.so.6", "GLIBC_2.35", "GLIBC_2.34"),
        ("libm.so.6", "GLIBC_2.35", "GLIBC_2.34"),
        ("libc.so.6", "GLIBC_ABI_DT_RELR", "GLIBC_2.34"),
        ("libstdc++.so.6", "GLIBCXX_3.4.30", "GLIBCXX_3.4.29"),
        ("libstdc++.so.6", "CXXABI_1.3.14", "CXXABI_1.3.13"),
        ("libgcc_s.so.1", "GCC_12.0.0", "GCC_11.0"),
    ] {
        let sentence = format!("Amazon Linux 2023 has {system}");
        assert_found(
            rule,
            one([file("lib/a.so", needing(library, version, &[]))]),
            &["--runtime", "provided.al2023"],
            &[&sentence],
        );
    }
}

#[test]
fn a_library_that_is_brought_along_may_be_newer() {
    if skip_without("gcc") {
        return;
    }
    let rule = "needs-newer-system";
    let runtime = ["--runtime", "nodejs22.x"];
    let with_path = |path: &str| {
        let path = format!("-Wl,-rpath,{path}");
        needing("libstdc++.so.6", "GLIBCXX_3.4.33", &[&path])
    };
    for path in ["$ORIGIN/../libs", "/nowhere:/opt/nodejs/libs"] {
        let entries = || vec![file("nodejs/a/b.node", with_path(path))];
        let mut whole = entries();
        whole.push(file("nodejs/libs/libstdc++.so.6", library()));
        assert_silent(rule, one(whole), &runtime);
        assert_found(rule, one(entries()), &runtime, &["GLIBCXX_3.4.33"]);
    }
    // As wheels do: under a name of its own.
    let renamed = needing("libstdc++-a1b2c3.so.6", "GLIBCXX_3.4.33", &[]);
    assert_silent(rule, one([file("python/a.so", renamed)]), &runtime);
    // Who brings a C library as well may start programs with it.
    let entries = [
        file("lib/a.so", needing("libc.so.6", "GLIBC_2.99", &[])),
        file("glibc/lib/libc.so.6", library()),
    ];
    assert_found(
        rule,
        one(entries),
        &runtime,
        &["warning lib/a.so: it needs GLIBC_2.99"],
    );
    // The system's comes first, whatever lies in lib.
    let entries = [
        file("lib/a.so", needing("libstdc++.so.6", "GLIBCXX_3.4.33", &[])),
        file("lib/libstdc++.so.6", library()),
    ];
    assert_found(rule, one(entries), &runtime, &["GLIBCXX_3.4.33"]);
}

#[test]
fn an_addon_is_for_one_node_unless_it_uses_node_api() {
    if skip_without("gcc") {
        return;
    }
    let rule = "addon-of-another-node";
    let addon = |symbol: &str| {
        let code = format!("int {symbol}(void) {{ return 1; }}\n");
        compiled(&code, &["-shared", "-fPIC", "-nostdlib"])
    };
    let layer = || {
        one([
            file(
                "nodejs/node_modules/a/a.node",
                addon("node_register_module_v108"),
            ),
            file(
                "nodejs/node_modules/b/b.node",
                addon("napi_register_module_v1"),
            ),
            file("nodejs/node_modules/c/c.node", library()),
        ])
    };
    assert_silent(rule, layer(), &["--runtime", "nodejs18.x"]);
    assert_silent(rule, layer(), &["--runtime", "python3.12"]);
    assert_found(
        rule,
        layer(),
        &["--runtime", "nodejs20.x"],
        &[
            "error nodejs/node_modules/a/a.node: it is compiled for NODE_MODULE_VERSION 108, and nodejs20.x has 115",
        ],
    );
    let binding = |version: u16| {
        let name = format!("nodejs/node_modules/a/lib/binding/node-v{version}-linux-x64/a.node");
        file(name, library())
    };
    let runtime = ["--runtime", "nodejs20.x"];
    assert_silent(rule, one([binding(108), binding(115)]), &runtime);
    assert_found(rule, one([binding(108)]), &runtime, &["VERSION 108"]);
}

#[test]
fn a_carriage_return_hides_the_interpreter() {
    let rule = "crlf-in-script";
    let windows = "#!/bin/bash\r\necho a\r\n";
    let program = |name: &str, text: &str| file(name, text).mode(0o755);
    assert_found(
        rule,
        one([
            program("extensions/a", windows),
            program("bin/b", windows),
            program("bootstrap", windows),
            // These are started by nobody.
            program("python/bin/c", windows),
            program("nodejs/node_modules/.bin/d", windows),
            program("bin/good", "#!/bin/bash\necho a\r\n"),
        ]),
        &[],
        &[
            "error bootstrap: its first line ends in a carriage return",
            "error extensions/a: its first line ends in a carriage return",
            "warning bin/b: its first line ends in a carriage return",
        ],
    );
}

#[test]
fn an_interpreter_is_in_the_image_or_in_a_layer() {
    let rule = "missing-interpreter";
    let program = |line: &str| one([file("extensions/a", format!("#!{line}\n")).mode(0o755)]);
    for (line, runtime, is_there) in [
        ("/bin/sh", "provided.al2023", true),
        ("/usr/bin/bash -e", "nodejs22.x", true),
        ("/usr/bin/env bash", "java21", true),
        ("/usr/bin/env node", "nodejs22.x", true),
        ("/usr/bin/env -S node --no-warnings", "nodejs22.x", true),
        ("/usr/bin/env python3", "python3.12", true),
        ("/usr/bin/env python3.12", "python3.12", true),
        ("/var/lang/bin/python3.12", "python3.12", true),
        ("/var/task/bin/mine", "python3.12", true),
        ("/usr/bin/env python3", "nodejs22.x", false),
        ("/usr/bin/env python3.11", "python3.12", false),
        ("/usr/bin/python3", "python3.12", false),
        ("/usr/local/bin/node", "nodejs22.x", false),
        ("/usr/bin/perl", "provided.al2", false),
        ("/opt/bin/mine", "provided.al2", false),
    ] {
        let arguments = ["--runtime", runtime];
        if is_there {
            assert_silent(rule, program(line), &arguments);
        } else {
            let sentence = format!("is not in the image of {runtime}, nor in a layer");
            assert_found(rule, program(line), &arguments, &[&sentence]);
        }
    }
}

#[test]
fn an_interpreter_that_a_layer_brings_is_there() {
    let rule = "missing-interpreter";
    let runtime = ["--runtime", "provided.al2023"];
    let script = |line: &str| file("bin/a", format!("#!{line}\n")).mode(0o755);
    let brought = || file("tools/real-python", "\x7fELF").mode(0o755);
    for line in ["/opt/bin/python3", "/usr/bin/env python3"] {
        let layers = [
            archive([script(line)]),
            archive([brought(), link("bin/python3", "../tools/real-python")]),
        ];
        assert_silent(rule, layers, &runtime);
        assert_found(
            rule,
            one([script(line)]),
            &runtime,
            &["warning bin/a: its interpreter"],
        );
    }
}

#[test]
fn a_program_needs_a_loader_that_is_there() {
    if skip_without("gcc") {
        return;
    }
    let rule = "missing-interpreter";
    let runtime = ["--runtime", "provided.al2023"];
    let program = |loader: &str| {
        let option = format!("-Wl,--dynamic-linker={loader}");
        one([file("bootstrap", compiled(PROGRAM, &[&option])).mode(0o755)])
    };
    assert_silent(rule, program("/lib64/ld-linux-x86-64.so.2"), &runtime);
    assert_found(
        rule,
        program("/nix/store/a/ld-linux-x86-64.so.2"),
        &runtime,
        &["error bootstrap: its loader /nix/store/a/ld-linux-x86-64.so.2 is not in the image"],
    );
    // Other runtimes do not look at a bootstrap.
    assert_silent(rule, program("/nix/a"), &["--runtime", "python3.12"]);
}

proptest! {
    #![proptest_config(config(1000))]

    #[test]
    fn whatever_a_file_holds_looking_at_it_ends(
        changes in prop::collection::vec((any::<Index>(), any::<u8>()), 0..16),
        kept in any::<Index>(),
        is_whole in any::<bool>(),
    ) {
        let class = b"\xca\xfe\xba\xbe\0\0\0\x3d and more of it";
        let jar = archive([file("a/A.class", class).deflated(), file("a/B.class", class)]);
        let bytecode = b"\xa7\x0d\r\n\0\0\0\0\0\0\0\0\0\0\0\0";
        for (name, bytes) in [
            ("java/lib/a.jar", jar.bytes()),
            ("python/a.pyc", bytecode.to_vec()),
            ("bin/a", b"#!/usr/bin/env -S a=b c\r\n".to_vec()),
            ("a/package.json", br#"{"type": "module", "exports": {"require": "a"}}"#.to_vec()),
        ] {
            let mut bytes = bytes;
            for (place, byte) in &changes {
                let place = place.index(bytes.len());
                bytes[place] = *byte;
            }
            bytes.truncate(kept.index(bytes.len() * 4));
            let path = LayerPath::parse(name.as_bytes()).expect("it is a path");
            drop(look(&path, FileBytes { bytes: &bytes, is_whole }));
        }
    }
}
