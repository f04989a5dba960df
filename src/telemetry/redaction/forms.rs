//! The forms that a secret takes. Pure.

use std::collections::BTreeSet;
use std::fmt::Write;

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};

use super::SHORTEST;

/// The longest secret, in bytes, that is looked for in all forms; a longer one only as it is, by its lines, and escaped in JSON.
const LONGEST_IN_ALL_FORMS: usize = 4096;

/// The shortest line, in bytes, of a secret of several lines that is looked for by itself: a shorter one may be an ordinary word.
const SHORTEST_LINE: usize = 16;

/// The characters beside letters and digits that encoders of URLs leave alone: of RFC 3986, of `encodeURIComponent`, and of paths.
const LEFT_ALONE: [&[u8]; 3] = [b"-._~", b"-_.!~*'()", b"-._~/"];

/// Everything that is to be masked for `secret`, which has at least 4 characters beside surrounding blanks.
pub fn of(secret: &str) -> BTreeSet<String> {
    let trimmed = secret.trim();
    let mut forms = BTreeSet::new();
    for value in [secret, trimmed] {
        forms.extend([value.to_owned(), json(value, false), json(value, true)]);
        if value.len() <= LONGEST_IN_ALL_FORMS {
            forms.extend([value.replace('\'', r"'\''"), value.replace('\'', r#"'"'"'"#)]);
            forms.extend(url(value));
            forms.extend(base64(value));
        }
    }
    forms.extend(lines(trimmed));
    forms.retain(|form| form.chars().count() >= SHORTEST);
    forms
}

/// The lines of a key or certificate; text with blanks in it is no such thing, but perhaps `kind: Config`.
fn lines(secret: &str) -> impl Iterator<Item = String> {
    let long = |line: &&str| line.len() >= SHORTEST_LINE && !line.contains(char::is_whitespace);
    secret.lines().map(str::trim).filter(long).map(str::to_owned)
}

/// The secret within a JSON text; `ascii` as encoders write that leave nothing but ASCII.
fn json(secret: &str, ascii: bool) -> String {
    let mut out = String::with_capacity(secret.len());
    for character in secret.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            character if character < ' ' || (ascii && !character.is_ascii()) => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
            character => out.push(character),
        }
    }
    out
}

/// The secret within a URL or a form, by several habits.
fn url(secret: &str) -> Vec<String> {
    let mut forms: Vec<String> = LEFT_ALONE.iter().map(|kept| percent(secret, kept)).collect();
    forms.push(url::form_urlencoded::byte_serialize(secret.as_bytes()).collect());
    if let Ok(mut url) = url::Url::parse("http://host") {
        url.set_query(Some(secret));
        forms.extend(url.query().map(str::to_owned));
        if url.set_password(Some(secret)).is_ok() {
            forms.extend(url.password().map(str::to_owned));
        }
    }
    let lower: Vec<String> = forms.iter().map(|form| lower_escapes(form)).collect();
    forms.extend(lower);
    forms
}

fn percent(secret: &str, kept: &[u8]) -> String {
    let mut out = String::with_capacity(secret.len());
    for byte in secret.bytes() {
        if byte.is_ascii_alphanumeric() || kept.contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// `%2F` as `%2f`.
fn lower_escapes(encoded: &str) -> String {
    let mut escape = 0;
    let lowered = encoded.chars().map(|character| {
        if character == '%' {
            escape = 2;
            return character;
        }
        if escape == 0 {
            return character;
        }
        escape -= 1;
        character.to_ascii_lowercase()
    });
    lowered.collect()
}

/// The secret alone in base64, and the characters that it alone decides where it is a part of something, at each of the three places that it may begin in a group.
fn base64(secret: &str) -> Vec<String> {
    let mut forms = vec![
        BASE64_STANDARD.encode(secret),
        BASE64_STANDARD_NO_PAD.encode(secret),
        BASE64_URL_SAFE_NO_PAD.encode(secret),
    ];
    for offset in 0..3 {
        let bytes = [&[0; 2][..offset.min(2)], secret.as_bytes()].concat();
        // Character i holds the bits from 6 i on, of which the first 8 * offset are not the secret's.
        let (first, last) = ((8 * offset).div_ceil(6), 8 * bytes.len() / 6);
        for encoded in [BASE64_STANDARD_NO_PAD.encode(&bytes), BASE64_URL_SAFE_NO_PAD.encode(&bytes)] {
            forms.extend(encoded.get(first..last).map(str::to_owned));
        }
    }
    forms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_token_has_few_forms() {
        let forms = ["0b2tlbjQy", "Rva2VuND", "dG9rZW40M", "dG9rZW40Mg", "dG9rZW40Mg==", "token42"];
        assert_eq!(of("token42"), forms.map(str::to_owned).into());
    }

    #[test]
    fn a_long_secret_is_looked_for_in_few_forms() {
        let long = "ab/c'".repeat(1000);
        assert_eq!(of(&long), BTreeSet::from([long]));
    }

    #[test]
    fn json_is_escaped_as_encoders_do() {
        assert_eq!(json("a\"\\\n\t\u{1}ž😀", false), "a\\\"\\\\\\n\\t\\u0001ž😀");
        assert_eq!(json("ž😀", true), "\\u017e\\ud83d\\ude00");
    }

    #[test]
    fn only_escapes_are_lowered() {
        assert_eq!(lower_escapes("AB%2FCD%C3%B6"), "AB%2fCD%c3%b6");
    }
}
