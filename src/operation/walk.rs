//! The walk over a list of steps: from what is on record to what may start next. Pure.
//!
//! A walk keeps cursors, so that each call costs what changed and not what went before. It can always be made anew from the
//! records: it then takes the steps on record as ended at their word, and goes on where they stop.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use indexmap::IndexMap;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Map, Value, json};

use super::prepare::{self, Input};
use super::record::Recorder;
use super::retry::Pacing;
use super::scope::{Failure, Identity, Layer, View};
use crate::api::operation::{StepPhase, StepStatus};
use crate::runbook::step::{Body, Step};
use crate::runbook::{Expression, StepType, Template};

/// The most items a foreach takes.
const MOST_ITEMS: usize = 10_000;
/// How many items of a parallel foreach run at once where the step does not say.
const DEFAULT_CONCURRENCY: usize = 10;

/// What is on record of a walk, by path, in order of start.
pub type Records = IndexMap<String, StepStatus>;

/// An attempt to start now.
#[derive(Debug, Clone)]
pub struct Start {
    pub path: String,
    pub kind: StepType,
    pub input: Input,
    /// Of this attempt.
    pub timeout: Option<Duration>,
    /// Whether it may run again after it was interrupted, so that nothing has to be on record before it begins.
    pub repeatable: bool,
    pub outside_effect: bool,
}

/// How an attempt ended.
#[derive(Debug, Clone)]
pub enum End {
    Done(Answer),
    Failed(Fault),
    /// It was stopped before its end.
    Stopped,
}

/// What an attempt that did its work found.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    pub output: Value,
    /// Variables that it sets besides its output.
    pub variables: Map<String, Value>,
    pub message: Option<String>,
    /// The registry entry that a lookup read.
    pub registry_entry: Option<Value>,
}

/// Why an attempt failed.
#[derive(Debug, Clone, Default)]
pub struct Fault {
    pub message: String,
    /// What it had found all the same, for a step that goes on after its failure.
    pub output: Value,
    /// Trying again cannot help.
    pub permanent: bool,
}

/// Where a walk stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Something runs, or is due later.
    Waiting,
    /// Every step came to its end.
    Done,
    /// A step with `exit` ran.
    Exited,
    Failed {
        failure: Failure,
        interrupted: bool,
    },
}

/// What one call of a walk is given and gives.
pub struct Context<'a> {
    pub now: Timestamp,
    pub identity: &'a Identity,
    pub failure: Option<&'a Failure>,
    pub records: &'a mut Records,
    /// Paths of the attempts that run in this process.
    pub live: &'a mut HashSet<String>,
    /// Attempts that ended since the last call.
    pub ends: &'a mut HashMap<String, End>,
    pub recorder: &'a mut Recorder,
    /// Nothing new starts.
    pub hold: bool,
    /// A failing step does not end the walk.
    pub tolerant: bool,
    /// Which steps take part.
    pub includes: fn(StepType) -> bool,
    /// Set once a step with an effect outside has started.
    pub touched: &'a mut bool,
    pub starts: Vec<Start>,
    /// When to look again.
    pub wake: Option<Timestamp>,
}

/// A place in a list of steps.
#[derive(Debug, Clone, Default)]
pub struct Cursor {
    prefix: String,
    index: usize,
    inside: Option<Inside>,
}

/// What stands inside the step of a cursor.
#[derive(Debug, Clone)]
enum Inside {
    Branch { otherwise: bool, cursor: Box<Cursor> },
    Each(Each),
}

#[derive(Debug, Clone)]
struct Each {
    items: Vec<Value>,
    next: usize,
    limit: usize,
    active: BTreeMap<usize, Item>,
    results: Vec<Value>,
    failed: Option<(Failure, bool)>,
}

#[derive(Debug, Clone, Default)]
struct Item {
    cursor: Cursor,
    layer: Layer,
}

/// How one step stands.
enum StepStanding {
    Waiting,
    Passed,
    Exited,
    Failed { failure: Failure, interrupted: bool },
}

impl Cursor {
    /// A cursor before the first step of the list that stands at `prefix`.
    #[must_use]
    pub fn new(prefix: String) -> Self {
        Self { prefix, ..Self::default() }
    }

