//! Runs the program under `strace`: to see its system calls, and to make chosen ones fail.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;

use super::command::{Finished, Invocation, Sandbox, skip_without};

/// Whether `strace` is missing, or may not trace; says that the test is left out if so.
pub(crate) fn skip_without_strace(sandbox: &Sandbox) -> bool {
    if skip_without("strace") {
        return true;
    }
    let finished = sandbox
        .command(["--version"])
        .under(["strace", "-f", "-qq"]);
    let is_allowed = finished.run().code() == Some(0);
    if !is_allowed {
        eprintln!("skipped: `strace` may not trace here");
    }
    !is_allowed
}

/// The words that run a program with every call of `openat2` answered as by a kernel that has none.
pub(crate) const WITHOUT_OPENAT2: [&str; 8] = [
    "strace",
    "-f",
    "-qq",
    "--seccomp-bpf",
    "-o",
    "/dev/null",
    "--trace=openat2",
    "--inject=openat2:error=ENOSYS",
];

/// The words that run a program with this done to its `number`-th call of `call`, in every thread.
pub(crate) fn injected(call: &str, what: &str, number: &str) -> Vec<OsString> {
    let mut words = vec!["strace".to_owned(), "-f".into(), "-qq".into()];
    // It is faster, but forgets signals behind the first call.
    if !what.starts_with("signal") {
        words.push("--seccomp-bpf".into());
    }
    words.extend(["-o".into(), "/dev/null".into(), format!("--trace={call}")]);
    words.push(format!("--inject={call}:{what}:when={number}"));
    words.into_iter().map(OsString::from).collect()
}

/// One system call.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) thread: u32,
    pub(crate) name: String,
    /// Name, arguments and result as `strace` shows them.
    pub(crate) text: String,
}

/// Runs a command and tells its system calls, in order.
pub(crate) fn traced(sandbox: &Sandbox, command: Invocation<'_>) -> (Finished, Vec<Call>) {
    let log = sandbox.root().join("tmp").join("calls");
    let words = ["strace", "-f", "-qq", "-y", "-s", "4096", "-o"].map(OsString::from);
    let finished = command
        .under(words.into_iter().chain([log.clone().into_os_string()]))
        .run();
    let text = fs::read_to_string(&log).unwrap_or_default();
    drop(fs::remove_file(&log));
    // A call that another thread cut in two stands on two lines.
    let mut begun = BTreeMap::new();
    let mut calls = Vec::new();
    for line in text.lines() {
        let Some((thread, rest)) = line.split_once(' ') else {
            continue;
        };
        let (thread, rest) = (thread.parse().unwrap_or(0), rest.trim_start());
        if let Some(beginning) = rest.strip_suffix(" <unfinished ...>") {
            begun.insert(thread, beginning.to_owned());
            continue;
        }
        let text = match rest.split_once(" resumed>") {
            Some((_, end)) => begun.remove(&thread).unwrap_or_default() + end,
            None => rest.to_owned(),
        };
        if let Some((name, _)) = text.split_once('(') {
            let name = name.to_owned();
            calls.push(Call { thread, name, text });
        }
    }
    (finished, calls)
}
