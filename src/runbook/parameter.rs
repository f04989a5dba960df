//! Declared parameters, and the values given for them.

use indexmap::IndexMap;
use serde_json::{Map, Value};

use super::diagnostic::Diagnostics;

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

/// The value of every declared parameter, given or by default; an optional one without a default is null.
///
/// A text given for a parameter of another type is converted.
///
/// # Errors
/// Every parameter that is unknown, missing, or does not convert; never the value of a secret one.
pub fn bind(_declared: &IndexMap<String, Parameter>, _given: &Map<String, Value>) -> Result<Map<String, Value>, Diagnostics> {
    unimplemented!()
}
