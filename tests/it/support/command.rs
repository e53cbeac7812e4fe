//! Runs `slashopt` as a user would, in a directory of its own, and shows what happened like a terminal session.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::machine::{PATH, path, scratch, tool};
use super::project::program;
use super::tree::Tree;
use super::zip::Archive;

/// The user and group id of nobody.
pub(crate) const NOBODY: u32 = 65_534;

/// A temporary directory in which commands run. `work` is the working directory, `home` is `$HOME`, `tmp` is `$TMPDIR`; all three
/// go away with the value, whatever modes were left in them.
pub(crate) struct Sandbox {
    root: tempfile::TempDir,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        let sandbox = Self { root: scratch() };
        for name in ["work", "home", "tmp"] {
            sandbox.mkdir_at(&sandbox.root.path().join(name), 0o755);
        }
        sandbox
    }

    /// The working directory.
    pub(crate) fn work(&self) -> PathBuf {
        self.root.path().join("work")
    }

    /// `$HOME`.
    pub(crate) fn home(&self) -> PathBuf {
        self.root.path().join("home")
    }

    /// Everything that the commands are meant to touch: the parent of [`Self::work`] and [`Self::home`].
    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }

    /// A path in the working directory.
    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.work().join(name)
    }

    /// Writes a file into the working directory.
    pub(crate) fn write(&self, name: impl AsRef<Path>, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).expect("a file can be written in the sandbox");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("and given a mode");
        path
    }

    /// Writes an archive into the working directory.
    pub(crate) fn archive(&self, name: &str, archive: &Archive) -> PathBuf {
        self.write(name, archive.bytes())
    }

    /// Makes a directory in the working directory, whatever the umask.
    pub(crate) fn mkdir(&self, name: impl AsRef<Path>, mode: u32) -> PathBuf {
        let path = self.path(name);
        self.mkdir_at(&path, mode);
        path
    }

    fn mkdir_at(&self, path: &Path, mode: u32) {
        assert!(path.starts_with(self.root.path()));
        fs::create_dir(path).expect("a directory can be made in the sandbox");
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("and given a mode");
    }

    /// Gives something in the working directory to nobody.
    pub(crate) fn give_to_nobody(&self, name: &str) {
        std::os::unix::fs::chown(self.path(name), Some(NOBODY), Some(NOBODY))
            .expect("root may give files away");
    }

    /// Reads a tree in the working directory.
    #[track_caller]
    pub(crate) fn tree(&self, name: impl AsRef<Path>) -> Tree {
        Tree::read(&self.path(name))
    }

    /// Everything in the working directory, without times: what a command that failed must leave as it was.
    pub(crate) fn everything(&self) -> Tree {
        Tree::read(&self.work()).without_times()
    }

    /// Runs `slashopt` with these arguments in the working directory.
    #[track_caller]
    pub(crate) fn slashopt<A: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
    ) -> Finished {
        self.command(arguments).run()
    }

    /// `slashopt` with these arguments, not run yet.
    pub(crate) fn command<A: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
    ) -> Invocation<'_> {
        Invocation {
            sandbox: self,
            arguments: arguments
                .into_iter()
                .map(|argument| argument.as_ref().to_owned())
                .collect(),
            umask: 0o022,
            is_nobody: false,
            is_copy: false,
            wrapper: Vec::new(),
            stdin: Vec::new(),
            environment: Vec::new(),
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        open_up(self.root.path());
    }
}

/// Gives the owner every right on every directory, so that the tree can be removed.
fn open_up(directory: &Path) {
    drop(fs::set_permissions(
        directory,
        fs::Permissions::from_mode(0o700),
    ));
    for child in fs::read_dir(directory).into_iter().flatten().flatten() {
        if child.file_type().is_ok_and(|kind| kind.is_dir()) {
            open_up(&child.path());
        }
    }
}

/// A command line that has not been run yet.
#[must_use = "this is only a plan: call `run`"]
pub(crate) struct Invocation<'a> {
    sandbox: &'a Sandbox,
    arguments: Vec<OsString>,
    umask: u32,
    is_nobody: bool,
    is_copy: bool,
    wrapper: Vec<OsString>,
    stdin: Vec<u8>,
    environment: Vec<(OsString, OsString)>,
}

