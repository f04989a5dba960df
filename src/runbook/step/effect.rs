//! What it means to run a step a second time, and whether it leaves a mark outside.

use indexmap::IndexMap;
use serde_json::Value;

use super::StepType;
use crate::runbook::substitute::Template;

impl StepType {
    /// Whether a step that was interrupted may simply run again. The fields are the step's.
    #[must_use]
    pub fn repeatable(&self, fields: &IndexMap<&'static str, Template>) -> bool {
        match self {
            Self::SshCommand | Self::Script | Self::Git | Self::ExternalApi => false,
            Self::HttpRequest => only_reads(fields),
            Self::Lock
            | Self::Unlock
            | Self::StateCheck
            | Self::StateUpdate
            | Self::HealthCheck
            | Self::Conditional
            | Self::Foreach
            | Self::Delay
            | Self::Notification
            | Self::OperationLog
            | Self::ServiceLookup
            | Self::ServiceGroupLookup
            | Self::LoadOperation
            | Self::AggregateResults
            | Self::Filter
            | Self::LogAnalysis
            | Self::HeatStack
            | Self::Approval
            | Self::Operation => true,
        }
    }

    /// Whether it may change something outside, so that a failure after its start must be undone. Steps that hold steps
    /// have the effects of those, and none of their own.
    #[must_use]
    pub fn has_outside_effect(&self, fields: &IndexMap<&'static str, Template>) -> bool {
        match self {
            Self::StateUpdate
            | Self::SshCommand
            | Self::Script
            | Self::Git
            | Self::ExternalApi
            | Self::LoadOperation
            | Self::Operation
            | Self::HeatStack => true,
            Self::HttpRequest => !only_reads(fields),
            Self::Lock
            | Self::Unlock
            | Self::StateCheck
            | Self::HealthCheck
            | Self::Conditional
            | Self::Foreach
            | Self::Delay
            | Self::Notification
            | Self::OperationLog
            | Self::ServiceLookup
            | Self::ServiceGroupLookup
            | Self::AggregateResults
            | Self::Filter
            | Self::LogAnalysis
            | Self::Approval => false,
        }
    }
}

/// Whether the request's method is one that only reads: GET, which is the default, or HEAD. One that an expression gives is not.
fn only_reads(fields: &IndexMap<&'static str, Template>) -> bool {
    match fields.get("method").map(Template::literal) {
        None => true,
        Some(Some(Value::String(method))) => method.eq_ignore_ascii_case("GET") || method.eq_ignore_ascii_case("HEAD"),
        Some(_) => false,
    }
}
