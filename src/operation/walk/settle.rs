//! What the end of a step puts on record, and what a record means for the steps after it.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};

use super::{Answer, Context, Fault, Obstacle, Standing, unstarted};
use crate::api::operation::{StepPhase, StepStatus};
use crate::operation::prepare;
use crate::operation::record::Ending;
use crate::operation::scope::{Failure, Layer};
use crate::runbook::step::Step;

/// Puts on record that a step was stopped.
pub fn stop(record: &mut StepStatus, now: Timestamp) {
    record.phase = StepPhase::Cancelled;
    record.finished_at = Some(Time(now));
    record.message.get_or_insert_with(|| "was stopped before its end".to_owned());
}

/// Puts on record that a step was skipped.
pub(super) fn skip(step: &Step, path: &str, context: &mut Context<'_>) {
    let message = step
        .when
        .as_ref()
        .map(|when| context.recorder.text(&format!("when {} does not hold", when.source())));
    let record = StepStatus {
        message,
        ..unstarted(step, path, StepPhase::Skipped, context.now)
    };
    context.records.insert(path.to_owned(), record);
}

/// Puts on record that a step failed for what the runbook says, not for what it did.
pub(super) fn fail(step: &Step, path: &str, message: String, context: &mut Context<'_>) {
    end(
        step,
        path,
        Err(Fault {
            message,
            permanent: true,
            ..Fault::default()
        }),
        context,
    );
}

/// Puts a step's end on record, unless it is there already.
pub(super) fn end(step: &Step, path: &str, result: Result<Answer, Fault>, context: &mut Context<'_>) {
    put(step, path, prepare::ending(step, result), context);
}

pub(super) fn put(step: &Step, path: &str, ending: Ending, context: &mut Context<'_>) {
    let now = context.now;
    let record = context
        .records
        .entry(path.to_owned())
        .or_insert_with(|| unstarted(step, path, StepPhase::Running, now));
    if !record.phase.is_final() {
        record.finished_at = Some(Time(now));
        context.recorder.record(record, ending);
    }
}

/// What the record of a step means; it waits where there is none.
pub(super) fn settle_recorded(step: &Step, path: &str, own: &mut Layer, context: &Context<'_>) -> Standing {
    match context.records.get(path) {
        Some(record) => settle(step, &context.recorder.restored(record), own),
        None => Standing::Waiting,
    }
}

/// What a step on record as ended means for those after it: the variables that it set, and whether the walk goes on. A failure
/// that the runbook reads is an answer.
pub(super) fn settle(step: &Step, record: &StepStatus, own: &mut Layer) -> Standing {
    if record.phase == StepPhase::Skipped {
        return Standing::Done;
    }
    let output = record.output.clone().unwrap_or(Value::Null);
    let succeeded = record.phase == StepPhase::Succeeded;
    if let Some(name) = &step.name {
        let error = if succeeded { Value::Null } else { json!(record.message) };
        let status = if succeeded { "success" } else { "failed" };
        own.steps
            .insert(name.clone(), json!({"status": status, "output": output, "error": error}));
    }
    own.variables.extend(record.variables.clone());
    if own.registry_entry.is_none() {
        own.registry_entry.clone_from(&record.registry_entry);
    }
    if let Some(name) = &step.output {
        own.variables.insert(name.clone(), output);
    }
    let tolerated = record.phase == StepPhase::Failed && (step.continue_on_failure || step.reports);
    if succeeded || tolerated {
        return if step.exit { Standing::Exited } else { Standing::Done };
    }
    let failure = Failure {
        step: Some(record.path.clone()),
        message: record.message.clone().unwrap_or_default(),
    };
    Standing::Failed(Obstacle {
        failure,
        phase: record.phase,
    })
}
