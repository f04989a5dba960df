#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod bad;
mod good;
mod hostile;
mod reading;

use super::*;
use crate::runbook::document::read;

/// A runbook with these steps, each line indented by two.
fn with_steps(steps: &str) -> String {
    format!("operation: {{name: test, type: maintain}}\nsteps:\n{steps}")
}

fn parse(text: &str) -> Runbook {
    check(&read(text).unwrap()).unwrap()
}

/// A text, and the code, path, line and column of what is wrong with it.
type Table = &'static [(&'static str, (&'static str, &'static str, usize, usize))];

/// Code, path, line and column of every problem, warnings too.
fn problems(text: &str) -> Vec<(&'static str, String, usize, usize)> {
    let diagnostics = match check(&read(text).unwrap()) {
        Ok(runbook) => runbook.warnings,
        Err(diagnostics) => diagnostics,
    };
    let place = |diagnostic: &Diagnostic| diagnostic.position.map_or((0, 0), |position| (position.line, position.column));
    let told = diagnostics.0.into_iter().map(|diagnostic| {
        let (line, column) = place(&diagnostic);
        (diagnostic.code, diagnostic.path, line, column)
    });
    told.collect()
}
