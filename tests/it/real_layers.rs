//! Layers as people really make them: their trees are those that Info-ZIP and bsdtar make, what is said of them is what is there,
//! and stock interpreters, and a stand-in for AWS's bootstraps, find the packages in them.
//!
//! They are made once by `scripts/real-layers`, which needs the network the first time; the small ones of `testdata/layers` are
//! compared with them, as these have what no package does: modes that are not said, directories without an entry.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use serde_json::Value;

use crate::support::command::{Sandbox, skip_without};
use crate::support::machine::{PATH, tool};
use crate::support::project::{output, program, project, run_script};
use crate::support::shown;
use crate::support::tree::{DOS_EPOCH, Node, Tree};
use crate::support::zip::{archive, crc32, file, link};

// ---- where the layers are -----------------------------------------------------------------------------------------------------

/// The directory of the real layers, all of them built.
#[track_caller]
fn real_layers() -> PathBuf {
    static BUILT: OnceLock<Result<(), String>> = OnceLock::new();
    if let Err(why) = BUILT.get_or_init(build_real_layers) {
        panic!("the real layers cannot be built: {why}");
    }
    output("real-layers")
}

/// Builds the layers that are missing, which takes the network and about a minute if all are.
fn build_real_layers() -> Result<(), String> {
    let directory = output("real-layers");
    let names = run_script("real-layers", &["--list"])?;
    let mut files: Vec<String> = names.lines().map(|name| format!("{name}.zip")).collect();
    files.push("five.list".to_owned());
    if files.iter().any(|name| !directory.join(name).exists()) {
        run_script("real-layers", &[])?;
    }
    Ok(())
}

/// A real layer by its name.
#[track_caller]
pub(crate) fn real(name: &str) -> PathBuf {
    real_layers().join(format!("{name}.zip"))
}

/// The layers of the benchmark, lowest first. The list may have been written elsewhere, so only its names count.
#[track_caller]
pub(crate) fn five() -> Vec<PathBuf> {
    let directory = real_layers();
    let list = fs::read_to_string(directory.join("five.list")).expect("the list is there");
    let names = list.lines().filter_map(|line| Path::new(line).file_name());
    names.map(|name| directory.join(name)).collect()
}

/// The layers of `testdata/layers` in the order of its README.
fn small_layers() -> Vec<PathBuf> {
    let readme = fs::read_to_string(project("testdata/README.md")).expect("the page is there");
    let layers: Vec<PathBuf> = readme
        .lines()
        .filter_map(|line| line.strip_prefix("| `layers/")?.split('`').next())
        .map(|name| project("testdata/layers").join(name))
        .collect();
    assert!(
        layers.len() > 5,
        "the page lists the layers, a line for each"
    );
    layers
}

/// Every layer there is.
#[track_caller]
pub(crate) fn every_layer() -> Vec<PathBuf> {
    let found = fs::read_dir(real_layers()).expect("it can be listed");
    let mut layers: Vec<PathBuf> = found
        .map(|child| child.expect("it can be listed").path())
        .filter(|path| path.extension() == Some(OsStr::new("zip")))
        .collect();
    layers.extend(small_layers());
    layers.sort();
    layers
}

/// Stacks in which no two layers disagree about a kind, so that unpacking one over the other says what the tree must be.
#[track_caller]
fn stacks() -> Vec<Vec<PathBuf>> {
    vec![
        vec![real("python-requests-old"), real("python-requests-new")],
        vec![real("java-jpype-old"), real("java-jpype-new")],
        vec![
            real("java-commons"),
            real("java-jpype-new"),
            real("java-jpype-old"),
        ],
        five(),
        small_layers(),
    ]
}

// ---- running things -----------------------------------------------------------------------------------------------------------

fn described(output: &Output) -> String {
    format!(
        "{}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// What a command prints; it must succeed.
#[track_caller]
pub(crate) fn printed_bytes(command: &mut Command) -> Vec<u8> {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}",
        described(&output)
    );
    output.stdout
}

/// The same as text.
#[track_caller]
pub(crate) fn printed(command: &mut Command) -> String {
    String::from_utf8(printed_bytes(command)).expect("what it prints is text")
}

/// A command under a umask; UTC, as archivers read DOS times in local time.
fn under_umask(umask: &str, program: &str) -> Command {
    let mut command = tool("/bin/sh");
    command
        .args(["-c", &format!("umask {umask}; exec \"$@\""), "sh", program])
        .env("TZ", "UTC")
        .env("LC_ALL", "C.UTF-8");
    command
}

/// Extracts the layers to a directory of the sandbox; nothing may be in conflict but bytes and modes.
#[track_caller]
fn extract(sandbox: &Sandbox, layers: &[PathBuf], into: &str) {
    let mut arguments: Vec<OsString> = vec!["extract".into()];
    arguments.extend(layers.iter().map(OsString::from));
    arguments.extend(["--into", into, "--format", "json"].map(OsString::from));
    let said = sandbox.slashopt(arguments).success().json();
    assert_eq!(said["collisions"]["type"], 0, "{layers:?}");
}

// ---- what others make of them -------------------------------------------------------------------------------------------------

/// What the archives of a stack say of directories, modes and times, as Python reads them.
#[derive(Default)]
struct Said {
    /// Directories that have an entry in one layer at least.
    directories: BTreeSet<Vec<u8>>,
    /// What has no mode in the last layer that has an entry for it.
    modeless: BTreeSet<Vec<u8>>,
    /// Extended timestamps, in the last layer that has an entry for it, which the local header does not repeat.
    times: BTreeMap<Vec<u8>, i64>,
}

/// Prints of every entry the name, the Unix half of the attributes, and the extended timestamp if only the central directory has it.
const ENTRIES: &str = "
import json, struct, sys, zipfile

