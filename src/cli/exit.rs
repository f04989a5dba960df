//! Exit codes, and the one place where errors are printed.

use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Succeeded,
    /// The run failed; lint found errors; the controller broke down.
    Failed,
    /// Wrong usage, or a runbook that cannot run.
    Usage,
    /// Cancelled, as by Ctrl-C.
    Cancelled,
}

impl Exit {
    /// Prints why, and is [`Exit::Failed`].
    #[must_use]
    pub fn failed(message: &str) -> Self {
        super::output::complain(message);
        Self::Failed
    }

    /// Prints why, and is [`Exit::Usage`].
    #[must_use]
    pub fn usage(message: &str) -> Self {
        super::output::complain(message);
        Self::Usage
    }

    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Succeeded => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Cancelled => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
