//! How a problem is told: a code, the place, what is wrong and what to write instead.

use std::fmt;

use super::parameter::nearest;

/// A place in the document's text; both count from 1, the column in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// Whether the runbook can run all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Error,
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// One problem of a document.
///
/// Displays as one line: `steps[1].urll (line 12, column 5): unknown field "urll"; did you mean "url"?`
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Diagnostic {
    /// A stable kebab-case word, such as `unknown-field`.
    pub code: &'static str,
    pub severity: Severity,
    /// The document path, such as `steps[2].url`; empty for the document as a whole.
    pub path: String,
    /// Absent where the document came as JSON.
    #[serde(flatten)]
    pub position: Option<Position>,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

impl Diagnostic {
    /// A problem that keeps the runbook from running.
    #[must_use]
    pub fn error(code: &'static str, path: impl Into<String>, position: Option<Position>, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            path: path.into(),
            position,
            message: message.into(),
            fix: None,
        }
    }

    /// A problem that does not keep the runbook from running.
    #[must_use]
    pub fn warning(code: &'static str, path: impl Into<String>, position: Option<Position>, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(code, path, position, message)
        }
    }

    /// The same problem, with what to write instead.
    #[must_use]
    pub fn with_fix(self, fix: impl Into<Option<String>>) -> Self {
        Self { fix: fix.into(), ..self }
    }

    /// For a terminal: `file:line:column: error[code]: message`, and the fix on a line of its own.
    #[must_use]
    pub fn render(&self, file: &str) -> String {
        let place = match self.position {
            Some(Position { line, column }) => format!("{file}:{line}:{column}: "),
            None => format!("{file}: "),
        };
        let path = match self.position {
            None if !self.path.is_empty() => format!("{}: ", self.path),
            _ => String::new(),
        };
        let fix = self.fix.as_ref().map_or_else(String::new, |fix| format!("\n  fix: {fix}"));
        format!("{place}{}[{}]: {path}{}{fix}", self.severity, self.code, self.message)
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.path.as_str(), self.position) {
            ("", None) => {}
            ("", Some(position)) => write!(f, "{position}: ")?,
            (path, None) => write!(f, "{path}: ")?,
            (path, Some(position)) => write!(f, "{path} ({position}): ")?,
        }
        f.write_str(&self.message)?;
        self.fix.as_ref().map_or(Ok(()), |fix| write!(f, "; {fix}"))
    }
}

/// Every problem that was found, in document order.
///
/// Displays as one line, for a condition's message.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
#[serde(transparent)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl Diagnostics {
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|d| d.severity == Severity::Error)
    }

    /// Brings them into document order. Those without a position keep their order and come first.
    pub fn sort(&mut self) {
        self.0.sort_by_key(|diagnostic| diagnostic.position);
    }

    /// For a terminal: every diagnostic as [`Diagnostic::render`] has it, one after the other.
    #[must_use]
    pub fn render(&self, file: &str) -> String {
        self.0.iter().map(|diagnostic| diagnostic.render(file) + "\n").collect()
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Self {
        Self(vec![diagnostic])
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{diagnostic}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

/// The known name that is nearest to a misspelt one, as a question for [`Diagnostic::fix`].
#[must_use]
pub fn did_you_mean<'n>(given: &str, known: impl IntoIterator<Item = &'n str>) -> Option<String> {
    nearest(given, known)
        .filter(|name| *name != given)
        .map(|name| format!("did you mean \"{name}\"?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unknown_field() -> Diagnostic {
        let position = Some(Position { line: 12, column: 5 });
        Diagnostic::error("unknown-field", "steps[1].urll", position, "unknown field \"urll\"")
            .with_fix(did_you_mean("urll", ["url", "method"]))
    }

    #[test]
    fn a_diagnostic_is_one_line_for_a_condition() {
        let expected = "steps[1].urll (line 12, column 5): unknown field \"urll\"; did you mean \"url\"?";
        assert_eq!(unknown_field().to_string(), expected);
        assert_eq!(
            Diagnostics(vec![unknown_field(), unknown_field()]).to_string(),
            format!("{expected}; {expected}")
        );
    }

    #[test]
    fn a_diagnostic_without_a_position_names_its_path() {
        let diagnostic = Diagnostic {
            position: None,
            ..unknown_field()
        };
        assert_eq!(
            diagnostic.to_string(),
            "steps[1].urll: unknown field \"urll\"; did you mean \"url\"?"
        );
        assert_eq!(
            diagnostic.render("a.yml"),
            "a.yml: error[unknown-field]: steps[1].urll: unknown field \"urll\"\n  fix: did you mean \"url\"?"
        );
    }

    #[test]
    fn a_terminal_gets_what_editors_can_jump_to() {
        assert_eq!(
            Diagnostics(vec![unknown_field()]).render("a.yml"),
            "a.yml:12:5: error[unknown-field]: unknown field \"urll\"\n  fix: did you mean \"url\"?\n"
        );
    }

    #[test]
    fn json_holds_line_and_column_beside_the_code() {
        let json = serde_json::json!([{
            "code": "unknown-field", "severity": "error", "path": "steps[1].urll", "line": 12, "column": 5,
            "message": "unknown field \"urll\"", "fix": "did you mean \"url\"?",
        }]);
        assert_eq!(serde_json::to_value(Diagnostics(vec![unknown_field()])).ok(), Some(json));
    }

    #[test]
    fn a_hint_names_the_nearest_and_nothing_far_away() {
        for (given, known, expected) in [
            ("retires", &["retries", "retry_delay"][..], Some("did you mean \"retries\"?")),
            ("Health_Check", &["health_check"][..], Some("did you mean \"health_check\"?")),
            ("x", &["retries"][..], None),
            ("", &["retries"][..], None),
        ] {
            assert_eq!(did_you_mean(given, known.iter().copied()).as_deref(), expected, "{given}");
        }
    }

    #[test]
    fn document_order_is_by_line_then_column() {
        let at = |line, column| Diagnostic {
            position: Some(Position { line, column }),
            ..unknown_field()
        };
        let mut diagnostics = Diagnostics(vec![at(3, 1), at(1, 9), at(1, 2)]);
        diagnostics.sort();
        assert_eq!(diagnostics, Diagnostics(vec![at(1, 2), at(1, 9), at(3, 1)]));
    }
}