def timestamp(extra):
    while len(extra) >= 4:
        identifier, length = struct.unpack('<HH', extra[:4])
        if identifier == 0x5455 and extra[4] & 1:
            return struct.unpack('<i', extra[5:9])[0]
        extra = extra[4 + length:]

def only_central(entry):
    archive.seek(entry.header_offset + 26)
    name, extra = struct.unpack('<HH', archive.read(4))
    archive.seek(name, 1)
    return timestamp(entry.extra) if timestamp(archive.read(extra)) is None else None

archive = open(sys.argv[1], 'rb')
entries = zipfile.ZipFile(archive).infolist()
print(json.dumps([[entry.filename, entry.external_attr >> 16, only_central(entry)] for entry in entries]))
";

impl Said {
    #[track_caller]
    fn by(layers: &[PathBuf]) -> Self {
        let mut said = Self::default();
        for layer in layers {
            let listing = printed_bytes(tool("python3").args(["-c", ENTRIES]).arg(layer));
            let entries: Vec<(String, u32, Option<i64>)> =
                serde_json::from_slice(&listing).expect("a list of triples");
            for (name, unix, time) in entries {
                let components = name
                    .split('/')
                    .filter(|component| !["", "."].contains(component));
                let path = components.collect::<Vec<_>>().join("/").into_bytes();
                if name.ends_with('/') {
                    said.directories.insert(path.clone());
                }
                match time {
                    Some(time) => said.times.insert(path.clone(), time),
                    None => said.times.remove(&path),
                };
                if unix == 0 {
                    said.modeless.insert(path);
                } else {
                    said.modeless.remove(&path);
                }
            }
        }
        said
    }

    /// Another tool's tree with the differences that we intend:
    ///
    /// - A directory without an entry, and the root: the tools take the umask and the present; the contract 0755 and 1980.
    /// - An entry without a mode (made on DOS, or by `jar`): the tools take what they like (Info-ZIP 0666 for files and 0777 for
    ///   directories less the umask, bsdtar 0664 and 0775); the contract 0644 and 0755.
    /// - A time that only the central directory has in full, as yazl writes it: the tools ask the local header, which has the DOS
    ///   time of even seconds; we believe the central directory in everything.
    /// - A directory that somebody could not read and enter becomes 0755, as on Lambda; set-id bits go. No layer here has one.
    ///
    /// NTFS's times, which 7-Zip writes beside the DOS time, are no difference: neither we nor these versions of the tools read them.
    fn as_we_mean_it(&self, mut tree: Tree) -> Tree {
        for (path, node) in &mut tree.0 {
            let is_modeless = self.modeless.contains(path);
            match node {
                Node::Directory { mode, mtime } => {
                    if path.is_empty() || !self.directories.contains(path) {
                        (*mode, *mtime) = (0o755, DOS_EPOCH);
                    } else if is_modeless || *mode & 0o555 != 0o555 {
                        *mode = 0o755;
                    }
                    *mode &= 0o777;
                }
                Node::File { mode, .. } => {
                    *mode = if is_modeless { 0o644 } else { *mode & 0o777 };
                }
                Node::Link { .. } | Node::Other => {}
            }
            if let (
                Node::Directory { mtime, .. } | Node::File { mtime, .. } | Node::Link { mtime, .. },
                Some(&time),
            ) = (node, self.times.get(path))
            {
                *mtime = time;
            }
        }
        tree
    }
}

/// A tree with the times of some kinds made equal.
fn without_times_of(kind: &str, mut tree: Tree) -> Tree {
    for node in tree.0.values_mut().filter(|node| node.kind() == kind) {
        if let Node::Directory { mtime, .. } | Node::Link { mtime, .. } = node {
            *mtime = 0;
        }
    }
    tree
}

/// A foreign way from archives to a tree.
#[derive(Clone, Copy)]
enum Judge {
    InfoZip,
    Bsdtar,
}

impl Judge {
    fn program(self) -> &'static str {
        match self {
            Self::InfoZip => "unzip",
            Self::Bsdtar => "bsdtar",
        }
    }

    /// Unpacks one layer over what is there.
    fn command(self, layer: &Path, into: &Path) -> Command {
        match self {
            Self::InfoZip => {
                let mut command = under_umask("022", "unzip");
                command.args(["-o", "-q"]).arg(layer).arg("-d").arg(into);
                command
            }
            Self::Bsdtar => {
                let mut command = under_umask("000", "bsdtar");
                command.args(["-x", "--no-same-owner", "-f"]).arg(layer);
                command.arg("-C").arg(into);
                command
            }
        }
    }

    /// The times that the judge gives as the archive has them. Info-ZIP gives none to links.
    fn comparable(self, tree: Tree) -> Tree {
        match self {
            Self::InfoZip => without_times_of("symlink", tree),
            Self::Bsdtar => tree,
        }
    }

    /// The tree of a stack, layer by layer, with the intended differences.
    #[track_caller]
    fn tree(self, sandbox: &Sandbox, layers: &[PathBuf]) -> Tree {
        let into = sandbox.mkdir(self.program(), 0o755);
        for layer in layers {
            printed_bytes(&mut self.command(layer, &into));
        }
        let tree = Said::by(layers).as_we_mean_it(Tree::read(&into));
        self.comparable(tree)
    }

    #[track_caller]
    fn agrees_on_every_layer(self) {
        if skip_without(self.program()) {
            return;
        }
        for layer in every_layer() {
            let sandbox = Sandbox::new();
            let layers = [layer];
            extract(&sandbox, &layers, "opt");
            let ours = self.comparable(sandbox.tree("opt"));
            if let Some(difference) = ours.difference(&self.tree(&sandbox, &layers)) {
                panic!("{}: {difference}", layers[0].display());
            }
        }
    }

    /// Of directories the times are left out: a judge touches those of the lower layers while it writes the upper.
    #[track_caller]
    fn agrees_on_every_stack(self) {
        if skip_without(self.program()) {
            return;
        }
        for layers in stacks() {
            let sandbox = Sandbox::new();
            extract(&sandbox, &layers, "opt");
            let ours = without_times_of("directory", self.comparable(sandbox.tree("opt")));
            let theirs = without_times_of("directory", self.tree(&sandbox, &layers));
            if let Some(difference) = ours.difference(&theirs) {
                panic!("{layers:?}: {difference}");
            }
        }
    }
}

