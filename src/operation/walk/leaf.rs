//! A step that acts: its attempts, and what their ends mean.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::settle::{end, fail, settle_recorded, skip, stop};
use super::{Answer, Context, End, Fault, Obstacle, Standing, Start, begun, is_wanted, started_at, view, with};
use crate::api::operation::StepPhase;
use crate::operation::prepare;
use crate::operation::retry::Pacing;
use crate::operation::scope::{Failure, Layer, View};
use crate::runbook::step::Step;

/// Takes note of an attempt that ended, and starts the next one if one is due.
pub(super) fn advance(step: &Step, path: &str, outer: &[&Layer], own: &mut Layer, context: &mut Context<'_>) -> Standing {
    if context.live.contains(path) {
        let Some(ended) = context.ends.remove(path) else {
            return Standing::Waiting;
        };
        context.live.remove(path);
        attempt_ended(step, path, ended, &with(outer, own), context);
    }
    let record = context.records.get(path);
    let phase = record.map(|record| record.phase);
    let attempt = record.and_then(|record| record.attempt);
    *context.touched |= attempt.is_some() && step.has_outside_effect();
    let attempt = match phase {
        Some(StepPhase::Running) if !may_run_again(step) => return interrupted(path, context),
        Some(StepPhase::Running) => attempt.unwrap_or(1),
        Some(StepPhase::Retrying) => attempt.unwrap_or(1).saturating_add(1),
        Some(_) => return settle_recorded(step, path, own, context),
        None => 1,
    };
    if context.hold {
        return Standing::Waiting;
    }
    if !context.tolerant
        && record.is_none()
        && let Err(message) = context.recorder.has_room()
    {
        fail(step, path, message, context);
        return settle_recorded(step, path, own, context);
    }
    match start(step, path, attempt, &with(outer, own), context) {
        Ok(Some(start)) => {
            *context.touched |= start.outside_effect;
            context.live.insert(path.to_owned());
            context.starts.push(start);
            return Standing::Waiting;
        }
        Ok(None) => {}
        Err(message) => fail(step, path, message, context),
    }
    let ended = context.records.get(path).is_some_and(|record| record.phase.is_final());
    if ended {
        settle_recorded(step, path, own, context)
    } else {
        Standing::Waiting
    }
}

fn may_run_again(step: &Step) -> bool {
    step.idempotent || step.is_repeatable()
}

/// What becomes of a step that was running when its controller ended and must not run twice.
fn interrupted(path: &str, context: &mut Context<'_>) -> Standing {
    let message =
        "was running when its controller ended, and must not run twice; find out what it did before you start a new run".to_owned();
    if let Some(record) = context.records.get_mut(path) {
        record.phase = StepPhase::Interrupted;
        record.finished_at = Some(Time(context.now));
        record.message = Some(message.clone());
    }
    context.recorder.forget(path);
    let failure = Failure {
        step: Some(path.to_owned()),
        message,
    };
    Standing::Failed(Obstacle {
        failure,
        phase: StepPhase::Interrupted,
    })
}

/// The next attempt, if one is due; the record says that it runs.
fn start(step: &Step, path: &str, attempt: i32, layers: &[&Layer], context: &mut Context<'_>) -> Result<Option<Start>, String> {
    let known = context.records.get(path);
    let started = started_at(known, context.now);
    let scope = view(layers, attempt, started, context);
    if known.is_none() && !is_wanted(step, &scope)? {
        skip(step, path, context);
        return Ok(None);
    }
    let pacing = Pacing::of(step, &scope)?;
    if let Some(record) = known.filter(|record| record.phase == StepPhase::Retrying) {
        let ended = record.finished_at.as_ref().map_or(context.now, |time| time.0);
        let due = pacing.due(attempt.saturating_sub(1), ended, &seed(path, context));
        if due > context.now {
            context.wake = Some(context.wake.map_or(due, |wake| wake.min(due)));
            return Ok(None);
        }
    }
    let input = prepare::input(step, path, started, &scope)?;
    let left = pacing.overall.map(|overall| overall.saturating_sub(passed(started, context.now)));
    let timeout = [pacing.timeout, left].into_iter().flatten().min();
    context.recorder.forget(path);
    let record = context.records.entry(path.to_owned()).or_insert_with(|| begun(step, path, started));
    record.phase = StepPhase::Running;
    record.attempt = Some(attempt);
    record.finished_at = None;
    Ok(Some(Start {
        path: path.to_owned(),
        kind: step.kind,
        input,
        timeout,
        repeatable: may_run_again(step),
        outside_effect: step.has_outside_effect(),
    }))
}