    /// How many steps of the list came to their end.
    #[must_use]
    pub const fn passed(&self) -> usize {
        self.index
    }

    /// Goes as far as the records allow, and asks for what may start.
    pub fn advance(&mut self, steps: &[Step], outer: &[&Layer], own: &mut Layer, context: &mut Context<'_>) -> Standing {
        while let Some(step) = steps.get(self.index) {
            if (context.includes)(step.kind) {
                let path = path(&self.prefix, self.index, step);
                let standing = match &step.body {
                    Body::None => leaf(step, &path, outer, own, context),
                    _ => self.composite(step, &path, outer, own, context),
                };
                match standing {
                    StepStanding::Waiting => return Standing::Waiting,
                    StepStanding::Exited => return Standing::Exited,
                    StepStanding::Failed { failure, interrupted } if !context.tolerant => return Standing::Failed { failure, interrupted },
                    StepStanding::Failed { .. } | StepStanding::Passed => {}
                }
            }
            self.index += 1;
            self.inside = None;
        }
        Standing::Done
    }

    fn composite(&mut self, step: &Step, path: &str, outer: &[&Layer], own: &mut Layer, context: &mut Context<'_>) -> StepStanding {
        if self.inside.is_none() {
            match enter(step, path, outer, own, context) {
                Ok(Some(inside)) => self.inside = Some(inside),
                Ok(None) => {
                    return context
                        .records
                        .get(path)
                        .map_or(StepStanding::Waiting, |record| settle(step, record, own));
                }
                Err(message) => {
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
                    return settle_recorded(step, path, own, context);
                }
            }
        }
        let result = match (&step.body, &mut self.inside) {
            (
                Body::Branches {
                    then, otherwise: other, ..
                },
                Some(Inside::Branch { otherwise, cursor }),
            ) => match cursor.advance(if *otherwise { other } else { then }, outer, own, context) {
                Standing::Waiting => return StepStanding::Waiting,
                Standing::Exited => Ok(None),
                Standing::Done => Ok(Some(json!(if *otherwise { "else" } else { "then" }))),
                Standing::Failed { failure, interrupted } => Err((failure, interrupted)),
            },
            (Body::Each { variable, steps, .. }, Some(Inside::Each(each))) => {
                let mut layers = outer.to_vec();
                layers.push(own);
                match each.advance(path, variable, steps, &layers, context) {
                    None => return StepStanding::Waiting,
                    Some(result) => result.map(Some),
                }
            }
            _ => Ok(Some(Value::Null)),
        };
        leave(step, path, result, own, context)
    }
}

/// Where a step stands in the run.
#[must_use]
pub fn path(prefix: &str, index: usize, step: &Step) -> String {
    match (&step.name, prefix.is_empty()) {
        (Some(name), true) => name.clone(),
        (Some(name), false) => format!("{prefix}/{name}"),
        (None, _) => format!("{prefix}[{index}]/{}", step.kind.name()),
    }
}

fn view<'a>(layers: &'a [&'a Layer], attempt: i32, context: &'a Context<'_>) -> View<'a> {
    View {
        layers,
        identity: context.identity,
        now: context.now,
        attempt,
        failure: context.failure,
        result: None,
    }
}

fn with<'a>(outer: &[&'a Layer], own: &'a Layer) -> Vec<&'a Layer> {
    outer.iter().copied().chain([own]).collect()
}

