//! Which steps undo a run. Pure.

use crate::runbook::{Runbook, StepType};

/// Which of the runbook's rollback steps run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// All of them.
    Whole,
    /// Only `unlock` and `notification`: nothing was done that would have to be undone, or the runbook wants no undoing.
    Release,
}

impl Extent {
    /// The extent of a rollback; `touched` says whether a step with an effect outside has started.
    #[must_use]
    pub const fn of(runbook: &Runbook, touched: bool) -> Self {
        if runbook.rollback.enabled && touched {
            Self::Whole
        } else {
            Self::Release
        }
    }

    /// Which step types take part.
    #[must_use]
    pub fn includes(self) -> fn(StepType) -> bool {
        match self {
            Self::Whole => |_| true,
            Self::Release => |kind| matches!(kind, StepType::Unlock | StepType::Notification),
        }
    }
}
