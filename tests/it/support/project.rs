//! What the tests use of the project itself: its files, the program, the scripts, and the directory that both write to.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::machine::tool;

/// Beginnings of the variables by which a machine says how it reaches its package registries, in capitals.
const NETWORK: [&str; 14] = [
    "ALL_PROXY",
    "CARGO",
    "CURL_CA",
    "DEBIAN_FRONTEND",
    "HOME",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NODE_EXTRA_CA_CERTS",
    "NO_PROXY",
    "NPM_CONFIG_",
    "PIP_",
    "REQUESTS_CA_BUNDLE",
    "RUSTUP",
    "SSL_CERT",
];

/// A path in this project.
pub(crate) fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The program under test: the one that `SLASHOPT_TEST_PROGRAM` names, or else the one that cargo built with these tests.
pub(crate) fn program() -> &'static str {
    static PROGRAM: OnceLock<String> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        std::env::var("SLASHOPT_TEST_PROGRAM")
            .unwrap_or_else(|_| env!("CARGO_BIN_EXE_slashopt").to_owned())
    })
}

/// A path in the directory that cargo and the scripts write to: `target`, or what `CARGO_TARGET_DIR` named when the tests were built.
pub(crate) fn output(path: &str) -> PathBuf {
    directory().join(path)
}

fn directory() -> &'static Path {
    let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
    temporary.parent().expect("cargo makes it in its directory")
}

/// A script of this project, such as `packers`, which writes to [`output`]. It may fetch something, so that it also gets to know
/// how.
pub(crate) fn script(name: &str) -> Command {
    let mut command = tool(project("scripts").join(name));
    command
        .envs(std::env::vars_os().filter(|(name, _)| {
            let name = name.to_string_lossy().to_ascii_uppercase();
            NETWORK.iter().any(|beginning| name.starts_with(beginning))
        }))
        // After the caller's, which may be another.
        .env("CARGO_TARGET_DIR", directory());
    command
}

/// Runs a script to its end: what it printed, or why it failed.
pub(crate) fn run_script(name: &str, arguments: &[&str]) -> Result<String, String> {
    let output = script(name).args(arguments).output();
    let output = output.map_err(|error| format!("scripts/{name}: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!(
            "scripts/{name}: {}\n{}",
            output.status,
            said.trim()
        ))
    }
}
