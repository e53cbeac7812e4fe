//! Native code that Lambda's machines, or the system on them, cannot run.

use std::collections::{BTreeMap, HashSet};

use super::alternatives::{addon_directory, common_path, package_of};
use super::facts::{Addon, FileFacts, Libc, NativeCode};
use super::finding::Severity;
use super::rule::{Findings, Rule};
use super::subject::{File, Subject};
use crate::elf::{Class, Kind, Machine};
use crate::layer::LayerId;
use crate::path::Escaped;
use crate::runtime::{Architecture, Runtime};

pub(super) static WRONG_ARCHITECTURE: Rule = Rule {
    id: "wrong-architecture",
    severity: Severity::Error,
    summary: "native code for another processor or system",
    explanation: "\
A function runs on one instruction set, x86_64 or arm64, and a layer's compatible architectures are a label that nothing enforces. \
A program for another one does not start (\"exec format error\"), a library or an addon cannot be loaded (\"wrong ELF class\", \
\"invalid ELF header\", \"cannot open shared object file\"). It is what comes of packing on a Mac, or on a machine with another \
processor. Files that a package brings for several platforms at once are no mistake while one of them fits.",
    says: None,
    cure: "take the build for the function's architecture; if the function has the other one, say so with --architecture",
    needs_runtime: false,
    judge: |subject, findings| {
        let wanted = machine(subject.architecture);
        let fits = |code: &NativeCode| code.machine == wanted && code.class == Class::Bits64;
        let fitting = fitting(subject, |code| fits(code) && code.libc != Libc::Musl);
        let mut wrong = Grouped::default();
        for file in subject.regular_files() {
            let for_what = match subject.facts(file.origin) {
                Some(FileFacts::Elf(code)) if code.kind != Kind::Other && !fits(code) => {
                    if code.machine == wanted {
                        "32 bits".to_owned()
                    } else {
                        code.machine.to_string()
                    }
                }
                Some(FileFacts::Foreign(format)) if is_native_by_name(file) => {
                    format.system().to_owned()
                }
                _ => continue,
            };
            if !fitting.contains(&common_path(file.path.as_bytes())) {
                wrong.note(file, for_what);
            }
        }
        let architecture = subject.architecture;
        wrong.tell(
            findings,
            |for_what| format!("it is for {for_what}, and the function is {architecture}"),
            |file| install_for(subject, file),
        );
    },
};

pub(super) static MUSL: Rule = Rule {
    id: "musl-binary",
    severity: Severity::Error,
    summary: "native code for Alpine Linux's C library",
    explanation: "\
Amazon Linux has the GNU C library. A program that is linked with musl asks for a loader that is not there, and the error \
is that of the program itself not being there: \"no such file or directory\". A library or an addon cannot be loaded: \
\"libc.musl-x86_64.so.1: cannot open shared object file\". It is what comes of building in an Alpine container. A program that is linked \
statically needs neither. Files that a package brings for both libraries are no mistake.",
    says: None,
    cure: "build or install in an image with glibc, as `public.ecr.aws/sam/build-RUNTIME`, or link statically",
    needs_runtime: false,
    judge: |subject, findings| {
        let wanted = machine(subject.architecture);
        let fitting = fitting(subject, |code| {
            code.machine == wanted && code.libc != Libc::Musl
        });
        let mut wrong = Grouped::default();
        for file in subject.regular_files() {
            let Some(FileFacts::Elf(code)) = subject.facts(file.origin) else {
                continue;
            };
            // A library may find a musl in LD_LIBRARY_PATH; a program's loader is looked for where it says.
            let is_brought = || {
                let library = format!("lib/libc.musl-{}.so.1", linux_name(subject.architecture));
                code.interpreter.is_none() && subject.resolve(library.as_bytes()).is_some()
            };
            if code.libc == Libc::Musl
                && code.machine == wanted
                && !fitting.contains(&common_path(file.path.as_bytes()))
                && !is_brought()
            {
                wrong.note(file, ());
            }
        }
        wrong.tell(
            findings,
            |()| "it is linked with musl, and Amazon Linux has glibc".to_owned(),
            |_| None,
        );
    },
};

