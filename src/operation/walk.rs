//! The walk over a list of steps: from what is on record to what may start next. Pure.
//!
//! A walk keeps cursors, so that each call costs what changed and not what went before. It can always be made anew from the
//! records: it then takes the steps on record as ended at their word, and goes on where they stop.

mod inside;
mod leaf;
mod settle;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

use indexmap::IndexMap;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Map, Value};

use super::prepare::Input;
use super::record::Recorder;
use super::scope::{Failure, Identity, Layer, View};
use crate::api::operation::{StepPhase, StepStatus};
use crate::runbook::StepType;
use crate::runbook::step::{Body, Step};

use inside::Inside;
pub use settle::stop;

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

/// Where a walk, or a step of it, stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Something runs, or is due later.
    Waiting,
    /// It came to its end.
    Done,
    /// A step with `exit` ran.
    Exited,
    Failed(Obstacle),
}

/// What keeps a walk from going on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    /// The innermost step that did not end well, and why.
    pub failure: Failure,
    /// How that step ended: Failed, Interrupted or Cancelled. Only what Failed can be tolerated.
    pub phase: StepPhase,
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
    pub includes: fn(&Step) -> bool,
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
            let standing = if (context.includes)(step) {
                let path = path(&self.prefix, self.index, step);
                match &step.body {
                    Body::None => leaf::advance(step, &path, outer, own, context),
                    _ => inside::advance(&mut self.inside, step, &path, outer, own, context),
                }
            } else {
                Standing::Done
            };
            match standing {
                Standing::Waiting => return Standing::Waiting,
                Standing::Failed(obstacle) if !context.tolerant => return Standing::Failed(obstacle),
                Standing::Failed(_) | Standing::Done | Standing::Exited => {}
            }
            self.index += 1;
            self.inside = None;
            if standing == Standing::Exited {
                return Standing::Exited;
            }
        }
        Standing::Done
    }
}

/// Where a step stands in the run: `parent/name`, unnamed `parent[i]/type`. No two steps of a run have the same path.
#[must_use]
pub fn path(prefix: &str, index: usize, step: &Step) -> String {
    match (step.name.as_deref().filter(|name| !name.is_empty()), prefix.is_empty()) {
        (Some(name), true) if matches!(name, "rollback" | "notifications") => format!("{name}~"),
        (Some(name), true) => segment(name).into_owned(),
        (Some(name), false) => format!("{prefix}/{}", segment(name)),
        (None, _) => format!("{prefix}[{index}]/{}", step.kind.name()),
    }
}

/// A name as a part of a path. What has a meaning in paths is written as JSON pointers do (`~0`, `~1`), and `~2` stands for the
/// bracket at the end of a name that looks like the place of an item.
fn segment(name: &str) -> Cow<'_, str> {
    let place = name.strip_suffix(']').and_then(|rest| rest.rsplit_once('['));
    let is_place = place.is_some_and(|(_, number)| {
        let digits = number.strip_prefix('#').unwrap_or(number);
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    });
    if !is_place && !name.contains(['~', '/']) {
        return Cow::Borrowed(name);
    }
    let mut segment = name.replace('~', "~0").replace('/', "~1");
    if is_place {
        segment.truncate(segment.len() - 1);
        segment.push_str("~2");
    }
    Cow::Owned(segment)
}

/// What an expression sees in these layers. `now` is when the step started, so that an attempt that runs again says the same.
fn view<'a>(layers: &'a [&'a Layer], attempt: i32, now: Timestamp, context: &'a Context<'_>) -> View<'a> {
    View {
        layers,
        identity: context.identity,
        now,
        attempt,
        failure: context.failure,
        result: None,
    }
}

fn with<'a>(outer: &[&'a Layer], own: &'a Layer) -> Vec<&'a Layer> {
    outer.iter().copied().chain([own]).collect()
}

fn is_wanted(step: &Step, scope: &View<'_>) -> Result<bool, String> {
    step.when
        .as_ref()
        .map_or(Ok(true), |when| when.holds(scope).map_err(|error| format!("when: {error}")))
}

/// The record of a step that did not start.
fn unstarted(step: &Step, path: &str, phase: StepPhase, now: Timestamp) -> StepStatus {
    StepStatus {
        path: path.to_owned(),
        name: step.name.clone(),
        kind: step.kind.name().to_owned(),
        phase,
        finished_at: Some(Time(now)),
        ..StepStatus::default()
    }
}

/// The record of a step that starts.
fn begun(step: &Step, path: &str, now: Timestamp) -> StepStatus {
    StepStatus {
        attempt: Some(1),
        started_at: Some(Time(now)),
        finished_at: None,
        ..unstarted(step, path, StepPhase::Running, now)
    }
}

fn started_at(record: Option<&StepStatus>, now: Timestamp) -> Timestamp {
    record.and_then(|record| record.started_at.as_ref()).map_or(now, |time| time.0)
}
