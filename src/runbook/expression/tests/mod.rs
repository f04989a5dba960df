#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

use std::borrow::Cow;

use serde_json::{Value, json};

use super::{EvaluationError, Expression, ParseError, Scope};

mod facts;
mod language;
mod limits;
mod mistakes;
mod wild;

/// A map as a scope.
struct Names(Value);

impl Scope for Names {
    fn lookup(&self, name: &str) -> Option<Cow<'_, Value>> {
        self.0.get(name).map(Cow::Borrowed)
    }
}

/// What the tests read.
fn names() -> Names {
    Names(json!({
        "platform": "fly.io",
        "force": true,
        "yes": "true",
        "no": "false",
        "empty": "",
        "nothing": null,
        "count": 3,
        "ratio": 0.5,
        "huge": 18_446_744_073_709_551_615_u64,
        "lines": ["b", "a"],
        "log": "one\ntwo\n",
        "word": "größe",
        "items": [{"name": "a", "ready": true, "size": 1}, {"name": "b", "ready": false, "size": 20}],
        "map": {"a": 1, "b": {"c": "deep"}, "with-dash": 5, "in": 6, "NOT": 7},
        "measure": {"length": 12},
        "steps": {"deploy": {"status": "succeeded", "output": "ok", "error": null}},
    }))
}

fn evaluate(text: &str) -> Result<Value, EvaluationError> {
    Expression::parse(text)
        .unwrap_or_else(|error| panic!("{text}: {error}"))
        .evaluate(&names())
}

fn holds(text: &str) -> Result<bool, EvaluationError> {
    Expression::parse_condition(text)
        .unwrap_or_else(|error| panic!("{text}: {error}"))
        .holds(&names())
}

fn parse_error(text: &str) -> ParseError {
    Expression::parse(text).err().unwrap_or_else(|| panic!("{text} parses"))
}

/// Asserts the value of each expression.
fn assert_values(table: &[(&str, Value)]) {
    for (text, value) in table {
        assert_eq!(evaluate(text).as_ref(), Ok(value), "{text}");
    }
}

/// Asserts for each expression that it has no value, and a part of what is said about it.
fn assert_failures(table: &[(&str, &str)]) {
    for (text, part) in table {
        let error = evaluate(text).expect_err(text).0;
        assert!(error.contains(part), "{text}: {error}");
    }
}
