//! What stands between quotes: CEL's escapes.

use super::super::ParseError;

/// The text that the inside of a quoted literal stands for. `offset` is where it starts in the whole expression.
pub(super) fn unescape(inside: &str, offset: usize) -> Result<String, ParseError> {
    let mut text = String::with_capacity(inside.len());
    let mut rest = inside;
    while let Some(at) = rest.find('\\') {
        text.push_str(&rest[..at]);
        let escape = &rest[at + 1..];
        let (character, length) = escaped(escape).ok_or_else(|| unknown(escape, offset + inside.len() - rest.len() + at))?;
        text.push(character);
        rest = &escape[length..];
    }
    text.push_str(rest);
    Ok(text)
}

/// The character that an escape stands for, and how many bytes after its backslash it takes.
fn escaped(escape: &str) -> Option<(char, usize)> {
    let simple = |character| Some((character, 1));
    match escape.chars().next()? {
        'a' => simple('\u{7}'),
        'b' => simple('\u{8}'),
        'f' => simple('\u{c}'),
        'n' => simple('\n'),
        'r' => simple('\r'),
        't' => simple('\t'),
        'v' => simple('\u{b}'),
        itself @ ('\\' | '?' | '"' | '\'' | '`') => simple(itself),
        'x' | 'X' => coded(escape, 1, 2, 16),
        'u' => coded(escape, 1, 4, 16),
        'U' => coded(escape, 1, 8, 16),
        '0'..='3' => coded(escape, 0, 3, 8),
        _ => None,
    }
}

/// A code point in digits of this radix, `skip` bytes after the backslash.
fn coded(escape: &str, skip: usize, digits: usize, radix: u32) -> Option<(char, usize)> {
    let code = escape.get(skip..skip + digits)?;
    let all_digits = code.chars().all(|digit| digit.is_digit(radix));
    let character = u32::from_str_radix(code, radix)
        .ok()
        .filter(|_| all_digits)
        .and_then(char::from_u32)?;
    Some((character, skip + digits))
}

fn unknown(escape: &str, offset: usize) -> ParseError {
    let error = ParseError::new(offset, "this backslash starts no escape");
    match escape.chars().next() {
        Some('$') => error.fix("`$${` is a literal `${`; a dollar alone needs no backslash"),
        _ => error.fix("`\\\\` for a backslash, or a raw literal: `r'...'`"),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::unescape;

    #[test]
    fn an_escape_stands_for_the_character_that_cel_says() {
        for (inside, text) in [
            (r#"\a\b\f\n\r\t\v\\\?\"\'\`"#, "\u{7}\u{8}\u{c}\n\r\t\u{b}\\?\"'`"),
            (r"\x41\X42\u00e9\U0001F600\101", "ABé😀A"),
            ("plain é", "plain é"),
            ("", ""),
        ] {
            assert_eq!(unescape(inside, 0).unwrap(), text, "{inside}");
        }
    }

    #[test]
    fn an_escape_that_cel_does_not_know_is_an_error_at_its_backslash() {
        for (inside, offset) in [
            (r"ab\d", 12),
            (r"\", 10),
            (r"\x4", 10),
            (r"\u+041", 10),
            (r"\ud800", 10),
            (r"\U00110000", 10),
            (r"é\é", 12),
            (r"\400", 10),
        ] {
            assert_eq!(unescape(inside, 10).unwrap_err().offset, offset, "{inside}");
        }
    }
}
