//! Everything about a runbook that can be known before anything acts.

use super::Runbook;
use super::diagnostic::Diagnostics;
use super::document::Node;

/// Checks a document and makes a runbook of it.
///
/// # Errors
/// All diagnostics, warnings included, if at least one is an error.
pub fn check(_document: &Node) -> Result<Runbook, Diagnostics> {
    unimplemented!()
}
