//! An environment in the formats that `env` prints: pure functions from values to bytes.
//!
//! Each format either carries every value exactly or refuses it, naming the variable. `sh`, `json` and
//! `null` carry any bytes.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Serialize;

use slashopt::environment::{Beginning, Environment, Presence, SearchEntry, Target, Variable};
use slashopt::runtime::Runtime;

use super::explanation;
use crate::cli::output::failure::{Exit, Failure};

/// The formats of variables.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Format {
    /// For `docker run --env-file`: `NAME=VALUE` lines without any quoting.
    Docker,
    /// For the many readers of `.env` files, and for `source` in a shell.
    Dotenv,
    /// One object.
    Json,
    /// `NAME=VALUE`, each ended by a NUL, as `env -0` and `/proc/PID/environ` have it.
    Null,
    /// For `eval` in any POSIX shell.
    Sh,
}

/// What is printed: variables, or why they are as they are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Shape {
    Variables(Format),
    /// The variables as JSON with the rule behind every directory.
    ExplainedJson,
    /// Text for a person.
    Explanation,
}

impl Shape {
    /// What `--format` and `--explain` ask for together. `text`, which every command knows, is `sh` here.
    pub(crate) fn parse(format: Option<&str>, explain: bool) -> Result<Self, Failure> {
        let format = match format {
            None | Some("text" | "sh") => Format::Sh,
            Some("dotenv") => Format::Dotenv,
            Some("docker") => Format::Docker,
            Some("json") => Format::Json,
            Some("null") => Format::Null,
            Some(other) => {
                let message =
                    format!("cannot print the environment: --format: unknown format `{other}`");
                return Err(Failure::whole(Exit::Usage, message)
                    .hint("use sh, dotenv, docker, json or null"));
            }
        };
        match (format, explain) {
            (format, false) => Ok(Self::Variables(format)),
            (Format::Sh, true) => Ok(Self::Explanation),
            (Format::Json, true) => Ok(Self::ExplainedJson),
            (Format::Docker | Format::Dotenv | Format::Null, true) => Err(Failure::whole(
                Exit::Usage,
                "cannot explain the environment: --format: this format has no place for reasons",
            )
            .hint("leave out --format, or use `--format json`")),
        }
    }
}

/// The environment as bytes to print.
pub(crate) fn print(
    environment: &Environment,
    shape: Shape,
    runtime: &Runtime,
    target: Target,
) -> Result<Vec<u8>, Failure> {
    let write: fn(&Variable, &mut Vec<u8>) -> Result<(), Failure> = match shape {
        Shape::Explanation => {
            return Ok(explanation::explanation(environment, runtime, target));
        }
        Shape::ExplainedJson => return json(environment, runtime, target, Rules::Shown),
        Shape::Variables(Format::Json) => return json(environment, runtime, target, Rules::Hidden),
        Shape::Variables(Format::Docker) => docker,
        Shape::Variables(Format::Dotenv) => dotenv,
        Shape::Variables(Format::Null) => null,
        Shape::Variables(Format::Sh) => sh,
    };
    let mut out = Vec::new();
    environment
        .variables
        .iter()
        .try_for_each(|variable| write(variable, &mut out))?;
    Ok(out)
}

#[allow(
    clippy::unnecessary_wraps,
    reason = "the other line formats refuse some values"
)]
fn null(variable: &Variable, out: &mut Vec<u8>) -> Result<(), Failure> {
    out.extend_from_slice(variable.name.as_bytes());
    out.push(b'=');
    out.extend_from_slice(variable.value.as_bytes());
    out.push(0);
    Ok(())
}

/// `export NAME='value'`; a variable that extends the caller's becomes commands that add what is missing
/// to whatever value the evaluating shell has.
fn sh(variable: &Variable, out: &mut Vec<u8>) -> Result<(), Failure> {
    let Some(name) = shell_name(&variable.name) else {
        return Err(refused(
            "sh",
            variable,
            "a shell cannot assign a variable of this name",
            "null",
        ));
    };
    match variable.beginning {
        Beginning::Fresh => {
            out.extend_from_slice(format!("export {name}=").as_bytes());
            single_quoted(variable.value.as_bytes(), out);
            out.push(b'\n');
        }
        Beginning::Caller => sh_addition(name, &variable.entries, out),
    }
    Ok(())
}

/// Builtins only, for `PATH` may be anything meanwhile, and no name but the variable's own is touched.
///
/// Between `:` at both ends every element looks alike, so that one pattern finds it wherever it stands.
fn sh_addition(name: &str, entries: &[SearchEntry], out: &mut Vec<u8>) {
    let begin = format!(
        "{name}=\":${{{name}-}}:\"\n\
         while :; do case ${name} in *::*) {name}=\"${{{name}%%::*}}:${{{name}#*::}}\" ;; *) break ;; esac; done\n"
    );
    out.extend_from_slice(begin.as_bytes());
    for entry in entries {
        out.extend_from_slice(format!("case ${name} in *:").as_bytes());
        single_quoted(entry.directory.as_bytes(), out);
        out.extend_from_slice(format!(":*) ;; *) {name}=\"${{{name}}}\"").as_bytes());
        single_quoted(entry.directory.as_bytes(), out);
        out.extend_from_slice(b": ;; esac\n");
    }
    let end = format!("{name}=\"${{{name}#:}}\"; {name}=\"${{{name}%:}}\"; export {name}\n");
    out.extend_from_slice(end.as_bytes());
}

/// The name, if a shell can assign it. Anything else would be a command to whoever evaluates it.
fn shell_name(name: &OsStr) -> Option<&str> {
    let name = name.to_str()?;
    let mut letters = name.chars();
    let begins_well = letters
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == '_');
    let is_word = letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    (begins_well && is_word).then_some(name)
}