pub(super) static NEWER_SYSTEM: Rule = Rule {
    id: "needs-newer-system",
    severity: Severity::Error,
    summary: "native code that needs newer system libraries than Amazon Linux has",
    explanation: "\
glibc and libstdc++ give their functions versions, and a file asks for those that were current where it was built. Amazon Linux 2 has \
glibc 2.26 and the libstdc++ of GCC 7 (GLIBCXX_3.4.24), Amazon Linux 2023 has glibc 2.34 and the libstdc++ of GCC 11 (GLIBCXX_3.4.29); \
what is built on a newer system is refused by the loader. A newer libstdc++.so.6 in /opt/lib does not help: /lib64 comes first in \
LD_LIBRARY_PATH. Sources: AWS, \"Comparing AL2 and AL2023\"; GCC, \"ABI Policy and Guidelines\".",
    says: Some("/lib64/libc.so.6: version `GLIBC_…' not found"),
    cure: "build on the runtime's own Amazon Linux (`public.ecr.aws/sam/build-RUNTIME`), or take a wheel or an addon for an \
           older one (manylinux2014, manylinux_2_28)",
    needs_runtime: true,
    judge: |subject, findings| {
        let Some(runtime) = subject.runtime else {
            return;
        };
        let wanted = machine(subject.architecture);
        // Who brings a C library may have a way to use it.
        let has_libc = |file: &File| file.path.as_bytes().ends_with(b"/libc.so.6");
        let most = if subject.files.iter().any(has_libc) {
            Severity::Warning
        } else {
            Severity::Error
        };
        let mut wrong = Grouped::default();
        for file in subject.regular_files() {
            let Some(FileFacts::Elf(code)) = subject.facts(file.origin) else {
                continue;
            };
            // What brings its own loader brings its own libraries.
            let has_own_loader = code
                .interpreter
                .as_deref()
                .is_some_and(|name| !name.starts_with(b"/lib"));
            if code.machine == wanted && code.kind != Kind::Other && !has_own_loader {
                let missing = missing_versions(subject, file, code, runtime);
                if !missing.is_empty() {
                    wrong.note(file, missing);
                }
            }
        }
        wrong.tell_at_most(
            most,
            findings,
            |missing| {
                let needs: Vec<&str> = missing.iter().map(|(need, _)| need.as_str()).collect();
                let has: Vec<&str> = missing.iter().map(|(_, has)| has.as_str()).collect();
                format!(
                    "it needs {}, and {} has {}",
                    needs.join(" and "),
                    runtime.operating_system,
                    has.join(" and ")
                )
            },
            |file| Some(build_for(file, runtime, subject.architecture)),
        );
    },
};

pub(super) static ADDON_OF_ANOTHER_NODE: Rule = Rule {
    id: "addon-of-another-node",
    severity: Severity::Error,
    summary: "Node.js addons that are compiled for another Node.js",
    explanation: "\
An addon that does not use Node-API is loaded by that Node.js alone for whose NODE_MODULE_VERSION it was compiled; every major version \
has another one. `require` throws \"The module was compiled against a different Node.js version\". Addons that use Node-API are loaded by \
every later Node.js. Packages that bring a build for each version are no mistake while one fits.",
    says: None,
    cure: "run `npm rebuild` with the runtime's own Node.js, and pack again",
    needs_runtime: true,
    judge: |subject, findings| {
        let Some((runtime, wanted)) = subject
            .runtime
            .and_then(|runtime| Some((runtime, runtime.node_module_version()?)))
        else {
            return;
        };
        let modules = |file: &File, code: &NativeCode| match code.addon {
            Some(Addon::Modules(version)) => Some(version),
            // What registers itself while it is loaded says its version nowhere but in the directory that it was put in.
            None if file.path.as_bytes().ends_with(b".node") => file
                .path
                .components()
                .find_map(addon_directory)
                .map(|(version, _)| version),
            _ => None,
        };
        let addons = || {
            subject.regular_files().filter_map(|file| {
                let Some(FileFacts::Elf(code)) = subject.facts(file.origin) else {
                    return None;
                };
                Some((file, modules(file, code)?))
            })
        };
        let fitting: HashSet<Vec<u8>> = addons()
            .filter(|(_, version)| *version == wanted)
            .map(|(file, _)| common_path(file.path.as_bytes()))
            .collect();
        let mut wrong = Grouped::default();
        for (file, version) in addons() {
            if version != wanted && !fitting.contains(&common_path(file.path.as_bytes())) {
                wrong.note(file, version);
            }
        }
        wrong.tell(
            findings,
            |version| {
                format!(
                    "it is compiled for NODE_MODULE_VERSION {version}, and {runtime} has {wanted}"
                )
            },
            |_| None,
        );
    },
};

