//! The only writer to standard output and standard error.

use std::fs::File;
use std::io::{IsTerminal as _, Seek as _, Write as _};
use std::process::ExitCode;

use serde_json::{Value, json};

use slashopt::host::error::Abandoned;

use super::failure::{Exit, Failure};
use super::global::{Color, GlobalArgs};
use super::json::SCHEMA_VERSION;

/// Where results, warnings and failures go.
#[derive(Debug)]
pub(crate) struct Report {
    is_quiet: bool,
    is_json: bool,
    is_coloured: bool,
    paint: Paint,
}

/// Colours words of a result, or leaves them as they are. What a colour says a word or a sign says, too.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint {
    is_on: bool,
}

impl Paint {
    pub(crate) fn red(self, text: &str) -> String {
        self.with("31", text)
    }

    pub(crate) fn green(self, text: &str) -> String {
        self.with("32", text)
    }

    pub(crate) fn yellow(self, text: &str) -> String {
        self.with("33", text)
    }

    pub(crate) fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    fn with(self, colour: &str, text: &str) -> String {
        if self.is_on {
            format!("\x1b[{colour}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

impl Report {
    pub(crate) fn new(global: &GlobalArgs) -> Self {
        let is_coloured = |is_terminal: bool| match global.color {
            Color::Always => true,
            Color::Never => false,
            // https://no-color.org: set and not empty.
            Color::Auto => {
                std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) && is_terminal
            }
        };
        Self {
            is_quiet: global.quiet,
            is_json: global.is_json(),
            is_coloured: is_coloured(std::io::stderr().is_terminal()),
            paint: Paint {
                is_on: is_coloured(std::io::stdout().is_terminal()),
            },
        }
    }

    /// How words of a result that is text are coloured.
    pub(crate) const fn paint(&self) -> Paint {
        self.paint
    }

    /// Whether progress is shown: on a terminal, to somebody who wants to read.
    pub(crate) fn shows_progress(&self) -> bool {
        !self.is_quiet && !self.is_json && std::io::stderr().is_terminal()
    }

    /// Whether results are shown to somebody who reads them as text.
    pub(crate) fn is_terminal() -> bool {
        std::io::stdout().is_terminal()
    }

    /// Writes a result to standard output. A reader that has seen enough ends the program quietly.
    #[expect(clippy::unused_self, reason = "one writer for everything")]
    pub(crate) fn result(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut out = std::io::stdout().lock();
        match out.write_all(bytes).and_then(|()| out.flush()) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
            Err(error) => Err(Failure::whole(
                Exit::Machine,
                format!("cannot write the result: standard output: {error}"),
            )),
        }
    }

    /// Writes a result that is a file of any size to standard output.
    #[expect(clippy::unused_self, reason = "one writer for everything")]
    pub(crate) fn copy(&self, mut file: &File) -> Result<(), Failure> {
        let mut out = std::io::stdout().lock();
        let copied = file
            .rewind()
            .and_then(|()| std::io::copy(&mut file, &mut out))
            .and_then(|_| out.flush());
        match copied {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
            Err(error) => Err(Failure::whole(
                Exit::Machine,
                format!("cannot write the result: standard output: {error}"),
            )),
        }
    }

    /// Writes a result that is one JSON object.
    pub(crate) fn json(&self, value: &Value) -> Result<(), Failure> {
        self.result(format!("{value:#}\n").as_bytes())
    }

    /// Writes `warning: <text>` to standard error unless `--quiet`.
    pub(crate) fn warning(&self, text: &str) {
        if !self.is_quiet {
            self.line("33", "warning", text);
        }
    }

    /// Writes a line to standard error that belongs to the answer, unless `--quiet`.
    pub(crate) fn note(&self, text: &str) {
        if !self.is_quiet {
            self.line("36", "note", text);
        }
    }

    /// Warns of what an abandoned root left behind, and returns why it was abandoned.
    pub(crate) fn abandoned(&self, abandoned: Abandoned) -> Failure {
        for left in &abandoned.left_behind {
            self.warning(left);
        }
        Failure::host(abandoned.error)
    }

    /// Writes a failure, and gives the exit status that goes with it.
    pub(crate) fn failure(&self, failure: &Failure) -> ExitCode {
        self.line("31", "error", &failure.message);
        if let Some(hint) = &failure.hint {
            self.line("36", "hint", hint);
        }
        if self.is_json {
            let error = json!({
                "code": failure.exit.code(),
                "message": failure.message,
                "layer": failure.layer,
                "entry": failure.entry,
                "hint": failure.hint,
            });
            // The failure that is being reported is what the exit status says.
            drop(self.json(&json!({ "schema_version": SCHEMA_VERSION, "error": error })));
        }
        if let Some(signal) = failure.signal {
            slashopt::host::system::interrupt::die_of(signal);
        }
        failure.exit.into()
    }

    fn line(&self, colour: &str, label: &str, text: &str) {
        let line = if self.is_coloured {
            format!("\x1b[1;{colour}m{label}:\x1b[0m {text}\n")
        } else {
            format!("{label}: {text}\n")
        };
        // In one piece, so that the lines of several processes stay lines. Standard error may be closed; there is nowhere left
        // to say so.
        drop(std::io::stderr().lock().write_all(line.as_bytes()));
    }
}
