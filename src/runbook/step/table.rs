//! The fields of every step type: the table of the language, once.

use super::StepType;
use super::field::{COMMON_FIELDS, Field, Shape, optional, required};

/// What `parse` turns stdout into.
const PARSE: Shape = Shape::Word(&["json", "lines"]);

const LOCK: &[Field] = &[
    required("resource", Shape::Text),
    optional("metadata", Shape::Map),
    optional("wait", Shape::Duration),
];
const UNLOCK: &[Field] = &[
    required("resource", Shape::Text),
    optional("force", Shape::Boolean),
    optional("reason", Shape::Text),
];
const GIT: &[Field] = &[
    optional("command", Shape::GitCommand),
    optional("commands", Shape::GitCommands),
    optional("directory", Shape::Text),
    optional("parse", PARSE),
];
const SCRIPT: &[Field] = &[
    optional("script", Shape::Text),
    optional("run", Shape::Command),
    optional("args", Shape::Texts),
    optional("directory", Shape::Text),
    optional("env", Shape::Map),
    optional("parse", PARSE),
];
const SSH_COMMAND: &[Field] = &[
    optional("host", Shape::Text),
    optional("user", Shape::Text),
    optional("port", Shape::Port),
    optional("directory", Shape::Text),
    optional("command", Shape::Command),
    optional("commands", Shape::Commands),
    optional("expected_output", Shape::Text),
    optional("parse", PARSE),
];
const STATE_CHECK: &[Field] = &[
    required("file", Shape::Text),
    optional("path", Shape::StatePath),
    optional("service", Shape::Text),
    optional("action", Shape::Word(&["read"])),
    optional("equals", Shape::Any),
];
const STATE_UPDATE: &[Field] = &[required("file", Shape::Text), required("updates", Shape::Updates)];
const HEALTH_CHECK: &[Field] = &[
    optional("method", Shape::Word(&["http", "tcp", "ssh_command"])),
    optional("url", Shape::Text),
    optional("host", Shape::Text),
    optional("port", Shape::Port),
    optional("command", Shape::Command),
    optional("expected_status", Shape::Status),
    optional("expected_body_contains", Shape::Text),
    optional("expected_output", Shape::Text),
    optional("service", Shape::Text),
    optional("from_registry", Shape::Boolean),
    optional("file", Shape::Text),
    optional("optional", Shape::Boolean),
];
const HTTP_REQUEST: &[Field] = &[
    required("url", Shape::Text),
    optional("method", Shape::Method),
    optional("headers", Shape::Map),
    optional("body", Shape::Any),
    optional("expected_status", Shape::Status),
];
const CONDITIONAL: &[Field] = &[
    required("condition", Shape::Condition),
    required("steps", Shape::Steps),
    optional("else", Shape::Steps),
];
const FOREACH: &[Field] = &[
    required("items", Shape::List),
    optional("as", Shape::Variable),
    optional("parallel", Shape::Boolean),
    optional("max_concurrent", Shape::Count),
    required("steps", Shape::Steps),
];
const DELAY: &[Field] = &[optional("seconds", Shape::Duration), optional("duration", Shape::Duration)];
const NOTIFICATION: &[Field] = &[
    required("channel", Shape::Text),
    required("message", Shape::Text),
    optional("priority", Shape::Text),
    optional("title", Shape::Text),
];
const OPERATION_LOG: &[Field] = &[required("entry", Shape::Any), optional("file", Shape::Text)];
const SERVICE_LOOKUP: &[Field] = &[
    optional("file", Shape::Text),
    required("service", Shape::Text),
    optional("get", Shape::Text),
];
const SERVICE_GROUP_LOOKUP: &[Field] = &[optional("file", Shape::Text), required("group", Shape::Group)];
const LOAD_OPERATION: &[Field] = &[
    required("template", Shape::Text),
    optional("parameters", Shape::Map),
    optional("execute", Shape::Boolean),
];
const AGGREGATE_RESULTS: &[Field] = &[optional("format", Shape::Word(&["markdown", "json"]))];
const FILTER: &[Field] = &[optional("items", Shape::List), required("condition", Shape::Condition)];
const LOG_ANALYSIS: &[Field] = &[required("logs", Shape::Text), required("patterns", Shape::Texts)];
const EXTERNAL_API: &[Field] = &[
    required("api", Shape::Text),
    required("action", Shape::Text),
    optional("wait_for_completion", Shape::Boolean),
];
const HEAT_STACK: &[Field] = &[
    required("action", Shape::Word(&["apply", "delete", "suspend", "resume", "check", "wait"])),
    required("name", Shape::Text),
    optional("spec", Shape::Map),
];
const APPROVAL: &[Field] = &[optional("message", Shape::Text), optional("approvers", Shape::Texts)];
const OPERATION: &[Field] = &[
    required("runbook", Shape::Text),
    optional("parameters", Shape::Map),
    optional("wait", Shape::Boolean),
];

