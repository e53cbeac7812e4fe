//! JSON as the `package.json` of a Node.js package needs it: read whole, with the order of members kept, as `exports` is
//! searched in it.
//!
//! The core knows no serialisation framework, and what is asked of a `package.json` is little. The grammar is that of
//! RFC 8259; a byte order mark before it is skipped, as Node.js does.

/// How deep values may nest: more than any package does, and little enough for the stack.
const MAX_DEPTH: usize = 64;

/// A JSON value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Value {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, which nobody here needs the value of.
    Number,
    /// A string. Lone surrogates are replaced by U+FFFD.
    String(String),
    /// An array.
    Array(Vec<Self>),
    /// An object: its members in the order in which they are written. Of two with one name the last counts.
    Object(Vec<(String, Self)>),
}

impl Value {
    /// Reads a whole document; `None` if it is not JSON.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut reader = Reader {
            bytes: text.as_bytes(),
        };
        let value = reader.value(0)?;
        reader.skip_space();
        reader.bytes.is_empty().then_some(value)
    }

    /// The member of an object.
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members
                .iter()
                .rev()
                .find(|(known, _)| known == name)
                .map(|(_, value)| value),
            _ => None,
        }
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
}

impl Reader<'_> {
    fn skip_space(&mut self) {
        self.bytes = self.bytes.trim_ascii_start();
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.first().copied()
    }

    fn next(&mut self) -> Option<u8> {
        let (&first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(first)
    }

    fn word(&mut self, word: &[u8], value: Value) -> Option<Value> {
        self.bytes = self.bytes.strip_prefix(word)?;
        Some(value)
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        if depth > MAX_DEPTH {
            return None;
        }
        self.skip_space();
        match self.peek()? {
            b'{' => self.object(depth),
            b'[' => self.array(depth),
            b'"' => self.string().map(Value::String),
            b't' => self.word(b"true", Value::Bool(true)),
            b'f' => self.word(b"false", Value::Bool(false)),
            b'n' => self.word(b"null", Value::Null),
            b'-' | b'0'..=b'9' => {
                let end = self.bytes.iter().position(|byte| {
                    !matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9')
                });
                self.bytes = self.bytes.get(end.unwrap_or(self.bytes.len())..)?;
                Some(Value::Number)
            }
            _ => None,
        }
    }

    fn object(&mut self, depth: usize) -> Option<Value> {
        self.next()?;
        let mut members = Vec::new();
        self.skip_space();
        if self.peek()? == b'}' {
            self.next()?;
            return Some(Value::Object(members));
        }
        loop {
            self.skip_space();
            let name = self.string()?;
            self.skip_space();
            if self.next()? != b':' {
                return None;
            }
            members.push((name, self.value(depth + 1)?));
            self.skip_space();
            match self.next()? {
                b',' => {}
                b'}' => return Some(Value::Object(members)),
                _ => return None,
            }
        }
    }

    fn array(&mut self, depth: usize) -> Option<Value> {
        self.next()?;
        let mut items = Vec::new();
        self.skip_space();
        if self.peek()? == b']' {
            self.next()?;
            return Some(Value::Array(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.skip_space();
            match self.next()? {
                b',' => {}
                b']' => return Some(Value::Array(items)),
                _ => return None,
            }
        }
    }

    fn string(&mut self) -> Option<String> {
        if self.next()? != b'"' {
            return None;
        }
        let mut text = Vec::new();
        loop {
            match self.next()? {
                b'"' => return String::from_utf8(text).ok(),
                b'\\' => {
                    let character = self.escaped()?;
                    text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                }
                0..0x20 => return None,
                byte => text.push(byte),
            }
        }
    }

    fn escaped(&mut self) -> Option<char> {
        Some(match self.next()? {
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let high = self.unit()?;
                // Only the two halves together are a character.
                if let 0xd800..0xdc00 = high
                    && let Some(rest) = self.bytes.strip_prefix(b"\\u")
                {
                    let before = self.bytes;
                    self.bytes = rest;
                    let low = self.unit()?;
                    if let 0xdc00..0xe000 = low {
                        let both = 0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                        return char::from_u32(both);
                    }
                    self.bytes = before;
                }
                char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            byte @ (b'"' | b'\\' | b'/') => byte.into(),
            _ => return None,
        })
    }

    fn unit(&mut self) -> Option<u32> {
        let (digits, rest) = self.bytes.split_at_checked(4)?;
        self.bytes = rest;
        let digits = std::str::from_utf8(digits).ok()?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        u32::from_str_radix(digits, 16).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_json_is_read_and_what_is_not_is_nothing() {
        for (text, expected) in [
            (r#"{"name":"x"}"#, Some("x")),
            (
                "\u{feff} {\"name\" : \"x\" , \"n\":[1,-2e3,null,true,{}]}\n",
                Some("x"),
            ),
            (r#"{"name":"a","name":"b"}"#, Some("b")),
            (
                r#"{"name":"\u00e9\ud83d\ude00\ud83d\"\\\/"}"#,
                Some("é😀\u{fffd}\"\\/"),
            ),
            (r#"{"name":"x"},"#, None),
            (r#"{"name":"x""#, None),
            (r#"{"name":}"#, None),
            (r#"{'name':"x"}"#, None),
            ("", None),
        ] {
            let value = Value::parse(text.as_bytes());
            let name = value.as_ref().and_then(|value| value.get("name"));
            assert_eq!(name.and_then(Value::as_str), expected, "{text}");
        }
        assert_eq!(Value::parse("[".repeat(100_000).as_bytes()), None);
        assert_eq!(Value::parse(b"{\"name\":\"\xff\"}"), None);
    }
}
