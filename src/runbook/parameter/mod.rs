//! Declared parameters, and the values given for them.

mod convert;

use std::fmt;

use indexmap::IndexMap;
use regex::{Regex, RegexBuilder};
use serde_json::{Map, Value};

use super::diagnostic::{Diagnostic, Diagnostics, Severity};
use super::substitute::text;

/// How large a compiled pattern may be, in bytes.
const PATTERN_LIMIT: usize = 4 * 1024 * 1024;

/// How many characters of a value a message repeats.
const SHOWN: usize = 100;

/// A declared parameter.
#[derive(Debug, Clone, Default)]
pub struct Parameter {
    /// Absent: anything.
    pub kind: Option<Kind>,
    pub description: Option<String>,
    pub default: Option<Value>,
    /// It must be given.
    pub required: bool,
    /// `enum`
    pub one_of: Option<Vec<Value>>,
    /// A regular expression that the whole text must match.
    pub pattern: Option<String>,
    pub secret: bool,
}

/// The type of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    String,
    Integer,
    Number,
    Boolean,
    List,
    Object,
}

impl Kind {
    /// The type that a default implies; null implies none.
    #[must_use]
    pub fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Null => None,
            Value::Bool(_) => Some(Self::Boolean),
            Value::Number(number) if number.is_f64() => Some(Self::Number),
            Value::Number(_) => Some(Self::Integer),
            Value::String(_) => Some(Self::String),
            Value::Array(_) => Some(Self::List),
            Value::Object(_) => Some(Self::Object),
        }
    }
}

/// The word for it in a runbook.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::List => "list",
            Self::Object => "object",
        })
    }
}

/// Why a value is none for a parameter. The value itself is shown only where the parameter is not secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// `wrong-type`, `not-in-enum`, `pattern-mismatch` or `invalid-pattern`.
    pub code: &'static str,
    pub message: String,
    pub fix: Option<String>,
}

/// The parameter that the short form `name: default` declares.
#[must_use]
pub fn infer(default: &Value) -> Parameter {
    Parameter {
        kind: Kind::of(default),
        default: Some(default.clone()),
        ..Parameter::default()
    }
}

impl Parameter {
    /// The declared type, else that of the default, else the one that all values of the `enum` share.
    #[must_use]
    pub fn effective_kind(&self) -> Option<Kind> {
        let shared = || {
            let mut kinds = self.one_of.iter().flatten().map(Kind::of);
            let first = kinds.next()??;
            kinds.all(|kind| kind == Some(first)).then_some(first)
        };
        self.kind.or_else(|| self.default.as_ref().and_then(Kind::of)).or_else(shared)
    }

    /// A given value as this parameter takes it: converted to its type, one of its `enum`, matching its pattern.
    ///
    /// # Errors
    /// The first of these that it is not.
    pub fn accept(&self, given: &Value) -> Result<Value, Refusal> {
        let value = self.converted(given)?;
        if let Some(allowed) = &self.one_of
            && !allowed.iter().any(|allowed| same(allowed, &value))
        {
            let allowed: Vec<_> = allowed.iter().map(text).collect();
            return Err(Refusal {
                code: "not-in-enum",
                message: format!("{} is not one of its values", self.shown(given)),
                fix: Some(format!("write one of {}", allowed.join(", "))),
            });
        }
        if let Some(pattern) = &self.pattern
            && !matches(&compile(pattern)?, &value)
        {
            return Err(Refusal {
                code: "pattern-mismatch",
                message: format!("{} does not match the pattern `{pattern}`", self.shown(given)),
                fix: None,
            });
        }
        Ok(value)
    }

    fn converted(&self, given: &Value) -> Result<Value, Refusal> {
        let Some(kind) = self.effective_kind() else {
            return Ok(given.clone());
        };
        convert::convert(given, kind).map_err(|fix| Refusal {
            code: "wrong-type",
            message: format!("{} is no {kind}", self.shown(given)),
            fix: Some(fix.to_owned()),
        })
    }

    /// Whether the pattern is a regular expression of reasonable size.
    ///
    /// # Errors
    /// Why it is not.
    pub fn validate_pattern(&self) -> Result<(), Refusal> {
        self.pattern.as_deref().map_or(Ok(()), |pattern| compile(pattern).map(drop))
    }

    /// The value for a message.
    fn shown(&self, value: &Value) -> String {
        if self.secret {
            return "the given value".to_owned();
        }
        let shown = value.to_string();
        match shown.char_indices().nth(SHOWN) {
            Some((end, _)) => format!("{}...", shown.get(..end).unwrap_or_default()),
            None => shown,
        }
    }
}

