//! The runbook language and nothing else: text in, a checked [`Runbook`] or [`Diagnostics`] out.
//!
//! Pure: no async, clock, files, network or cluster. A [`Runbook`] exists only if it is valid, so whoever holds one
//! may run it without asking again.
//!
//! | module | what it settles |
//! |---|---|
//! | [`document`] | YAML text or JSON to a tree of nodes that know their position |
//! | [`expression`] | the CEL subset, with a budget |
//! | [`substitute`] | `${...}` inside any value |
//! | [`shell`] | `${...}` inside a command, quoted for the place it stands in |
//! | [`path`] | places in a state document |
//! | [`parameter`] | declared parameters and the values given for them |
//! | [`step`] | the step types and their fields, as one table |
//! | [`check`] | everything that can be known before anything acts |
//! | [`diagnostic`] | how a problem is told |

pub mod check;
pub mod diagnostic;
pub mod document;
pub mod expression;
pub mod parameter;
pub mod path;
pub mod shell;
pub mod step;
pub mod substitute;

use indexmap::IndexMap;

pub use diagnostic::{Diagnostic, Diagnostics};
pub use expression::{Expression, Scope};
pub use parameter::Parameter;
pub use step::{Step, StepType};
pub use substitute::Template;

/// A checked runbook.
#[derive(Debug, Clone)]
pub struct Runbook {
    /// `operation.name`.
    pub name: String,
    /// `operation.type`: `deploy`, `maintain`, `recovery` or any other DNS label.
    pub kind: String,
    /// `operation.description`.
    pub description: Option<String>,
    /// `operation.platform`, free text.
    pub platform: Option<String>,
    /// Declared parameters, in document order.
    pub parameters: IndexMap<String, Parameter>,
    /// At least one.
    pub steps: Vec<Step>,
    /// What undoes a failed or cancelled run.
    pub rollback: Rollback,
    /// Whom to tell at the end.
    pub notifications: Notifications,
    /// The report of the run.
    pub results: Results,
    /// What becomes `status.outputs`.
    pub outputs: IndexMap<String, Expression>,
    /// Hex SHA-256 of the document as canonical JSON: the same document gives the same digest however it is written.
    pub digest: String,
    /// What `check` found that does not keep the runbook from running.
    pub warnings: Diagnostics,
}

/// The runbook's `rollback`.
#[derive(Debug, Clone, Default)]
pub struct Rollback {
    /// `false` leaves only the `unlock` and `notification` steps of the list. The default is `true`.
    pub enabled: bool,
    /// Steps to run, in order, after a failure or a cancel.
    pub on_failure: Vec<Step>,
}

/// The runbook's `notifications`; every entry is a step of type `notification`.
#[derive(Debug, Clone, Default)]
pub struct Notifications {
    pub on_success: Vec<Step>,
    pub on_failure: Vec<Step>,
    /// Sent however the run ends.
    pub on_complete: Vec<Step>,
    /// `on_<other>`, keyed by `<other>`: sent at the end if the variable `<other>` or `<other>s` is true or a non-empty list.
    pub on_other: IndexMap<String, Vec<Step>>,
}

/// The runbook's `results`.
#[derive(Debug, Clone, Default)]
pub struct Results {
    /// `report_format`: the text of the report.
    pub report: Option<Template>,
    /// `save_to`: the state document's path that receives the report.
    pub save_to: Option<Template>,
}

impl Runbook {
    /// Reads and checks a runbook given as YAML text.
    ///
    /// # Errors
    /// All diagnostics, warnings included, if at least one is an error.
    pub fn parse(text: &str) -> Result<Self, Diagnostics> {
        check::check(&document::read(text)?)
    }

    /// Reads and checks a runbook given as JSON, as the API server stores an inline one. Diagnostics have a path and no position.
    ///
    /// # Errors
    /// As [`Runbook::parse`].
    pub fn from_json(value: &serde_json::Value) -> Result<Self, Diagnostics> {
        check::check(&document::from_json(value)?)
    }
}
