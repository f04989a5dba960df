//! The steps that hold steps: `conditional` and `foreach`.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::settle::{end, fail, put, settle, settle_recorded, skip, stop};
use super::{Answer, Context, Cursor, Fault, Obstacle, Standing, begun, is_wanted, path as path_of, started_at, view, with};
use crate::api::operation::{StepPhase, StepStatus};
use crate::operation::prepare;
use crate::operation::scope::{Layer, View};
use crate::runbook::Template;
use crate::runbook::check::MAX_ITEMS;
use crate::runbook::step::{Body, Step, boolean, count};

/// How many items of a parallel foreach run at once where the step does not say.
const DEFAULT_CONCURRENCY: usize = 10;
/// The most items that run at once, whatever the step says.
const MOST_CONCURRENCY: usize = 1_000;

/// What stands inside a step.
#[derive(Debug, Clone)]
pub(super) enum Inside {
    Branch { otherwise: bool, cursor: Box<Cursor> },
    Each(Each),
}

/// The items of a foreach.
#[derive(Debug, Clone)]
pub(super) struct Each {
    items: Vec<Value>,
    /// The first item that has not started.
    next: usize,
    limit: usize,
    active: BTreeMap<usize, Item>,
    results: Vec<Value>,
    /// The item that decides how the foreach failed, and why.
    obstacle: Option<(usize, Obstacle)>,
}

#[derive(Debug, Clone, Default)]
struct Item {
    cursor: Cursor,
    layer: Layer,
}

/// How the steps inside came to their end.
enum Left {
    Exited,
    Ended { output: Value, obstacle: Option<Obstacle> },
}

/// Goes as far as the steps inside allow.
pub(super) fn advance(
    inside: &mut Option<Inside>,
    step: &Step,
    path: &str,
    outer: &[&Layer],
    own: &mut Layer,
    context: &mut Context<'_>,
) -> Standing {
    // inside a step on record as ended nothing starts: it is only read again, for its variables
    let ended = is_ended(path, context);
    let hold = context.hold;
    context.hold |= ended;
    let standing = go_inside(inside, step, path, outer, own, context);
    context.hold = hold;
    if ended && standing == Standing::Waiting {
        return settle_recorded(step, path, own, context);
    }
    standing
}

fn is_ended(path: &str, context: &Context<'_>) -> bool {
    context.records.get(path).is_some_and(|record| record.phase.is_final())
}

fn go_inside(
    inside: &mut Option<Inside>,
    step: &Step,
    path: &str,
    outer: &[&Layer],
    own: &mut Layer,
    context: &mut Context<'_>,
) -> Standing {
    if inside.is_none() {
        match enter(step, path, outer, own, context) {
            Ok(entered) => *inside = entered,
            Err(message) => fail(step, path, message, context),
        }
    }
    let left = match (&step.body, inside) {
        (
            Body::Branches {
                then, otherwise: other, ..
            },
            Some(Inside::Branch { otherwise, cursor }),
        ) => {
            let output = branch(*otherwise);
            match cursor.advance(if *otherwise { other } else { then }, outer, own, context) {
                Standing::Waiting => return Standing::Waiting,
                Standing::Exited => Left::Exited,
                Standing::Done => Left::Ended { output, obstacle: None },
                Standing::Failed(obstacle) => Left::Ended {
                    output,
                    obstacle: Some(obstacle),
                },
            }
        }
        (Body::Each { variable, steps, .. }, Some(Inside::Each(each))) => {
            match each.advance(path, variable, steps, &with(outer, own), context) {
                None => return Standing::Waiting,
                Some(left) => left,
            }
        }
        _ => return settle_recorded(step, path, own, context),
    };
    leave(step, path, left, own, context)
}

fn branch(otherwise: bool) -> Value {
    json!(if otherwise { "else" } else { "then" })
}

