//! The user's home directory, as the environment names it.

use std::ffi::OsString;
use std::path::PathBuf;

/// The user's home directory; none where `HOME` is not set, or empty.
pub fn home() -> Option<PathBuf> {
    home_in(|name| std::env::var_os(name))
}

/// The same in the environment that `variable` looks up.
pub(super) fn home_in(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    variable("HOME")
        .filter(|home| !home.is_empty())
        .map(PathBuf::from)
}