impl Invocation<'_> {
    /// Under this umask instead of 022.
    pub(crate) fn umask(mut self, umask: u32) -> Self {
        self.umask = umask;
        self
    }

    /// As nobody. Only root can: see [`skip_unless_root`].
    pub(crate) fn by_nobody(mut self) -> Self {
        self.is_nobody = true;
        self
    }

    /// From where nobody may start it, for a command put in front that becomes nobody.
    pub(crate) fn copied(mut self) -> Self {
        self.is_copy = true;
        self
    }

    /// Started by this command, which is put in front of the program.
    pub(crate) fn under<A: AsRef<OsStr>>(mut self, words: impl IntoIterator<Item = A>) -> Self {
        let words = words.into_iter().map(|word| word.as_ref().to_owned());
        self.wrapper.extend(words);
        self
    }

    /// With these bytes on standard input.
    pub(crate) fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// With this variable.
    pub(crate) fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment
            .push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    #[track_caller]
    pub(crate) fn run(self) -> Finished {
        let program = if self.is_nobody || self.is_copy {
            program_for_nobody(self.sandbox)
        } else {
            PathBuf::from(program())
        };
        // The umask belongs to the process, and this process runs other tests: a shell sets it for the command alone. What dies of
        // a signal leaves no core among the files that a test looks at.
        let mut command = tool("/bin/sh");
        command
            .arg("-c")
            .arg(format!(
                "umask {:04o}; ulimit -S -c 0; exec \"$@\"",
                self.umask
            ))
            .arg("sh")
            .args(&self.wrapper)
            .arg(program)
            .args(&self.arguments)
            .current_dir(self.sandbox.work())
            .env_clear()
            .env("PATH", PATH)
            .env("HOME", self.sandbox.home())
            .env("XDG_CACHE_HOME", self.sandbox.home().join(".cache"))
            .env("TMPDIR", self.sandbox.root().join("tmp"))
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if self.is_nobody {
            command.uid(NOBODY).gid(NOBODY);
        }
        let mut child = command.spawn().expect("a command can be started");
        let mut input = child.stdin.take().expect("its standard input is a pipe");
        let bytes = self.stdin;
        // A command that does not read its input closes the pipe; that is no failure of the test.
        let writer = std::thread::spawn(move || drop(input.write_all(&bytes)));
        let output = child
            .wait_with_output()
            .expect("a command can be waited for");
        writer.join().expect("the writer does not panic");
        Finished {
            arguments: self.arguments,
            status: output.status.code(),
            signal: output.status.signal(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// Where nobody can reach the program: a copy in the sandbox, as the build directory may be private.
fn program_for_nobody(sandbox: &Sandbox) -> PathBuf {
    let copy = sandbox.root().join("slashopt");
    if !copy.exists() {
        // By another process: a descriptor of ours that may write it would be inherited by whatever another test starts
        // at that moment, and a file that somebody may write cannot be executed.
        let installed = tool("install")
            .args(["-m", "0755", program()])
            .arg(&copy)
            .status();
        assert!(
            installed.is_ok_and(|status| status.success()),
            "the program can be copied"
        );
    }
    copy
}

/// A command that has ended. Every check gives the value back, so that a test reads as one sentence.
#[must_use = "say how it must have ended: `.success()` or `.status(3)`"]
pub(crate) struct Finished {
    arguments: Vec<OsString>,
    status: Option<i32>,
    signal: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Finished {
    /// It ended with status 0.
    #[track_caller]
    pub(crate) fn success(self) -> Checked {
        self.status(0)
    }

    /// It ended with this status.
    #[track_caller]
    pub(crate) fn status(self, expected: i32) -> Checked {
        assert!(
            self.status == Some(expected),
            "expected status {expected}\n{self}"
        );
        Checked(self)
    }

    /// It ended with a status that is not 0, and not by a signal or a panic.
    #[track_caller]
    pub(crate) fn failure(self) -> Checked {
        assert!(
            matches!(self.status, Some(1..=5)),
            "expected a status of failure\n{self}"
        );
        Checked(self)
    }

    /// The signal that it died of.
    pub(crate) fn signal(&self) -> Option<i32> {
        self.signal
    }

    /// The status, for tests that draw their own conclusion.
    pub(crate) fn code(&self) -> Option<i32> {
        self.status
    }
}

impl fmt::Display for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "$ slashopt")?;
        for argument in &self.arguments {
            write!(f, " {}", argument.display())?;
        }
        writeln!(f)?;
        for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            for line in text.lines() {
                writeln!(f, "{name}: {line}")?;
            }
        }
        match self.status {
            Some(status) => writeln!(f, "[status {status}]"),
            None => writeln!(f, "[killed by a signal]"),
        }
    }
}

