//! Where an embedded `${...}` ends.

/// The byte offset of the `}` that ends an embedded expression, in a text that starts just after its `${`. Braces inside the
/// expression and whatever stands in quotes are skipped; `None` if nothing ends it.
#[must_use]
pub fn embedded_end(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 0 => return Some(at),
            b'}' => depth -= 1,
            b'\'' | b'"' => at += quoted_end(bytes.get(at + 1..)?, byte, is_raw_prefix(bytes, at))? + 1,
            _ => {}
        }
        at += 1;
    }
    None
}

/// The offset of the closing quote, in bytes that start just after the opening one. A backslash protects what follows it, save in
/// a raw literal.
fn quoted_end(bytes: &[u8], quote: u8, raw: bool) -> Option<usize> {
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\\' if !raw => at += 1,
            _ if byte == quote => return Some(at),
            _ => {}
        }
        at += 1;
    }
    None
}

/// Whether the quote at this offset opens a raw literal: an `r` before it that is a word of its own.
fn is_raw_prefix(bytes: &[u8], quote: usize) -> bool {
    let before = |distance: usize| quote.checked_sub(distance).and_then(|at| bytes.get(at)).copied();
    matches!(before(1), Some(b'r' | b'R')) && !before(2).is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::embedded_end;

    #[test]
    fn an_embedded_expression_ends_at_the_brace_that_matches_its_own() {
        for (text, end) in [
            ("}", Some(0)),
            ("a}b}", Some(1)),
            ("{'a': 1}.a} tail", Some(10)),
            ("x == '}'} tail", Some(8)),
            (r#""\"}" + a}"#, Some(9)),
            (r"'\\'}'", Some(4)),
            (r"r'\'}'", Some(4)),
            (r"bar'\'}'}", Some(8)),
            ("é'ü}'}", Some(7)),
            ("", None),
            ("a", None),
            ("{}", None),
            ("'}", None),
            ("'}\\", None),
        ] {
            assert_eq!(embedded_end(text), end, "{text}");
        }
    }
}
