//! A link that was packed as a small text: Windows and careless tools write the target where the link should be.

use crate::path::LayerPath;

/// No target in a real layer comes near.
const LONGEST: usize = 1024;

/// The content as the target that a link at `path` could have: one line without an end, which could be a path.
///
/// A text with a `/` may stand anywhere; one without only where links are usual.
pub(super) fn target<'b>(path: &LayerPath, bytes: &'b [u8]) -> Option<&'b [u8]> {
    let is_path = |byte: &u8| byte.is_ascii_graphic() && !br#"<>"'`|;{}()$*?=,"#.contains(byte);
    let may_be = !bytes.is_empty()
        && bytes.len() <= LONGEST
        && bytes.iter().all(is_path)
        && bytes.last() != Some(&b'/')
        && bytes.iter().any(u8::is_ascii_alphanumeric)
        && !bytes.windows(2).any(|pair| pair == b"//");
    (may_be && (bytes.contains(&b'/') || is_usual_place(path))).then_some(bytes)
}

/// Whether what lies there is often a link: a shared library, or a command.
pub(in crate::check) fn is_usual_place(path: &LayerPath) -> bool {
    let mut components = path.components().rev();
    let name = components.next().unwrap_or_default();
    let folder = components.next().unwrap_or_default();
    is_library(name) || folder == b"bin" || folder == b".bin"
}

/// `libz.so`, `libz.so.1`, `libz.so.1.3.1`.
fn is_library(name: &[u8]) -> bool {
    let end = |at: usize| name.get(at + 3..).unwrap_or_default();
    name.windows(3)
        .position(|window| window == b".so")
        .is_some_and(|at| {
            let version = end(at);
            at > 0
                && (version.is_empty() || version.starts_with(b"."))
                && version
                    .iter()
                    .all(|byte| *byte == b'.' || byte.is_ascii_digit())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_could_be_a_target_is_one() {
        for (path, content, expected) in [
            ("lib/libz.so.1", &b"libz.so.1.3.1"[..], true),
            ("lib/libz.so", b"libz.so.1\n", false),
            ("bin/tool", b"tool-1.2", true),
            ("python/a.txt", b"tool-1.2", false),
            ("python/a.txt", b"../b/c.txt", true),
            ("python/a.txt", b"https://example.com/a", false),
            ("python/a.txt", b"a b/c", false),
            ("python/empty", b"", false),
            ("python/a.sock", b"x", false),
            ("a.json", b"{}", false),
        ] {
            let path = LayerPath::parse(path.as_bytes()).unwrap_or_default();
            assert_eq!(target(&path, content).is_some(), expected, "{path}");
        }
    }
}
