//! Three other readers of zip archives, and the claim that they read what we read.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Output;

use super::table::{Case, Verdict};
use crate::support::command::{Sandbox, skip_without};
use crate::support::machine::tool;
use crate::support::shown;
use crate::support::tree::{Node, Tree};

/// Names and contents: of a file its bytes, of a link its target. Directories are left out, because tools differ in which
/// of them they mention.
type Contents = BTreeMap<Vec<u8>, Vec<u8>>;

fn contents(tree: Tree) -> Contents {
    let nodes = tree.0.into_iter();
    nodes
        .filter_map(|(path, node)| match node {
            Node::File { bytes, .. } => Some((path, bytes)),
            Node::Link { target, .. } => Some((path, target)),
            Node::Directory { .. } | Node::Other => None,
        })
        .collect()
}

/// Prints every file of an archive in hexadecimal, the name first; names are decoded as Python did, and back.
const PRINT: &str = "
import sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as archive:
    assert archive.testzip() is None
    for entry in archive.infolist():
        name = entry.orig_filename.encode('utf-8' if entry.flag_bits & 0x800 else 'cp437')
        if not name.endswith(b'/'):
            print(name.hex() + ':' + archive.read(entry).hex())
";

fn unhex(text: &str) -> Vec<u8> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| {
            let pair = std::str::from_utf8(pair).expect("hexadecimal is ASCII");
            u8::from_str_radix(pair, 16).expect("what was printed is hexadecimal")
        })
        .collect()
}

fn started(directory: &Path, command: &[&str]) -> Output {
    tool(command[0])
        .args(&command[1..])
        .current_dir(directory)
        .env("TZ", "UTC")
        .env("LC_ALL", "C.UTF-8")
        .output()
        .expect("the tool starts")
}

/// What a tool reads in `a.zip`; the error is what it says when it does not accept it.
fn read_by(tool: &str, sandbox: &Sandbox) -> Result<Contents, String> {
    let command: &[&str] = match tool {
        "python3" => &["python3", "-c", PRINT, "a.zip"],
        "unzip" => &["unzip", "-o", "-q", "a.zip", "-d", "unzip"],
        _ => &["bsdtar", "-xpf", "a.zip", "-C", "bsdtar"],
    };
    if tool != "python3" {
        sandbox.mkdir(tool, 0o755);
    }
    let output = started(&sandbox.work(), command);
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(said.lines().last().unwrap_or_default().to_owned());
    }
    if tool != "python3" {
        return Ok(contents(sandbox.tree(tool)));
    }
    let printed = String::from_utf8_lossy(&output.stdout);
    let lines = printed.lines().filter_map(|line| line.split_once(':'));
    Ok(lines
        .map(|(name, content)| (normal(&unhex(name)), unhex(content)))
        .collect())
}

/// A name without empty and `.` components, which a directory on a disk cannot have.
fn normal(name: &[u8]) -> Vec<u8> {
    let components: Vec<&[u8]> = name
        .split(|&byte| byte == b'/')
        .filter(|component| !component.is_empty() && *component != b".")
        .collect();
    components.join(&b'/')
}

fn named(contents: &Contents) -> Vec<String> {
    contents.keys().take(9).map(|name| shown(name)).collect()
}

/// Every strictly accepted archive is read alike by every judge that accepts it and is not excused.
pub(super) fn agree(cases: &[Case]) {
    let tools: Vec<&str> = ["python3", "unzip", "bsdtar"]
        .into_iter()
        .filter(|tool| !skip_without(tool))
        .collect();
    let mut failed = Vec::new();
    let accepted: Vec<&Case> = cases
        .iter()
        .filter(|case| case.strict == Verdict::Accepted)
        .collect();
    let mut agreed = BTreeMap::<&str, usize>::new();
    for case in &accepted {
        let sandbox = Sandbox::new();
        sandbox.write("a.zip", &case.bytes);
        drop(
            sandbox
                .slashopt(["extract", "a.zip", "--into", "ours"])
                .success(),
        );
        let ours = contents(sandbox.tree("ours"));
        for &tool in &tools {
            let excuse = case.excused.iter().find(|(excused, _)| *excused == tool);
            match (read_by(tool, &sandbox), excuse) {
                (Ok(theirs), None) if theirs == ours => *agreed.entry(tool).or_default() += 1,
                (Ok(theirs), Some(_)) if theirs == ours => {
                    failed.push(format!("{}: {tool} needs no excuse", case.name));
                }
                (Ok(theirs), None) => failed.push(format!(
                    "{}: {tool} reads {:?}, we read {:?}",
                    case.name,
                    named(&theirs),
                    named(&ours)
                )),
                (Err(why), None) => eprintln!("{}: {tool} does not accept it: {why}", case.name),
                (_, Some((_, why))) => eprintln!("{}: {tool} reads it otherwise: {why}", case.name),
            }
        }
    }
    eprintln!(
        "{} archives are accepted; as many are read alike: {agreed:?}",
        accepted.len()
    );
    assert!(failed.is_empty(), "{failed:#?}");
}
