//! Secrets in text and values, masked. Pure.
//!
//! A secret is masked as it is, and in the forms that it takes on its way through the world: escaped in JSON, percent-encoded
//! in a URL, quoted for a shell, and in base64, alone or as a part (as the password in basic authentication is).

mod forms;

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use aho_corasick::{AhoCorasick, AhoCorasickKind, BuildError, MatchKind};
use serde_json::{Map, Value};

/// What stands where a secret stood.
pub const MASK: &str = "***";

/// The shortest secret, in characters, that can be masked without ruining text.
pub const SHORTEST: usize = 4;

/// Masks a set of secrets. Without secrets it costs nothing.
#[derive(Clone, Default)]
pub struct Redactor {
    forms: Option<AhoCorasick>,
    unmaskable: Vec<String>,
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let forms = self.forms.as_ref().map_or(0, AhoCorasick::patterns_len);
        f.debug_struct("Redactor")
            .field("forms", &forms)
            .field("unmaskable", &self.unmaskable)
            .finish()
    }
}

/// The secrets are too many or too large to look for.
#[derive(Debug, thiserror::Error)]
#[error("failed to prepare the masking of secrets: {0}")]
pub struct RedactorError(#[from] BuildError);

impl Redactor {
    /// A redactor of the given secrets, each with the name under which [`Redactor::unmaskable`] reports it.
    ///
    /// # Errors
    /// If the secrets are more than some hundred megabytes; a Secret holds at most one.
    pub fn new<N: Into<String>, V: AsRef<str>>(secrets: impl IntoIterator<Item = (N, V)>) -> Result<Self, RedactorError> {
        let mut unmaskable = Vec::new();
        let mut all = std::collections::BTreeSet::new();
        for (name, value) in secrets {
            let value = value.as_ref();
            match value.trim().chars().count() {
                0 => {}
                length if length < SHORTEST => unmaskable.push(name.into()),
                _ => all.extend(forms::of(value)),
            }
        }
        let forms = if all.is_empty() {
            None
        } else {
            // Of the kinds of automaton this one is small, which matters where thousands of Operations hold secrets.
            Some(
                AhoCorasick::builder()
                    .match_kind(MatchKind::Standard)
                    .kind(Some(AhoCorasickKind::ContiguousNFA))
                    .build(all)?,
            )
        };
        Ok(Self { forms, unmaskable })
    }

    /// The names of secrets too short to be masked: under 4 characters without surrounding blanks. One that is empty is no secret.
    #[must_use]
    pub fn unmaskable(&self) -> &[String] {
        &self.unmaskable
    }

    /// `text` with every secret in it masked; secrets that overlap become one mask.
    #[must_use]
    pub fn mask<'text>(&self, text: &'text str) -> Cow<'text, str> {
        let found = self.find(text);
        if found.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut masked = String::with_capacity(text.len());
        let mut end = 0;
        for range in found {
            masked.push_str(text.get(end..range.start).unwrap_or_default());
            masked.push_str(MASK);
            end = range.end;
        }
        masked.push_str(text.get(end..).unwrap_or_default());
        Cow::Owned(masked)
    }

    /// Masks secrets in every text of `value`, names of fields included, and replaces numbers that hold one. Returns whether there was any.
    pub fn mask_value(&self, value: &mut Value) -> bool {
        if self.forms.is_none() {
            return false;
        }
        let mut any = false;
        let mut rest = vec![value];
        while let Some(value) = rest.pop() {
            match value {
                Value::Null | Value::Bool(_) => {}
                Value::Number(number) => {
                    if matches!(self.mask(&number.to_string()), Cow::Owned(_)) {
                        *value = Value::String(MASK.to_owned());
                        any = true;
                    }
                }
                Value::String(text) => {
                    if let Cow::Owned(masked) = self.mask(text) {
                        *text = masked;
                        any = true;
                    }
                }
                Value::Array(items) => rest.extend(items),
                Value::Object(fields) => {
                    any |= self.mask_names(fields);
                    rest.extend(fields.values_mut());
                }
            }
        }
        any
    }

    /// Of two names that become one by masking, the last one's value stays.
    fn mask_names(&self, fields: &mut Map<String, Value>) -> bool {
        if fields.keys().all(|name| matches!(self.mask(name), Cow::Borrowed(_))) {
            return false;
        }
        *fields = std::mem::take(fields)
            .into_iter()
            .map(|(name, value)| (self.mask(&name).into_owned(), value))
            .collect();
        true
    }

    /// Where secrets stand in `text`: in order, without overlap.
    fn find(&self, text: &str) -> Vec<Range<usize>> {
        let mut found: Vec<Range<usize>> = Vec::new();
        let Some(forms) = &self.forms else { return found };
        // Matches come in the order of their ends, so a later one may reach back over several before it.
        for found_form in forms.find_overlapping_iter(text) {
            let mut range = found_form.range();
            while let Some(last) = found.last().filter(|last| last.end > range.start) {
                range.start = range.start.min(last.start);
                found.pop();
            }
            found.push(range);
        }
        found
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]
    use super::*;
    use base64::Engine;
    use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD};
    use proptest::prelude::*;
    use serde_json::json;

    fn redactor(secrets: &[&str]) -> Redactor {
        Redactor::new(secrets.iter().map(|secret| (*secret, *secret))).unwrap()
    }

    #[test]
    fn every_occurrence_is_masked_and_nothing_else() {
        for (secrets, text, expected) in [
            (&["s3cret"][..], "s3cret, s3crets and secret", "***, ***s and secret"),
            (&["abcd", "abcdefgh"], "abcdefgh abcdefg", "*** ***efg"),
            (&["abcdef", "defghi"], "xabcdefghix", "x***x"),
            (&["abcdefghijkl", "abcd", "fghi"], "abcdefghijkl abcd_fghi", "*** ***_***"),
            (&["abab"], "abababab-ab", "***-ab"),
            (&["s3cret", "t0ken"], "s3crett0ken", "******"),
            (&["heslo-žluť"], "to je heslo-žluť!", "to je ***!"),
            (&["s3cret\n"], "got s3cret", "got ***"),
            (&["a\"b\\c"], r#"{"k":"a\"b\\c"}"#, r#"{"k":"***"}"#),
            (
                &["p@ss w/rd"],
                "https://u:p%40ss%20w%2Frd@h/?q=p%40ss+w%2Frd&r=p%40ss%20w/rd",
                "https://u:***@h/?q=***&r=***",
            ),
            (&["p@ss/Wörd"], "p%40ss%2fW%c3%b6rd", "***"),
            (&["it's me"], r"echo 'it'\''s me'", "echo '***'"),
            (&["****"], "****", "***"),
        ] {
            assert_eq!(redactor(secrets).mask(text), expected, "{secrets:?}");
        }
    }

    #[test]
    fn a_secret_within_something_in_base64_is_masked() {
        let redactor = redactor(&["hunter2-hunter2"]);
        for user in ["a", "ab", "abc", "admin"] {
            let header = BASE64_STANDARD.encode(format!("{user}:hunter2-hunter2"));
            let masked = redactor.mask(&header).into_owned();
            assert!(masked.contains(MASK) && masked.len() < header.len() / 2 + 6, "{header} {masked}");
        }
    }

    #[test]
    fn the_lines_of_a_key_are_masked_one_by_one() {
        let key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nshort\nBKcwggSjAgEAAoIBAQDV2Zc0\n-----END KEY-----\n";
        let redactor = redactor(&[key]);
        assert_eq!(redactor.mask(key).trim(), MASK);
        assert_eq!(redactor.mask("> MIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n> short"), "> ***\n> short");
    }

    #[test]
    fn what_is_too_short_is_reported_and_left_alone() {
        let redactor = Redactor::new([("pin", "123"), ("blank", " 12 \n"), ("empty", ""), ("žluť", "žluť")]).unwrap();
        assert_eq!(redactor.unmaskable(), ["pin", "blank"]);
        assert_eq!(redactor.mask("123 12 žluť"), "123 12 ***");
    }

    #[test]
    fn without_secrets_text_is_returned_as_it_is() {
        assert!(matches!(Redactor::default().mask("text"), Cow::Borrowed("text")));
        assert!(matches!(redactor(&["s3cret"]).mask("text"), Cow::Borrowed("text")));
        assert!(!Redactor::default().mask_value(&mut json!({"a": ["b"]})));
    }

    #[test]
    fn values_are_masked_at_any_depth_in_names_texts_and_numbers() {
        let redactor = redactor(&["s3cret", "12345678"]);
        let mut value = json!({"s3cret": 1, "list": ["as3cretb", {"deep": "s3cret"}], "pin": 12_345_678, "other": 1234, "null": null});
        assert!(redactor.mask_value(&mut value));
        assert_eq!(
            value,
            json!({"***": 1, "list": ["a***b", {"deep": "***"}], "pin": "***", "other": 1234, "null": null})
        );
        assert!(!redactor.mask_value(&mut value));
    }

    #[test]
    fn a_value_of_any_depth_is_masked_without_recursion() {
        let mut value = json!("s3cret");
        for _ in 0..1_000 {
            value = Value::Array(vec![value]);
        }
        assert!(redactor(&["s3cret"]).mask_value(&mut value));
    }

    #[test]
    fn what_is_printed_for_debugging_holds_no_secret() {
        assert!(!format!("{:?}", redactor(&["s3cret"])).contains("s3cret"));
    }

    proptest! {
        #[test]
        fn no_form_of_a_secret_survives(secret in "[ -~žé]{4,20}", before in "[#-]{0,5}", after in "[#-]{0,5}") {
            prop_assume!(secret.trim().chars().count() >= SHORTEST && !secret.trim_matches(['*', ' ', '#', '-']).is_empty());
            let redactor = redactor(&[&secret]);
            let json = serde_json::to_string(&secret).unwrap();
            let forms = [
                secret.clone(),
                secret.trim().to_owned(),
                json[1..json.len() - 1].to_owned(),
                url::form_urlencoded::byte_serialize(secret.as_bytes()).collect(),
                BASE64_STANDARD.encode(&secret),
                BASE64_STANDARD_NO_PAD.encode(&secret),
                BASE64_URL_SAFE.encode(&secret),
                BASE64_URL_SAFE_NO_PAD.encode(&secret),
            ];
            for form in forms {
                let masked = redactor.mask(&format!("{before}{form}{after}")).into_owned();
                prop_assert!(masked.contains(MASK), "{:?} is left in {:?}", form, masked);
                prop_assert!(!masked.contains(&form), "{:?} is left in {:?}", form, masked);
            }
        }

        #[test]
        fn masking_never_panics(secrets in prop::collection::vec(".{0,12}", 0..4), text in ".{0,200}") {
            let redactor = Redactor::new(secrets.iter().map(|secret| ("name", secret))).unwrap();
            let _ = redactor.mask(&text);
        }

        #[test]
        fn text_beside_secrets_is_kept(words in prop::collection::vec("[a-m]{1,8}", 1..10)) {
            let text = words.join(" NOPQRS ");
            prop_assert_eq!(redactor(&["NOPQRS"]).mask(&text), words.join(" *** "));
        }
    }
}
