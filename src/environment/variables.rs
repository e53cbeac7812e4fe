//! The variables of an environment: what they hold, and why.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

/// The variables that are search paths: lists of directories (or jars) separated by `:`.
pub(super) const SEARCH_VARIABLES: [&str; 7] = [
    "PATH",
    "LD_LIBRARY_PATH",
    "PYTHONPATH",
    "NODE_PATH",
    "CLASSPATH",
    "GEM_PATH",
    "RUBYLIB",
];

/// The variables of an environment, in order, and what became of the rest.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Environment {
    /// The variables, each name once.
    pub variables: Vec<Variable>,
    /// What a rule would have listed, and why it is not listed.
    pub left_out: Vec<LeftOut>,
    /// The caller's search variables that this environment replaces with another value.
    pub replaced: Vec<&'static str>,
}

impl Environment {
    /// The variable of this name.
    pub fn variable(&self, name: impl AsRef<OsStr>) -> Option<&Variable> {
        self.variables
            .iter()
            .find(|variable| variable.name == name.as_ref())
    }

    /// The value of the variable of this name.
    pub fn value(&self, name: impl AsRef<OsStr>) -> Option<&OsStr> {
        self.variable(name)
            .map(|variable| variable.value.as_os_str())
    }

    /// Puts a variable at the place of its namesake, or at the end.
    pub(super) fn put(&mut self, variable: Variable) {
        match self
            .variables
            .iter_mut()
            .find(|known| known.name == variable.name)
        {
            Some(known) => *known = variable,
            None => self.variables.push(variable),
        }
    }
}

/// A variable: its value, why it has it, and the parts of it where it is a search path.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Variable {
    /// The name.
    pub name: OsString,
    /// The whole value.
    pub value: OsString,
    /// Why it is set so, in a short sentence.
    pub rule: &'static str,
    /// The entries of the value in their order; empty unless it is a search path.
    pub entries: Vec<SearchEntry>,
    /// Where the value begins.
    pub beginning: Beginning,
}

/// With what the value of a variable begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Beginning {
    /// With the value that the caller has, to which entries are added.
    Caller,
    /// Afresh, whatever the caller has.
    Fresh,
}

/// One entry of a search path.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct SearchEntry {
    /// The directory or jar as it stands in the value.
    pub directory: OsString,
    /// Why it stands there, in a short sentence.
    pub rule: &'static str,
    /// Whether it is there.
    pub presence: Presence,
    /// The layers behind it, counted from 1; empty when no layers were given or none is concerned.
    pub provided_by: Vec<usize>,
}

/// Whether something that a search path names is there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Presence {
    /// It is.
    Present,
    /// It is not. Lambda lists such entries too, and interpreters skip them.
    Missing,
    /// It lies outside the root and the task root, where nobody looked.
    Unjudged,
}

impl Presence {
    pub(super) fn of(present: bool) -> Self {
        if present {
            Self::Present
        } else {
            Self::Missing
        }
    }
}

/// An entry that a rule knows and that is not in the value.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct LeftOut {
    /// The variable in which it would stand.
    pub variable: &'static str,
    /// The directory or jar.
    pub directory: OsString,
    /// Why it does not stand there.
    pub reason: LeftOutReason,
}

/// Why an entry is left out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LeftOutReason {
    /// The name holds a `:`, which no search path can hold. Lambda's class loader can load such a jar.
    ColonInName,
    /// The root has no such directory.
    Missing,
    /// None of the directories for which the variable would be set exists.
    NothingToFind,
}

/// The elements of a search path; an empty one, which would mean the working directory, is none.
pub(super) fn elements(value: &OsStr) -> impl Iterator<Item = &OsStr> {
    value
        .as_bytes()
        .split(|byte| *byte == b':')
        .filter(|one| !one.is_empty())
        .map(OsStr::from_bytes)
}

/// The value that lists these entries.
pub(super) fn joined(entries: &[SearchEntry]) -> OsString {
    let directories: Vec<&[u8]> = entries
        .iter()
        .map(|entry| entry.directory.as_bytes())
        .collect();
    OsString::from_vec(directories.join(&b':'))
}
