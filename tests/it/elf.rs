//! What is read in ELF files is what binutils read in them, in every file of the real layers and in some compiled for it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use proptest::prelude::*;
use slashopt::elf::{Class, Elf, Kind, Machine, Version};

use crate::properties::config;
use crate::real_layers::every_layer;
use crate::support::command::{Sandbox, skip_without};
use crate::support::machine::tool;
use crate::support::shown;

/// Compiles C and gives the bytes of what comes out.
pub(crate) fn compiled(source: &str, options: &[&str]) -> Vec<u8> {
    let sandbox = Sandbox::new();
    let code = sandbox.write("source.c", source);
    let out = sandbox.path("out");
    let output = tool("gcc")
        .arg("-o")
        .arg(&out)
        .arg(code)
        .args(options)
        .output()
        .expect("it was found");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    fs::read(out).expect("it was written")
}

pub(crate) const PROGRAM: &str = "#include <stdio.h>\nint main(void) { return puts(\"\") < 0; }\n";

/// A library with a name of its own, which needs libm and libc. It is compiled once.
fn library() -> &'static [u8] {
    static LIBRARY: OnceLock<Vec<u8>> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        compiled(
            "#include <math.h>\n#include <stdio.h>\ndouble f(double x) { puts(\"\"); return pow(x, x); }\n",
            &["-shared", "-fPIC", "-Wl,-soname,libf.so.7", "-lm"],
        )
    })
}

fn texts(names: &[&[u8]]) -> Vec<String> {
    names.iter().map(|name| shown(name)).collect()
}

#[test]
fn a_library_says_its_name_and_what_it_needs() {
    if skip_without("gcc") {
        return;
    }
    let elf = Elf::parse(library()).expect("it is ELF");
    assert_eq!((elf.class, elf.kind), (Class::Bits64, Kind::Shared));
    assert_eq!(elf.soname, Some(b"libf.so.7".as_slice()));
    assert_eq!(texts(&elf.needed), ["libm.so.6", "libc.so.6"]);
    let (version, need) = elf.newest_need("GLIBC").expect("pow has a version");
    // `pow` stands in glibc twice, the second time since 2.29.
    assert_eq!(version, Version::new(2, 29));
    assert_eq!(need.library, b"libm.so.6");
    assert!(elf.names_beginning(b"pow").next().is_some());
}

#[test]
fn programs_are_told_from_libraries_however_they_are_linked() {
    if skip_without("gcc") {
        return;
    }
    for options in [["-pie"], ["-no-pie"], ["-static"], ["-static-pie"]] {
        let bytes = compiled(PROGRAM, &options);
        let elf = Elf::parse(&bytes).expect("it is ELF");
        assert_eq!(elf.kind, Kind::Executable, "{options:?}");
        let is_static = options[0].starts_with("-static");
        assert_eq!(elf.interpreter.is_none(), is_static, "{options:?}");
    }
}

#[test]
fn the_machine_and_the_class_are_those_of_the_header() {
    if skip_without("gcc") {
        return;
    }
    for (number, machine, name) in [
        (62, Machine::X86_64, "x86_64"),
        (183, Machine::Aarch64, "arm64"),
        (3, Machine::Other(3), "i386"),
        (4711, Machine::Other(4711), "machine 4711"),
    ] {
        let mut bytes = library().to_vec();
        bytes[18..20].copy_from_slice(&u16::to_le_bytes(number));
        let elf = Elf::parse(&bytes).expect("it is ELF");
        assert_eq!(elf.machine, machine);
        assert_eq!(elf.machine.to_string(), name);
    }
    // A header of 32 bits, and nothing else.
    let mut bytes = vec![0; 52];
    bytes[..7].copy_from_slice(b"\x7fELF\x01\x01\x01");
    bytes[16..20].copy_from_slice(&[2, 0, 3, 0]);
    let elf = Elf::parse(&bytes).expect("it is ELF");
    assert_eq!((elf.class, elf.kind), (Class::Bits32, Kind::Executable));
    assert_eq!(Elf::parse(&bytes[..51]), None);
    assert_eq!(Elf::parse(b"#!/bin/sh\n"), None);
}

#[test]
fn sections_are_not_needed() {
    if skip_without("gcc") {
        return;
    }
    let mut bytes = library().to_vec();
    // e_shoff, then e_shentsize, e_shnum and e_shstrndx.
    bytes[40..48].fill(0);
    bytes[58..64].fill(0);
    assert_eq!(Elf::parse(&bytes), Elf::parse(library()));
}

