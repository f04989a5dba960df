//! Carries a run out: starts what `decide` says, and tells it how that ended. The same for a cluster and for a laptop.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use tokio::sync::watch;
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};

use super::decide::{Decision, Observed, Outcome, Run, elapsed};
use super::journal::{Event, Fenced, Journal, Snapshot};
use super::report;
use super::step::{self, World};
use super::walk::{End, Fault, Start};
use crate::api::OperationStatus;

/// What people ask of a run while it runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Control {
    pub cancel: bool,
    pub suspend: bool,
    pub generation: Option<i64>,
}

/// Called once, before the first step with an effect outside starts.
pub type BeforeEffect = Box<dyn FnOnce() -> BoxFuture<'static, Result<(), Fenced>> + Send + Sync>;

/// Called for each attempt that ended: its type, whether it went well, and how long it took.
pub type OnStep = Box<dyn Fn(crate::runbook::StepType, bool, Duration) + Send + Sync>;

/// Whether this process may still act for the run; asked right before attempts start.
pub type MayAct = Box<dyn Fn() -> bool + Send + Sync>;

/// A run and all that it is carried out with.
pub struct Execution {
    pub run: Run,
    /// What is on record outside of the run itself: runner, times, conditions.
    pub base: OperationStatus,
    pub world: Arc<World>,
    pub journal: Journal,
    pub control: watch::Receiver<Control>,
    pub before_effect: Option<BeforeEffect>,
    pub may_act: MayAct,
    pub on_step: OnStep,
}

/// A run that came to its end.
pub struct Finished {
    pub outcome: Outcome,
    /// The last status, which is on record.
    pub status: OperationStatus,
    /// The notifications that could not be sent, each with what went wrong.
    pub failed_notifications: Vec<(String, String)>,
}

/// The attempts that run.
#[derive(Default)]
struct Attempts {
    tasks: JoinSet<End>,
    running: HashMap<Id, Attempt>,
}

struct Attempt {
    path: String,
    kind: crate::runbook::StepType,
    repeatable: bool,
    since: tokio::time::Instant,
    abort: AbortHandle,
}

impl Attempts {
    fn start(&mut self, start: Start, world: Arc<World>) {
        let (path, kind, repeatable) = (start.path.clone(), start.kind, start.repeatable);
        let abort = self.tasks.spawn(step::run(start, world));
        let attempt = Attempt {
            path,
            kind,
            repeatable,
            since: tokio::time::Instant::now(),
            abort: abort.clone(),
        };
        self.running.insert(abort.id(), attempt);
    }

    fn stop(&self) {
        self.running.values().for_each(|attempt| attempt.abort.abort());
    }

    /// The next attempt that ended; never comes back while none runs.
    async fn next(&mut self) -> Option<(Attempt, End)> {
        if self.tasks.is_empty() {
            return std::future::pending().await;
        }
        let (id, end) = match self.tasks.join_next_with_id().await? {
            Ok((id, end)) => (id, end),
            Err(error) => (error.id(), broken(&error)),
        };
        self.running.remove(&id).map(|attempt| (attempt, end))
    }
}

fn broken(error: &JoinError) -> End {
    if error.is_cancelled() {
        End::Stopped
    } else {
        End::Failed(Fault::permanent(format!("the step broke down: {error}")))
    }
}

impl Execution {
    /// Runs to the end; yields how it ended and the last status, which is on record by then.
    ///
    /// # Errors
    /// Where somebody else runs this Operation, or it is gone. Every attempt was stopped.
    pub async fn carry_out(mut self) -> Result<Finished, Fenced> {
        let mut attempts = Attempts::default();
        let mut owes_barrier = false;
        let first = self.snapshot(Timestamp::now());
        self.journal.flush(first).await?;
        loop {
            let now = Timestamp::now();
            let control = *self.control.borrow_and_update();
            self.account_for_suspension(control, now);
            let decision = self.run.decide(&self.observed(control, now), now);
            if let Some(outcome) = decision.end {
                return self.finish(outcome).await;
            }
            if decision.stop {
                attempts.stop();
            }
            let wake = decision.wake;
            if !decision.starts.is_empty() {
                self.start(decision, &mut attempts, &mut owes_barrier).await?;
                self.journal.touch();
            }
            tokio::select! {
                ended = attempts.next() => if let Some((attempt, end)) = ended {
                    owes_barrier |= !attempt.repeatable;
                    (self.on_step)(attempt.kind, matches!(end, End::Done(_)), attempt.since.elapsed());
                    self.run.ended(attempt.path, end);
                    self.journal.touch();
                },
                event = self.journal.next() => match event {
                    Event::Due => {
                        let snapshot = self.snapshot(Timestamp::now());
                        self.journal.begin(snapshot);
                    }
                    Event::Written => {}
                    Event::Fenced(fenced) => return Err(fenced),
                },
                () = sleep_until(wake) => {}
                changed = self.control.changed() => if changed.is_err() {
                    return Err(Fenced("nobody watches this run any more".to_owned()));
                },
            }
        }
    }

