//! Compiles Python sources with a runtime's own interpreter, into files that stay valid whatever times the sources get.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::bytecode::{HEAD_BYTES, cached_name, is_timestamp_based};
use crate::host::error::HostError;
use crate::host::read::stack::OpenLayer;
use crate::host::system::interrupt::Interrupt;
use crate::host::system::root::Root;
use crate::layer::{Layer, LayerNodeId};

/// What the interpreter does. Each source is compiled in a process of its own that was forked from the same state, because what
/// `marshal` writes depends on which strings are alive: so the result depends on the source and the interpreter alone.
const SCRIPT: &str = r"
import sys
sys.path[:] = [path for path in sys.path if path]
import os, py_compile
work, jobs = sys.argv[1], int(sys.argv[2])
mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
words = open(os.path.join(work, 'list'), 'rb').read().split(b'\0')[:-1]
running = {}
failed = []
def wait():
    process, status = os.wait()
    number = running.pop(process)
    if status:
        failed.append(number)
for number in range(0, len(words), 3):
    source, target, shown = map(os.fsdecode, words[number:number + 3])
    while len(running) >= jobs:
        wait()
    process = os.fork()
    if process == 0:
        try:
            py_compile.compile(source, target, shown, doraise=True, invalidation_mode=mode)
            os._exit(0)
        except BaseException:
            os._exit(1)
    running[process] = number // 3
while running:
    wait()
open(os.path.join(work, 'failed'), 'w').write(''.join('%d\n' % number for number in sorted(failed)))
";

/// An interpreter that was found and is the wanted one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Python {
    command: String,
    /// What stands in the names of its compiled modules, as `cpython-313`.
    pub cache_tag: String,
}

impl Python {
    /// Finds the interpreter of a version, such as `3.13`, as `python3.13` in `PATH`.
    ///
    /// # Errors
    ///
    /// When there is none, or what has the name is another one or does not work.
    pub fn find(version: &str) -> Result<Self, HostError> {
        let command = format!("python{version}");
        let failed = |error| HostError::io("run it", format!("`{command}`"), error);
        let output = interpreter(&command)
            .args([
                "-c",
                "import sys; print(*sys.version_info[:2], sep='.'); print(sys.implementation.cache_tag)",
            ])
            .stdin(Stdio::null())
            .output()
            .map_err(failed)?;
        let said = String::from_utf8_lossy(&output.stdout);
        let mut answers = said.lines();
        let (found, tag) = (answers.next(), answers.next());
        if !output.status.success() {
            let why = lines(&output.stderr)
                .into_iter()
                .next()
                .unwrap_or_else(|| output.status.to_string());
            return Err(failed(io::Error::other(why)));
        }
        match (found, tag) {
            (Some(found), Some(tag)) if found == version && !tag.is_empty() => Ok(Self {
                cache_tag: tag.to_owned(),
                command,
            }),
            (found, _) => {
                let found = found.unwrap_or("something else");
                Err(failed(io::Error::other(format!("it is Python {found}"))))
            }
        }
    }

    /// Whether a name is that of a compiled module which [`Python::compile`] would make.
    pub fn makes(&self, name: &[u8]) -> bool {
        let ending = format!(".{}.pyc", self.cache_tag);
        crate::bytecode::source_of(name).is_some_and(|(_, is_cached)| is_cached)
            && name.ends_with(ending.as_bytes())
    }