fn single_quoted(value: &[u8], out: &mut Vec<u8>) {
    out.push(b'\'');
    for byte in value {
        match byte {
            b'\'' => out.extend_from_slice(br"'\''"),
            other => out.push(*other),
        }
    }
    out.push(b'\'');
}

/// A line that `source` in a shell and Node's `--env-file` read alike, which the tests hold it against,
/// and that is written to suit python-dotenv, Ruby's dotenv and Compose too. They share no escape, so a
/// value that needs one is refused. (`docker run --env-file` is not among them: it keeps quotes.)
fn dotenv(variable: &Variable, out: &mut Vec<u8>) -> Result<(), Failure> {
    let (Some(name), Some(value)) = (shell_name(&variable.name), variable.value.to_str()) else {
        return Err(refused(
            "dotenv",
            variable,
            "the readers expect names of letters and UTF-8",
            "null",
        ));
    };
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-:,+@%".contains(letter);
    let quote = if value.chars().all(is_plain) {
        ""
    } else if !value.contains(['\'', '\r'])
        // Each of these is an escape or a reference to some reader, even between single quotes.
        && !value.contains(r"\\")
        && !value.ends_with('\\')
        && !value.contains("${")
    {
        "'"
    } else if !value.contains(['"', '$', '`', '\\', '\r']) {
        "\""
    } else {
        let why = "no quotes around this value mean the same to every reader of .env files";
        return Err(refused("dotenv", variable, why, "null"));
    };
    out.extend_from_slice(format!("{name}={quote}{value}{quote}\n").as_bytes());
    Ok(())
}

/// A line of docker's `--env-file`: everything behind the first `=` as it is. So nothing can be quoted,
/// and what ends a line cannot be part of it.
fn docker(variable: &Variable, out: &mut Vec<u8>) -> Result<(), Failure> {
    let (Some(name), Some(value)) = (variable.name.to_str(), variable.value.to_str()) else {
        return Err(refused(
            "docker",
            variable,
            "docker takes UTF-8 only",
            "null",
        ));
    };
    if name.starts_with('#')
        || name.contains(|letter: char| letter.is_whitespace() || letter == '\u{feff}')
    {
        return Err(refused(
            "docker",
            variable,
            "docker cannot read this name",
            "null",
        ));
    }
    if value.contains('\n') || value.ends_with('\r') {
        let why = "the value holds a line break, and docker's format has no way to write one";
        return Err(refused("docker", variable, why, "json"));
    }
    out.extend_from_slice(format!("{name}={value}\n").as_bytes());
    Ok(())
}

fn refused(format: &str, variable: &Variable, why: &str, better: &str) -> Failure {
    Failure::whole(
        Exit::Usage,
        format!(
            "cannot print as {format}: variable `{}`: {why}",
            explanation::shown(&variable.name)
        ),
    )
    .hint(format!("`--format {better}` holds any value"))
}

/// Whether JSON says why each directory is searched.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Rules {
    Hidden,
    Shown,
}

/// The object of `--format json`. Fields are in the order of their names, as in all our JSON.
#[derive(Debug, Serialize)]
struct Printed<'a> {
    runtime: &'a str,
    schema_version: u32,
    search_paths: Vec<PrintedEntry<'a>>,
    target: &'a str,
    variables: BTreeMap<String, String>,
    /// The values that are not UTF-8, whole and in base64.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    variables_bytes: BTreeMap<String, String>,
}

#[derive(Debug, Serialize)]
struct PrintedEntry<'a> {
    directory: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    directory_bytes: Option<String>,
    /// `null` where nobody looked: outside the root and the task root.
    exists: Option<bool>,
    provided_by: &'a [usize],
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'a str>,
    variable: String,
}

fn json(
    environment: &Environment,
    runtime: &Runtime,
    target: Target,
    rules: Rules,
) -> Result<Vec<u8>, Failure> {
    let of_variable = |variable: &'_ Variable| variable.name.to_string_lossy().into_owned();
    let mut printed = Printed {
        runtime: runtime.identifier,
        schema_version: 1,
        search_paths: Vec::new(),
        target: target.name(),
        variables: BTreeMap::new(),
        variables_bytes: BTreeMap::new(),
    };
    for variable in &environment.variables {
        let name = of_variable(variable);
        printed
            .variables
            .insert(name.clone(), variable.value.to_string_lossy().into_owned());
        if let Some(bytes) = base64_unless_text(&variable.value) {
            printed.variables_bytes.insert(name, bytes);
        }
        printed
            .search_paths
            .extend(variable.entries.iter().map(|entry| PrintedEntry {
                directory: entry.directory.to_string_lossy().into_owned(),
                directory_bytes: base64_unless_text(&entry.directory),
                exists: match entry.presence {
                    Presence::Present => Some(true),
                    Presence::Missing => Some(false),
                    Presence::Unjudged => None,
                },
                provided_by: &entry.provided_by,
                rule: (rules == Rules::Shown).then_some(entry.rule),
                variable: of_variable(variable),
            }));
    }
    let mut out = serde_json::to_vec(&printed).map_err(|error| {
        Failure::whole(
            Exit::Usage,
            format!("cannot print the environment: json: {error}"),
        )
    })?;
    out.push(b'\n');
    Ok(out)
}

/// The bytes in base64, if they are not UTF-8 and a lossy text alone would lose them.
fn base64_unless_text(value: &OsStr) -> Option<String> {
    value
        .to_str()
        .is_none()
        .then(|| BASE64.encode(value.as_bytes()))
}
