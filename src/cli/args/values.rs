//! Values as they are typed: paths, sizes, assignments.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use slashopt::environment::Assignment;
use slashopt::host::mount::Calls;

use crate::cli::output::failure::{Exit, Failure};
use crate::cli::output::words::shown;

/// What most distributions give to a process that has no `PATH`.
pub(crate) const BASE_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The assignments that were typed with a flag.
pub(crate) fn assignments(texts: &[OsString], flag: &str) -> Result<Vec<Assignment>, Failure> {
    let parsed = texts.iter().map(|text| Assignment::parse(text));
    parsed.collect::<Result<_, _>>().map_err(|error| {
        Failure::whole(Exit::Usage, error.to_string()).hint(format!("write `{flag} NAME=VALUE`"))
    })
}

/// The path as a search path can hold it: absolute, whatever the working directory will be.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| {
        Failure::whole(
            Exit::Machine,
            format!(
                "cannot make the path absolute: `{}`: {error}",
                shown(path.as_os_str())
            ),
        )
    })
}

/// A number of bytes as people type it: `1048576`, `512K`, `10G`, `1GiB`.
pub(crate) fn parse_bytes(typed: &str) -> Result<u64, String> {
    let digits = typed.trim_end_matches(|character: char| character.is_ascii_alphabetic());
    let factor: u64 = match typed.get(digits.len()..).unwrap_or_default() {
        "" | "B" => 1,
        "K" | "KiB" => 1 << 10,
        "M" | "MiB" => 1 << 20,
        "G" | "GiB" => 1 << 30,
        "T" | "TiB" => 1 << 40,
        unit => return Err(format!("`{unit}` is no unit: use K, M, G or T")),
    };
    let number: u64 = digits
        .parse()
        .map_err(|_| "it is not a whole number of bytes".to_owned())?;
    number
        .checked_mul(factor)
        .ok_or_else(|| "it is too large".to_owned())
}

/// The newest calls to mount with; a variable for tests holds them back, as an older kernel would.
pub(crate) fn calls() -> Calls {
    std::env::var("SLASHOPT_MOUNT_CALLS")
        .ok()
        .and_then(|name| Calls::named(&name))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_typed_with_or_without_a_unit() {
        for (typed, expected) in [
            ("0", Some(0)),
            ("512K", Some(524_288)),
            ("10G", Some(10 << 30)),
            ("1GiB", Some(1 << 30)),
            ("", None),
            ("G", None),
            ("1.5G", None),
            ("1X", None),
            ("99999999T", None),
        ] {
            assert_eq!(parse_bytes(typed).ok(), expected, "{typed}");
        }
    }
}