/// How to install a package for the function's architecture, whatever this machine is.
fn install_for(subject: &Subject<'_>, file: &File) -> Option<String> {
    let path = file.path.as_bytes();
    let architecture = subject.architecture;
    let (cpu, other) = match architecture {
        Architecture::X86_64 => ("x64", Architecture::Arm64),
        Architecture::Arm64 => ("arm64", Architecture::X86_64),
    };
    let install = if path.windows(13).any(|window| window == b"node_modules/") {
        format!("`npm install --os=linux --cpu={cpu}`")
    } else if path.starts_with(b"python/") {
        pip_install(architecture)
    } else {
        return None;
    };
    let is_for_other = matches!(subject.facts(file.origin),
        Some(FileFacts::Elf(code)) if code.machine == machine(other));
    Some(if is_for_other {
        format!(
            "install it for {architecture}: {install}; or, if the function is {other}, check with --architecture {other}"
        )
    } else {
        format!("install it for the function: {install}")
    })
}

/// How to come by a build for the runtime's system.
fn build_for(file: &File, runtime: &Runtime, architecture: Architecture) -> String {
    let image = format!("the runtime's own image, `public.ecr.aws/sam/build-{runtime}`");
    if file.path.as_bytes().starts_with(b"python/") {
        let install = pip_install(architecture);
        return format!("take a wheel for older systems: {install}; or build it in {image}");
    }
    let [glibc, ..] = runtime.operating_system.symbol_limits();
    format!(
        "build it in {image}, or take a build for glibc {} or older",
        glibc.newest
    )
}

/// A command that takes wheels for glibc 2.17 (PEP 599), which every runtime has.
fn pip_install(architecture: Architecture) -> String {
    let name = linux_name(architecture);
    format!("`pip install --platform manylinux2014_{name} --only-binary=:all: --target python …`")
}

/// An architecture as Linux and its C libraries spell it.
const fn linux_name(architecture: Architecture) -> &'static str {
    match architecture {
        Architecture::X86_64 => "x86_64",
        Architecture::Arm64 => "aarch64",
    }
}

const fn machine(architecture: Architecture) -> Machine {
    match architecture {
        Architecture::X86_64 => Machine::X86_64,
        Architecture::Arm64 => Machine::Aarch64,
    }
}

/// The paths, platforms aside, at which there is native code that fits.
fn fitting(subject: &Subject<'_>, fits: impl Fn(&NativeCode) -> bool) -> HashSet<Vec<u8>> {
    subject
        .regular_files()
        .filter(
            |file| matches!(subject.facts(file.origin), Some(FileFacts::Elf(code)) if fits(code)),
        )
        .map(|file| common_path(file.path.as_bytes()))
        .collect()
}

/// Whether Linux would have to load what lies there: by its ending, or because it is started by name.
fn is_native_by_name(file: &File) -> bool {
    let path = file.path.as_bytes();
    // npm leaves it out where it is not needed; what a Mac packed has it, and nothing on Linux asks for it.
    let is_for_macs_alone = package_of(path).ends_with(b"/fsevents");
    let is_command = path == b"bootstrap"
        || [b"bin/".as_slice(), b"extensions/"].iter().any(|folder| {
            path.strip_prefix(*folder)
                .is_some_and(|name| !name.contains(&b'/') && !name.contains(&b'.'))
        });
    !is_for_macs_alone && (path.ends_with(b".so") || path.ends_with(b".node") || is_command)
}

