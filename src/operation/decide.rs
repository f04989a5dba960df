//! What a run does next. Pure: it is given what happened and the time, and says what to start, what to stop, and when to look again.

mod ending;
mod outcome;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use super::record::{self, Original, Recorder};
use super::rollback::Extent;
use super::scope::{Failure, Identity, Layer, View};
use super::walk::{self, Context, Cursor, End, Obstacle, Records, Standing, Start};
use crate::api::operation::{OperationStatus, Phase, StepPhase, StepStatus};
use crate::api::{self, Reason};
use crate::runbook::{Runbook, substitute};
use crate::telemetry::redaction::Redactor;

/// One run of a runbook.
#[derive(Debug)]
pub struct Run {
    runbook: Arc<Runbook>,
    identity: Identity,
    layer: Layer,
    live: HashSet<String>,
    ends: HashMap<String, End>,
    recorder: Recorder,
    /// Of `spec.timeout`: of the steps, and again of the rollback.
    timeout: Duration,
    touched: bool,
    stage: Stage,
    cause: Option<Cause>,
    /// The steps on record.
    pub steps: Records,
    /// The rollback steps on record.
    pub rollback: Records,
    notifications: Records,
    /// When the rollback began.
    pub rollback_started_at: Option<Timestamp>,
    /// What the rollback comprises, once it began.
    extent: Option<Extent>,
    /// The rollback took too long, and was stopped.
    rollback_timed_out: bool,
    /// When the notifications began.
    notifying_since: Option<Timestamp>,
    /// Which of the runbook's notifications are sent.
    groups: Vec<String>,
    /// What the run yields; known at its end.
    pub outputs: Map<String, Value>,
    /// The report of the run; known at its end.
    pub report: Option<String>,
    /// Among the steps.
    cursor: Cursor,
    /// Among the steps of the rollback, then of a group of notifications.
    list: Cursor,
}

/// What happens now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Steps,
    /// The cause is known; what runs comes to its end.
    Stopping,
    Rollback,
    /// One group of notifications after the other.
    Notifications(usize),
    Ended,
}

/// Why a run does not come to its good end. The first cause decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    pub phase: Phase,
    pub reason: Reason,
    pub failure: Failure,
}

/// What a decision is made from, besides what the run knows itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct Observed {
    /// The time since the start of the run that counts towards its timeout: suspended time does not.
    pub running_for: Duration,
    pub cancel: bool,
    pub suspend: bool,
}

/// What to do.
#[derive(Debug, Default)]
pub struct Decision {
    pub starts: Vec<Start>,
    /// Every attempt that runs is to be stopped.
    pub stop: bool,
    /// Look again then, if nothing happened before.
    pub wake: Option<Timestamp>,
    /// The run came to its end: its outcome.
    pub end: Option<Outcome>,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub phase: Phase,
    pub reason: Reason,
    pub message: String,
}

/// What a run is made from.
pub struct Beginning {
    pub runbook: Arc<Runbook>,
    pub identity: Identity,
    /// The value of every declared parameter.
    pub parameters: Map<String, Value>,
    pub timeout: Duration,
    pub redactor: Redactor,
    /// How much may be on record, in bytes of JSON.
    pub room: usize,
}

/// What is on record from before, where a run is taken up.
#[derive(Debug, Default)]
pub struct Record {
    pub steps: Vec<StepStatus>,
    pub rollback: Vec<StepStatus>,
    pub originals: BTreeMap<String, Original>,
    /// Why it is being rolled back, if it is.
    pub cause: Option<Cause>,
    pub rollback_started_at: Option<Timestamp>,
}

impl Record {
    /// What the status of a run says; `originals` is what the journal holds beside it.
    #[must_use]
    pub fn of(status: &OperationStatus, originals: BTreeMap<String, Original>) -> Self {
        let failure = status.failure.clone().map(|failure| Failure {
            step: failure.step,
            message: failure.message,
        });
        let cause = (status.phase == Some(Phase::RollingBack)).then(|| {
            let reason = status
                .reason
                .as_deref()
                .and_then(|reason| reason.parse().ok())
                .unwrap_or(Reason::StepFailed);
            let phase = if reason == Reason::Cancelled {
                Phase::Cancelled
            } else {
                Phase::Failed
            };
            let failure = failure.unwrap_or_else(|| Failure {
                step: None,
                message: String::new(),
            });
            Cause { phase, reason, failure }
        });
        Self {
            steps: status.steps.clone(),
            rollback: status.rollback.clone(),
            originals,
            cause,
            rollback_started_at: status.rollback_started_at.as_ref().map(|time| time.0),
        }
    }
}

