//! What other readers make of an archive.

use std::fs;
use std::path::Path;

use super::command::{Sandbox, skip_without};
use super::machine::tool;
use super::tree::{Node, Tree};

/// What a reader gives besides names, kinds and bytes.
#[derive(Clone, Copy)]
struct Gives {
    modes: bool,
    times: bool,
    links: bool,
}

/// Extracts with Python's `zipfile`, modes and links by hand, as it has no notion of them.
const PYTHON: &str = r"
import os, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as archive:
    assert archive.testzip() is None
    for entry in reversed(archive.infolist()):
        mode = entry.external_attr >> 16
        place = os.path.join(sys.argv[2], entry.filename)
        if mode & 0o170000 == 0o120000:
            os.makedirs(os.path.dirname(place), exist_ok=True)
            os.symlink(archive.read(entry), os.fsencode(place))
        else:
            archive.extract(entry, sys.argv[2])
            os.chmod(place, mode & 0o777)
";

/// Extracts with Java's `ZipFile`, and makes sure that the stream reader finds the same entries in the same order.
const JAVA: &str = r#"
import java.io.*;
import java.nio.file.*;
import java.util.*;
import java.util.zip.*;

public class Read {
    public static void main(String[] words) throws IOException {
        Path into = Path.of(words[1]);
        List<String> names = new ArrayList<>();
        try (ZipFile archive = new ZipFile(words[0])) {
            for (ZipEntry entry : Collections.list(archive.entries())) {
                names.add(entry.getName());
                Path place = into.resolve(entry.getName());
                if (entry.isDirectory()) {
                    Files.createDirectories(place);
                } else {
                    Files.createDirectories(place.getParent());
                    Files.copy(archive.getInputStream(entry), place);
                }
            }
        }
        try (ZipInputStream stream = new ZipInputStream(new FileInputStream(words[0]))) {
            for (String name : names) {
                ZipEntry entry = stream.getNextEntry();
                if (entry == null || !entry.getName().equals(name)) {
                    throw new IOException("the stream has another entry than " + name);
                }
            }
        }
    }
}
"#;

/// Makes sure that the archive in the working directory is read by everybody as `expected`: whoever is not installed is left out,
/// and says so. Names must be UTF-8, times what a signed number of 32 bits holds.
#[track_caller]
pub(crate) fn everybody_reads(sandbox: &Sandbox, archive: &str, expected: &Tree) {
    sandbox.write("Read.java", JAVA);
    let all = Gives {
        modes: true,
        times: true,
        links: true,
    };
    for (tool, command, gives) in [
        ("unzip", "unzip -q $ZIP -d $OUT", all),
        ("bsdtar", "mkdir $OUT && bsdtar -xpf $ZIP -C $OUT", all),
        (
            "7z",
            "umask 0; 7z x -snld -o$OUT $ZIP",
            Gives {
                times: false,
                ..all
            },
        ),
        (
            "python3",
            "mkdir $OUT && python3 -c \"$PYTHON\" $ZIP $OUT",
            Gives {
                times: false,
                ..all
            },
        ),
        (
            "java",
            "mkdir $OUT && java Read.java $ZIP $OUT && jar tf $ZIP",
            Gives {
                modes: false,
                times: false,
                links: false,
            },
        ),
    ] {
        if skip_without(tool) {
            continue;
        }
        let out = format!("out-{tool}");
        run(sandbox, command, archive, &out);
        let seen = sandbox.tree(&out);
        if let Some(difference) = adapted(&seen, gives).difference(&adapted(expected, gives)) {
            panic!("{tool} reads {archive} otherwise: {difference}");
        }
        fs::remove_dir_all(sandbox.path(&out)).expect("our own directory can be removed");
    }
    fs::remove_file(sandbox.path("Read.java")).expect("our own file can be removed");
}

#[track_caller]
fn run(sandbox: &Sandbox, command: &str, archive: &str, out: &str) {
    let output = tool("sh")
        .args(["-c", &format!("umask 022; {command}")])
        .current_dir(sandbox.work())
        .env("ZIP", archive)
        .env("OUT", out)
        .env("PYTHON", PYTHON)
        .env("TZ", "UTC")
        .env("LC_ALL", "C.UTF-8")
        .output()
        .expect("a shell can be started");
    assert!(
        output.status.success(),
        "{command}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The tree as far as a reader can give it. The root is what the reader made.
fn adapted(tree: &Tree, gives: Gives) -> Tree {
    let mut adapted = tree.clone();
    adapted
        .0
        .remove(Path::new("").as_os_str().as_encoded_bytes());
    for node in adapted.0.values_mut() {
        if let (Node::Link { target, .. }, false) = (&node, gives.links) {
            *node = Node::File {
                mode: 0,
                mtime: 0,
                bytes: target.clone(),
            };
        }
        match node {
            // Few set the time of a link.
            Node::Link { mtime, .. } => *mtime = 0,
            Node::Directory { mode, mtime } | Node::File { mode, mtime, .. } => {
                if !gives.modes {
                    *mode = 0;
                }
                if !gives.times {
                    *mtime = 0;
                }
            }
            Node::Other => {}
        }
    }
    adapted
}