/// Begins a conditional or a foreach, or takes it up again; `None` where it waits, or came to its end before it began.
fn enter(step: &Step, path: &str, outer: &[&Layer], own: &Layer, context: &mut Context<'_>) -> Result<Option<Inside>, String> {
    let layers = with(outer, own);
    let known = context.records.get(path).cloned();
    let started = started_at(known.as_ref(), context.now);
    let scope = view(&layers, 1, started, context);
    match &known {
        None if context.hold => return Ok(None),
        None if !is_wanted(step, &scope)? => {
            skip(step, path, context);
            return Ok(None);
        }
        Some(record) if record.attempt.is_none() => return Ok(None),
        _ => {}
    }
    let (inside, output) = match &step.body {
        Body::Branches { condition, .. } => {
            let recorded = known.as_ref().and_then(|record| context.recorder.restored(record).output.clone());
            let otherwise = match recorded.as_ref().and_then(Value::as_str) {
                Some(branch) => branch == "else",
                None => !condition.holds(&scope).map_err(|error| format!("condition: {error}"))?,
            };
            let cursor = Box::new(Cursor::new(path.to_owned()));
            (Inside::Branch { otherwise, cursor }, Some(branch(otherwise)))
        }
        Body::Each {
            items,
            parallel,
            max_concurrent,
            variable,
            steps,
        } => {
            let items = list(items, &scope)?;
            let limit = concurrency(parallel.as_ref(), max_concurrent.as_ref(), &scope)?;
            let mut each = Each::new(items, limit);
            if known.is_some() {
                each.take_up(path, variable, steps, context);
            }
            (Inside::Each(each), None)
        }
        Body::None => return Ok(None),
    };
    if known.is_none() {
        let record = StepStatus {
            output,
            ..begun(step, path, context.now)
        };
        context.records.insert(path.to_owned(), record);
    }
    Ok(Some(inside))
}

fn list(items: &Template, scope: &View<'_>) -> Result<Vec<Value>, String> {
    match items.render(scope).map_err(|error| format!("items: {error}"))? {
        Value::Array(items) if items.len() <= MAX_ITEMS => Ok(items),
        Value::Array(items) => Err(format!("items: {} items are more than {MAX_ITEMS}; split the list", items.len())),
        Value::Null => Err("items: nothing was given, a list is needed".to_owned()),
        other => Err(format!("items: a list is needed, not {}", prepare::kind_of(&other))),
    }
}

/// How many items run at once.
fn concurrency(parallel: Option<&Template>, most: Option<&Template>, scope: &View<'_>) -> Result<usize, String> {
    let render = |name: &str, template: Option<&Template>| {
        template.map_or(Ok(Value::Null), |template| {
            template.render(scope).map_err(|error| format!("{name}: {error}"))
        })
    };
    let parallel = match render("parallel", parallel)? {
        Value::Null => false,
        given => boolean(&given).map_err(|error| format!("parallel: {error}"))?,
    };
    let most = match render("max_concurrent", most)? {
        Value::Null => DEFAULT_CONCURRENCY,
        given => {
            let most = count(&given).map_err(|error| format!("max_concurrent: {error}"))?;
            usize::try_from(most).unwrap_or(usize::MAX).min(MOST_CONCURRENCY)
        }
    };
    Ok(if parallel { most } else { 1 })
}

/// Puts the end of a conditional or foreach on record.
fn leave(step: &Step, path: &str, left: Left, own: &mut Layer, context: &mut Context<'_>) -> Standing {
    let (output, obstacle) = match left {
        Left::Ended { output, obstacle } => (output, obstacle),
        Left::Exited => {
            end(
                step,
                path,
                Ok(Answer {
                    output: context.output(path),
                    ..Answer::default()
                }),
                context,
            );
            return Standing::Exited;
        }
    };
    let standing = if let Body::Each { .. } = &step.body {
        leave_each(step, path, output, obstacle.as_ref(), own, context)
    } else {
        record_end(step, path, output, obstacle.as_ref(), context);
        settle_recorded(step, path, own, context)
    };
    match (standing, obstacle) {
        (Standing::Failed(_), Some(inner)) => Standing::Failed(inner),
        (_, Some(inner)) if inner.phase != StepPhase::Failed => Standing::Failed(inner),
        (standing, _) => standing,
    }
}

/// The results of a foreach follow from the records of its items, so they are not kept apart where they are masked or long.
fn leave_each(
    step: &Step,
    path: &str,
    results: Value,
    obstacle: Option<&Obstacle>,
    own: &mut Layer,
    context: &mut Context<'_>,
) -> Standing {
    let shown = if step.output.is_some() { results.clone() } else { Value::Null };
    record_end(step, path, shown, obstacle, context);
    let Some(record) = context.records.get(path) else {
        return Standing::Waiting;
    };
    let record = StepStatus {
        output: Some(results.clone()),
        ..record.clone()
    };
    let standing = settle(step, &record, own);
    if let Value::Array(results) = results {
        own.last_foreach = Some(results);
    }
    standing
}