#[test]
fn info_zip_makes_the_same_tree_of_every_layer() {
    Judge::InfoZip.agrees_on_every_layer();
}

#[test]
fn bsdtar_makes_the_same_tree_of_every_layer() {
    Judge::Bsdtar.agrees_on_every_layer();
}

#[test]
fn a_stack_is_what_info_zip_makes_of_it_layer_by_layer() {
    Judge::InfoZip.agrees_on_every_stack();
}

#[test]
fn a_stack_is_what_bsdtar_makes_of_it_layer_by_layer() {
    Judge::Bsdtar.agrees_on_every_stack();
}

// ---- what is said of them -----------------------------------------------------------------------------------------------------

/// Standard output of `slashopt` for layers, with more arguments before and after them.
fn slashopt(before: &[&str], layers: &[PathBuf], after: &[&str]) -> Vec<u8> {
    let mut command = tool(program());
    printed_bytes(command.args(before).args(layers).args(after))
}

#[test]
fn a_list_names_each_object_of_the_root_as_it_is_there() {
    for layers in stacks() {
        let sandbox = Sandbox::new();
        extract(&sandbox, &layers, "opt");
        let listed = slashopt(&["list", "--format", "json"], &layers, &[]);
        let listed: Value = serde_json::from_slice(&listed).expect("one object");
        let listed = listed["nodes"].as_array().expect("a list").iter();
        let mut tree = sandbox.tree("opt");
        tree.0.remove(b"".as_slice());
        let mut found = Vec::new();
        for (path, node) in &tree.0 {
            found.push(summary(&shown(path), node));
        }
        let mut listed: Vec<String> = listed.map(summary_of_listed).collect();
        listed.sort();
        found.sort();
        for (listed, found) in listed.iter().zip(&found) {
            assert_eq!(listed, found, "{layers:?}");
        }
        assert_eq!(listed.len(), found.len(), "{layers:?}");
    }
}

/// All that `list` can say of an object, in a line.
fn summary(path: &str, node: &Node) -> String {
    match node {
        Node::Directory { mode, mtime } => format!("{path} directory {mode:04o} @{mtime}"),
        Node::File { mode, mtime, bytes } => {
            let (size, crc) = (bytes.len(), crc32(bytes));
            format!("{path} file {mode:04o} @{mtime} {size} bytes {crc:08x}")
        }
        Node::Link { target, mtime } => format!("{path} symlink @{mtime} to {}", shown(target)),
        Node::Other => format!("{path} other"),
    }
}

fn summary_of_listed(node: &Value) -> String {
    let text = |key: &str| node[key].as_str().unwrap_or_default();
    let (path, mode, mtime) = (text("path"), text("mode"), &node["mtime"]);
    match text("kind") {
        "directory" => format!("{path} directory {mode} @{mtime}"),
        "file" => {
            let (size, crc) = (&node["size"], text("crc32"));
            format!("{path} file {mode} @{mtime} {size} bytes {crc}")
        }
        "symlink" => format!("{path} symlink @{mtime} to {}", text("target")),
        kind => format!("{path} {kind}"),
    }
}

#[test]
fn which_names_the_later_of_two_layers_that_carry_a_file() {
    for (path, one, other) in [
        ("nodejs/package.json", "node-aws-sdk", "node-sharp"),
        ("java/lib/org.jpype.jar", "java-jpype-old", "java-jpype-new"),
    ] {
        for layers in [[real(one), real(other)], [real(other), real(one)]] {
            let said = slashopt(&["which", path], &layers, &["--format", "json"]);
            let said: Value = serde_json::from_slice(&said).expect("one object");
            assert_eq!(said["path"], path);
            assert_eq!(said["winner"]["layer"], 2, "{said}");
            let shadowed = said["shadowed"].as_array().expect("a list");
            assert_eq!(shadowed.len(), 1, "{said}");
            assert_eq!(shadowed[0]["layer"], 1, "{said}");
            // Both as the archives have them.
            for (object, layer) in [(&shadowed[0], &layers[0]), (&said["winner"], &layers[1])] {
                let bytes = printed_bytes(tool("unzip").arg("-p").arg(layer).arg(path));
                assert_eq!(object["kind"], "file");
                assert_eq!(object["size"], bytes.len());
                assert_eq!(object["crc32"], format!("{:08x}", crc32(&bytes)));
            }
        }
    }
}

#[test]
fn which_prints_the_bytes_that_unzip_prints() {
    for (path, one, other) in [
        ("nodejs/package.json", "node-aws-sdk", "node-sharp"),
        ("java/lib/org.jpype.jar", "java-jpype-old", "java-jpype-new"),
        ("python/six.py", "python-pandas", "python-boto3"),
    ] {
        let layers = [real(one), real(other)];
        for (number, layer) in ["1", "2"].into_iter().zip(&layers) {
            let ours = slashopt(&["which", path], &layers, &["--cat", number]);
            let theirs = printed_bytes(tool("unzip").arg("-p").arg(layer).arg(path));
            assert!(!theirs.is_empty());
            assert!(ours == theirs, "{path} of layer {number}: the bytes differ");
        }
    }
}