fn by_path(records: Vec<StepStatus>) -> Records {
    records.into_iter().map(|record| (record.path.clone(), record)).collect()
}

impl Run {
    /// A run at its start, or where the record says it stands.
    #[must_use]
    pub fn new(beginning: Beginning, record: Record) -> Self {
        let Beginning {
            runbook,
            identity,
            parameters,
            timeout,
            redactor,
            room,
        } = beginning;
        let mut recorder = Recorder::new(redactor, record.originals, room);
        record.steps.iter().chain(&record.rollback).for_each(|step| recorder.count(step));
        Self {
            runbook,
            identity,
            layer: Layer {
                variables: parameters,
                ..Layer::default()
            },
            live: HashSet::new(),
            ends: HashMap::new(),
            recorder,
            timeout,
            touched: false,
            stage: Stage::Steps,
            cause: record.cause,
            steps: by_path(record.steps),
            rollback: by_path(record.rollback),
            notifications: Records::new(),
            rollback_started_at: record.rollback_started_at,
            extent: None,
            rollback_timed_out: false,
            notifying_since: None,
            groups: Vec::new(),
            outputs: Map::new(),
            report: None,
            cursor: Cursor::default(),
            list: Cursor::default(),
        }
    }

    #[must_use]
    pub const fn runbook(&self) -> &Arc<Runbook> {
        &self.runbook
    }

    #[must_use]
    pub const fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// What is kept apart from the record, if that changed since the last call.
    pub fn take_new_originals(&mut self) -> Option<BTreeMap<String, Original>> {
        self.recorder.take_new_originals()
    }

    /// Where the report is to be saved, if it is.
    #[must_use]
    pub fn report_path(&self, now: Timestamp) -> Option<Result<String, String>> {
        let template = self.runbook.results.save_to.as_ref()?;
        let path = template.render(&self.view(&[&self.layer], now));
        Some(
            path.map(|path| substitute::text(&path))
                .map_err(|error| format!("results.save_to: {error}")),
        )
    }

    /// Why it does not come to its good end, if that is known already.
    #[must_use]
    pub const fn cause(&self) -> Option<&Cause> {
        self.cause.as_ref()
    }

    /// How many of the runbook's steps came to their end.
    #[must_use]
    pub const fn passed(&self) -> usize {
        self.cursor.passed()
    }

    /// Whether an attempt runs in this process.
    #[must_use]
    pub fn is_live(&self, path: &str) -> bool {
        self.live.contains(path)
    }