    /// Starts attempts. The start and the end of an unrepeatable one are on record before anything else begins.
    async fn start(&mut self, decision: Decision, attempts: &mut Attempts, owes_barrier: &mut bool) -> Result<(), Fenced> {
        if decision.starts.iter().any(|start| start.outside_effect)
            && let Some(before_effect) = self.before_effect.take()
        {
            before_effect().await?;
        }
        if *owes_barrier || decision.starts.iter().any(|start| !start.repeatable) {
            let snapshot = self.snapshot(Timestamp::now());
            self.journal.flush(snapshot).await?;
            *owes_barrier = false;
        }
        // while it waited for the acknowledgement another may have taken over
        if !(self.may_act)() {
            return Err(Fenced("this process leads no more".to_owned()));
        }
        for start in decision.starts {
            attempts.start(start, self.world.clone());
        }
        Ok(())
    }

    fn observed(&self, control: Control, now: Timestamp) -> Observed {
        let started = self.base.started_at.as_ref().map_or(now, |time| time.0);
        let suspended = self.base.suspended_for.map(|span| span.0).unwrap_or_default()
            + self
                .base
                .suspended_at
                .as_ref()
                .map(|since| elapsed(since.0, now))
                .unwrap_or_default();
        Observed {
            running_for: elapsed(started, now).saturating_sub(suspended),
            cancel: control.cancel,
            suspend: control.suspend,
        }
    }

    fn account_for_suspension(&mut self, control: Control, now: Timestamp) {
        if control.cancel && self.base.cancel_requested_at.is_none() {
            self.base.cancel_requested_at = Some(Time(now));
            self.journal.touch();
        }
        match (control.suspend, self.base.suspended_at.take()) {
            (true, None) => {
                self.base.suspended_at = Some(Time(now));
                self.journal.touch();
            }
            (true, since) => self.base.suspended_at = since,
            (false, Some(since)) => {
                let total = self.base.suspended_for.map(|span| span.0).unwrap_or_default() + elapsed(since.0, now);
                self.base.suspended_for = Some(crate::api::Duration(total));
                self.journal.touch();
            }
            (false, None) => {}
        }
    }

    fn snapshot(&mut self, now: Timestamp) -> Snapshot {
        let control = *self.control.borrow();
        let status = report::running(&self.base, &self.run, control.generation, control.suspend, now);
        self.base.conditions.clone_from(&status.conditions);
        let originals = self.run.take_new_originals();
        Snapshot { status, originals }
    }

    async fn finish(mut self, mut outcome: Outcome) -> Result<Finished, Fenced> {
        let path = self.run.report_path(Timestamp::now());
        let report = self.run.report.clone().unwrap_or_default();
        if let Some(problem) = save_report(path, report, self.world.clone()).await {
            outcome.message = format!("{}; {problem}", outcome.message);
        }
        let now = Timestamp::now();
        let Snapshot { status, originals } = self.snapshot(now);
        let generation = self.control.borrow().generation;
        let status = report::ended(&status, &outcome, generation, now);
        self.journal
            .flush(Snapshot {
                status: status.clone(),
                originals,
            })
            .await?;
        let failed = self.run.failed_notifications();
        Ok(Finished {
            failed_notifications: failed.map(|(path, message)| (path.to_owned(), message.to_owned())).collect(),
            outcome,
            status,
        })
    }
}

/// Writes the report where `results.save_to` says; yields what went wrong.
async fn save_report(path: Option<Result<String, String>>, report: String, world: Arc<World>) -> Option<String> {
    let path = match path? {
        Ok(path) => path,
        Err(error) => return Some(format!("the report was not saved: {error}")),
    };
    let saved = world.documents.change(&path, super::document::Change::Text(report)).await;
    saved.err().map(|error| format!("the report was not saved: {error}"))
}

async fn sleep_until(at: Option<Timestamp>) {
    match at {
        None => std::future::pending().await,
        Some(at) => {
            let left: SignedDuration = at.duration_since(Timestamp::now());
            tokio::time::sleep(Duration::try_from(left).unwrap_or_default()).await;
        }
    }
}
