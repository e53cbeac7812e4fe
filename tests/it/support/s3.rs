//! An S3 server that another project made, with buckets that can be made to fail: what `scripts/s3-server` serves.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use super::command::{Invocation, Sandbox};
use super::machine::tool;
use super::project::{program, script};

/// The server of this process. It ends when its standard input does, which nobody closes before the process ends.
struct Server {
    address: String,
    _process: Child,
}

fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let mut process = script("s3-server")
            .arg("serve")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a script can be started");
        let mut address = String::new();
        let stdout = process.stdout.take().expect("it is a pipe");
        BufReader::new(stdout)
            .read_line(&mut address)
            .expect("it can be read");
        let address = address.trim().trim_start_matches("http://").to_owned();
        assert!(!address.is_empty(), "scripts/s3-server does not serve");
        Server {
            address,
            _process: process,
        }
    })
}

/// Whether a request that is held is carried out before it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum When {
    /// It never is.
    Before,
    After,
}

/// An empty bucket.
pub(crate) struct Bucket {
    name: &'static str,
}

impl Bucket {
    /// One of this name, which no other test may have.
    pub(crate) fn new(name: &'static str) -> Self {
        let bucket = Self { name };
        Self::ask("PUT", &format!("/{name}"));
        bucket
    }

    /// `slashopt` with a registry in this bucket.
    pub(crate) fn command<'s>(&self, sandbox: &'s Sandbox, arguments: &[&str]) -> Invocation<'s> {
        let command = sandbox.command(arguments);
        self.variables()
            .into_iter()
            .fold(command, |command, (name, value)| command.env(name, value))
    }

    /// The same, to be started and left running.
    pub(crate) fn process<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Command {
        let mut command = tool(program());
        command
            .args(arguments)
            .envs(self.variables())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// What tells a program of ours where the registry is and how to get there.
    pub(crate) fn variables(&self) -> [(&'static str, String); 4] {
        [
            ("SLASHOPT_STORE", format!("s3://{}/some/prefix", self.name)),
            (
                "AWS_ENDPOINT_URL_S3",
                format!("http://{}", server().address),
            ),
            ("AWS_ACCESS_KEY_ID", "of the tests".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "of the tests".to_owned()),
        ]
    }

    /// Puts an object into the bucket itself.
    pub(crate) fn put(&self, key: &str, bytes: &[u8]) {
        let path = format!("/{}/{key}", self.name);
        Self::send("PUT", &path, bytes);
    }

    /// From now on it ignores conditions.
    pub(crate) fn forget(&self) {
        Self::ask("POST", &format!("/_forget/{}", self.name));
    }

    /// The `number`th request from now that changes something is not answered.
    pub(crate) fn hold(&self, number: usize, when: When) {
        let when = match when {
            When::Before => "before",
            When::After => "after",
        };
        Self::ask("POST", &format!("/_hold/{}/{number}/{when}", self.name));
    }

    /// Whether a request is being held.
    pub(crate) fn holds(&self) -> bool {
        Self::ask("GET", &format!("/_held/{}", self.name)) == "yes"
    }

    /// Nothing is held any longer.
    pub(crate) fn release(&self) {
        Self::ask("POST", &format!("/_release/{}", self.name));
    }

    fn ask(method: &str, path: &str) -> String {
        Self::send(method, path, b"")
    }

    fn send(method: &str, path: &str, body: &[u8]) -> String {
        let address = &server().address;
        let mut stream = TcpStream::connect(address).expect("the server listens");
        write!(
            stream,
            "{method} {path} HTTP/1.0\r\nHost: {address}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        )
        .and_then(|()| stream.write_all(body))
        .expect("it takes a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        let (head, body) = answer.split_once("\r\n\r\n").expect("it has a head");
        assert!(head.contains(" 200 "), "{method} {path}: {answer}");
        body.to_owned()
    }
}