/// The value of every declared parameter, given or by default; an optional one without a default is null.
///
/// A text given for a parameter of another type is converted. A null counts as not given, and so does an empty text for a
/// required parameter, as a form sends for a field left empty.
///
/// # Errors
/// Every parameter that is unknown, missing, or does not convert; never the value of a secret one.
pub fn bind(declared: &IndexMap<String, Parameter>, given: &Map<String, Value>) -> Result<Map<String, Value>, Diagnostics> {
    let mut bound = Map::new();
    let mut problems = Vec::new();
    for (name, parameter) in declared {
        match bind_one(name, parameter, given.get(name)) {
            Ok(value) => drop(bound.insert(name.clone(), value)),
            Err(problem) => problems.push(problem),
        }
    }
    let unknown = given.keys().filter(|name| !declared.contains_key(*name));
    problems.extend(unknown.map(|name| unknown_parameter(name, declared)));
    if problems.is_empty() {
        Ok(bound)
    } else {
        Err(Diagnostics(problems))
    }
}

fn bind_one(name: &str, parameter: &Parameter, given: Option<&Value>) -> Result<Value, Diagnostic> {
    match given {
        Some(value) if !(value.is_null() || parameter.required && value == "") => parameter
            .accept(value)
            .map_err(|Refusal { code, message, fix }| problem(name, code, format!("parameter `{name}`: {message}"), fix)),
        _ if parameter.required => Err(problem(
            name,
            "missing-parameter",
            format!("parameter `{name}` must be given"),
            parameter
                .description
                .as_ref()
                .map(|description| format!("give `{name}`: {description}")),
        )),
        _ => Ok(parameter.default.clone().unwrap_or_default()),
    }
}

fn unknown_parameter(name: &str, declared: &IndexMap<String, Parameter>) -> Diagnostic {
    let fix = match nearest(name, declared.keys().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None if declared.is_empty() => "the runbook takes no parameters".to_owned(),
        None => format!(
            "the runbook takes {}",
            declared.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
        ),
    };
    problem(name, "unknown-parameter", format!("there is no parameter `{name}`"), Some(fix))
}

fn problem(name: &str, code: &'static str, message: String, fix: Option<String>) -> Diagnostic {
    Diagnostic {
        code,
        severity: Severity::Error,
        path: format!("parameters.{name}"),
        position: None,
        message,
        fix,
    }
}

/// The known name that a misspelt one most likely means: at most a third of its letters differ.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let spelling = |name: &str| name.to_lowercase().replace('-', "_");
    let wanted = spelling(name);
    // The distance takes quadratic time, and what is far longer than any name is no misspelling.
    let length = wanted.chars().count();
    if length > SHOWN {
        return None;
    }
    let distance = |known: &str| strsim::damerau_levenshtein(&wanted, &spelling(known));
    let near = known
        .into_iter()
        .filter(|known| known.chars().count() <= 2 * SHOWN)
        .map(|known| (distance(known), known));
    near.filter(|(distance, known)| *distance <= length.max(known.chars().count()) / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

/// Whether two values are the same, where an integer and a number of the same size are.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64() && (a.is_f64() || b.is_f64()),
        _ => a == b,
    }
}

/// Whether the text of the value matches; of a list, that of every item.
fn matches(pattern: &Regex, value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().all(|item| pattern.is_match(&text(item))),
        Value::String(text) => pattern.is_match(text),
        other => pattern.is_match(&text(other)),
    }
}

/// The pattern, made to match the whole text.
fn compile(pattern: &str) -> Result<Regex, Refusal> {
    let build = |pattern: &str| {
        RegexBuilder::new(pattern)
            .size_limit(PATTERN_LIMIT)
            .dfa_size_limit(PATTERN_LIMIT)
            .build()
    };
    // Alone first: `a)|(?:b` is a pattern only inside the group. With a line break where `(?x)` and a comment end it.
    let whole = |_| build(&format!(r"\A(?:{pattern})\z")).or_else(|_| build(&format!("\\A(?:{pattern}\n)\\z")));
    build(pattern).and_then(whole).map_err(|error| Refusal {
        code: "invalid-pattern",
        message: match error {
            regex::Error::CompiledTooBig(_) => format!("the pattern `{pattern}` is too large"),
            _ => format!(
                "`{pattern}` is no regular expression: {}",
                error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ")
            ),
        },
        fix: None,
    })
}

#[cfg(test)]
mod tests;
