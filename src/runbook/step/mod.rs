//! The step types and their fields, as one table, and a checked step.

mod conversion;
mod effect;
mod field;
mod table;

use std::collections::BTreeSet;

use indexmap::IndexMap;

use super::diagnostic::Position;
use super::expression::Expression;
use super::substitute::Template;

pub use conversion::{boolean, count, duration};
pub use field::{COMMON_FIELDS, Field, Shape};

/// A checked step.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a field of the language")]
pub struct Step {
    /// `name`; unique in its list.
    pub name: Option<String>,
    pub kind: StepType,
    pub description: Option<Template>,
    /// The variable that receives the result.
    pub output: Option<String>,
    /// The variable that receives `success` or `failed`; it makes the step report.
    pub outcome: Option<String>,
    /// The step is skipped where this does not hold. `platform_specific: x` is already folded in.
    pub when: Option<Expression>,
    /// The step is repeated every `retry_delay` until this holds (it sees `result`) or `timeout` is over.
    pub until: Option<Expression>,
    pub continue_on_failure: bool,
    /// Attempts in all.
    pub retries: Option<Template>,
    pub retry_delay: Option<Template>,
    pub backoff: Backoff,
    /// Of one attempt.
    pub timeout: Option<Template>,
    /// Once this step ran the operation ends as Succeeded.
    pub exit: bool,
    /// The runbook's word that an unrepeatable step may run again.
    pub idempotent: bool,
    /// The runbook reads this step's answer, so its failure is an answer and does not fail the run.
    pub reports: bool,
    /// The fields of the step's type that were given, by name, but for those in `body`.
    pub fields: IndexMap<&'static str, Template>,
    pub body: Body,
    /// Variables that this step, with everything inside it that writes around itself, may define.
    pub defines: BTreeSet<String>,
    /// Where it stands in the document, such as `steps[2].else[0]`.
    pub place: String,
    pub position: Option<Position>,
}

/// What a step holds inside itself.
#[derive(Debug, Clone, Default)]
pub enum Body {
    #[default]
    None,
    /// `conditional`
    Branches {
        condition: Expression,
        then: Vec<Step>,
        otherwise: Vec<Step>,
    },
    /// `foreach`
    Each {
        items: Template,
        /// The loop variable; `item` by default.
        variable: String,
        /// How many items at once; 1 unless `parallel: true`.
        parallel: Option<Template>,
        max_concurrent: Option<Template>,
        steps: Vec<Step>,
    },
}

impl Step {
    /// Whether it may simply run again after it was interrupted.
    #[must_use]
    pub fn is_repeatable(&self) -> bool {
        self.kind.repeatable(&self.fields)
    }

    /// Whether it may change something outside.
    #[must_use]
    pub fn has_outside_effect(&self) -> bool {
        self.kind.has_outside_effect(&self.fields)
    }
}

/// How the pause between two attempts grows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Backoff {
    #[default]
    Fixed,
    Exponential,
}

/// The type of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StepType {
    Lock,
    Unlock,
    Git,
    Script,
    SshCommand,
    StateCheck,
    StateUpdate,
    HealthCheck,
    HttpRequest,
    Conditional,
    Foreach,
    Delay,
    Notification,
    OperationLog,
    ServiceLookup,
    ServiceGroupLookup,
    LoadOperation,
    AggregateResults,
    Filter,
    LogAnalysis,
    ExternalApi,
    HeatStack,
    Approval,
    Operation,
}

impl StepType {
    /// Every type, in the order of the language's table.
    pub const ALL: [Self; 24] = [
        Self::Lock,
        Self::Unlock,
        Self::Git,
        Self::Script,
        Self::SshCommand,
        Self::StateCheck,
        Self::StateUpdate,
        Self::HealthCheck,
        Self::HttpRequest,
        Self::Conditional,
        Self::Foreach,
        Self::Delay,
        Self::Notification,
        Self::OperationLog,
        Self::ServiceLookup,
        Self::ServiceGroupLookup,
        Self::LoadOperation,
        Self::AggregateResults,
        Self::Filter,
        Self::LogAnalysis,
        Self::ExternalApi,
        Self::HeatStack,
        Self::Approval,
        Self::Operation,
    ];

    /// As written in `type`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lock => "lock",
            Self::Unlock => "unlock",
            Self::Git => "git",
            Self::Script => "script",
            Self::SshCommand => "ssh_command",
            Self::StateCheck => "state_check",
            Self::StateUpdate => "state_update",
            Self::HealthCheck => "health_check",
            Self::HttpRequest => "http_request",
            Self::Conditional => "conditional",
            Self::Foreach => "foreach",
            Self::Delay => "delay",
            Self::Notification => "notification",
            Self::OperationLog => "operation_log",
            Self::ServiceLookup => "service_lookup",
            Self::ServiceGroupLookup => "service_group_lookup",
            Self::LoadOperation => "load_operation",
            Self::AggregateResults => "aggregate_results",
            Self::Filter => "filter",
            Self::LogAnalysis => "log_analysis",
            Self::ExternalApi => "external_api",
            Self::HeatStack => "heat_stack",
            Self::Approval => "approval",
            Self::Operation => "operation",
        }
    }

    /// The type of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl std::fmt::Display for StepType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests;