fn record_end(step: &Step, path: &str, output: Value, obstacle: Option<&Obstacle>, context: &mut Context<'_>) {
    let result = match obstacle {
        None => Ok(Answer {
            output,
            ..Answer::default()
        }),
        Some(Obstacle {
            phase: StepPhase::Cancelled,
            ..
        }) => {
            if let Some(record) = context.records.get_mut(path).filter(|record| !record.phase.is_final()) {
                stop(record, context.now);
            }
            return;
        }
        Some(Obstacle { failure, .. }) => {
            let message = match &failure.step {
                Some(step) => format!("{step}: {}", failure.message),
                None => failure.message.clone(),
            };
            Err(Fault {
                message,
                output,
                permanent: true,
            })
        }
    };
    let mut ending = prepare::ending(step, result);
    ending.derived = matches!(step.body, Body::Each { .. });
    put(step, path, ending, context);
}

impl Context<'_> {
    /// The output on record of a step.
    fn output(&self, path: &str) -> Value {
        let record = self.records.get(path).map(|record| self.recorder.restored(record));
        record.and_then(|record| record.output.clone()).unwrap_or_default()
    }
}

impl Each {
    fn new(items: Vec<Value>, limit: usize) -> Self {
        let results = vec![Value::Null; items.len()];
        Self {
            items,
            next: 0,
            limit,
            active: BTreeMap::new(),
            results,
            obstacle: None,
        }
    }

    /// Starts again all the items that are on record. They started in order, and each left a record of its first step.
    fn take_up(&mut self, path: &str, variable: &str, steps: &[Step], context: &Context<'_>) {
        let Some((index, first)) = steps.iter().enumerate().find(|(_, step)| (context.includes)(step)) else {
            return;
        };
        let is_on_record = |number: &usize| context.records.contains_key(&path_of(&prefix(path, *number), index, first));
        let started = (0..self.items.len()).take_while(is_on_record).count();
        self.start(started, path, variable);
    }

    fn start(&mut self, count: usize, path: &str, variable: &str) {
        for number in self.next..self.next + count {
            let value = self.items.get(number).cloned().unwrap_or_default();
            let layer = Layer {
                loop_variable: Some((variable.to_owned(), value)),
                ..Layer::default()
            };
            self.active.insert(
                number,
                Item {
                    cursor: Cursor::new(prefix(path, number)),
                    layer,
                },
            );
        }
        self.next += count;
    }

    /// `None` while items run or wait; then the results in item order, and why an item failed.
    fn advance(&mut self, path: &str, variable: &str, steps: &[Step], outer: &[&Layer], context: &mut Context<'_>) -> Option<Left> {
        loop {
            self.advance_active(steps, outer, context);
            let room = self.limit.saturating_sub(self.active.len());
            let left = self.items.len().saturating_sub(self.next);
            let more = if self.obstacle.is_some() || context.hold {
                0
            } else {
                room.min(left)
            };
            if more == 0 {
                break;
            }
            self.start(more, path, variable);
        }
        let ended = self.active.is_empty() && (self.obstacle.is_some() || self.next == self.items.len());
        ended.then(|| {
            // those that never started have no result
            self.results.truncate(self.next);
            let obstacle = self.obstacle.take().map(|(_, obstacle)| obstacle);
            Left::Ended {
                output: Value::Array(std::mem::take(&mut self.results)),
                obstacle,
            }
        })
    }

    fn advance_active(&mut self, steps: &[Step], outer: &[&Layer], context: &mut Context<'_>) {
        let mut ended = Vec::new();
        for (&number, item) in &mut self.active {
            match item.cursor.advance(steps, outer, &mut item.layer, context) {
                Standing::Waiting => continue,
                Standing::Done | Standing::Exited => {}
                Standing::Failed(obstacle) => {
                    // what nothing tolerates decides before what is tolerated, then the first item does
                    let rank = |number: usize, obstacle: &Obstacle| (obstacle.phase == StepPhase::Failed, number);
                    if self
                        .obstacle
                        .as_ref()
                        .is_none_or(|(known, deciding)| rank(number, &obstacle) < rank(*known, deciding))
                    {
                        self.obstacle = Some((number, obstacle));
                    }
                }
            }
            ended.push(number);
        }
        for number in ended {
            if let (Some(item), Some(result)) = (self.active.remove(&number), self.results.get_mut(number)) {
                *result = item_result(item.layer);
            }
        }
    }
}

fn prefix(path: &str, number: usize) -> String {
    format!("{path}[#{number}]")
}

/// The loop variable, the variables that its body set, and the registry entry that a lookup read; earlier ones win.
fn item_result(layer: Layer) -> Value {
    let entry = match layer.registry_entry {
        Some(Value::Object(entry)) => entry,
        _ => Map::new(),
    };
    let mut result = Map::from_iter(layer.loop_variable);
    for (name, value) in layer.variables.into_iter().chain(entry) {
        result.entry(name).or_insert(value);
    }
    Value::Object(result)
}