    /// Compiles `sources`, names below `directory`, into a directory of its own, with several processes at once. `shown` is
    /// what a traceback calls a source.
    ///
    /// # Errors
    ///
    /// When the interpreter cannot do it at all.
    pub fn compile(
        &self,
        directory: &Path,
        sources: &[Vec<u8>],
        shown: impl Fn(&[u8]) -> Vec<u8>,
        jobs: usize,
        interrupt: &Interrupt,
    ) -> Result<Compiled, HostError> {
        let failed = |error| HostError::io("compile", format!("`{}`", self.command), error);
        let work = tempfile::Builder::new()
            .prefix("slashopt-")
            .tempdir()
            .map_err(failed)?;
        let tree = work.path().join("tree");
        fs::create_dir(&tree).map_err(failed)?;
        let mut words = Vec::new();
        let mut given = Vec::new();
        for source in sources {
            let Some(cached) = cached_name(source, &self.cache_tag) else {
                continue;
            };
            given.push(source);
            let (from, to) = (
                directory.join(OsStr::from_bytes(source)),
                tree.join(OsStr::from_bytes(&cached)),
            );
            for word in [path_bytes(&from), path_bytes(&to), &shown(source)] {
                words.extend_from_slice(word);
                words.push(0);
            }
        }
        fs::write(work.path().join("list"), words).map_err(failed)?;
        let errors = work.path().join("errors");
        let mut child = interpreter(&self.command)
            .arg("-c")
            .arg(SCRIPT)
            .arg(work.path())
            .arg(jobs.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&errors).map_err(failed)?)
            .spawn()
            .map_err(failed)?;
        wait(&mut child, interrupt, failed)?;
        let Ok(numbers) = fs::read_to_string(work.path().join("failed")) else {
            let said = fs::read(&errors).unwrap_or_default();
            let why = lines(&said)
                .pop()
                .unwrap_or_else(|| "it ended early".to_owned());
            return Err(failed(io::Error::other(why)));
        };
        let skipped = numbers
            .lines()
            .filter_map(|line| given.get(line.parse::<usize>().ok()?).copied().cloned())
            .collect();
        Ok(Compiled {
            tree,
            skipped,
            _work: work,
        })
    }
}

fn path_bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}

fn lines(said: &[u8]) -> Vec<String> {
    let said = String::from_utf8_lossy(said);
    let lines = said.lines().map(|line| line.trim().to_owned());
    lines.filter(|line| !line.is_empty()).collect()
}

/// Compiled modules, in a directory that goes away with the value.
#[derive(Debug)]
#[non_exhaustive]
pub struct Compiled {
    /// The directory; each module lies where it lies in the layer.
    pub tree: PathBuf,
    /// Sources that the interpreter does not accept: templates, other versions.
    pub skipped: Vec<Vec<u8>>,
    _work: tempfile::TempDir,
}

/// The interpreter as it is, whatever the caller's environment makes of it.
fn interpreter(command: &str) -> Command {
    let mut built = Command::new(command);
    let is_python = |(name, _): &(OsString, OsString)| name.as_bytes().starts_with(b"PYTHON");
    for (name, _) in std::env::vars_os().filter(is_python) {
        built.env_remove(name);
    }
    // Sets of constants were written in the order of their hashes before Python 3.11.
    built
        .env("PYTHONHASHSEED", "0")
        .args(["-s", "-S", "-B", "-W", "ignore"]);
    built
}

fn wait(
    child: &mut Child,
    interrupt: &Interrupt,
    failed: impl Fn(io::Error) -> HostError,
) -> Result<(), HostError> {
    loop {
        if child.try_wait().map_err(&failed)?.is_some() {
            return Ok(());
        }
        if let Err(interrupted) = interrupt.check() {
            let killed = child.kill().and_then(|()| child.wait());
            if let Err(error) = killed {
                tracing::debug!(%error, "cannot end the interpreter");
            }
            return Err(interrupted);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Whether a file of a directory is a compiled module that is valid by the time of its source.
///
/// # Errors
///
/// When it cannot be read.
pub fn is_stale_with_other_times(
    layer: &Layer,
    source: OpenLayer<'_>,
    node: LayerNodeId,
) -> Result<bool, HostError> {
    let path = layer.path(node);
    let failed = |error| HostError::io("read it", format!("`{path}`"), error);
    let mut file = File::from(
        Root::borrow(&source)
            .open_file(path.as_bytes())
            .map_err(|error| failed(error.into()))?,
    );
    let mut head = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(&mut file, HEAD_BYTES as u64), &mut head)
        .map_err(failed)?;
    Ok(is_timestamp_based(&head))
}
