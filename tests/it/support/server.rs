//! A running `slashopt registry serve`, and requests as bytes, for what no client would send.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, ExitStatus, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::command::Sandbox;
use super::machine::{PATH, tool};
use super::project::{output, program, run_script};

/// A server of its own; it ends with the value.
pub(crate) struct Server {
    child: Child,
    /// `http://127.0.0.1:PORT`.
    pub(crate) url: String,
    // Open, so that it can go on saying things.
    _stderr: BufReader<ChildStderr>,
}

impl Server {
    /// Starts one on a free port of loopback, with the sandbox's own store.
    #[track_caller]
    pub(crate) fn start<A: AsRef<OsStr>>(
        sandbox: &Sandbox,
        arguments: impl IntoIterator<Item = A>,
    ) -> Self {
        Self::start_with(sandbox, arguments, &[])
    }

    /// The same with more variables.
    #[track_caller]
    pub(crate) fn start_with<A: AsRef<OsStr>>(
        sandbox: &Sandbox,
        arguments: impl IntoIterator<Item = A>,
        variables: &[(&str, &str)],
    ) -> Self {
        let mut child = tool(program())
            .args(["registry", "serve", "--listen", "127.0.0.1:0"])
            .args(arguments)
            .current_dir(sandbox.work())
            .env_clear()
            .env("PATH", PATH)
            .env("HOME", sandbox.home())
            .env("TMPDIR", sandbox.root().join("tmp"))
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut stderr = BufReader::new(child.stderr.take().expect("it is a pipe"));
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().expect("it is a pipe"));
        stdout.read_line(&mut line).expect("it can be read");
        let url = line.trim_end().to_owned();
        if !url.starts_with("http://127.0.0.1:") {
            drop(child.kill());
            let mut why = String::new();
            drop(stderr.read_to_string(&mut why));
            panic!("it does not serve: {line}{why}");
        }
        Self {
            child,
            url,
            _stderr: stderr,
        }
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// The most memory that it has had, in bytes.
    pub(crate) fn peak_memory(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).expect("it runs");
        let line = status.lines().find(|line| line.starts_with("VmHWM:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
        kilobytes.expect("a number") << 10
    }

    /// How many files it has open.
    pub(crate) fn open_files(&self) -> usize {
        let path = format!("/proc/{}/fd", self.child.id());
        std::fs::read_dir(path).expect("it runs").count()
    }

    /// Ends it by this signal.
    pub(crate) fn end_by(&mut self, signal: nix::sys::signal::Signal) -> ExitStatus {
        let id = i32::try_from(self.child.id()).expect("a process id");
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(id), signal).expect("it runs");
        self.child.wait().expect("it is ours")
    }

    /// Sends bytes and gives all that comes back until the server closes the connection, as they ask for.
    pub(crate) fn send(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = self.connect();
        // It may have heard enough before it has heard everything.
        drop(stream.write_all(bytes));
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer));
        answer
    }

    /// The same of bytes after which nothing comes, and that need not ask for anything.
    pub(crate) fn send_and_end(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = self.connect();
        drop(stream.write_all(bytes));
        drop(stream.shutdown(std::net::Shutdown::Write));
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer));
        answer
    }

    /// A connection.
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address()).expect("it listens");
        // Only a test that fails waits for it.
        stream
            .set_read_timeout(Some(Duration::from_mins(2)))
            .expect("a time is set");
        stream
    }

    /// Sends one request and gives its answer.
    #[track_caller]
    pub(crate) fn request(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> Answer {
        let mut bytes = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n",
            self.address(),
            body.len()
        )
        .into_bytes();
        bytes.extend_from_slice(body);
        let answer = self.send(&bytes);
        Answer::parse(&answer)
            .unwrap_or_else(|| panic!("no answer: {}", String::from_utf8_lossy(&answer)))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// Reads one whose body ends with the connection.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = std::str::from_utf8(bytes.get(..end)?).ok()?;
        let mut lines = head.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        Some(Self {
            status,
            headers,
            body: bytes.get(end + 4..)?.to_vec(),
        })
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }
}

/// Installs AWS's clients of one kind; where they are.
#[track_caller]
pub(crate) fn aws_clients(kind: &str) -> PathBuf {
    if let Err(why) = run_script("aws-clients", &[kind]) {
        panic!("the clients could not be installed: {why}");
    }
    output("aws-clients").join(kind)
}