/// Begins a conditional or a foreach, or takes it up again; `None` where it came to its end before it began.
fn enter(step: &Step, path: &str, outer: &[&Layer], own: &Layer, context: &mut Context<'_>) -> Result<Option<Inside>, String> {
    let layers = with(outer, own);
    let known = context
        .records
        .get(path)
        .map(|record| (record.phase, record.variables.get("branch").cloned()));
    if known.is_none() {
        if context.hold {
            return Ok(None);
        }
        if !is_wanted(step, &view(&layers, 1, context))? {
            skip(step, path, context);
            return Ok(None);
        }
    } else if let Some((StepPhase::Skipped, _)) = known {
        return Ok(None);
    }
    let scope = view(&layers, 1, context);
    let (inside, variables) = match &step.body {
        Body::Branches { condition, .. } => {
            let otherwise = match known.and_then(|(_, branch)| branch) {
                Some(branch) => branch == "else",
                None => !condition.holds(&scope).map_err(|error| format!("condition: {error}"))?,
            };
            let branch = json!(if otherwise { "else" } else { "then" });
            (
                Inside::Branch {
                    otherwise,
                    cursor: Box::new(Cursor::new(path.to_owned())),
                },
                Map::from_iter([("branch".to_owned(), branch)]),
            )
        }
        Body::Each {
            items,
            parallel,
            max_concurrent,
            ..
        } => {
            let items = match items.render(&scope).map_err(|error| format!("items: {error}"))? {
                Value::Array(items) if items.len() <= MOST_ITEMS => items,
                Value::Array(items) => return Err(format!("items: {} items are more than {MOST_ITEMS}; split the list", items.len())),
                Value::Null => return Err("items: nothing was given, a list is needed".to_owned()),
                other => return Err(format!("items: a list is needed, not {}", prepare::kind_of(&other))),
            };
            let limit = concurrency(parallel.as_ref(), max_concurrent.as_ref(), &scope)?;
            let results = vec![Value::Null; items.len()];
            (
                Inside::Each(Each {
                    items,
                    next: 0,
                    limit,
                    active: BTreeMap::new(),
                    results,
                    failed: None,
                }),
                Map::new(),
            )
        }
        Body::None => return Ok(None),
    };
    if !context.records.contains_key(path) {
        let record = StepStatus {
            variables,
            ..begun(step, path, 1, context.now)
        };
        context.records.insert(path.to_owned(), record);
    }
    Ok(Some(inside))
}

fn concurrency(parallel: Option<&Template>, most: Option<&Template>, scope: &View<'_>) -> Result<usize, String> {
    let render = |name: &str, template: Option<&Template>| {
        template.map_or(Ok(Value::Null), |template| {
            template.render(scope).map_err(|error| format!("{name}: {error}"))
        })
    };
    match render("parallel", parallel)? {
        Value::Null | Value::Bool(false) => return Ok(1),
        Value::Bool(true) => {}
        other => return Err(format!("parallel: true or false is needed, not {other}")),
    }
    match render("max_concurrent", most)? {
        Value::Null => Ok(DEFAULT_CONCURRENCY),
        value => value
            .as_u64()
            .and_then(|number| usize::try_from(number).ok())
            .filter(|number| (1..=1000).contains(number))
            .ok_or_else(|| format!("max_concurrent: a whole number from 1 to 1000 is needed, not {value}")),
    }
}

/// Puts the end of a conditional or foreach on record.
fn leave(
    step: &Step,
    path: &str,
    result: Result<Option<Value>, (Failure, bool)>,
    own: &mut Layer,
    context: &mut Context<'_>,
) -> StepStanding {
    let exited = matches!(result, Ok(None));
    if let (Body::Each { .. }, Ok(Some(Value::Array(results)))) = (&step.body, &result) {
        own.last_foreach = Some(results.clone());
    }
    let (inner, result) = match result {
        Ok(output) => {
            let output = output.unwrap_or(Value::Null);
            (
                None,
                Ok(Answer {
                    output: if step.output.is_some() { output } else { Value::Null },
                    ..Answer::default()
                }),
            )
        }
        Err((failure, interrupted)) => {
            let fault = Fault {
                message: failure.message.clone(),
                permanent: true,
                ..Fault::default()
            };
            (Some((failure, interrupted)), Err(fault))
        }
    };
    if context.records.get(path).is_none_or(|record| !record.phase.is_final()) {
        end(step, path, result, context);
    }
    if exited {
        return StepStanding::Exited;
    }
    match (settle_recorded(step, path, own, context), inner) {
        (StepStanding::Failed { .. }, Some((failure, interrupted))) => StepStanding::Failed { failure, interrupted },
        (_, Some((failure, true))) => StepStanding::Failed {
            failure,
            interrupted: true,
        },
        (standing, _) => standing,
    }
}

