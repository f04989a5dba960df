//! What a field may hold, and the fields that every step may have.

/// A field of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    pub name: &'static str,
    pub shape: Shape,
    pub required: bool,
}

/// What a field may hold. A string with `${...}` is always allowed where the step's own running reads the field;
/// its value is checked when the step starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Text, or a scalar that is rendered as text.
    Text,
    /// Anything.
    Any,
    Map,
    /// A list of anything.
    List,
    /// A list of texts, each one argument.
    Texts,
    /// A name or a list of names; also a map that holds them under `services`.
    Group,
    Boolean,
    /// `true` or `false` as such: what the runbook's own order depends on cannot be substituted.
    Flag,
    /// An integer, at least 1.
    Count,
    Port,
    /// An HTTP status.
    Status,
    /// Seconds, or text such as `90s`, `5m`, `1h30m`.
    Duration,
    /// A duration longer than none.
    Timeout,
    /// One of these words.
    Word(&'static [&'static str]),
    /// An HTTP method, in any case.
    Method,
    /// Text that becomes a shell command.
    Command,
    /// A list of texts that become shell commands.
    Commands,
    /// A command that starts with `git`.
    GitCommand,
    GitCommands,
    /// A place in a state document.
    StatePath,
    /// Places in a state document, each with its new value.
    Updates,
    /// An expression that yields a boolean.
    Condition,
    /// A name that expressions can read.
    Variable,
    /// A list of steps.
    Steps,
}

pub(super) const fn required(name: &'static str, shape: Shape) -> Field {
    Field {
        name,
        shape,
        required: true,
    }
}

pub(super) const fn optional(name: &'static str, shape: Shape) -> Field {
    Field {
        name,
        shape,
        required: false,
    }
}

/// The fields of every step.
pub const COMMON_FIELDS: &[Field] = &[
    optional("name", Shape::Text),
    required("type", Shape::Text),
    optional("description", Shape::Text),
    optional("output", Shape::Variable),
    optional("outcome", Shape::Variable),
    optional("when", Shape::Condition),
    optional("platform_specific", Shape::Text),
    optional("continue_on_failure", Shape::Flag),
    optional("retries", Shape::Count),
    optional("retry_delay", Shape::Duration),
    optional("backoff", Shape::Word(&["fixed", "exponential"])),
    optional("until", Shape::Condition),
    optional("timeout", Shape::Timeout),
    optional("exit", Shape::Flag),
    optional("idempotent", Shape::Flag),
    optional("rollback", Shape::Steps),
];