impl StepType {
    /// The fields of this type, but for [`COMMON_FIELDS`].
    #[must_use]
    pub const fn fields(self) -> &'static [Field] {
        match self {
            Self::Lock => LOCK,
            Self::Unlock => UNLOCK,
            Self::Git => GIT,
            Self::Script => SCRIPT,
            Self::SshCommand => SSH_COMMAND,
            Self::StateCheck => STATE_CHECK,
            Self::StateUpdate => STATE_UPDATE,
            Self::HealthCheck => HEALTH_CHECK,
            Self::HttpRequest => HTTP_REQUEST,
            Self::Conditional => CONDITIONAL,
            Self::Foreach => FOREACH,
            Self::Delay => DELAY,
            Self::Notification => NOTIFICATION,
            Self::OperationLog => OPERATION_LOG,
            Self::ServiceLookup => SERVICE_LOOKUP,
            Self::ServiceGroupLookup => SERVICE_GROUP_LOOKUP,
            Self::LoadOperation => LOAD_OPERATION,
            Self::AggregateResults => AGGREGATE_RESULTS,
            Self::Filter => FILTER,
            Self::LogAnalysis => LOG_ANALYSIS,
            Self::ExternalApi => EXTERNAL_API,
            Self::HeatStack => HEAT_STACK,
            Self::Approval => APPROVAL,
            Self::Operation => OPERATION,
        }
    }

    /// Groups of fields of which exactly one must be given.
    #[must_use]
    pub const fn alternatives(self) -> &'static [&'static [&'static str]] {
        match self {
            Self::Git | Self::SshCommand => &[&["command", "commands"]],
            Self::Script => &[&["script", "run"]],
            Self::StateCheck => &[&["path", "service"]],
            Self::Delay => &[&["seconds", "duration"]],
            _ => &[],
        }
    }

    /// Whether a field that is not in the table is an argument of the step.
    #[must_use]
    pub const fn takes_other_fields(self) -> bool {
        matches!(self, Self::ExternalApi)
    }

    /// The field of that name, one of every step's among them.
    #[must_use]
    pub fn field(self, name: &str) -> Option<&'static Field> {
        self.fields().iter().chain(COMMON_FIELDS).find(|field| field.name == name)
    }

    /// Whether this version can run it. The others are known to the language, checked, and refused.
    #[must_use]
    pub const fn available(self) -> bool {
        match self {
            Self::Delay
            | Self::Conditional
            | Self::Foreach
            | Self::HealthCheck
            | Self::HttpRequest
            | Self::StateCheck
            | Self::StateUpdate
            | Self::OperationLog
            | Self::Notification
            | Self::ServiceLookup
            | Self::ServiceGroupLookup
            | Self::AggregateResults
            | Self::Filter => true,
            Self::Lock
            | Self::Unlock
            | Self::Git
            | Self::Script
            | Self::SshCommand
            | Self::LoadOperation
            | Self::LogAnalysis
            | Self::ExternalApi
            | Self::HeatStack
            | Self::Approval
            | Self::Operation => false,
        }
    }
}
