//! Programs in the places where Lambda starts them, and what starts them in turn: a script's interpreter, a program's loader.

use super::facts::{FileFacts, Shebang};
use super::finding::Severity;
use super::rule::Rule;
use super::subject::Subject;
use crate::entry::Kind;
use crate::merge::{NodeId, Origin};
use crate::path::{Escaped, LayerPath};
use crate::runtime::{Family, OperatingSystem};

pub(super) static CARRIAGE_RETURN: Rule = Rule {
    id: "crlf-in-script",
    severity: Severity::Error,
    summary: "scripts whose first line ends as on Windows",
    explanation: "\
The kernel takes the first line of a script up to the line feed, so a carriage return before it becomes a part of the interpreter's \
name: `/bin/bash\\r`, which does not exist. The error names the script and not the interpreter: \"no such file or directory\", as an \
extension `Extension.LaunchError`. Git on Windows makes such lines from good ones (`core.autocrlf`).",
    says: None,
    cure: "end lines with a line feed alone: `sed -i 's/\\r$//' FILE`, and `*.sh text eol=lf` in .gitattributes",
    needs_runtime: false,
    judge: |subject, findings| {
        for program in programs(subject) {
            if let Some(shebang) = program.shebang(subject)
                && shebang.ends_in_carriage_return
            {
                findings.add(
                    program.origin.layer,
                    program.path,
                    "its first line ends in a carriage return, so its interpreter is not found",
                );
                if program.place == StartedFrom::Bin {
                    findings.only(Severity::Warning);
                }
            }
        }
    },
};

pub(super) static MISSING_INTERPRETER: Rule = Rule {
    id: "missing-interpreter",
    severity: Severity::Error,
    summary: "programs whose interpreter is not in Lambda",
    explanation: "\
The kernel starts a script's interpreter in its place, and a program's loader; where that does not exist the error names the program \
itself: \"no such file or directory\". A runtime's image has a shell, the core utilities and one language, in /var/lang/bin, which is in \
PATH: `#!/usr/bin/env python3` works in a Python runtime and in no other, `#!/usr/bin/python3` works in none. No image on Amazon Linux 2 or 2023 has Perl. What a layer \
brings itself is at /opt.",
    says: None,
    cure: "name an interpreter that is there (`#!/bin/sh`, `#!/usr/bin/env` with the runtime's language), or bring it in the layer \
           and name it as /opt/bin/NAME",
    needs_runtime: true,
    judge: |subject, findings| {
        for program in programs(subject) {
            let Some(missing) = program.missing(subject) else {
                continue;
            };
            findings.add(
                program.origin.layer,
                program.path,
                format!("{missing} is not in {}", image(subject)),
            );
            if program.place == StartedFrom::Bin {
                findings.only(Severity::Warning);
            }
        }
    },
};

/// From where a program is started.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum StartedFrom {
    /// By Lambda, when the function starts.
    Start,
    /// By name, by whoever wants it.
    Bin,
}

/// A file that is started as a program.
struct Program {
    path: LayerPath,
    origin: Origin,
    place: StartedFrom,
}

/// What lies in `bin` and `extensions`, `bootstrap`, and the wrapper that the function names.
fn programs(subject: &Subject<'_>) -> Vec<Program> {
    let mut programs = Vec::new();
    let mut add = |node: NodeId, place: StartedFrom| {
        let mut at = node;
        if subject.tree.kind(node) == Kind::Symlink {
            let path = subject.tree.path(node);
            let Some(target) = subject.resolve(path.as_bytes()) else {
                return;
            };
            at = target;
        }
        if subject.tree.kind(at) == Kind::File {
            programs.push(Program {
                path: subject.tree.path(node),
                origin: subject.tree.provider(at),
                place,
            });
        }
    };
    for node in subject.children("extensions") {
        add(node, StartedFrom::Start);
    }
    for node in subject.children("bin") {
        add(node, StartedFrom::Bin);
    }
    // Other runtimes bring their own and do not look at it.
    let has_bootstrap = subject.may_be(Family::Provided);
    let bootstrap = has_bootstrap.then_some(b"bootstrap".as_slice());
    let wrapper = subject
        .configured("AWS_LAMBDA_EXEC_WRAPPER")
        .and_then(|path| path.strip_prefix(b"/opt/"));
    for path in [bootstrap, wrapper].into_iter().flatten() {
        if let Some(node) = subject.resolve(path) {
            add(node, StartedFrom::Start);
        }
    }
    programs
}