impl Each {
    /// `None` while items run; then the results in item order, or why an item failed.
    fn advance(
        &mut self,
        path: &str,
        variable: &str,
        steps: &[Step],
        outer: &[&Layer],
        context: &mut Context<'_>,
    ) -> Option<Result<Value, (Failure, bool)>> {
        loop {
            let ended: Vec<usize> = self
                .active
                .iter_mut()
                .filter_map(
                    |(&number, item)| match item.cursor.advance(steps, outer, &mut item.layer, context) {
                        Standing::Waiting => None,
                        Standing::Done | Standing::Exited => Some(number),
                        Standing::Failed { failure, interrupted } => {
                            self.failed.get_or_insert((failure, interrupted));
                            Some(number)
                        }
                    },
                )
                .collect();
            for number in ended {
                if let (Some(item), Some(result)) = (self.active.remove(&number), self.results.get_mut(number)) {
                    *result = item_result(item.layer);
                }
            }
            let room = self.limit.saturating_sub(self.active.len());
            let more = if self.failed.is_some() {
                0
            } else {
                room.min(self.items.len() - self.next)
            };
            if more == 0 {
                break;
            }
            for number in self.next..self.next + more {
                let value = self.items.get(number).cloned().unwrap_or(Value::Null);
                let layer = Layer {
                    variables: Map::from_iter([(variable.to_owned(), value)]),
                    ..Layer::default()
                };
                self.active.insert(
                    number,
                    Item {
                        cursor: Cursor::new(format!("{path}[#{number}]")),
                        layer,
                    },
                );
            }
            self.next += more;
        }
        if !self.active.is_empty() {
            return None;
        }
        Some(
            self.failed
                .take()
                .map_or_else(|| Ok(Value::Array(std::mem::take(&mut self.results))), Err),
        )
    }
}

/// The loop variable, the variables that its body set, and the registry entry that a lookup read; earlier ones win.
fn item_result(layer: Layer) -> Value {
    let mut result = layer.variables;
    if let Some(Value::Object(entry)) = layer.registry_entry {
        for (key, value) in entry {
            result.entry(key).or_insert(value);
        }
    }
    Value::Object(result)
}

fn is_wanted(step: &Step, scope: &View<'_>) -> Result<bool, String> {
    step.when.as_ref().map_or(Ok(true), |when: &Expression| {
        when.holds(scope).map_err(|error| format!("when: {error}"))
    })
}

fn begun(step: &Step, path: &str, attempt: i32, now: Timestamp) -> StepStatus {
    StepStatus {
        path: path.to_owned(),
        name: step.name.clone(),
        kind: step.kind.name().to_owned(),
        phase: StepPhase::Running,
        attempt: Some(attempt),
        started_at: Some(Time(now)),
        ..StepStatus::default()
    }
}

fn skip(step: &Step, path: &str, context: &mut Context<'_>) {
    let message = step.when.as_ref().map(|when| format!("when {} does not hold", when.source()));
    let record = StepStatus {
        phase: StepPhase::Skipped,
        attempt: None,
        finished_at: Some(Time(context.now)),
        message,
        ..begun(step, path, 1, context.now)
    };
    context.records.insert(path.to_owned(), record);
}

/// A step that acts.
fn leaf(step: &Step, path: &str, outer: &[&Layer], own: &mut Layer, context: &mut Context<'_>) -> StepStanding {
    if context.live.contains(path) {
        let Some(ended) = context.ends.remove(path) else {
            return StepStanding::Waiting;
        };
        context.live.remove(path);
        attempt_ended(step, path, ended, &with(outer, own), context);
    }
    let (phase, attempt) = context
        .records
        .get(path)
        .map_or((None, 1), |record| (Some(record.phase), record.attempt.unwrap_or(1)));
    *context.touched |= step.has_outside_effect() && phase.is_some_and(|phase| phase != StepPhase::Skipped);
    let attempt = match phase {
        Some(StepPhase::Running) => match interrupted(step, path, context) {
            Some(standing) => return standing,
            None => attempt,
        },
        Some(StepPhase::Retrying) => attempt + 1,
        Some(_) => return settle_recorded(step, path, own, context),
        None => 1,
    };
    if context.hold {
        return StepStanding::Waiting;
    }
    match start(step, path, attempt, &with(outer, own), context) {
        Ok(Some(start)) => {
            *context.touched |= start.outside_effect;
            context.live.insert(path.to_owned());
            context.starts.push(start);
            StepStanding::Waiting
        }
        Ok(None) if context.records.get(path).is_some_and(|record| record.phase.is_final()) => settle_recorded(step, path, own, context),
        Ok(None) => StepStanding::Waiting,
        Err(message) => {
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
            settle_recorded(step, path, own, context)
        }
    }
}