// ---- a root, and the environment for it ---------------------------------------------------------------------------------------

/// Layers extracted to `opt` in a sandbox, beside an empty `task` for the function.
pub(crate) struct Root {
    pub(crate) sandbox: Sandbox,
    pub(crate) layers: Vec<PathBuf>,
}

impl Root {
    #[track_caller]
    pub(crate) fn of(layers: impl IntoIterator<Item = PathBuf>) -> Self {
        let root = Self {
            sandbox: Sandbox::new(),
            layers: layers.into_iter().collect(),
        };
        root.sandbox.mkdir("task", 0o755);
        extract(&root.sandbox, &root.layers, "opt");
        root
    }

    /// The root, by the path that interpreters print: without links.
    pub(crate) fn opt(&self) -> PathBuf {
        fs::canonicalize(self.sandbox.path("opt")).expect("it has been extracted")
    }

    pub(crate) fn task(&self) -> PathBuf {
        self.sandbox.path("task")
    }

    /// `slashopt env LAYERS --root ROOT`, with more arguments.
    fn env_arguments(&self, more: &[&str]) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = vec!["env".into()];
        arguments.extend(self.layers.iter().map(OsString::from));
        arguments.extend(["--root".into(), self.opt().into_os_string()]);
        arguments.extend(["--task-root".into(), self.task().into_os_string()]);
        arguments.extend(more.iter().map(OsString::from));
        arguments
    }

    /// The variables, separated by NUL.
    #[track_caller]
    fn variables(&self, more: &[&str]) -> Vec<(String, String)> {
        let mut command = tool(program());
        let variables = command
            .args(self.env_arguments(more))
            .args(["--format", "null"]);
        let variables = printed(variables.env_clear());
        let pairs = variables
            .split_terminator('\0')
            .filter_map(|pair| pair.split_once('='));
        pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    /// What a command prints under the environment for this runtime, which it gets in both ways that a person has: each variable
    /// set as it stands, and a shell that evaluates what is printed for it. Both must come to the same.
    #[track_caller]
    pub(crate) fn under(&self, runtime: &str, command: &[&OsStr]) -> String {
        let mut plain = tool(command[0]);
        plain
            .args(&command[1..])
            .env_clear()
            .envs(self.variables(&["--runtime", runtime]))
            .current_dir(self.task());
        // As documented. No argument has a quote in it.
        let arguments = self.env_arguments(&["--runtime", runtime]);
        let quoted: Vec<String> = std::iter::once(OsString::from(program()))
            .chain(arguments)
            .map(|argument| format!("'{}'", argument.display()))
            .collect();
        let script = format!("set -eu; eval \"$({})\"; exec \"$@\"", quoted.join(" "));
        let mut evaluated = tool("/bin/sh");
        evaluated
            .args(["-c", &script, "sh"])
            .args(command)
            .env_clear()
            .env("PATH", PATH)
            .current_dir(self.task());
        let plain = printed(&mut plain);
        assert_eq!(
            plain,
            printed(&mut evaluated),
            "set one by one, and by eval"
        );
        plain
    }

    /// The lines that a command prints under the environment, each a path below the root, which is taken off.
    #[track_caller]
    pub(crate) fn paths_under(&self, runtime: &str, command: &[&OsStr]) -> Vec<String> {
        self.relative(&self.under(runtime, command))
    }

    #[track_caller]
    fn relative(&self, paths: &str) -> Vec<String> {
        let opt = self.opt();
        let relative = paths.lines().map(|line| {
            let below = Path::new(line).strip_prefix(&opt);
            let below = below.unwrap_or_else(|_| panic!("`{line}` is not in the root\n{paths}"));
            below.display().to_string()
        });
        relative.collect()
    }
}

/// An interpreter of this machine: not a shim that would look for it in a `PATH` that we take away.
pub(crate) struct Interpreter {
    pub(crate) program: PathBuf,
    pub(crate) version: String,
}

impl Interpreter {
    /// Finds it by a command that prints its path and its version; says that the test is left out if there is none.
    fn find(command: &[&str]) -> Option<Self> {
        if skip_without(command[0]) {
            return None;
        }
        let said = printed(tool(command[0]).args(&command[1..]));
        let mut lines = said.lines().map(str::to_owned);
        Some(Self {
            program: lines.next()?.into(),
            version: lines.next()?,
        })
    }

    fn python_called(name: &str) -> Option<Self> {
        let script = "import sys; print(sys.executable); print('%d.%d' % sys.version_info[:2])";
        Self::find(&[name, "-c", script])
    }

    /// There is no machine for this project without Python, so that is never skipped.
    #[track_caller]
    pub(crate) fn python() -> Self {
        Self::python_called("python3").expect("python3 must be here")
    }

    /// The Python that the wheels of `scripts/real-layers` are for.
    #[track_caller]
    pub(crate) fn python_of_the_wheels() -> Option<Self> {
        let python = Self::python();
        if python.version == "3.11" {
            return Some(python);
        }
        Self::python_called("python3.11")
    }

    /// Nor without Node.js.
    #[track_caller]
    pub(crate) fn node() -> Self {
        let script = "console.log(process.execPath + '\\n' + process.versions.node.split('.')[0])";
        Self::find(&["node", "-e", script]).expect("node must be here")
    }

    pub(crate) fn ruby() -> Option<Self> {
        let script = "puts RbConfig.ruby, RUBY_VERSION[/\\d+\\.\\d+/]";
        Self::find(&["ruby", "-rrbconfig", "-e", script])
    }

