//! The first line of a script.

/// What a script asks to be run with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Shebang<'a> {
    /// The program, as it stands there.
    pub interpreter: &'a [u8],
    /// What `env` is asked to look for in PATH, where the program is `env`.
    pub command: Option<&'a [u8]>,
    /// The line ends in a carriage return, which Linux takes for a part of the name before it.
    pub ends_in_carriage_return: bool,
}

impl<'a> Shebang<'a> {
    /// Reads what follows `#!` on the first line (`execve(2)`, "Interpreter scripts"); `None` where no program stands.
    pub fn parse(line: &'a [u8]) -> Option<Self> {
        let ends_in_carriage_return = line.last() == Some(&b'\r');
        let mut words = line
            .split(u8::is_ascii_whitespace)
            .filter(|word| !word.is_empty());
        let interpreter = words.next()?;
        let is_env = interpreter.ends_with(b"/env");
        // `env -S` splits the rest itself; assignments come before the command.
        let command = words
            .find(|word| !word.starts_with(b"-") && !word.contains(&b'='))
            .filter(|_| is_env);
        Some(Self {
            interpreter,
            command,
            ends_in_carriage_return,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn the_program_and_what_env_looks_for_are_found() {
        for (line, interpreter, command, is_crlf) in [
            ("/bin/sh", "/bin/sh", None, false),
            (" /bin/bash -e\r", "/bin/bash", None, true),
            ("/usr/bin/env node", "/usr/bin/env", Some("node"), false),
            (
                "/usr/bin/env -S A=b python3 -u",
                "/usr/bin/env",
                Some("python3"),
                false,
            ),
            ("/usr/bin/env\r", "/usr/bin/env", None, true),
        ] {
            let read = Shebang::parse(line.as_bytes()).unwrap();
            assert_eq!(read.interpreter, interpreter.as_bytes(), "{line}");
            assert_eq!(read.command, command.map(str::as_bytes), "{line}");
            assert_eq!(read.ends_in_carriage_return, is_crlf, "{line}");
        }
        assert_eq!(Shebang::parse(b"\r"), None);
    }
}
