//! A `package.json`, as far as it says whether its package can be required or only imported, and what it needs.

/// What a `package.json` says. This is no JSON parser: of what is no JSON it says little.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Manifest {
    /// Whether the package's modules are ES modules and none is offered for `require`: `"type": "module"` at the top, no
    /// `require` condition in `exports`, no `main` that ends in `.cjs` (Node.js, *Modules: Packages*).
    pub is_only_imported: bool,
    /// Whether it says that the modules beside it are no ES modules.
    pub is_common_js: bool,
    /// The names of the packages that it depends on, as they are written.
    pub dependencies: Vec<Vec<u8>>,
    /// Those of them that it cannot do without.
    pub required: Vec<Vec<u8>>,
}

/// Where in the text the scanner is.
#[derive(Default)]
struct Position {
    depth: usize,
    /// Whether it is inside the `dependencies` of the package.
    is_in_dependencies: bool,
    /// Whether those are the ones that it cannot do without.
    is_required: bool,
}

impl Manifest {
    /// Reads what is wanted, in one pass.
    pub(super) fn read(json: &[u8]) -> Self {
        let mut read = Self::default();
        let mut is_module = false;
        let mut offers_require = false;
        let mut place = Position::default();
        let mut rest = json;
        while let Some((&byte, after)) = rest.split_first() {
            rest = after;
            match byte {
                b'{' | b'[' => place.depth += 1,
                b'}' | b']' => {
                    place.depth = place.depth.saturating_sub(1);
                    place.is_in_dependencies &= place.depth > 1;
                }
                b'"' => {
                    let (key, after) = string(rest);
                    rest = after;
                    let Some(value) = value_of_key(rest) else {
                        continue;
                    };
                    match (place.depth, key) {
                        (1, b"type") => {
                            let kind = string_at(value);
                            is_module = kind == Some(b"module");
                            read.is_common_js = kind == Some(b"commonjs");
                        }
                        (1, b"main") => {
                            let main = string_at(value).unwrap_or_default();
                            offers_require |= main.ends_with(b".cjs");
                        }
                        (1, b"dependencies" | b"optionalDependencies" | b"peerDependencies") => {
                            place.is_in_dependencies = value.starts_with(b"{");
                            place.is_required = key == b"dependencies";
                        }
                        (2, name) if place.is_in_dependencies => {
                            read.dependencies.push(name.to_vec());
                            if place.is_required {
                                read.required.push(name.to_vec());
                            }
                        }
                        (_, b"require") => offers_require = true,
                        _ => {}
                    }
                }
                _ => {}
            }
        }
        read.is_only_imported = is_module && !offers_require;
        read
    }
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
    let value = rest.trim_ascii_start().strip_prefix(b":")?;
    Some(value.trim_ascii_start())
}

fn string_at(value: &[u8]) -> Option<&[u8]> {
    Some(string(value.strip_prefix(b"\"")?).0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_packages_that_cannot_be_required_are_only_imported() {
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
            (r#"{"type": "mod"#, false),
            ("", false),
        ] {
            let read = Manifest::read(json.as_bytes());
            assert_eq!(read.is_only_imported, expected, "{json}");
        }
        assert!(Manifest::read(br#"{"type":"commonjs"}"#).is_common_js);
    }

    #[test]
    fn dependencies_are_the_keys_of_one_object() {
        let json = br#"{"devDependencies": {"x": "1"}, "dependencies": {"a": "1", "@b/c": "^2"},
            "exports": {"y": {"z": 1}}, "peer": {"dependencies": {"w": "1"}}}"#;
        let names = Manifest::read(json).dependencies;
        assert_eq!(names, [b"a".to_vec(), b"@b/c".to_vec()]);
    }
}
