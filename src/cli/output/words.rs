//! Words that several results share.

use std::fmt::Write as _;

use slashopt::layer::LayerStack;
use slashopt::path::Escaped;

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