    /// The command line of this interpreter with these arguments.
    pub(crate) fn with<'a>(&'a self, arguments: &[&'a str]) -> Vec<&'a OsStr> {
        let arguments = arguments.iter().map(|&argument| OsStr::new(argument));
        std::iter::once(self.program.as_os_str())
            .chain(arguments)
            .collect()
    }
}

/// The runtime of the interpreter's version if Lambda has or had it, else another one.
pub(crate) fn runtime_or(wanted: String, otherwise: &str) -> String {
    let mut command = tool(program());
    let status = command.args(["env", "--root", "/", "--quiet", "--runtime", &wanted]);
    let is_known = status
        .output()
        .expect("the program starts")
        .status
        .success();
    if is_known {
        wanted
    } else {
        eprintln!("note: there is no runtime {wanted}, so {otherwise} it is");
        otherwise.to_owned()
    }
}

// ---- stock interpreters -------------------------------------------------------------------------------------------------------

/// A layer whose `python` is what another keeps in `python/lib/python3.11/site-packages`: a directory, which a layer may be.
#[track_caller]
pub(crate) fn flattened_requests_old(sandbox: &Sandbox) -> PathBuf {
    let unpacked = sandbox.mkdir("unpacked", 0o755);
    let layer = sandbox.mkdir("flat", 0o755);
    printed_bytes(&mut Judge::InfoZip.command(&real("python-requests-old"), &unpacked));
    let packages = unpacked.join("python/lib/python3.11/site-packages");
    fs::rename(packages, layer.join("python")).expect("on the same file system");
    layer
}

mod python {
    use super::*;

    #[test]
    fn numpy_and_pandas_run_from_the_root() {
        let Some(python) = Interpreter::python_of_the_wheels() else {
            return;
        };
        let root = Root::of([real("python-pandas")]);
        let script = "
import numpy, pandas, dateutil, pytz, six
frame = pandas.DataFrame({'a': numpy.arange(4), 'b': pandas.date_range('2026-01-01', periods=4, tz='Europe/Berlin')})
assert frame.a.sum() == 6 and frame.b.dt.tz_convert('UTC').iloc[0].hour == 23
for module in numpy, numpy.linalg._umath_linalg, pandas, pandas._libs.lib, dateutil, pytz, six: print(module.__file__)
";
        let files = root.paths_under("python3.11", &python.with(&["-c", script]));
        assert_eq!(files.len(), 7);
        assert_eq!(files[0], "python/numpy/__init__.py");
        assert_eq!(files[2], "python/pandas/__init__.py");
    }

    #[test]
    fn boto3_and_requests_load_from_the_root_whatever_the_machine_has_installed() {
        let python = Interpreter::python();
        let runtime = runtime_or(format!("python{}", python.version), "python3.13");
        let root = Root::of([real("python-boto3"), real("python-requests-new")]);
        let script = "
import boto3, botocore, requests, urllib3, certifi, idna
client = boto3.client('s3', region_name='eu-central-1', aws_access_key_id='a', aws_secret_access_key='b')
assert client.generate_presigned_url('get_object', {'Bucket': 'b', 'Key': 'k'}).startswith('https://')
for module in boto3, botocore, requests, urllib3, certifi, idna: print(module.__file__)
";
        let files = root.paths_under(&runtime, &python.with(&["-c", script]));
        let packages = [
            "boto3", "botocore", "requests", "urllib3", "certifi", "idna",
        ];
        let expected = packages.map(|package| format!("python/{package}/__init__.py"));
        assert_eq!(files, expected);
    }

    /// Where requests and urllib3 are from, and in which versions.
    #[track_caller]
    fn requests_in(root: &Root, python: &Interpreter) -> (Vec<String>, String) {
        let script =
            "import requests, urllib3; print(requests.__file__, urllib3.__file__, sep='\\n')";
        let files = root.paths_under("python3.11", &python.with(&["-W", "ignore", "-c", script]));
        let script = "import requests, urllib3; print(requests.__version__, urllib3.__version__)";
        let versions = root.under("python3.11", &python.with(&["-W", "ignore", "-c", script]));
        (files, versions.trim().to_owned())
    }

    /// Both layers fill `python/`: the files of the later one replace those of the earlier.
    #[test]
    fn of_two_versions_in_the_same_folder_the_later_layers_loads() {
        let Some(python) = Interpreter::python_of_the_wheels() else {
            return;
        };
        let sandbox = Sandbox::new();
        let (old, new) = (
            flattened_requests_old(&sandbox),
            real("python-requests-new"),
        );
        let files = ["requests", "urllib3"].map(|package| format!("python/{package}/__init__.py"));
        for (layers, expected) in [
            ([old.clone(), new.clone()], "2.32.5 2.5.0"),
            ([new, old], "2.28.2 1.26.20"),
        ] {
            let root = Root::of(layers);
            let (found, versions) = requests_in(&root, &python);
            assert_eq!(found, files);
            assert_eq!(versions, expected);
        }
    }

    /// The older is in `python/lib/python3.11/site-packages`, the newer in `python/`. Lambda searches the first before the second,
    /// and neither layer replaces a file of the other, so that their order says nothing.
    #[test]
    fn of_two_versions_in_two_folders_the_one_in_site_packages_loads_in_either_order() {
        let Some(python) = Interpreter::python_of_the_wheels() else {
            return;
        };
        let (old, new) = (real("python-requests-old"), real("python-requests-new"));
        let files = ["requests", "urllib3"]
            .map(|package| format!("python/lib/python3.11/site-packages/{package}/__init__.py"));
        for layers in [[old.clone(), new.clone()], [new, old]] {
            let root = Root::of(layers);
            let (found, versions) = requests_in(&root, &python);
            assert_eq!(found, files);
            assert_eq!(versions, "2.28.2 1.26.20");
        }
    }