/// By which retries of the same step part, in other Operations too.
fn seed(path: &str, context: &Context<'_>) -> String {
    format!("{}/{path}", context.identity.operation_id)
}

fn passed(since: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(since)).unwrap_or_default()
}

/// Puts the end of an attempt on record: the step's end, or that another attempt follows.
fn attempt_ended(step: &Step, path: &str, ended: End, layers: &[&Layer], context: &mut Context<'_>) {
    let attempt = context.records.get(path).and_then(|record| record.attempt).unwrap_or(1);
    let result = match ended {
        End::Stopped => {
            if let Some(record) = context.records.get_mut(path) {
                stop(record, context.now);
            }
            return;
        }
        End::Done(answer) => Ok(answer),
        End::Failed(fault) => Err(fault),
    };
    let scope = view(layers, attempt, context.now, context);
    let verdict = Pacing::of(step, &scope).and_then(|pacing| match &step.until {
        None => Ok(without_until(&pacing, attempt, result)),
        Some(_) => with_until(step, &pacing, attempt, result, path, &scope, context),
    });
    match verdict {
        Ok(Verdict::Ends(result)) => end(step, path, *result, context),
        Ok(Verdict::TriedAgain(message)) => {
            let message = context.recorder.text(&message);
            if let Some(record) = context.records.get_mut(path) {
                record.phase = StepPhase::Retrying;
                record.finished_at = Some(Time(context.now));
                record.message = Some(message);
            }
        }
        Err(message) => fail(step, path, message, context),
    }
}

/// What the end of an attempt means for its step.
enum Verdict {
    Ends(Box<Result<Answer, Fault>>),
    /// Another attempt follows; the text says why.
    TriedAgain(String),
}

fn without_until(pacing: &Pacing, attempt: i32, result: Result<Answer, Fault>) -> Verdict {
    match result {
        Err(fault) if !fault.permanent && pacing.attempts.is_some_and(|most| most > 1) => {
            let message = format!("{} ({})", fault.message, pacing.count(attempt));
            if pacing.is_last(attempt) {
                Verdict::Ends(Box::new(Err(Fault { message, ..fault })))
            } else {
                Verdict::TriedAgain(message)
            }
        }
        result => Verdict::Ends(Box::new(result)),
    }
}

fn with_until(
    step: &Step,
    pacing: &Pacing,
    attempt: i32,
    result: Result<Answer, Fault>,
    path: &str,
    scope: &View<'_>,
    context: &Context<'_>,
) -> Result<Verdict, String> {
    let (why, output) = match result {
        Ok(answer) => match holds(step, &answer, scope)? {
            None => return Ok(Verdict::Ends(Box::new(Ok(answer)))),
            Some(why) => (why, answer.output),
        },
        Err(fault) if fault.permanent => return Ok(Verdict::Ends(Box::new(Err(fault)))),
        Err(fault) => (fault.message, fault.output),
    };
    let count = pacing.count(attempt);
    let started = started_at(context.records.get(path), context.now);
    let next = pacing.due(attempt, context.now, &seed(path, context));
    let is_over = |all| next.duration_since(started) >= SignedDuration::try_from(all).unwrap_or(SignedDuration::MAX);
    let message = if pacing.is_last(attempt) {
        format!("{why} ({count})")
    } else if let Some(overall) = pacing.overall.filter(|all| is_over(*all)) {
        format!("{why}, and the timeout of {} is over ({count})", crate::api::Duration(overall))
    } else {
        return Ok(Verdict::TriedAgain(format!("{why} ({count})")));
    };
    Ok(Verdict::Ends(Box::new(Err(Fault {
        message,
        output,
        permanent: true,
    }))))
}

/// `None` where `until` holds; otherwise a text that says that it does not.
fn holds(step: &Step, answer: &Answer, scope: &View<'_>) -> Result<Option<String>, String> {
    let Some(until) = &step.until else { return Ok(None) };
    let scope = View {
        result: Some(&answer.output),
        ..*scope
    };
    let holds = until.holds(&scope).map_err(|error| format!("until: {error}"))?;
    Ok((!holds).then(|| format!("until {} does not hold yet", until.source())))
}