    /// Where it stands, as the status says it. From the moment that the cause is known it is being rolled back, so that whoever
    /// takes it up knows the first cause.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        if self.cause.is_some() { Phase::RollingBack } else { Phase::Running }
    }

    /// The path of the step that runs, the innermost of them.
    #[must_use]
    pub fn current_step(&self) -> Option<String> {
        let records = if self.stage == Stage::Rollback {
            &self.rollback
        } else {
            &self.steps
        };
        records
            .values()
            .rev()
            .find(|record| !record.phase.is_final())
            .map(|record| record.path.clone())
    }

    /// The notifications that could not be sent, each with what went wrong. They do not change how the run ends.
    pub fn failed_notifications(&self) -> impl Iterator<Item = (&str, &str)> {
        let failed = |record: &&StepStatus| matches!(record.phase, StepPhase::Failed | StepPhase::Cancelled);
        let records = self.notifications.values().filter(failed);
        records.map(|record| (record.path.as_str(), record.message.as_deref().unwrap_or_default()))
    }

    /// Takes note that an attempt ended.
    pub fn ended(&mut self, path: String, end: End) {
        if self.live.contains(&path) {
            self.ends.insert(path, end);
        }
    }

    /// What to do now.
    pub fn decide(&mut self, observed: &Observed, now: Timestamp) -> Decision {
        let mut decision = Decision::default();
        loop {
            let before = self.stage;
            match before {
                Stage::Steps => self.steps_stage(observed, now, &mut decision),
                Stage::Stopping => self.stopping_stage(now, &mut decision),
                Stage::Rollback => self.rollback_stage(now, &mut decision),
                Stage::Notifications(group) => self.notifications_stage(group, now, &mut decision),
                Stage::Ended => decision.end = Some(self.outcome()),
            }
            if self.stage == before {
                return decision;
            }
            decision.wake = None;
        }
    }

    fn steps_stage(&mut self, observed: &Observed, now: Timestamp, decision: &mut Decision) {
        let left = remaining(self.timeout, observed.running_for);
        // what is on record as the cause comes first: the steps are then only read again, for their variables
        let hold = observed.suspend || observed.cancel || left.is_none() || self.cause.is_some();
        let standing = self.advance_steps(hold, now, decision);
        if self.cause.is_none() {
            self.cause = Some(match (standing, left) {
                (Standing::Done | Standing::Exited, _) => return self.finish(now),
                (Standing::Failed(obstacle), _) => failed(obstacle),
                (Standing::Waiting, _) if observed.cancel => self.cancelled(),
                (Standing::Waiting, None) => self.timed_out(),
                (Standing::Waiting, Some(left)) => {
                    if !observed.suspend {
                        wake(decision, now, left);
                    }
                    return;
                }
            });
        }
        self.stage = Stage::Stopping;
    }

    fn cancelled(&self) -> Cause {
        let failure = Failure {
            step: self.current_step(),
            message: "was cancelled".to_owned(),
        };
        Cause {
            phase: Phase::Cancelled,
            reason: Reason::Cancelled,
            failure,
        }
    }

    fn timed_out(&self) -> Cause {
        let message = format!("was stopped: spec.timeout of {} is over", api::Duration(self.timeout));
        Cause {
            phase: Phase::Failed,
            reason: Reason::TimedOut,
            failure: Failure {
                step: self.current_step(),
                message,
            },
        }
    }

    fn advance_steps(&mut self, hold: bool, now: Timestamp, decision: &mut Decision) -> Standing {
        let runbook = self.runbook.clone();
        let mut context = Context {
            now,
            identity: &self.identity,
            failure: None,
            records: &mut self.steps,
            live: &mut self.live,
            ends: &mut self.ends,
            recorder: &mut self.recorder,
            hold,
            tolerant: false,
            includes: |_| true,
            touched: &mut self.touched,
            starts: Vec::new(),
            wake: None,
        };
        let standing = self.cursor.advance(&runbook.steps, &[], &mut self.layer, &mut context);
        take(context, decision);
        standing
    }

    /// Lets what runs come to its end, then turns to the rollback. A step that ended well before it could be stopped is on record
    /// with all that it yields, for the rollback to use.
    fn stopping_stage(&mut self, now: Timestamp, decision: &mut Decision) {
        if !self.ends.is_empty() {
            self.advance_steps(true, now, decision);
        }
        if !self.live.is_empty() {
            decision.stop = true;
            return;
        }
        for record in self.steps.values_mut().filter(|record| !record.phase.is_final()) {
            walk::stop(record, now);
        }
        self.begin_rollback(now);
    }

    fn view<'a>(&'a self, layers: &'a [&'a Layer], now: Timestamp) -> View<'a> {
        let failure = self.cause.as_ref().map(|cause| &cause.failure);
        View {
            layers,
            identity: &self.identity,
            now,
            attempt: 1,
            failure,
            result: None,
        }
    }
}

fn failed(obstacle: Obstacle) -> Cause {
    let reason = match obstacle.phase {
        StepPhase::Interrupted => Reason::Interrupted,
        _ if record::tells_of_size(&obstacle.failure.message) => Reason::OutputTooLarge,
        _ => Reason::StepFailed,
    };
    Cause {
        phase: Phase::Failed,
        reason,
        failure: obstacle.failure,
    }
}

/// What is left of a time; none once it is over.
fn remaining(all: Duration, passed: Duration) -> Option<Duration> {
    all.checked_sub(passed).filter(|left| !left.is_zero())
}

/// How much time passed; none where the clock went back.
pub(super) fn elapsed(since: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(since)).unwrap_or_default()
}

fn wake(decision: &mut Decision, now: Timestamp, after: Duration) {
    let at = now
        .saturating_add(SignedDuration::try_from(after).unwrap_or(SignedDuration::MAX))
        .unwrap_or(Timestamp::MAX);
    decision.wake = Some(decision.wake.map_or(at, |wake| wake.min(at)));
}

fn take(context: Context<'_>, decision: &mut Decision) {
    decision.starts.extend(context.starts);
    decision.wake = [decision.wake, context.wake].into_iter().flatten().min();
}

#[cfg(test)]
mod tests;
