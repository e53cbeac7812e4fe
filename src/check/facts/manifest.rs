//! A `package.json`, as far as it says whether its package can be required or only imported.

/// Whether the package's modules are ES modules and none is offered for `require`: `"type": "module"` at the top, no
/// `require` condition in `exports`, no `main` that ends in `.cjs` (Node.js, *Modules: Packages*).
///
/// This is no JSON parser: of what is no JSON it says no.
pub(super) fn is_es_module(json: &[u8]) -> bool {
    let mut is_module = false;
    let mut depth = 0_usize;
    let mut rest = json;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => {
                let (text, after) = string(rest);
                rest = after;
                let Some(value) = value_of_key(rest) else {
                    continue;
                };
                match (depth, text) {
                    (_, b"require") => return false,
                    (1, b"type") => is_module = string_at(value) == Some(b"module"),
                    (1, b"main")
                        if string_at(value).is_some_and(|main| main.ends_with(b".cjs")) =>
                    {
                        return false;
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }
    is_module
}

/// The text up to the quote that ends it, as it is written, and what follows the quote.
fn string(bytes: &[u8]) -> (&[u8], &[u8]) {
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => break,
            _ => at += 1,
        }
    }
    let text = bytes.get(..at).unwrap_or(bytes);
    (text, bytes.get(at + 1..).unwrap_or_default())
}

/// What follows the colon, if the string before was a key.
fn value_of_key(rest: &[u8]) -> Option<&[u8]> {
    Some(
        rest.trim_ascii_start()
            .strip_prefix(b":")?
            .trim_ascii_start(),
    )
}

fn string_at(value: &[u8]) -> Option<&[u8]> {
    Some(string(value.strip_prefix(b"\"")?).0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_packages_that_cannot_be_required_are_es_modules() {
        for (json, expected) in [
            (r#"{"name": "a", "type": "module"}"#, true),
            (r#"{"name": "a", "type" : "commonjs"}"#, false),
            (r#"{"name": "a"}"#, false),
            (r#"{"repository": {"type": "module"}}"#, false),
            (r#"{"a": "\"type\": \"module\"", "b": ["type"]}"#, false),
            (r#"{"type": "module", "main": "a.cjs"}"#, false),
            (
                r#"{"type": "module", "exports": {".": {"require": "./a.cjs"}}}"#,
                false,
            ),
            (r#"{"type": "module", "keywords": ["require"]}"#, true),
            (r#"{"type": "module"#, false),
            ("", false),
        ] {
            assert_eq!(is_es_module(json.as_bytes()), expected, "{json}");
        }
    }
}
