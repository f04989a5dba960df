//! *A check that is read reports, one that is not read guards.*
//!
//! Whether a health check is read is asked backwards from the end of a list: a condition that reads `health_status`
//! reads the check before it, and the checks before that one are read by what stands between.

use crate::runbook::expression::Expression;
use crate::runbook::step::{Body, Step, StepType};
use crate::runbook::substitute::Template;

const VARIABLE: &str = "health_status";

/// What a condition further down reads.
#[derive(Clone, Copy, Default)]
pub(super) struct Ahead {
    /// The variable.
    variable: bool,
    /// The field of that name in the results of the last foreach.
    results: bool,
}

/// Sets `reports` of every step of a list and of those inside; answers what is read from before it.
pub(super) fn mark(steps: &mut [Step], after: Ahead) -> Ahead {
    steps.iter_mut().rev().fold(after, |ahead, step| mark_step(step, ahead))
}

fn mark_step(step: &mut Step, after: Ahead) -> Ahead {
    let read = after.variable || reads(step.until.as_ref());
    step.reports = reports(step, read);
    let mut before = match &mut step.body {
        Body::None => after,
        Body::Branches {
            condition,
            then,
            otherwise,
        } => {
            let (then, otherwise) = (mark(then, after), mark(otherwise, after));
            Ahead {
                variable: then.variable || otherwise.variable || reads(Some(condition)),
                results: then.results || otherwise.results,
            }
        }
        Body::Each { steps, .. } => {
            let inside = Ahead {
                variable: after.results,
                results: false,
            };
            Ahead {
                variable: after.variable || mark(steps, inside).variable,
                results: false,
            }
        }
    };
    let writes = step.kind == StepType::HealthCheck || step.output.as_deref() == Some(VARIABLE);
    if writes && step.when.is_none() {
        before.variable = false;
    }
    if let (StepType::Filter, Some(Template::Expression(condition))) = (step.kind, step.fields.get("condition"))
        && reads(Some(condition))
    {
        before.results = true;
        before.variable |= step.fields.contains_key("items");
    }
    before.variable |= reads(step.when.as_ref());
    before
}

fn reports(step: &Step, read: bool) -> bool {
    let has_answer = match step.kind {
        StepType::Script | StepType::LoadOperation => step.output.is_some(),
        StepType::HealthCheck => step.output.is_some() || read,
        StepType::HttpRequest | StepType::SshCommand => step.output.as_deref() == Some(VARIABLE),
        _ => false,
    };
    has_answer || step.outcome.is_some()
}

fn reads(condition: Option<&Expression>) -> bool {
    condition.is_some_and(|condition| condition.names().contains(VARIABLE))
}
