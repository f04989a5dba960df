//! What the status of an Operation says. Pure.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::decide::{Outcome, Run};
use super::record::cut;
use super::scope::Failure;
use crate::api::operation::{FailureStatus, JOURNAL_VERSION, OperationStatus, Phase, QueuePlace, RunbookIdentity, StepPhase, StepStatus};
use crate::api::{Duration, Reason};
use crate::controller::condition::{Health, conditions};
use crate::runbook::Runbook;
use crate::runbook::step::Body;

/// The longest message of a status or condition, in bytes.
const LONGEST_MESSAGE: usize = 4096;

/// How an Operation of this phase stands for whoever waits for it.
#[must_use]
pub const fn health(phase: Phase) -> Health {
    match phase {
        Phase::Pending | Phase::Queued | Phase::Running | Phase::RollingBack => Health::Reconciling,
        Phase::Succeeded => Health::Ready,
        Phase::Failed | Phase::Cancelled => Health::Stalled,
    }
}

/// A status in another phase, with its conditions.
#[must_use]
pub fn in_phase(
    base: &OperationStatus,
    phase: Phase,
    reason: Reason,
    message: &str,
    generation: Option<i64>,
    now: Timestamp,
) -> OperationStatus {
    let message = cut(message, LONGEST_MESSAGE);
    OperationStatus {
        observed_generation: generation,
        phase: Some(phase),
        conditions: conditions(health(phase), reason, &message, generation, &base.conditions, now),
        message: Some(message),
        ..base.clone()
    }
}

/// The status of an Operation that waits in its queue.
#[must_use]
pub fn queued(base: &OperationStatus, place: QueuePlace, suspended: bool, generation: Option<i64>, now: Timestamp) -> OperationStatus {
    let (reason, message) = match (suspended, place.position) {
        (true, _) => (
            Reason::Suspended,
            "is suspended; set spec.suspend to false to let it be admitted".to_owned(),
        ),
        (_, Some(position)) => (Reason::Queued, format!("waits for a slot, {position} in its queue")),
        _ => (Reason::Queued, "waits for a slot of its queue".to_owned()),
    };
    OperationStatus {
        queue: Some(place),
        ..in_phase(base, Phase::Queued, reason, &message, generation, now)
    }
}

/// The status of an Operation that ended.
#[must_use]
pub fn ended(base: &OperationStatus, outcome: &Outcome, generation: Option<i64>, now: Timestamp) -> OperationStatus {
    let duration = base.started_at.as_ref().map(|started| whole_seconds(started.0, now));
    OperationStatus {
        queue: None,
        current_step: None,
        reason: Some(outcome.reason.to_string()),
        finished_at: Some(Time(now)),
        duration,
        ..in_phase(base, outcome.phase, outcome.reason, &outcome.message, generation, now)
    }
}

fn whole_seconds(from: Timestamp, to: Timestamp) -> Duration {
    Duration(std::time::Duration::from_millis(
        u64::try_from(to.duration_since(from).as_millis()).unwrap_or(0),
    ))
}

/// Which runbook it is, as the status names it.
#[must_use]
pub fn identity(runbook: &Runbook) -> RunbookIdentity {
    RunbookIdentity {
        name: runbook.name.clone(),
        kind: runbook.kind.clone(),
        digest: runbook.digest.clone(),
    }
}

/// The status of a run as it stands.
#[must_use]
pub fn running(base: &OperationStatus, run: &Run, generation: Option<i64>, suspended: bool, now: Timestamp) -> OperationStatus {
    let phase = run.phase();
    let current = run.current_step();
    let cause = run.cause();
    let (reason, message) = match (phase, cause) {
        (Phase::RollingBack, Some(cause)) => (Reason::RollingBack, explain(&cause.failure)),
        _ if suspended => (
            Reason::Suspended,
            "is suspended between two steps; set spec.suspend to false to let it go on".to_owned(),
        ),
        _ => (Reason::Running, doing(run, current.as_deref())),
    };
    let message = run.recorder().text(&message);
    OperationStatus {
        queue: None,
        progress: Some(format!("{}/{}", run.passed(), run.runbook().steps.len())),
        current_step: current,
        steps: run.steps.values().cloned().collect(),
        rollback: run.rollback.values().cloned().collect(),
        rollback_started_at: run.rollback_started_at.map(Time),
        outputs: run.outputs.clone(),
        report: run.report.clone(),
        runbook: Some(identity(run.runbook())),
        reason: cause.map(|cause| cause.reason.to_string()),
        failure: cause.map(|cause| FailureStatus {
            step: cause.failure.step.clone(),
            message: run.recorder().text(&cause.failure.message),
        }),
        journal_version: Some(JOURNAL_VERSION),
        ..in_phase(base, phase, reason, &message, generation, now)
    }
}

fn explain(failure: &Failure) -> String {
    match &failure.step {
        Some(step) => format!("rolls back because {step}: {}", failure.message),
        None => format!("rolls back because {}", failure.message),
    }
}

/// What a run does now: the step that runs, and why it is tried again if it is.
fn doing(run: &Run, current: Option<&str>) -> String {
    let record: Option<&StepStatus> = current.and_then(|path| run.steps.get(path));
    match record {
        Some(StepStatus {
            phase: StepPhase::Retrying,
            path,
            message: Some(message),
            ..
        }) => format!("{path}: {message}; will be tried again"),
        Some(record) => format!("runs {}", record.path),
        None => "runs".to_owned(),
    }
}

/// The steps of a dry run: every step that could run, and what it would do.
#[must_use]
pub fn dry_run(runbook: &Runbook) -> Vec<StepStatus> {
    fn list(prefix: &str, steps: &[crate::runbook::Step], out: &mut Vec<StepStatus>) {
        for (index, step) in steps.iter().enumerate() {
            let path = super::walk::path(prefix, index, step);
            out.push(StepStatus {
                path: path.clone(),
                name: step.name.clone(),
                kind: step.kind.name().to_owned(),
                phase: StepPhase::Skipped,
                message: Some(cut(&would(step), 512)),
                ..StepStatus::default()
            });
            match &step.body {
                Body::Branches { then, otherwise, .. } => {
                    list(&path, then, out);
                    list(&format!("{path}/else"), otherwise, out);
                }
                Body::Each { steps, .. } => list(&format!("{path}[#]"), steps, out),
                Body::None => {}
            }
        }
    }
    let mut out = Vec::new();
    list("", &runbook.steps, &mut out);
    out
}

/// What a step would do, in the runbook's own words.
fn would(step: &crate::runbook::Step) -> String {
    let fields: Vec<_> = step
        .fields
        .iter()
        .map(|(name, template)| format!("{name}: {}", crate::runbook::substitute::text(&template.source())))
        .collect();
    let when = step
        .when
        .as_ref()
        .map(|when| format!(" when {}", when.source()))
        .unwrap_or_default();
    match &step.body {
        Body::Branches { condition, .. } => format!("would choose by {}{when}", condition.source()),
        Body::Each { items, variable, .. } => format!(
            "would run its steps for each {variable} of {}{when}",
            crate::runbook::substitute::text(&items.source())
        ),
        Body::None => format!("would run{when} with {}", fields.join(", ")),
    }
}