    /// What the environment names must add to what a program finds by itself, and never take the place of its own libraries.
    #[test]
    fn an_interpreter_keeps_its_own_libraries() {
        let python = Interpreter::python();
        let runtime = runtime_or(format!("python{}", python.version), "python3.13");
        let root = Root::of([real("python-requests-new")]);
        let script = "import ssl, sys; print(sys.version, ssl.OPENSSL_VERSION)";
        let bare = printed(tool(&python.program).args(["-c", script]).env_clear());
        assert_eq!(root.under(&runtime, &python.with(&["-c", script])), bare);
    }

    /// Python takes a `.pyc` only if it names its source's time and size; pip wrote these before the layer was packed.
    #[test]
    fn the_bytecode_of_a_layer_is_valid_in_the_root() {
        let Some(python) = Interpreter::python_of_the_wheels() else {
            return;
        };
        let root = Root::of([real("python-requests-old")]);
        let script = "
import pathlib, struct, sys, importlib.util
count = 0
for source in pathlib.Path(sys.argv[1]).rglob('*.py'):
    code = pathlib.Path(importlib.util.cache_from_source(source))
    flags, time, size = struct.unpack('<III', code.read_bytes()[4:16])
    assert (flags, time, size) == (0, int(source.stat().st_mtime), source.stat().st_size), source
    count += 1
print(count)
";
        let mut command = tool(&python.program);
        let count = printed(command.args(["-c", script]).arg(root.opt()));
        assert!(
            count.trim().parse::<u32>().is_ok_and(|count| count > 50),
            "{count}"
        );
    }
}

mod node {
    use super::*;

    /// Loads the SDK and sharp, uses both, and prints every file that was loaded.
    const SCRIPT: &str = "
const { S3Client } = require('@aws-sdk/client-s3');
const sharp = require('sharp');
new S3Client({ region: 'eu-central-1' });
sharp({ create: { width: 2, height: 3, channels: 3, background: 'red' } }).png().toBuffer({ resolveWithObject: true })
  .then(({ info }) => {
    if (info.format !== 'png' || info.height !== 3) throw new Error(JSON.stringify(info));
    console.log(require.resolve('@aws-sdk/client-s3'));
    console.log(require.resolve('sharp'));
    console.log(Object.keys(require.cache).sort().join('\\n'));
  });
";

    #[test]
    fn the_sdk_and_sharp_load_from_the_root_and_from_nowhere_else() {
        let node = Interpreter::node();
        let runtime = runtime_or(format!("nodejs{}.x", node.version), "nodejs22.x");
        let root = Root::of([real("node-aws-sdk"), real("node-sharp")]);
        let files = root.paths_under(&runtime, &node.with(&["-e", SCRIPT]));
        assert!(files[0].starts_with("nodejs/node_modules/@aws-sdk/client-s3/"));
        assert!(files[1].starts_with("nodejs/node_modules/sharp/"));
        assert!(files.len() > 10, "{files:?}");
        // Without the environment neither is found, so that it was that which found them.
        let mut bare = tool(&node.program);
        bare.args(["-e", SCRIPT])
            .env_clear()
            .current_dir(root.task());
        let bare = bare.output().expect("node starts");
        assert!(!bare.status.success());
        assert!(String::from_utf8_lossy(&bare.stderr).contains("Cannot find module '@aws-sdk"));
    }
}

mod java {
    use super::*;

    /// Prints the jar that each class comes from.
    const PROBE: &str = "
public class Probe {
    public static void main(String[] names) throws Exception {
        for (String name : names) {
            Class<?> found = Class.forName(name, false, Probe.class.getClassLoader());
            System.out.println(new java.io.File(found.getProtectionDomain().getCodeSource().getLocation().toURI()));
        }
    }
}
";

    /// The jars of these classes in a root of these layers, by a program in the task root; nothing without Java.
    #[track_caller]
    fn jars(layers: impl IntoIterator<Item = PathBuf>, classes: &[&str]) -> Option<Vec<String>> {
        if skip_without("javac") || skip_without("java") {
            return None;
        }
        let root = Root::of(layers);
        let source = root.sandbox.write("Probe.java", PROBE);
        printed(
            tool("javac")
                .arg("-d")
                .arg(root.task())
                .arg(source)
                .env_remove("CLASSPATH"),
        );
        // Every Java runtime has the same CLASSPATH, whatever the version of this machine's.
        let command = [&["java", "Probe"], classes].concat();
        let command: Vec<&OsStr> = command.iter().map(OsStr::new).collect();
        Some(root.paths_under("java21", &command))
    }

    #[test]
    fn classes_load_from_the_jars_of_the_root() {
        let classes = [
            "org.apache.commons.lang3.StringUtils",
            "com.google.gson.Gson",
        ];
        if let Some(jars) = jars([real("java-commons")], &classes) {
            // Java found the links beside them first, whose names have versions, and says what they lead to.
            assert_eq!(jars, ["java/lib/commons-lang3.jar", "java/lib/gson.jar"]);
        }
    }

