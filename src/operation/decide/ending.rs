//! How a run comes to its end: rollback, outputs and report, notifications.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{Cause, Decision, Run, Stage, elapsed, remaining, take, wake};
use crate::api::Reason;
use crate::api::operation::Phase;
use crate::operation::rollback::Extent;
use crate::operation::scope::Failure;
use crate::operation::walk::{self, Context, Cursor, Standing};
use crate::runbook::{Runbook, Step, substitute};

/// Notifications together take at most this long.
const NOTIFICATIONS_TIMEOUT: Duration = Duration::from_secs(30);

/// A list of steps of which a failing one does not end the others.
#[derive(Clone, Copy)]
enum List<'a> {
    Rollback(Extent),
    Notifications(&'a str),
}

impl Run {
    pub(super) fn begin_rollback(&mut self, now: Timestamp) {
        self.extent = Some(Extent::of(&self.runbook, self.touched));
        self.rollback_started_at.get_or_insert(now);
        self.list = Cursor::new("rollback".to_owned());
        self.stage = Stage::Rollback;
    }

    pub(super) fn rollback_stage(&mut self, now: Timestamp, decision: &mut Decision) {
        let started = self.rollback_started_at.unwrap_or(now);
        let left = remaining(self.timeout, elapsed(started, now));
        let extent = self.extent.unwrap_or(Extent::Release);
        if self.advance_list(List::Rollback(extent), left, now, decision) {
            return;
        }
        for record in self.rollback.values_mut().filter(|record| !record.phase.is_final()) {
            walk::stop(record, now);
        }
        self.finish(now);
    }

    /// Outputs and report, then the notifications.
    pub(super) fn finish(&mut self, now: Timestamp) {
        if self.cause.is_none() {
            match self.evaluate_outputs(now) {
                Ok(outputs) => self.outputs = outputs,
                Err((reason, message)) => {
                    let failure = Failure {
                        step: None,
                        message: self.recorder.text(&message),
                    };
                    self.cause = Some(Cause {
                        phase: Phase::Failed,
                        reason,
                        failure,
                    });
                    self.stage = Stage::Stopping;
                    return;
                }
            }
        }
        if let Some(report) = &self.runbook.results.report {
            let text = match report.render(&self.view(&[&self.layer], now)) {
                Ok(value) => substitute::text(&value),
                Err(error) => format!("results.report_format: {error}"),
            };
            self.report = Some(self.recorder.report(&text));
        }
        self.groups = self.notification_groups();
        self.notifying_since = Some(now);
        self.turn_to_group(0);
    }

    fn evaluate_outputs(&self, now: Timestamp) -> Result<Map<String, Value>, (Reason, String)> {
        let layers = [&self.layer];
        let view = self.view(&layers, now);
        let outputs = self.runbook.outputs.iter().map(|(name, expression)| {
            let value = expression
                .evaluate(&view)
                .map_err(|error| (Reason::StepFailed, format!("outputs.{name}: {error}")))?;
            let value = self
                .recorder
                .value(value)
                .map_err(|error| (Reason::OutputTooLarge, format!("outputs.{name}: {error}")))?;
            Ok((name.clone(), value))
        });
        outputs.collect()
    }

    /// The groups of notifications that are sent at this end, in the order in which they are.
    fn notification_groups(&self) -> Vec<String> {
        let own = match self.cause.as_ref().map(|cause| cause.phase) {
            None => Some("on_success"),
            Some(Phase::Failed) => Some("on_failure"),
            Some(_) => None,
        };
        let asked = |name: &str| match self.layer.variables.get(name) {
            Some(Value::Bool(asked)) => *asked,
            Some(Value::Array(items)) => !items.is_empty(),
            _ => false,
        };
        let other = self
            .runbook
            .notifications
            .on_other
            .keys()
            .filter(|name| asked(name) || asked(&format!("{name}s")));
        let always = own.into_iter().chain(["on_complete"]).map(str::to_owned);
        always.chain(other.map(|name| format!("on_{name}"))).collect()
    }

    fn turn_to_group(&mut self, group: usize) {
        self.stage = match self.groups.get(group) {
            None => Stage::Ended,
            Some(name) => {
                self.list = Cursor::new(format!("notifications/{name}"));
                Stage::Notifications(group)
            }
        };
    }

    pub(super) fn notifications_stage(&mut self, group: usize, now: Timestamp, decision: &mut Decision) {
        let left = remaining(NOTIFICATIONS_TIMEOUT, elapsed(self.notifying_since.unwrap_or(now), now));
        let name = self.groups.get(group).cloned().unwrap_or_default();
        if !self.advance_list(List::Notifications(&name), left, now, decision) {
            self.turn_to_group(group + 1);
        }
    }

    /// Goes on with a list for which there is `left` time. Whether it still goes on.
    fn advance_list(&mut self, list: List<'_>, left: Option<Duration>, now: Timestamp, decision: &mut Decision) -> bool {
        let runbook = self.runbook.clone();
        let (steps, records, includes): (_, _, fn(&Step) -> bool) = match list {
            List::Rollback(extent) => (runbook.rollback.on_failure.as_slice(), &mut self.rollback, extent.includes()),
            List::Notifications(group) => (notifications(&runbook, group), &mut self.notifications, |_| true),
        };
        let mut touched = self.touched;
        let mut context = Context {
            now,
            identity: &self.identity,
            failure: self.cause.as_ref().map(|cause| &cause.failure),
            records,
            live: &mut self.live,
            ends: &mut self.ends,
            recorder: &mut self.recorder,
            hold: left.is_none(),
            tolerant: true,
            includes,
            touched: &mut touched,
            starts: Vec::new(),
            wake: None,
        };
        let standing = self.list.advance(steps, &[], &mut self.layer, &mut context);
        take(context, decision);
        match (standing, left) {
            (Standing::Waiting, Some(left)) => wake(decision, now, left),
            (Standing::Waiting, None) if !self.live.is_empty() => decision.stop = true,
            (Standing::Waiting, None) => {
                self.rollback_timed_out |= matches!(list, List::Rollback(_));
                return false;
            }
            _ => return false,
        }
        true
    }
}

fn notifications<'a>(runbook: &'a Runbook, group: &str) -> &'a [Step] {
    let notifications = &runbook.notifications;
    match group {
        "on_success" => &notifications.on_success,
        "on_failure" => &notifications.on_failure,
        "on_complete" => &notifications.on_complete,
        other => other
            .strip_prefix("on_")
            .and_then(|name| notifications.on_other.get(name))
            .map_or(&[], Vec::as_slice),
    }
}