impl Program {
    fn shebang<'a>(&self, subject: &'a Subject<'_>) -> Option<Shebang<'a>> {
        match subject.facts(self.origin)? {
            FileFacts::Script(line) => Shebang::parse(line),
            _ => None,
        }
    }

    /// What has to start it and is nowhere.
    fn missing(&self, subject: &Subject<'_>) -> Option<String> {
        match subject.facts(self.origin)? {
            FileFacts::Elf(code) => {
                let loader = code.interpreter.as_deref()?;
                let is_there = is_loader(loader) || is_in_image(subject, loader);
                // musl's is the matter of another rule.
                let is_musl = loader.starts_with(b"/lib/ld-musl-");
                (!is_there && !is_musl).then(|| format!("its loader {}", Escaped(loader)))
            }
            FileFacts::Script(_) => {
                let shebang = self.shebang(subject)?;
                if shebang.ends_in_carriage_return {
                    return None;
                }
                if !is_in_image(subject, shebang.interpreter) {
                    return Some(format!("its interpreter {}", Escaped(shebang.interpreter)));
                }
                let command = shebang.command?;
                let is_path = command.contains(&b'/');
                let is_there = if is_path {
                    is_in_image(subject, command)
                } else {
                    is_in_search_path(subject, command)
                };
                (!is_there).then(|| format!("its interpreter {}", Escaped(command)))
            }
            _ => None,
        }
    }
}

/// glibc's loader where the ABI of each architecture puts it; that the program is for the function's is another rule's matter.
fn is_loader(path: &[u8]) -> bool {
    [
        b"/lib64/ld-linux-x86-64.so.2".as_slice(),
        b"/lib/ld-linux-aarch64.so.1",
        b"/lib/ld-linux.so.2",
        b"/lib/ld-linux-armhf.so.3",
    ]
    .contains(&path)
}

/// Commands that are in /usr/bin of every image, of the packages bash, coreutils, gawk, grep and sed.
const COMMANDS: [&[u8]; 9] = [
    b"sh", b"bash", b"env", b"cat", b"awk", b"gawk", b"sed", b"grep", b"true",
];

/// Whether the file is in the runtime's image, or in a layer, as far as that can be known.
fn is_in_image(subject: &Subject<'_>, path: &[u8]) -> bool {
    if let Some(below) = path.strip_prefix(b"/opt/") {
        return subject.resolve(below).is_some();
    }
    // The function's own, and what is only there when it runs.
    if [b"/var/task/".as_slice(), b"/tmp/"]
        .iter()
        .any(|folder| path.starts_with(folder))
    {
        return true;
    }
    if let Some(command) = path.strip_prefix(b"/var/lang/bin/") {
        return is_of_language(subject, command);
    }
    let command = [b"/usr/bin/".as_slice(), b"/bin/"]
        .iter()
        .find_map(|folder| path.strip_prefix(*folder));
    command.is_some_and(|command| {
        let system = subject.runtime.map(|runtime| runtime.operating_system);
        // yum is written in Python 2.
        let has_python_2 = system != Some(OperatingSystem::AmazonLinux2023);
        let has_perl = system == Some(OperatingSystem::AmazonLinux1);
        COMMANDS.contains(&command)
            || has_python_2 && matches!(command, b"python" | b"python2" | b"python2.7")
            || has_perl && command == b"perl"
    })
}

/// Whether `PATH` leads to a command of that name: in the language's directory, the system's, or a layer's `bin`.
fn is_in_search_path(subject: &Subject<'_>, command: &[u8]) -> bool {
    is_of_language(subject, command)
        || is_in_image(subject, &[b"/usr/bin/", command].concat())
        || subject.resolve(&[b"bin/", command].concat()).is_some()
}

/// Whether the runtime's language has that command.
fn is_of_language(subject: &Subject<'_>, command: &[u8]) -> bool {
    let Some(runtime) = subject.runtime else {
        return true;
    };
    match runtime.family {
        Family::Node => matches!(command, b"node" | b"npm" | b"npx"),
        Family::Python => command.strip_prefix(b"python").is_some_and(|version| {
            matches!(version, b"" | b"3") || version == runtime.version.as_bytes()
        }),
        Family::Java => command == b"java",
        Family::Ruby => matches!(command, b"ruby" | b"gem" | b"bundle" | b"irb" | b"rake"),
        Family::Dotnet => command == b"dotnet",
        Family::Go | Family::Provided => false,
    }
}

fn image(subject: &Subject<'_>) -> String {
    subject.runtime.map_or_else(String::new, |runtime| {
        format!("the image of {runtime}, nor in a layer")
    })
}
