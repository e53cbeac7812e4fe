//! Words that several results share.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;

use slashopt::layer::LayerStack;
use slashopt::path::Escaped;

/// How much of a long list is printed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Listing {
    /// All of it.
    All,
    /// The first of each kind, and how many more there are.
    First,
}

impl Listing {
    /// What `--all` asks for, or its absence.
    pub(crate) const fn of_flag(all: bool) -> Self {
        if all { Self::All } else { Self::First }
    }

    /// The number of items to print: all of them, or `most`.
    pub(crate) const fn cap(self, most: usize) -> usize {
        match self {
            Self::All => usize::MAX,
            Self::First => most,
        }
    }
}

/// `1 file`, `2 files`.
pub(crate) fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

/// `1 byte`, `2 bytes`.
pub(crate) fn count_bytes(bytes: u64) -> String {
    let plural = if bytes == 1 { "" } else { "s" };
    format!("{bytes} byte{plural}")
}

/// `a, b, c`, and of a long list the first ones: Lambda has five layers, and `which` tells everything of a path.
pub(crate) fn listed(all: &[String]) -> String {
    const MOST: usize = 8;
    let named = all.get(..MOST).unwrap_or(all).join(", ");
    match all.len().saturating_sub(MOST) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

/// `layer 1: base.zip`, a line each, so that the numbers below mean something.
pub(crate) fn legend(stack: &LayerStack) -> String {
    let mut text = String::new();
    for (id, layer) in stack.in_merge_order() {
        let source = Escaped(layer.source.as_bytes());
        // Writing to a string does not fail.
        let _ = writeln!(text, "layer {}: {source}", id.number());
    }
    text
}

/// `1234567` as `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.char_indices() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes as people read them.
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
pub(crate) fn human_bytes(bytes: u64) -> String {
    let mut amount = bytes as f64;
    for unit in ["bytes", "KiB", "MiB"] {
        if amount < 1024.0 {
            return if unit == "bytes" {
                format!("{bytes} {unit}")
            } else {
                format!("{amount:.1} {unit}")
            };
        }
        amount /= 1024.0;
    }
    format!("{amount:.1} GiB")
}

/// Bytes as a line of a terminal can show them: control characters and what is not UTF-8 escaped.
pub(crate) fn shown(value: &OsStr) -> String {
    let mut text = String::with_capacity(value.len());
    for chunk in value.as_bytes().utf8_chunks() {
        for letter in chunk.valid().chars() {
            if letter.is_control() {
                text.extend(letter.escape_default());
            } else {
                text.push(letter);
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}
