//! The conditions of all kinds, and every reason one can have.

/// The object is what its spec asks for.
pub const READY: &str = "Ready";
/// Work goes on.
pub const RECONCILING: &str = "Reconciling";
/// Nothing will happen without a change.
pub const STALLED: &str = "Stalled";

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Why a condition is as it is, or an Event was written. One list for all kinds, so that a word means one thing.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Reason { $($(#[$doc])* $name,)* }

        impl Reason {
            /// Every reason there is.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The CamelCase word that stands in the condition.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }
        }
    };
}

reasons! {
    /// Seen, not yet looked at.
    Pending,
    /// Waits for a slot of its queue.
    Queued,
    /// Its steps run.
    Running,
    /// It failed or was cancelled, and what it did is being undone.
    RollingBack,
    /// It came to its end.
    Succeeded,
    /// A step failed.
    StepFailed,
    /// A step that must not run twice was running when its controller ended.
    Interrupted,
    /// `spec.timeout` was over.
    TimedOut,
    /// Somebody asked for its end.
    Cancelled,
    /// `spec.suspend` holds it.
    Suspended,
    /// The runbook, its parameters or the Operation itself cannot run as written.
    InvalidRunbook,
    /// No runbook of that name in the library.
    RunbookNotFound,
    /// A ConfigMap that it names does not exist.
    ConfigMapNotFound,
    /// A Secret that it names does not exist.
    SecretNotFound,
    /// The queue it names does not exist.
    QueueNotFound,
    /// An output is larger than its place.
    OutputTooLarge,
    /// An account may not do what it must.
    Forbidden,
    /// A newer controller wrote this object's journal.
    NewerJournal,
    /// Our types cannot read this object.
    Unreadable,
    /// A notification could not be sent.
    NotificationFailed,
    /// A secret value is too short to be masked.
    SecretTooShort,
    /// The queue admits Operations.
    Admitting,
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Reason {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.iter().find(|reason| reason.as_str() == text).copied().ok_or(())
    }
}