#[test]
fn versions_are_numbers() {
    for (family, text, version) in [
        ("GLIBC", "GLIBC_2.34", Some(Version::new(2, 34))),
        ("GLIBC", "GLIBC_2.2.5", Some(Version([2, 2, 5]))),
        ("GLIBC", "GLIBC_ABI_DT_RELR", Some(Version::new(2, 36))),
        ("GLIBC", "GLIBC_PRIVATE", None),
        ("GLIBC", "GLIBCXX_3.4.29", None),
        ("GLIBC", "GLIBC_2.2.5.6", None),
        ("GLIBC", "GLIBC_2.99999", None),
        ("GLIBCXX", "GLIBCXX_3.4.29", Some(Version([3, 4, 29]))),
        ("GCC", "GCC_7.0.0", Some(Version::new(7, 0))),
    ] {
        assert_eq!(
            Version::of_family(family, text.as_bytes()),
            version,
            "{text}"
        );
    }
    assert!(Version::new(2, 9) < Version::new(2, 34));
    assert_eq!(Version([3, 4, 29]).to_string(), "3.4.29");
    assert_eq!(Version::new(2, 34).to_string(), "2.34");
}

/// Every file below a directory; links are not followed.
fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for child in fs::read_dir(directory).expect("it can be listed") {
        let child = child.expect("it can be listed");
        let kind = child.file_type().expect("it has a kind");
        if kind.is_dir() {
            found.extend(files_below(&child.path()));
        } else if kind.is_file() {
            found.push(child.path());
        }
    }
    found
}

/// What stands in square brackets in the lines of `readelf -d` that hold `tag`.
fn bracketed<'t>(text: &'t str, tag: &str) -> Vec<&'t str> {
    text.lines()
        .filter(|line| line.contains(tag))
        .filter_map(|line| line.split_once('[')?.1.split_once(']'))
        .map(|(inner, _)| inner)
        .collect()
}

#[test]
fn every_file_of_the_real_layers_reads_as_binutils_read_it() {
    if skip_without("readelf") {
        return;
    }
    let mut judged = 0;
    for layer in every_layer() {
        let sandbox = Sandbox::new();
        let arguments = [
            "extract",
            layer.to_str().expect("our paths are text"),
            "--into",
            "root",
        ];
        sandbox.slashopt(arguments).success();
        for path in files_below(&sandbox.path("root")) {
            let bytes = fs::read(&path).expect("it was extracted");
            let Some(elf) = Elf::parse(&bytes) else {
                assert!(!bytes.starts_with(b"\x7fELF"), "{}", path.display());
                continue;
            };
            let output = tool("readelf")
                .args(["-W", "-d", "-V", "-l", "-h"])
                .arg(&path)
                .env("LC_ALL", "C")
                .output()
                .expect("it was found");
            let text = String::from_utf8_lossy(&output.stdout);
            let place = format!("{} of {}", path.display(), layer.display());
            assert_eq!(texts(&elf.needed), bracketed(&text, "(NEEDED)"), "{place}");
            let soname = elf.soname.map(shown);
            assert_eq!(
                soname.as_deref(),
                bracketed(&text, "(SONAME)").first().copied(),
                "{place}"
            );
            let interpreter = text
                .split_once("[Requesting program interpreter: ")
                .and_then(|(_, rest)| rest.split_once(']'))
                .map(|(name, _)| name.to_owned());
            assert_eq!(elf.interpreter.map(shown), interpreter, "{place}");
            let machine = match elf.machine {
                Machine::X86_64 => "Advanced Micro Devices X86-64",
                Machine::Aarch64 => "AArch64",
                Machine::Other(_) => "another",
            };
            assert!(text.contains(machine), "{place}: {machine}");
            // Of `Name: GLIBC_2.34  Flags: none  Version: 9` the needs, not the definitions, which have no version there.
            let versions: BTreeSet<String> = text
                .lines()
                .filter(|line| line.contains("Flags:") && line.contains("  Version: "))
                .filter_map(|line| line.split_once("Name: ")?.1.split_whitespace().next())
                .map(str::to_owned)
                .collect();
            let read: BTreeSet<String> = elf
                .version_needs
                .iter()
                .map(|need| shown(need.version))
                .collect();
            assert_eq!(read, versions, "{place}");
            judged += 1;
        }
    }
    assert!(judged > 50, "the real layers have libraries: {judged}");
}

proptest! {
    #![proptest_config(config(2000))]

    #[test]
    fn a_damaged_file_reads_as_something_or_nothing(
        changes in prop::collection::vec((0_usize..4096, any::<u8>()), 1..24),
        anywhere in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..24),
        kept in any::<prop::sample::Index>(),
    ) {
        if skip_without("gcc") {
            return Ok(());
        }
        let mut bytes = library().to_vec();
        for (place, byte) in changes {
            // Half of them into the header and the program headers, where they do most.
            let place = if byte % 2 == 0 { place % 1024 } else { place };
            if let Some(old) = bytes.get_mut(place) {
                *old = byte;
            }
        }
        for (place, byte) in anywhere {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        bytes[..7].copy_from_slice(&library()[..7]);
        for bytes in [&bytes[..], &bytes[..kept.index(bytes.len())]] {
            if let Some(elf) = Elf::parse(bytes) {
                prop_assert!(elf.needed.len() <= 1024);
                prop_assert!(elf.version_needs.len() <= 1024);
                let _ = elf.newest_need("GLIBC");
                let _ = elf.names_beginning(b"napi_").count();
            }
        }
    }
}