/// Of each family of symbols of which a file needs a newer version than the system has: what it needs, and what there is.
fn missing_versions(
    subject: &Subject<'_>,
    file: &File,
    code: &NativeCode,
    runtime: &Runtime,
) -> Vec<(String, String)> {
    let mut missing = Vec::new();
    for limit in runtime.operating_system.symbol_limits() {
        let Some(need) = code.needs.iter().find(|need| need.family == limit.family) else {
            continue;
        };
        // A library of another name is one that the package brings, as wheels do.
        let is_of_system = limit
            .library
            .is_none_or(|library| library.as_bytes() == need.library);
        if is_of_system
            && need.version > limit.newest
            && !finds_beside_itself(subject, file, code, &need.library)
        {
            missing.push((
                format!("{}_{}", need.family, need.version),
                format!("{}_{}", limit.family, limit.newest),
            ));
        }
    }
    missing
}

/// Whether the loader finds the library in a directory that the file itself names: there is one in a layer.
fn finds_beside_itself(
    subject: &Subject<'_>,
    file: &File,
    code: &NativeCode,
    library: &[u8],
) -> bool {
    let folder_end =
        file.path.as_bytes().len() - file.path.components().next_back().map_or(0, <[u8]>::len);
    let origin = file.path.as_bytes().get(..folder_end).unwrap_or_default();
    let directories = code.search_path.as_deref().unwrap_or_default();
    directories.split(|&byte| byte == b':').any(|directory| {
        let below_origin = [b"$ORIGIN".as_slice(), b"${ORIGIN}"]
            .iter()
            .find_map(|prefix| directory.strip_prefix(*prefix));
        let path = match below_origin {
            Some(rest) => [origin, b"/", rest, b"/", library].concat(),
            None => match directory.strip_prefix(b"/opt/") {
                Some(rest) => [rest, b"/", library].concat(),
                None => return false,
            },
        };
        subject.resolve(&path).is_some()
    })
}

/// Files that are at fault in the same way, told once for each package and layer.
pub(super) struct Grouped<'s, R> {
    groups: BTreeMap<(LayerId, &'s [u8], R), (&'s File, usize)>,
}

impl<R: Ord> Default for Grouped<'_, R> {
    fn default() -> Self {
        Self {
            groups: BTreeMap::new(),
        }
    }
}

impl<'s, R: Ord> Grouped<'s, R> {
    /// Notes what is wrong with a file.
    pub(super) fn note(&mut self, file: &'s File, reason: R) {
        let package = package_of(file.path.as_bytes());
        let key = (file.origin.layer, package, reason);
        self.groups.entry(key).or_insert((file, 0)).1 += 1;
    }

    /// Adds a finding for each group, at its first file, with a cure of its own where `help` knows one.
    pub(super) fn tell(
        self,
        findings: &mut Findings,
        message: impl Fn(&R) -> String,
        help: impl Fn(&File) -> Option<String>,
    ) {
        self.tell_at_most(Severity::Error, findings, message, help);
    }

    /// The same, none of them worth more than `most`.
    pub(super) fn tell_at_most(
        self,
        most: Severity,
        findings: &mut Findings,
        message: impl Fn(&R) -> String,
        help: impl Fn(&File) -> Option<String>,
    ) {
        for ((_, package, reason), (file, count)) in self.groups {
            let mut text = message(&reason);
            if count > 1 {
                let place = if package.is_empty() { b"." } else { package };
                text = format!("{text}; and {} more in {}", count - 1, Escaped(place));
            }
            findings.at(file, text);
            if let Some(help) = help(file) {
                findings.with_help(help);
            }
            findings.only(if is_for_tests(file) {
                Severity::Note
            } else {
                most
            });
        }
    }
}

/// Whether the file is one of those that only a package's own tests use.
fn is_for_tests(file: &File) -> bool {
    const FOLDERS: [&[u8]; 6] = [
        b"test",
        b"tests",
        b"testdata",
        b"fixtures",
        b"__tests__",
        b"examples",
    ];
    file.path
        .components()
        .any(|component| FOLDERS.contains(&component))
}
