//! Whether the records of a workload's Operations agree with what arrived at its target.

use std::{collections::BTreeMap, fmt};

use kube::api::ListParams;
use thermostat::api::{
    Operation,
    operation::{Phase, StepPhase, StepStatus},
};

use crate::{
    harness::{Failure, Result},
    history::Life,
    workload::{POSTS, STEPS, UNDO, Workload},
};

/// What was counted over all Operations of a workload. Made only if nothing ran twice and every record is true.
#[derive(Debug, Default, Clone, Copy)]
pub struct Verdict {
    pub operations: usize,
    pub succeeded: usize,
    pub interrupted: usize,
    /// Of those that succeeded: ran under two or more leaderships.
    pub succeeded_over_epochs: usize,
    /// POSTs, those of rollbacks included, by what is on record.
    pub posts_succeeded: usize,
    pub posts_interrupted: usize,
    /// Of those on record as interrupted: arrived all the same.
    pub interrupted_and_arrived: usize,
    /// Health checks that arrived.
    pub probes: usize,
}

impl Verdict {
    /// Reads all Operations live and compares them with the books of the target.
    ///
    /// # Errors
    /// Every contradiction that was found.
    pub async fn of(workload: &Workload, lives: &BTreeMap<String, Life>) -> Result<Self> {
        let operations = workload.operations().list(&ListParams::default()).await?.items;
        let counts = workload.target.counts();
        let mut verdict = Self {
            operations: operations.len(),
            ..Self::default()
        };
        let mut wrong: Vec<String> = counts
            .iter()
            .filter(|(key, count)| !key.starts_with('/') && **count > 1)
            .map(|(key, count)| format!("{key} arrived {count} times"))
            .collect();
        for operation in &operations {
            let name = operation.metadata.name.clone().unwrap_or_default();
            let arrived = |step: &str| counts.get(&format!("{name}/{step}")).copied().unwrap_or_default();
            let epochs = lives.get(&name).map_or(0, |life| life.epochs.len());
            let found = verdict.judge(operation, arrived, epochs);
            wrong.extend(found.into_iter().map(|what| format!("{name}: {what}")));
        }
        verdict.probes = counts.iter().filter(|(key, _)| key.starts_with('/')).map(|(_, count)| count).sum();
        if wrong.is_empty() {
            return Ok(verdict);
        }
        Err(Failure::new(format!("{} contradictions:\n{}", wrong.len(), wrong.join("\n"))))
    }

    fn judge(&mut self, operation: &Operation, arrived: impl Fn(&str) -> usize, epochs: usize) -> Vec<String> {
        let status = operation.status.clone().unwrap_or_default();
        let mut wrong = Vec::new();
        let mut interrupted = false;
        for (name, records) in POSTS
            .map(|name| (name, &status.steps))
            .into_iter()
            .chain([(UNDO, &status.rollback)])
        {
            let record = records.iter().find(|record| record.path.ends_with(name));
            let arrivals = arrived(name);
            wrong.extend(self.judge_post(name, record, arrivals));
            interrupted |= name != UNDO && record.is_some_and(|record| record.phase == StepPhase::Interrupted);
        }
        let succeeded = status.phase == Some(Phase::Succeeded);
        match (status.phase, interrupted) {
            (Some(Phase::Succeeded), false) => {
                let all = status.steps.len() == STEPS && status.steps.iter().all(|step| step.phase == StepPhase::Succeeded);
                wrong.extend((!all).then(|| "succeeded, but not all of its steps".to_owned()));
            }
            (Some(Phase::Failed), true) => {
                let said = status.reason.as_deref() == Some("Interrupted");
                wrong.extend((!said).then(|| format!("was interrupted and says {:?}", status.reason)));
                wrong.extend(status.rollback.is_empty().then(|| "was interrupted and not rolled back".to_owned()));
            }
            (phase, _) => wrong.push(format!(
                "is {phase:?}, interrupted: {interrupted}, {:?}: {}",
                status.reason,
                status.message.unwrap_or_default()
            )),
        }
        self.succeeded += usize::from(succeeded);
        self.interrupted += usize::from(interrupted);
        self.succeeded_over_epochs += usize::from(succeeded && epochs >= 2);
        wrong
    }

    fn judge_post(&mut self, name: &str, record: Option<&StepStatus>, arrivals: usize) -> Option<String> {
        let phase = record.map(|record| record.phase);
        match (phase, arrivals) {
            (Some(StepPhase::Succeeded), 1) => self.posts_succeeded += 1,
            (Some(StepPhase::Interrupted), 0) => self.posts_interrupted += 1,
            (Some(StepPhase::Interrupted), 1) => {
                self.posts_interrupted += 1;
                self.interrupted_and_arrived += 1;
            }
            (None, 0) => {}
            _ => return Some(format!("{name} is on record as {phase:?} and arrived {arrivals} times")),
        }
        None
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "{} Operations ended: {} Succeeded ({} of them under two or more runner epochs), {} Failed as Interrupted and rolled back",
            self.operations, self.succeeded, self.succeeded_over_epochs, self.interrupted
        )?;
        write!(
            formatter,
            "{} POSTs on record as Succeeded, each arrived once; {} on record as Interrupted, of which {} had arrived, once; {} health checks",
            self.posts_succeeded, self.posts_interrupted, self.interrupted_and_arrived, self.probes
        )
    }
}
