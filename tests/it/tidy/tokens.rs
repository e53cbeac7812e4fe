//! Rust source as tokens, as far as imports need it.

pub(super) fn is_name(token: &str) -> bool {
    token.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

/// The tokens without the items that are for tests only.
pub(super) fn without_tests(tokens: &[String]) -> Vec<String> {
    const MARK: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if tokens[at..].iter().take(MARK.len()).eq(&MARK) {
            let mut open = 0_usize;
            at += MARK.len();
            while let Some(token) = tokens.get(at) {
                at += 1;
                match token.as_str() {
                    "{" => open += 1,
                    "}" if open == 1 => break,
                    "}" => open -= 1,
                    ";" if open == 0 => break,
                    _ => {}
                }
            }
        } else {
            kept.push(tokens[at].clone());
            at += 1;
        }
    }
    kept
}

/// Names, `::` and single signs. Comments are left out; a text or a character is one token that is no name.
pub(super) fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            comment_length(rest)
        } else if let Some(length) = text_length(rest) {
            tokens.push("\"".to_owned());
            length
        } else if is_name(rest) {
            let is_in_name = |sign: char| sign.is_alphanumeric() || sign == '_';
            let length = rest.find(|sign| !is_in_name(sign)).unwrap_or(rest.len());
            tokens.push(rest[..length].to_owned());
            length
        } else if rest.starts_with("::") {
            tokens.push("::".to_owned());
            2
        } else {
            if !first.is_whitespace() {
                tokens.push(first.to_string());
            }
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    tokens
}

/// How long the comment in `/* */` is that a text begins with; such comments nest.
fn comment_length(text: &str) -> usize {
    let mut open = 0;
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with("/*") {
            open += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            open -= 1;
            at += 2;
            if open == 0 {
                break;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    at
}

/// How long the string or character is that a text begins with; `None` if it begins with none. A lifetime is none.
fn text_length(text: &str) -> Option<usize> {
    let behind_prefix = text.trim_start_matches(['b', 'c', 'r']);
    let prefix = &text[..text.len() - behind_prefix.len()];
    if prefix.len() > 2 {
        return None;
    }
    if prefix.ends_with('r') {
        let behind_marks = behind_prefix.trim_start_matches('#');
        let marks = &behind_prefix[..behind_prefix.len() - behind_marks.len()];
        let content = behind_marks.strip_prefix('"')?;
        let end = format!("\"{marks}");
        let length = content.find(&end)? + end.len();
        return Some(text.len() - content.len() + length);
    }
    let before = text.len() - behind_prefix.len() + 1;
    if let Some(content) = behind_prefix.strip_prefix('\'') {
        let mut signs = content.char_indices();
        if let (_, '\\') = signs.next()? {
            signs.next();
        }
        // A lifetime has no quote behind its first sign, and an escape may be long.
        let (end, _) = if content.starts_with('\\') {
            signs.find(|(_, sign)| *sign == '\'')?
        } else {
            signs.next().filter(|(_, sign)| *sign == '\'')?
        };
        return Some(before + end + 1);
    }
    let content = behind_prefix.strip_prefix('"')?;
    let mut signs = content.char_indices();
    while let Some((at, sign)) = signs.next() {
        match sign {
            '"' => return Some(before + at + 1),
            '\\' => drop(signs.next()),
            _ => {}
        }
    }
    None
}
