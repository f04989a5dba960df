//! What has been found so far.

use crate::runbook::diagnostic::{Diagnostic, Diagnostics, Position, Severity, did_you_mean};

/// The most problems told of one document.
const MOST: usize = 200;
/// How many of them may have a hint: looking for one takes long where many names are known.
const MOST_HINTED: usize = 50;

#[derive(Default)]
pub(super) struct Problems {
    found: Vec<Diagnostic>,
    /// Errors left out, and warnings.
    left_out: (usize, usize),
}

impl Problems {
    pub(super) fn push(&mut self, problem: Diagnostic) {
        match (self.is_full(), problem.severity) {
            (false, _) => self.found.push(problem),
            (true, Severity::Error) => self.left_out.0 += 1,
            (true, Severity::Warning) => self.left_out.1 += 1,
        }
    }

    /// The known name that is nearest to a misspelt one.
    pub(super) fn hint<'n>(&self, given: &str, known: impl IntoIterator<Item = &'n str>) -> Option<String> {
        if self.found.len() < MOST_HINTED {
            did_you_mean(given, known)
        } else {
            None
        }
    }

    /// Whether one more would be counted and not told.
    pub(super) fn is_full(&self) -> bool {
        self.found.len() >= MOST
    }

    pub(super) fn error(&mut self, code: &'static str, path: &str, position: Option<Position>, message: impl Into<String>) {
        self.push(Diagnostic::error(code, path, position, message));
    }

    /// In document order.
    pub(super) fn finish(self) -> Diagnostics {
        let mut all = Diagnostics(self.found);
        all.sort();
        let (errors, warnings) = self.left_out;
        let message = format!("{errors} more errors and {warnings} more warnings are not shown");
        match (errors, warnings) {
            (0, 0) => {}
            (0, _) => all.0.push(Diagnostic::warning("more", "", None, message)),
            _ => all.0.push(Diagnostic::error("more", "", None, message)),
        }
        all
    }
}