/// What becomes of a step that was running when its controller ended; `None` where it may run again.
fn interrupted(step: &Step, path: &str, context: &mut Context<'_>) -> Option<StepStanding> {
    if step.idempotent || step.is_repeatable() {
        return None;
    }
    let message =
        "was running when its controller ended, and must not run twice; find out what it did before you start a new run".to_owned();
    if let Some(record) = context.records.get_mut(path) {
        record.phase = StepPhase::Interrupted;
        record.finished_at = Some(Time(context.now));
        record.message = Some(message.clone());
    }
    Some(StepStanding::Failed {
        failure: Failure {
            step: Some(path.to_owned()),
            message,
        },
        interrupted: true,
    })
}

/// The next attempt, if one is due; the record says that it runs.
fn start(step: &Step, path: &str, attempt: i32, layers: &[&Layer], context: &mut Context<'_>) -> Result<Option<Start>, String> {
    let scope = view(layers, attempt, context);
    let known = context.records.get(path);
    if known.is_none() && !is_wanted(step, &scope)? {
        skip(step, path, context);
        return Ok(None);
    }
    let pacing = Pacing::of(step, &scope)?;
    if let Some(record) = known.filter(|record| record.phase == StepPhase::Retrying) {
        let ended = record.finished_at.as_ref().map_or(context.now, |time| time.0);
        let due = pacing.due(attempt - 1, ended, path);
        if due > context.now {
            context.wake = Some(context.wake.map_or(due, |wake| wake.min(due)));
            return Ok(None);
        }
    }
    let started = known
        .and_then(|record| record.started_at.clone())
        .map_or(context.now, |time| time.0);
    let input = prepare::input(step, path, started, &scope)?;
    let timeout = match (&step.until, pacing.timeout) {
        (Some(_), Some(all)) => Some(remaining(all, started, context.now)),
        (_, timeout) => timeout,
    };
    let record = context
        .records
        .entry(path.to_owned())
        .or_insert_with(|| begun(step, path, attempt, started));
    record.phase = StepPhase::Running;
    record.attempt = Some(attempt);
    record.finished_at = None;
    Ok(Some(Start {
        path: path.to_owned(),
        kind: step.kind,
        input,
        timeout,
        repeatable: step.idempotent || step.is_repeatable(),
        outside_effect: step.has_outside_effect(),
    }))
}

fn remaining(all: Duration, started: Timestamp, now: Timestamp) -> Duration {
    let passed = Duration::try_from(now.duration_since(started)).unwrap_or_default();
    all.saturating_sub(passed)
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
    let scope = view(layers, attempt, context);
    let verdict = Pacing::of(step, &scope).and_then(|pacing| verdict(step, &pacing, attempt, result, path, &scope, context));
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
        Err(message) => end(
            step,
            path,
            Err(Fault {
                message,
                permanent: true,
                ..Fault::default()
            }),
            context,
        ),
    }
}

/// What the end of an attempt means for its step.
enum Verdict {
    Ends(Box<Result<Answer, Fault>>),
    /// Another attempt follows; the text says why.
    TriedAgain(String),
}

