//! How a run ended, for whoever reads it at night: what happened, where, and whether it was undone.

use super::{Outcome, Run};
use crate::api::operation::{Phase, StepPhase};
use crate::api::{self, Reason};
use crate::operation::rollback::Extent;
use crate::operation::walk;

/// How many paths a message names.
const MOST_PATHS: usize = 5;

impl Run {
    pub(super) fn outcome(&self) -> Outcome {
        let Some(cause) = &self.cause else {
            return Outcome {
                phase: Phase::Succeeded,
                reason: Reason::Succeeded,
                message: self.success(),
            };
        };
        let what = match &cause.failure.step {
            Some(step) => format!("{step}: {}", cause.failure.message),
            None => cause.failure.message.clone(),
        };
        let message = format!("{}; {}", self.recorder.text(&what), self.undoing());
        Outcome {
            phase: cause.phase,
            reason: cause.reason,
            message,
        }
    }

    /// What came of the runbook's own steps, those inside others not counted.
    fn success(&self) -> String {
        let all = self.runbook.steps.len();
        let phases: Vec<StepPhase> = self
            .runbook
            .steps
            .iter()
            .enumerate()
            .filter_map(|(index, step)| self.steps.get(&walk::path("", index, step)).map(|record| record.phase))
            .collect();
        let number = |phase: StepPhase| phases.iter().filter(|known| **known == phase).count();
        let (succeeded, skipped, tolerated) = (number(StepPhase::Succeeded), number(StepPhase::Skipped), number(StepPhase::Failed));
        let left_out = all.saturating_sub(phases.len());
        let mut parts = vec![match (succeeded, all) {
            (1, 1) => "the step succeeded".to_owned(),
            _ if succeeded == all => format!("all {all} steps succeeded"),
            _ => format!("{succeeded} of {all} steps succeeded"),
        }];
        let mut add = |number: usize, what: &str| {
            if number > 0 {
                parts.push(format!("{number} {what}"));
            }
        };
        add(skipped, "skipped because their condition did not hold");
        add(tolerated, "failed, which the runbook tolerates");
        add(left_out, "not reached because an earlier step ended the run");
        parts.join(", ")
    }

    /// Whether what the run did was undone.
    fn undoing(&self) -> String {
        match self.extent {
            Some(Extent::Whole) => self.rolled_back(),
            _ if !self.touched => "nothing had to be rolled back".to_owned(),
            _ => "not rolled back, because rollback.enabled is false".to_owned(),
        }
    }

    fn rolled_back(&self) -> String {
        if self.runbook.rollback.on_failure.is_empty() {
            return "not rolled back, because the runbook has no rollback steps".to_owned();
        }
        if self.rollback_timed_out {
            return format!(
                "the rollback was stopped, because it was not done within {}: see status.rollback",
                api::Duration(self.timeout)
            );
        }
        let failed = |phase: StepPhase| !matches!(phase, StepPhase::Succeeded | StepPhase::Skipped);
        let failed: Vec<&str> = self
            .rollback
            .values()
            .filter(|record| failed(record.phase))
            .map(|record| record.path.as_str())
            .collect();
        let named = failed.iter().take(MOST_PATHS).copied().collect::<Vec<_>>().join(", ");
        match failed.len() {
            0 => "rolled back".to_owned(),
            number if number > MOST_PATHS => format!(
                "the rollback failed in {named} and {} more: see status.rollback",
                number - MOST_PATHS
            ),
            _ => format!("the rollback failed in {named}: see status.rollback"),
        }
    }
}