/// A command that ended with the expected status.
pub(crate) struct Checked(Finished);

impl Checked {
    #[track_caller]
    pub(crate) fn stderr_contains(self, text: &str) -> Self {
        assert!(
            self.0.stderr.contains(text),
            "expected {text:?} in stderr\n{}",
            self.0
        );
        self
    }

    #[track_caller]
    pub(crate) fn stderr_lacks(self, text: &str) -> Self {
        assert!(
            !self.0.stderr.contains(text),
            "expected no {text:?} in stderr\n{}",
            self.0
        );
        self
    }

    /// This is said on either stream, in any case of letters.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        let all = format!("{}\n{}", self.0.stdout, self.0.stderr).to_lowercase();
        assert!(
            all.contains(&text.to_lowercase()),
            "expected {text:?}\n{}",
            self.0
        );
        self
    }

    /// A line of stderr begins with `error: `, and one with `hint: `.
    #[track_caller]
    pub(crate) fn has_hint(self) -> Self {
        for beginning in ["error: ", "hint: "] {
            assert!(
                self.0
                    .stderr
                    .lines()
                    .any(|line| line.starts_with(beginning) && line.len() > beginning.len()),
                "expected a line `{beginning}…` in stderr\n{}",
                self.0
            );
        }
        self
    }

    /// Standard output as one JSON object.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        let value: serde_json::Value = serde_json::from_str(&self.0.stdout)
            .unwrap_or_else(|error| panic!("stdout is not JSON: {error}\n{}", self.0));
        assert!(value.is_object(), "stdout is not one object\n{}", self.0);
        value
    }

    pub(crate) fn stderr(&self) -> &str {
        &self.0.stderr
    }

    pub(crate) fn stdout(&self) -> &str {
        &self.0.stdout
    }
}

/// Whether this process is root.
pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}

/// Whether the test must be left out because it needs root to become nobody; says so if it must.
pub(crate) fn skip_unless_root(sandbox: &Sandbox) -> bool {
    if !is_root() {
        eprintln!("skipped: only root can run a command as nobody, or mount");
        return true;
    }
    for ancestor in sandbox.root().ancestors() {
        let mode = fs::metadata(ancestor).map_or(0, |metadata| metadata.mode());
        if mode & 0o001 == 0 {
            eprintln!("skipped: nobody cannot enter {}", ancestor.display());
            return true;
        }
    }
    false
}

/// Whether modes that forbid it keep a foreign tool from reading and writing what it has extracted, as they keep everybody but root;
/// says that the test is left out if so.
pub(crate) fn skip_where_modes_forbid() -> bool {
    if !is_root() {
        eprintln!("skipped: only root reads and writes whatever the modes");
    }
    !is_root()
}

/// A tmpfs on a directory, unmounted with the value.
pub(crate) struct Tmpfs(PathBuf);

impl Tmpfs {
    /// Mounts it, or says why the test is left out.
    pub(crate) fn on(directory: &Path, options: &str) -> Option<Self> {
        Self::of_kind("tmpfs", directory, options)
    }

    /// The same with another file system that needs no device.
    pub(crate) fn of_kind(kind: &str, directory: &Path, options: &str) -> Option<Self> {
        let outcome = tool("mount")
            .args(["-t", kind, "-o", options, kind])
            .arg(directory)
            .output();
        match outcome {
            Ok(output) if output.status.success() => Some(Self(directory.to_owned())),
            Ok(output) => {
                let why = String::from_utf8_lossy(&output.stderr).into_owned();
                eprintln!("skipped: cannot mount {kind}: {}", why.trim());
                None
            }
            Err(error) => {
                eprintln!("skipped: there is no `mount`: {error}");
                None
            }
        }
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        drop(tool("umount").arg("-l").arg(&self.0).status());
    }
}

/// Whether a foreign tool can be started; says that the test is left out if not.
pub(crate) fn skip_without(tool: &str) -> bool {
    let is_there = std::env::split_paths(&path()).any(|directory| directory.join(tool).exists());
    if !is_there {
        eprintln!("skipped: there is no `{tool}` here");
    }
    !is_there
}

/// What is left of a text without the codes that colour it.
pub(crate) fn without_colours(text: &str) -> String {
    [31, 32, 33, 1, 0]
        .iter()
        .fold(text.to_owned(), |text, code| {
            text.replace(&format!("\x1b[{code}m"), "")
        })
}