fn verdict(
    step: &Step,
    pacing: &Pacing,
    attempt: i32,
    result: Result<Answer, Fault>,
    path: &str,
    scope: &View<'_>,
    context: &Context<'_>,
) -> Result<Verdict, String> {
    let Some(until) = &step.until else {
        return Ok(match result {
            Err(fault) if attempt < pacing.attempts && !fault.permanent => {
                Verdict::TriedAgain(format!("{} (attempt {attempt} of {})", fault.message, pacing.attempts))
            }
            Err(fault) if pacing.attempts > 1 && !fault.permanent => {
                let message = format!("{} (attempt {attempt} of {})", fault.message, pacing.attempts);
                Verdict::Ends(Box::new(Err(Fault { message, ..fault })))
            }
            result => Verdict::Ends(Box::new(result)),
        });
    };
    let why = match &result {
        Ok(answer) => {
            let scope = View {
                result: Some(&answer.output),
                ..*scope
            };
            if until.holds(&scope).map_err(|error| format!("until: {error}"))? {
                return Ok(Verdict::Ends(Box::new(result)));
            }
            format!("until {} does not hold yet", until.source())
        }
        Err(fault) if fault.permanent => return Ok(Verdict::Ends(Box::new(result))),
        Err(fault) => fault.message.clone(),
    };
    let record = context.records.get(path);
    let started = record
        .and_then(|record| record.started_at.as_ref())
        .map_or(context.now, |time| time.0);
    let next = pacing.due(attempt, context.now, path);
    let over = pacing
        .timeout
        .is_some_and(|all| next.duration_since(started) >= SignedDuration::try_from(all).unwrap_or(SignedDuration::MAX));
    if over {
        let message = format!("{why}, and the timeout is over (attempt {attempt})");
        let output = match result {
            Ok(answer) => answer.output,
            Err(fault) => fault.output,
        };
        return Ok(Verdict::Ends(Box::new(Err(Fault {
            message,
            output,
            permanent: true,
        }))));
    }
    Ok(Verdict::TriedAgain(format!("{why} (attempt {attempt})")))
}

/// Puts on record that a step was stopped.
pub fn stop(record: &mut StepStatus, now: Timestamp) {
    close(record, now, StepPhase::Cancelled, None);
}

/// Puts on record that a step ended, without anything coming of it.
pub fn close(record: &mut StepStatus, now: Timestamp, phase: StepPhase, message: Option<String>) {
    record.phase = phase;
    record.finished_at = Some(Time(now));
    record.message = message.or_else(|| record.message.take());
}

/// Puts a step's end on record. A failure that the runbook reads is an answer.
fn end(step: &Step, path: &str, result: Result<Answer, Fault>, context: &mut Context<'_>) {
    let now = context.now;
    let ending = prepare::ending(step, result);
    let record = context.records.entry(path.to_owned()).or_insert_with(|| begun(step, path, 1, now));
    record.finished_at = Some(Time(now));
    record.phase = if ending.failed { StepPhase::Failed } else { StepPhase::Succeeded };
    context.recorder.record(record, ending);
}

fn settle_recorded(step: &Step, path: &str, own: &mut Layer, context: &Context<'_>) -> StepStanding {
    match context.records.get(path) {
        Some(record) => match context.recorder.original(path) {
            Some(original) => settle(step, &original.restore(record), own),
            None => settle(step, record, own),
        },
        None => StepStanding::Waiting,
    }
}

/// What a step on record as ended means for those after it: the variables that it set, and whether the walk goes on.
fn settle(step: &Step, record: &StepStatus, own: &mut Layer) -> StepStanding {
    if record.phase == StepPhase::Skipped {
        return StepStanding::Passed;
    }
    let output = record.output.clone().unwrap_or(Value::Null);
    let succeeded = record.phase == StepPhase::Succeeded;
    if let Some(name) = &step.name {
        let error = if succeeded { Value::Null } else { json!(record.message) };
        let status = if succeeded { "success" } else { "failed" };
        own.steps
            .insert(name.clone(), json!({"status": status, "output": output, "error": error}));
    }
    if !matches!(step.kind, StepType::Conditional) {
        own.variables.extend(record.variables.clone());
    }
    if own.registry_entry.is_none() {
        own.registry_entry.clone_from(&record.registry_entry);
    }
    if let Some(name) = &step.output {
        own.variables.insert(name.clone(), output);
    }
    let tolerated = step.continue_on_failure || step.reports;
    match record.phase {
        StepPhase::Succeeded | StepPhase::Failed if succeeded || tolerated => {
            if step.exit {
                StepStanding::Exited
            } else {
                StepStanding::Passed
            }
        }
        phase => StepStanding::Failed {
            failure: Failure {
                step: Some(record.path.clone()),
                message: record.message.clone().unwrap_or_default(),
            },
            interrupted: phase == StepPhase::Interrupted,
        },
    }
}
