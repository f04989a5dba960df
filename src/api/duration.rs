//! Durations as people write them: `90s`, `5m`, `1h30m`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The longest duration: a hundred years. Anything above is a slip of the pen.
const LONGEST_SECONDS: u64 = 100 * 366 * 24 * 3600;

/// A span of time, never negative, written as whole numbers with the units `h`, `m`, `s` and `ms`, largest first: `1h30m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(pub std::time::Duration);

/// Why a text is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a duration; write it as 90s, 5m or 1h30m")]
pub struct InvalidDuration(String);

impl FromStr for Duration {
    type Err = InvalidDuration;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidDuration(text.chars().take(64).collect());
        let mut total: u64 = 0;
        let mut largest = u64::MAX;
        let mut rest = text;
        if rest.is_empty() {
            return Err(invalid());
        }
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(invalid)?;
            let (number, tail) = rest.split_at(digits);
            let letters = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
            let (unit, tail) = tail.split_at(letters);
            let milliseconds = match unit {
                "h" => 3_600_000,
                "m" => 60_000,
                "s" => 1_000,
                "ms" => 1,
                _ => return Err(invalid()),
            };
            if milliseconds >= largest {
                return Err(invalid());
            }
            largest = milliseconds;
            let number: u64 = number.parse().map_err(|_| invalid())?;
            total = number
                .checked_mul(milliseconds)
                .and_then(|n| total.checked_add(n))
                .ok_or_else(invalid)?;
            rest = tail;
        }
        if total / 1000 > LONGEST_SECONDS {
            return Err(invalid());
        }
        Ok(Self(std::time::Duration::from_millis(total)))
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = self.0.as_millis();
        let parts = [
            (milliseconds / 3_600_000, "h"),
            (milliseconds / 60_000 % 60, "m"),
            (milliseconds / 1000 % 60, "s"),
            (milliseconds % 1000, "ms"),
        ];
        if milliseconds == 0 {
            return f.write_str("0s");
        }
        parts
            .iter()
            .filter(|(number, _)| *number > 0)
            .try_for_each(|(number, unit)| write!(f, "{number}{unit}"))
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Duration {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "maxLength": 32, "pattern": "^([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$", "minLength": 2})
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]
    use super::Duration;

    #[test]
    fn a_duration_is_read_as_people_write_it() {
        for (text, seconds) in [("90s", 90), ("5m", 300), ("1h30m", 5400), ("0s", 0), ("2h5s", 7205)] {
            assert_eq!(text.parse::<Duration>().unwrap().0.as_secs(), seconds, "{text}");
        }
        assert_eq!("1s500ms".parse::<Duration>().unwrap().0.as_millis(), 1500);
    }

    #[test]
    fn what_is_no_duration_is_refused_with_the_way_to_write_one() {
        for text in [
            "",
            "5",
            "-5m",
            "5 m",
            "m",
            "5d",
            "1m1h",
            "1s1s",
            "99999999999h",
            "18446744073709551616ms",
        ] {
            let error = text.parse::<Duration>().unwrap_err().to_string();
            assert!(error.contains("1h30m"), "{text}: {error}");
        }
    }

    #[test]
    fn a_duration_prints_as_it_is_read() {
        for text in ["90s", "5m", "1h30m", "0s", "1s500ms"] {
            let duration: Duration = text.parse().unwrap();
            assert_eq!(duration.to_string().parse::<Duration>().unwrap(), duration);
        }
        assert_eq!("90s".parse::<Duration>().unwrap().to_string(), "1m30s");
    }
}
