//! What a run does next. Pure: it is given what happened and the time, and says what to start, what to stop, and when to look again.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use super::record::{Original, Recorder};
use super::rollback::Extent;
use super::scope::{Failure, Identity, Layer, View};
use super::walk::{self, Context, Cursor, End, Records, Standing, Start};
use crate::api::Reason;
use crate::api::operation::{Phase, StepStatus};
use crate::runbook::{Runbook, Step, StepType};
use crate::telemetry::redaction::Redactor;

/// Notifications together take at most this long.
const NOTIFICATIONS_TIMEOUT: Duration = Duration::from_secs(30);

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
    /// When the notifications began.
    notifying_since: Option<Timestamp>,
    /// What the run yields; known at its end.
    pub outputs: Map<String, Value>,
    /// The report of the run; known at its end.
    pub report: Option<String>,
    cursor: Cursor,
}

/// What happens now.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Stage {
    Steps,
    /// The cause is known; what runs comes to its end.
    Stopping,
    Rollback(Extent),
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
        } = beginning;
        Self {
            runbook,
            identity,
            layer: Layer {
                variables: parameters,
                ..Layer::default()
            },
            live: HashSet::new(),
            ends: HashMap::new(),
            recorder: Recorder::new(redactor, record.originals),
            timeout,
            touched: false,
            stage: Stage::Steps,
            cause: record.cause,
            steps: by_path(record.steps),
            rollback: by_path(record.rollback),
            notifications: Records::new(),
            rollback_started_at: record.rollback_started_at,
            notifying_since: None,
            outputs: Map::new(),
            report: None,
            cursor: Cursor::default(),
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

    /// What is masked on record, if that grew since the last call.
    pub fn take_new_originals(&mut self) -> Option<BTreeMap<String, Original>> {
        self.recorder.take_new_originals()
    }

    /// Where the report is to be saved, if it is.
    #[must_use]
    pub fn report_path(&self, now: Timestamp) -> Option<Result<String, String>> {
        let template = self.runbook.results.save_to.as_ref()?;
        let layers = [&self.layer];
        let failure = self.cause.as_ref().map(|cause| &cause.failure);
        let view = View {
            layers: &layers,
            identity: &self.identity,
            now,
            attempt: 1,
            failure,
            result: None,
        };
        Some(
            template
                .render(&view)
                .map(|path| crate::runbook::substitute::text(&path))
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

    /// Where it stands, as the status says it.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        match (&self.stage, &self.cause) {
            (Stage::Rollback(_), _) | (Stage::Notifications(_), Some(_)) => Phase::RollingBack,
            _ => Phase::Running,
        }
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
            let before = self.stage.clone();
            match before {
                Stage::Steps => self.steps_stage(observed, now, &mut decision),
                Stage::Stopping => self.stopping_stage(now, &mut decision),
                Stage::Rollback(extent) => self.rollback_stage(extent, now, &mut decision),
                Stage::Notifications(group) => self.notifications_stage(group, now, &mut decision),
                Stage::Ended => decision.end = Some(self.outcome()),
            }
            if self.stage == before {
                return decision;
            }
        }
    }

    fn steps_stage(&mut self, observed: &Observed, now: Timestamp, decision: &mut Decision) {
        let left = self.timeout.checked_sub(observed.running_for);
        // what is on record as the cause comes first: the steps are then only read again, for their variables
        let hold = observed.suspend || observed.cancel || left.is_none() || self.cause.is_some();
        let standing = self.advance_steps(hold, now, decision);
        let cause = match standing {
            Standing::Done | Standing::Exited if self.cause.is_none() => {
                self.finish(now);
                return;
            }
            _ if self.cause.is_some() => None,
            Standing::Failed { failure, interrupted } => {
                let reason = if interrupted { Reason::Interrupted } else { Reason::StepFailed };
                Some(Cause {
                    phase: Phase::Failed,
                    reason,
                    failure,
                })
            }
            _ if observed.cancel => Some(self.cancelled()),
            _ if left.is_none() => Some(self.timed_out()),
            _ => {
                if let Some(left) = left.filter(|_| !observed.suspend) {
                    wake(decision, now, left);
                }
                return;
            }
        };
        if self.cause.is_none() {
            self.cause = cause;
        }
        decision.starts.clear();
        decision.wake = None;
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
        let message = format!("spec.timeout of {} is over", crate::api::Duration(self.timeout));
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

    /// Lets what runs come to its end, then turns to the rollback.
    fn stopping_stage(&mut self, now: Timestamp, decision: &mut Decision) {
        for (path, end) in std::mem::take(&mut self.ends) {
            self.live.remove(&path);
            put_end(&mut self.steps, &self.recorder, &path, end, now);
        }
        if !self.live.is_empty() {
            decision.stop = true;
            return;
        }
        for record in self.steps.values_mut().filter(|record| !record.phase.is_final()) {
            walk::stop(record, now);
        }
        self.rollback_started_at.get_or_insert(now);
        self.stage = Stage::Rollback(Extent::of(&self.runbook, self.touched));
    }

    fn rollback_stage(&mut self, extent: Extent, now: Timestamp, decision: &mut Decision) {
        let runbook = self.runbook.clone();
        let started = self.rollback_started_at.unwrap_or(now);
        let left = self.timeout.checked_sub(elapsed(started, now));
        let mut cursor = Cursor::new("rollback".to_owned());
        let standing = self.advance_list(
            &mut cursor,
            &runbook.rollback.on_failure,
            extent.includes(),
            List::Rollback,
            left.is_none(),
            now,
            decision,
        );
        match (standing, left) {
            (Standing::Waiting, Some(left)) => wake(decision, now, left),
            (Standing::Waiting, None) => {
                decision.starts.clear();
                decision.stop = !self.live.is_empty();
                if self.live.is_empty() {
                    for record in self.rollback.values_mut().filter(|record| !record.phase.is_final()) {
                        walk::stop(record, now);
                    }
                    self.finish(now);
                }
            }
            _ => self.finish(now),
        }
    }

    /// Outputs and report, then the notifications.
    fn finish(&mut self, now: Timestamp) {
        let failure = self.cause.as_ref().map(|cause| &cause.failure);
        let layers = [&self.layer];
        let view = View {
            layers: &layers,
            identity: &self.identity,
            now,
            attempt: 1,
            failure,
            result: None,
        };
        if self.cause.is_none() {
            for (name, expression) in &self.runbook.outputs {
                match expression.evaluate(&view) {
                    Ok(value) => {
                        self.outputs.insert(name.clone(), self.recorder.value(value));
                    }
                    Err(error) => {
                        let message = format!("outputs.{name}: {error}");
                        self.cause = Some(Cause {
                            phase: Phase::Failed,
                            reason: Reason::StepFailed,
                            failure: Failure { step: None, message },
                        });
                        self.stage = Stage::Stopping;
                        return;
                    }
                }
            }
        }
        if let Some(report) = &self.runbook.results.report {
            let text = report.render(&view).map_or_else(
                |error| format!("results.report_format: {error}"),
                |value| crate::runbook::substitute::text(&value),
            );
            self.report = Some(self.recorder.text(&text));
        }
        self.notifying_since = Some(now);
        self.stage = Stage::Notifications(0);
    }

    /// The groups of notifications that are sent at this end, one after the other.
    fn notifications_stage(&mut self, group: usize, now: Timestamp, decision: &mut Decision) {
        let runbook = self.runbook.clone();
        let lists = self.notification_lists(&runbook);
        let Some((name, list)) = lists.get(group) else {
            self.stage = Stage::Ended;
            return;
        };
        let left = NOTIFICATIONS_TIMEOUT.checked_sub(elapsed(self.notifying_since.unwrap_or(now), now));
        let mut cursor = Cursor::new(format!("notifications/{name}"));
        let standing = self.advance_list(&mut cursor, list, |_| true, List::Notifications, left.is_none(), now, decision);
        match (standing, left) {
            (Standing::Waiting, Some(left)) => wake(decision, now, left),
            (Standing::Waiting, None) if !self.live.is_empty() => {
                decision.stop = true;
                for (path, end) in std::mem::take(&mut self.ends) {
                    self.live.remove(&path);
                    put_end(&mut self.notifications, &self.recorder, &path, end, now);
                }
            }
            _ => self.stage = Stage::Notifications(group + 1),
        }
    }

    fn notification_lists<'a>(&self, runbook: &'a Runbook) -> Vec<(String, &'a [Step])> {
        let mut lists: Vec<(String, &[Step])> = Vec::new();
        match self.cause.as_ref().map(|cause| cause.phase) {
            None => lists.push(("on_success".to_owned(), &runbook.notifications.on_success)),
            Some(Phase::Failed) => lists.push(("on_failure".to_owned(), &runbook.notifications.on_failure)),
            Some(_) => {}
        }
        lists.push(("on_complete".to_owned(), &runbook.notifications.on_complete));
        for (name, list) in &runbook.notifications.on_other {
            let asked = |name: &str| match self.layer.variables.get(name) {
                Some(Value::Bool(asked)) => *asked,
                Some(Value::Array(items)) => !items.is_empty(),
                _ => false,
            };
            if asked(name) || asked(&format!("{name}s")) {
                lists.push((format!("on_{name}"), list));
            }
        }
        lists
    }

    #[expect(clippy::too_many_arguments, reason = "a list, its cursor, and how it is walked")]
    fn advance_list(
        &mut self,
        cursor: &mut Cursor,
        steps: &[Step],
        includes: fn(StepType) -> bool,
        list: List,
        hold: bool,
        now: Timestamp,
        decision: &mut Decision,
    ) -> Standing {
        let mut touched = self.touched;
        let mut context = Context {
            now,
            identity: &self.identity,
            failure: self.cause.as_ref().map(|cause| &cause.failure),
            records: match list {
                List::Rollback => &mut self.rollback,
                List::Notifications => &mut self.notifications,
            },
            live: &mut self.live,
            ends: &mut self.ends,
            recorder: &mut self.recorder,
            hold,
            tolerant: true,
            includes,
            touched: &mut touched,
            starts: Vec::new(),
            wake: None,
        };
        let standing = cursor.advance(steps, &[], &mut self.layer, &mut context);
        take(context, decision);
        standing
    }

    fn outcome(&self) -> Outcome {
        match &self.cause {
            None => Outcome {
                phase: Phase::Succeeded,
                reason: Reason::Succeeded,
                message: "every step came to its end".to_owned(),
            },
            Some(cause) => {
                let message = match &cause.failure.step {
                    Some(step) => format!("{step}: {}", cause.failure.message),
                    None => cause.failure.message.clone(),
                };
                Outcome {
                    phase: cause.phase,
                    reason: cause.reason,
                    message: self.recorder.text(&message),
                }
            }
        }
    }

    /// The path of the step that runs, the innermost of them.
    #[must_use]
    pub fn current_step(&self) -> Option<String> {
        let records = if matches!(self.stage, Stage::Rollback(_)) {
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
}

/// Which list besides the steps is walked.
#[derive(Debug, Clone, Copy)]
enum List {
    Rollback,
    Notifications,
}

fn elapsed(since: Timestamp, now: Timestamp) -> Duration {
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
    if let Some(at) = context.wake {
        decision.wake = Some(decision.wake.map_or(at, |wake| wake.min(at)));
    }
}

/// Puts on record how an attempt ended that nobody waits for any more.
fn put_end(records: &mut Records, recorder: &Recorder, path: &str, end: End, now: Timestamp) {
    let Some(record) = records.get_mut(path) else { return };
    match end {
        End::Stopped => walk::stop(record, now),
        End::Done(answer) => walk::close(
            record,
            now,
            crate::api::operation::StepPhase::Succeeded,
            answer.message.map(|m| recorder.text(&m)),
        ),
        End::Failed(fault) => walk::close(
            record,
            now,
            crate::api::operation::StepPhase::Failed,
            Some(recorder.text(&fault.message)),
        ),
    }
}