    #[test]
    fn of_two_jars_that_have_a_class_the_first_by_name_wins_whatever_the_order_of_the_layers() {
        let greeting = ["java-greeting-7z.zip", "java-greeting-v2-jar.zip"]
            .map(|name| project("testdata/layers").join(name));
        let jpype = [real("java-jpype-old"), real("java-jpype-new")];
        for (layers, class, expected) in [
            (greeting, "greeting.Greeting", "java/lib/greeting-1.0.jar"),
            (
                jpype,
                "org.jpype.JPypeUtilities",
                "java/lib/jpype-1.5.1.jar",
            ),
        ] {
            let mut reversed = layers.clone();
            reversed.reverse();
            for layers in [layers, reversed] {
                if let Some(jars) = jars(layers, &[class]) {
                    assert_eq!(jars, [expected]);
                }
            }
        }
    }
}

/// A layer by which the gems of one version of Ruby are those of another, as layers do it that serve several.
pub(crate) fn gems_for(sandbox: &Sandbox, runtime: &str, ruby: &Interpreter) -> Option<PathBuf> {
    let wanted = runtime.strip_prefix("ruby").expect("a runtime of Ruby");
    (wanted != ruby.version).then(|| {
        let name = format!("ruby/gems/{wanted}.0");
        let layer = archive([link(name, format!("{}.0", ruby.version))]);
        sandbox.archive("gems.zip", &layer)
    })
}

/// The layers with Ruby's packages, and with what makes them fit the runtime.
#[track_caller]
fn ruby_layers(sandbox: &Sandbox, runtime: &str, ruby: &Interpreter) -> Vec<PathBuf> {
    let mut layers = vec![real("ruby-rack")];
    layers.extend(gems_for(sandbox, runtime, ruby));
    layers
}

/// Uses two gems and prints where they and their data are from.
const GEMS: &str = "
require 'rack'
require 'mime/types'
raise 'no data' unless MIME::Types.type_for('a.json').first == 'application/json'
puts Gem.loaded_specs.values_at('rack', 'mime-types', 'mime-types-data').map(&:full_gem_path)
puts $LOADED_FEATURES.grep(%r{/(rack|mime/types)\\.rb$}).sort
";

mod ruby {
    use super::*;

    #[test]
    fn gems_and_libraries_load_from_the_root() {
        let Some(ruby) = Interpreter::ruby() else {
            return;
        };
        let runtime = runtime_or(format!("ruby{}", ruby.version), "ruby3.2");
        let sandbox = Sandbox::new();
        let root = Root::of(ruby_layers(&sandbox, &runtime, &ruby));
        let files = root.paths_under(&runtime, &ruby.with(&["-e", GEMS]));
        assert_eq!(files.len(), 5, "{files:?}");
        assert!(files.iter().all(|file| file.starts_with("ruby/gems/")));
    }

    #[test]
    fn a_library_of_rubylib_finds_its_gem() {
        let Some(ruby) = Interpreter::ruby() else {
            return;
        };
        let root = Root::of([project("testdata/layers/ruby-greeting-infozip-stream.zip")]);
        let script = "
require 'greeting/polite'
raise unless Greeting.polite('you') == 'Hello, you, pleased to meet you'
puts $LOADED_FEATURES.grep(/greeting/)
";
        let files = root.paths_under("ruby3.3", &ruby.with(&["-e", script]));
        assert!(
            files.contains(&"ruby/lib/greeting/polite.rb".to_owned()),
            "{files:?}"
        );
        assert_eq!(files.len(), 2, "{files:?}");
    }
}

#[test]
fn a_command_of_a_layer_runs_by_its_name() {
    let root = Root::of([real("bin-tool")]);
    // The copy has a name that no machine's own commands have.
    let script = "command -v ripgrep; ripgrep --version >&2; ripgrep -l needle .";
    fs::write(root.task().join("hay"), "a needle\n").expect("the task root is ours");
    let said = root.under("python3.13", &["/bin/sh", "-euc", script].map(OsStr::new));
    let expected = root.opt().join("bin/ripgrep");
    assert_eq!(said, format!("{}\n./hay\n", expected.display()));
}

// ---- the runtimes' own bootstraps ---------------------------------------------------------------------------------------------

mod bootstrap {
    use super::*;

    /// A script beside this file that does what AWS's bootstrap does with search paths.
    fn stand_in(name: &str) -> PathBuf {
        project("tests/it").join(name)
    }

    impl Root {
        /// What a stand-in prints, given what the service gives to the bootstrap.
        #[track_caller]
        fn under_stand_in(&self, runtime: &str, more: &[&str], command: &[&OsStr]) -> Output {
            let arguments = [&["--runtime", runtime, "--target", "bootstrap"], more].concat();
            let mut started = tool(command[0]);
            started
                .args(&command[1..])
                .env_clear()
                .envs(self.variables(&arguments))
                .current_dir(self.task());
            started.output().expect("the interpreter starts")
        }
    }

    #[track_caller]
    fn text_of(output: Output) -> String {
        assert!(output.status.success(), "{}", described(&output));
        String::from_utf8(output.stdout).expect("text")
    }

    /// Runs Python code behind the stand-in.
    #[track_caller]
    fn python(root: &Root, python: &Interpreter, more: &[&str], code: &str) -> Output {
        let runtime = runtime_or(format!("python{}", python.version), "python3.13");
        let script = stand_in("stand_in_bootstrap.py");
        let opt = root.opt();
        let command = [
            python.program.as_os_str(),
            OsStr::new("-Wignore"),
            script.as_os_str(),
            opt.as_os_str(),
            OsStr::new(code),
        ];
        root.under_stand_in(&runtime, more, &command)
    }

    /// Prints where modules are from that this machine may have installed, too.
    const MODULES: &str =
        "import boto3, requests; print(boto3.__file__, requests.__file__, sep='\\n')";

    #[test]
    fn python_imports_what_the_layers_have() {
        let interpreter = Interpreter::python();
        let root = Root::of([real("python-boto3"), real("python-requests-new")]);
        let found = text_of(python(&root, &interpreter, &[], MODULES));
        assert_eq!(
            root.relative(&found),
            ["python/boto3/__init__.py", "python/requests/__init__.py"]
        );
    }

    #[test]
    fn python_finds_site_packages_before_the_other_folder() {
        let Some(interpreter) = Interpreter::python_of_the_wheels() else {
            return;
        };
        let root = Root::of([real("python-requests-old"), real("python-requests-new")]);
        let code = "import requests; print(requests.__file__)";
        let found = text_of(python(&root, &interpreter, &[], code));
        assert_eq!(
            root.relative(&found),
            ["python/lib/python3.11/site-packages/requests/__init__.py"]
        );
    }

    /// A layer whose module no machine has, and whose `.pth` files leave a mark.
    fn marked_layer(sandbox: &Sandbox, python: &Interpreter) -> PathBuf {
        let versioned = format!("python/lib/python{}/site-packages", python.version);
        let mark = "import sys; sys.marks = getattr(sys, 'marks', []) + ";
        let layer = archive([
            file("python/only_in_the_layer.py", "NAME = __name__\n"),
            file("python/plain.pth", format!("{mark}['plain']\n")),
            file(
                format!("{versioned}/versioned.pth"),
                format!("{mark}['versioned']\n"),
            ),
        ]);
        sandbox.archive("marked.zip", &layer)
    }

    #[test]
    fn python_runs_the_pth_files_of_layers() {
        let interpreter = Interpreter::python();
        let sandbox = Sandbox::new();
        let root = Root::of([marked_layer(&sandbox, &interpreter)]);
        let code = "import sys, only_in_the_layer; print(sys.marks)";
        let said = text_of(python(&root, &interpreter, &[], code));
        assert_eq!(said, "['versioned', 'plain']\n");
    }

    #[test]
    fn python_has_no_layers_once_the_function_configures_pythonpath() {
        let interpreter = Interpreter::python();
        let sandbox = Sandbox::new();
        let root = Root::of([
            marked_layer(&sandbox, &interpreter),
            real("python-requests-new"),
        ]);
        let code = "
import importlib.util, sys
assert importlib.util.find_spec('only_in_the_layer') is None
assert not hasattr(sys, 'marks')
print(sys.path)
";
        // As on the service, an empty value is a value.
        for configured in ["PYTHONPATH=/var/task/vendored", "PYTHONPATH="] {
            let said = text_of(python(&root, &interpreter, &["--set", configured], code));
            assert!(
                !said.contains(&format!("{}/python", root.opt().display())),
                "{said}"
            );
        }
    }

    /// The command line of a stand-in that is a shell script.
    fn behind<'a>(
        script: &'a Path,
        opt: &'a Path,
        version: &'a str,
        interpreter: &'a Interpreter,
        code: &'a str,
    ) -> Vec<&'a OsStr> {
        let mut command = vec![OsStr::new("/bin/sh"), script.as_os_str(), opt.as_os_str()];
        command.push(OsStr::new(version));
        command.extend(interpreter.with(&["-e", code]));
        command
    }

    #[test]
    fn node_loads_what_the_layers_have_until_the_function_configures_node_path() {
        let node = Interpreter::node();
        let runtime = runtime_or(format!("nodejs{}.x", node.version), "nodejs22.x");
        let root = Root::of([real("node-aws-sdk"), real("node-sharp")]);
        let code = "
for (const name of ['@aws-sdk/client-s3', 'sharp']) { require(name); console.log(require.resolve(name)); }
";
        let (script, opt) = (stand_in("stand_in_bootstrap_node.sh"), root.opt());
        let command = behind(&script, &opt, &node.version, &node, code);
        // As on the service, an empty value is none.
        for more in [&[][..], &["--set", "NODE_PATH="]] {
            let found = root.relative(&text_of(root.under_stand_in(&runtime, more, &command)));
            assert_eq!(found.len(), 2);
            assert!(found[0].starts_with("nodejs/node_modules/@aws-sdk/client-s3/"));
        }
        let configured = ["--set", "NODE_PATH=/var/task/vendored"];
        let refused = root.under_stand_in(&runtime, &configured, &command);
        assert!(!refused.status.success());
        assert!(
            described(&refused).contains("Cannot find module '@aws-sdk/client-s3'"),
            "{}",
            described(&refused)
        );
    }

    #[test]
    fn ruby_loads_what_the_layers_have() {
        let Some(ruby) = Interpreter::ruby() else {
            return;
        };
        let runtime = runtime_or(format!("ruby{}", ruby.version), "ruby3.2");
        let version = runtime.strip_prefix("ruby").expect("a runtime of Ruby");
        let sandbox = Sandbox::new();
        let mut layers = ruby_layers(&sandbox, &runtime, &ruby);
        layers.push(sandbox.archive(
            "library.zip",
            &archive([file("ruby/lib/of_the_layer.rb", "puts __FILE__\n")]),
        ));
        let root = Root::of(layers);
        let code = format!("require 'of_the_layer'\n{GEMS}");
        let (script, opt) = (stand_in("stand_in_bootstrap_ruby.sh"), root.opt());
        let command = behind(&script, &opt, version, &ruby, &code);
        let found = root.relative(&text_of(root.under_stand_in(&runtime, &[], &command)));
        assert_eq!(found.len(), 6, "{found:?}");
        assert_eq!(found[0], "ruby/lib/of_the_layer.rb");
    }

    #[test]
    fn a_bootstrap_gets_none_of_the_variables_that_it_sets_itself() {
        let root = Root::of(small_layers());
        for runtime in ["python3.13", "nodejs22.x", "ruby3.4", "java21"] {
            let variables = root.variables(&["--runtime", runtime, "--target", "bootstrap"]);
            let theirs = [
                "PYTHONPATH",
                "NODE_PATH",
                "GEM_HOME",
                "GEM_PATH",
                "RUBYLIB",
                "CLASSPATH",
            ];
            for (name, value) in &variables {
                assert!(
                    !theirs.contains(&name.as_str()),
                    "{runtime}: {name}={value}"
                );
            }
            let has = |name: &str| variables.iter().any(|(given, _)| given == name);
            assert!(has("PATH") && has("LD_LIBRARY_PATH") && has("LAMBDA_TASK_ROOT"));
        }
    }
}
