//! A run without a world: steps answer by a table, and a clock goes from one event to the next.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::super::{Beginning, Observed, Outcome, Record, Run};
use crate::api::operation::{OperationStatus, StepPhase, StepStatus};
use crate::operation::record::Original;
use crate::operation::report;
use crate::operation::scope::Identity;
use crate::operation::walk::{Answer, End, Fault, Start};
use crate::runbook::{Runbook, StepType, parameter};
use crate::telemetry::redaction::Redactor;

/// What an attempt does.
#[derive(Clone)]
pub enum Does {
    Answers(Value),
    Sets(Value, Map<String, Value>),
    Reads(Value),
    Fails(&'static str),
    /// Fails, after it printed something.
    Prints(&'static str),
    FailsForGood(&'static str),
}

pub fn answers(value: Value) -> Does {
    Does::Answers(value)
}

pub fn fails(message: &'static str) -> Does {
    Does::Fails(message)
}

impl Does {
    pub fn end(&self) -> End {
        let fault = |message: &str, output: Value, permanent| {
            End::Failed(Fault {
                message: message.to_owned(),
                output,
                permanent,
            })
        };
        match self {
            Self::Answers(output) => End::Done(Answer {
                output: output.clone(),
                ..Answer::default()
            }),
            Self::Sets(output, variables) => End::Done(Answer {
                output: output.clone(),
                variables: variables.clone(),
                ..Answer::default()
            }),
            Self::Reads(entry) => End::Done(Answer {
                registry_entry: Some(entry.clone()),
                ..Answer::default()
            }),
            Self::Fails(message) => fault(message, Value::Null, false),
            Self::Prints(message) => fault(message, json!("printed"), false),
            Self::FailsForGood(message) => fault(message, Value::Null, true),
        }
    }
}

/// What happens from outside, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    Cancel,
    Suspend,
    Resume,
    /// The controller dies; another one goes on with what is on record.
    Crash,
}

/// A run that is to be simulated.
pub struct Simulation {
    pub runbook: Arc<Runbook>,
    parameters: Map<String, Value>,
    secrets: Vec<(String, String)>,
    timeout: Duration,
    room: usize,
    does: HashMap<String, Vec<Does>>,
    takes: HashMap<String, u64>,
    finishes: BTreeSet<String>,
    events: Vec<(u64, Event)>,
    fails_first: Option<&'static str>,
    quiet: bool,
    pub record: Record,
}

/// One attempt that was started.
#[derive(Debug, Clone)]
pub struct Started {
    pub path: String,
    pub attempt: i32,
    /// Seconds since the run began.
    pub at: u64,
    pub start: Start,
}

/// A run that came to its end.
pub struct Ended {
    pub run: Run,
    pub outcome: Outcome,
    pub starts: Vec<Started>,
    /// Every status on the way, and the last one.
    pub statuses: Vec<OperationStatus>,
    /// When it ended, in seconds since it began.
    pub at: u64,
    /// How many decisions it took.
    pub decisions: usize,
}

/// A runbook of these sections.
pub fn simulate(sections: &str) -> Simulation {
    let text = format!("operation: {{name: test, type: maintain}}\n{sections}");
    let runbook = Runbook::parse(&text).unwrap_or_else(|problems| panic!("{}\n{text}", problems.render("test")));
    Simulation::of(runbook)
}

impl Simulation {
    pub fn of(runbook: Runbook) -> Self {
        Self {
            runbook: Arc::new(runbook),
            parameters: Map::new(),
            secrets: Vec::new(),
            timeout: Duration::from_hours(1),
            room: usize::MAX,
            does: HashMap::new(),
            takes: HashMap::new(),
            finishes: BTreeSet::new(),
            events: Vec::new(),
            fails_first: None,
            quiet: false,
            record: Record::default(),
        }
    }

    /// What the attempts of a step do, one after the other; the last one stays.
    pub fn step(mut self, path: &str, does: impl IntoIterator<Item = Does>) -> Self {
        self.does.insert(path.to_owned(), does.into_iter().collect());
        self
    }

    /// How many seconds an attempt of a step takes; 1 where nothing is said.
    pub fn takes(mut self, path: &str, seconds: u64) -> Self {
        self.takes.insert(path.to_owned(), seconds);
        self
    }

    /// A step that comes to its end before it can be stopped.
    pub fn finishes(mut self, path: &str) -> Self {
        self.finishes.insert(path.to_owned());
        self
    }

    pub fn parameter(mut self, name: &str, value: Value) -> Self {
        self.parameters.insert(name.to_owned(), value);
        self
    }

    pub fn secret(mut self, value: &str) -> Self {
        self.secrets.push(("secret".to_owned(), value.to_owned()));
        self
    }

    pub fn timeout(mut self, seconds: u64) -> Self {
        self.timeout = Duration::from_secs(seconds);
        self
    }

    pub fn at(mut self, seconds: u64, event: Event) -> Self {
        self.events.push((seconds, event));
        self.events.sort_by_key(|(at, _)| *at);
        self
    }

    /// Goes on with these records.
    pub fn on_record(mut self, steps: &[(&str, StepPhase)]) -> Self {
        let record = |(path, phase): &(&str, StepPhase)| StepStatus {
            path: (*path).to_owned(),
            phase: *phase,
            attempt: Some(1),
            ..StepStatus::default()
        };
        self.record.steps = steps.iter().map(record).collect();
        self
    }

    /// How much may be on record.
    pub fn room(self, room: usize) -> Self {
        Self { room, ..self }
    }

    pub fn beginning(&self) -> Beginning {
        Beginning {
            runbook: self.runbook.clone(),
            identity: Identity {
                operation_name: "op".to_owned(),
                operation_namespace: "ns".to_owned(),
                operation_id: "uid-1".to_owned(),
                runbook_name: self.runbook.name.clone(),
            },
            parameters: parameter::bind(&self.runbook.parameters, &self.parameters).unwrap(),
            timeout: self.timeout,
            redactor: Redactor::new(self.secrets.clone()).unwrap(),
            room: self.room,
        }
    }

    pub fn does(&self, path: &str, attempt: i32, start: &Start) -> Does {
        let planned = self
            .does
            .get(path)
            .and_then(|does| does.get(usize::try_from(attempt).unwrap() - 1).or_else(|| does.last()));
        planned.cloned().unwrap_or_else(|| match start.kind {
            _ if attempt == 1 && self.fails_first.is_some_and(|name| path.ends_with(name)) => fails("busy"),
            StepType::Filter => Does::Answers(start.input.fields["items"].clone()),
            StepType::HealthCheck => Does::Answers(json!("ok")),
            _ => Does::Answers(Value::Null),
        })
    }

    /// Runs to the end, and the first attempt of every step of that name fails.
    pub fn run_failing_first(mut self, name: &'static str) -> Ended {
        self.fails_first = Some(name);
        self.run()
    }

    /// Runs to the end without looking at the status on the way.
    pub fn run_quietly(mut self) -> Ended {
        self.quiet = true;
        self.run()
    }

    /// Runs to the end.
    pub fn run(mut self) -> Ended {
        let run = Run::new(self.beginning(), std::mem::take(&mut self.record));
        let clock = Clock {
            seconds: 0,
            suspended: 0,
            observed: Observed::default(),
            running: BTreeMap::new(),
        };
        let base = OperationStatus::default();
        let originals = BTreeMap::new();
        Player {
            simulation: self,
            run,
            clock,
            base,
            starts: Vec::new(),
            statuses: Vec::new(),
            originals,
            decisions: 0,
        }
        .play()
    }
}

struct Clock {
    seconds: u64,
    suspended: u64,
    observed: Observed,
    /// Attempts that run, by when they end.
    running: BTreeMap<(u64, String), End>,
}

pub fn second(seconds: u64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + i64::try_from(seconds).unwrap()).unwrap()
}

struct Player {
    simulation: Simulation,
    run: Run,
    clock: Clock,
    base: OperationStatus,
    starts: Vec<Started>,
    statuses: Vec<OperationStatus>,
    /// What the journal holds.
    originals: BTreeMap<String, Original>,
    decisions: usize,
}

impl Player {
    fn play(mut self) -> Ended {
        loop {
            let now = second(self.clock.seconds);
            self.clock.observed.running_for = Duration::from_secs(self.clock.seconds - self.clock.suspended);
            let decision = self.run.decide(&self.clock.observed, now);
            self.decisions += 1;
            let again = self.run.decide(&self.clock.observed, now);
            assert_eq!(again.end, decision.end);
            assert!(again.starts.is_empty(), "without news something starts again: {:?}", again.starts);
            if let Some(outcome) = decision.end {
                let status = self.status();
                self.statuses.push(report::ended(&status, &outcome, None, now));
                let Self {
                    run,
                    starts,
                    statuses,
                    clock,
                    decisions,
                    ..
                } = self;
                return Ended {
                    run,
                    outcome,
                    starts,
                    statuses,
                    at: clock.seconds,
                    decisions,
                };
            }
            for start in decision.starts {
                self.start(start);
            }
            if !self.simulation.quiet {
                let status = self.status();
                self.statuses.push(status);
            }
            if let Some(originals) = self.run.take_new_originals() {
                self.originals = originals;
            }
            if decision.stop {
                self.stop();
            } else {
                self.wait(decision.wake);
            }
        }
    }

    fn status(&self) -> OperationStatus {
        report::running(&self.base, &self.run, None, self.clock.observed.suspend, second(self.clock.seconds))
    }

    fn start(&mut self, start: Start) {
        let record = self.run.steps.get(&start.path).or_else(|| self.run.rollback.get(&start.path));
        let attempt = record.and_then(|record| record.attempt).unwrap_or(1);
        let path = start.path.clone();
        let takes = self.simulation.takes.get(&path).copied().unwrap_or(1);
        let end = self.simulation.does(&path, attempt, &start).end();
        self.clock.running.insert((self.clock.seconds + takes, path.clone()), end);
        self.starts.push(Started {
            path,
            attempt,
            at: self.clock.seconds,
            start,
        });
    }

    fn stop(&mut self) {
        for ((_, path), end) in std::mem::take(&mut self.clock.running) {
            let end = if self.simulation.finishes.contains(&path) {
                end
            } else {
                End::Stopped
            };
            self.run.ended(path, end);
        }
    }

    /// To the next moment at which something happens, and what happens then.
    fn wait(&mut self, wake: Option<Timestamp>) {
        let wake = wake.map(|at| u64::try_from(at.as_second() - second(0).as_second()).unwrap() + u64::from(at.subsec_nanosecond() > 0));
        let ends = self.clock.running.keys().next().map(|(at, _)| *at);
        let event = self.simulation.events.first().map(|(at, _)| *at);
        let next = [wake, ends, event].into_iter().flatten().min();
        let next = next
            .unwrap_or_else(|| panic!("nothing will ever happen: {:#?}", self.run.steps))
            .max(self.clock.seconds);
        if self.clock.observed.suspend {
            self.clock.suspended += next - self.clock.seconds;
        }
        self.clock.seconds = next;
        let later = self.clock.running.split_off(&(next + 1, String::new()));
        for ((_, path), end) in std::mem::replace(&mut self.clock.running, later) {
            self.run.ended(path, end);
        }
        while self.simulation.events.first().is_some_and(|(at, _)| *at <= next) {
            let (_, event) = self.simulation.events.remove(0);
            self.happen(event);
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Cancel => self.clock.observed.cancel = true,
            Event::Suspend => self.clock.observed.suspend = true,
            Event::Resume => self.clock.observed.suspend = false,
            Event::Crash => {
                let record = on_record(&self.status(), &self.originals);
                self.run = Run::new(self.simulation.beginning(), record);
                self.clock.running.clear();
            }
        }
    }
}

/// What another controller reads of a status and its journal.
pub fn on_record(status: &OperationStatus, originals: &BTreeMap<String, Original>) -> Record {
    let status: OperationStatus = serde_json::from_value(serde_json::to_value(status).unwrap()).unwrap();
    let originals = serde_json::from_value(serde_json::to_value(originals).unwrap()).unwrap();
    Record::of(&status, originals)
}

impl Ended {
    /// The paths of what was started, in order.
    pub fn started(&self) -> Vec<&str> {
        self.starts.iter().map(|started| started.path.as_str()).collect()
    }

    /// Every start with the second in which it happened.
    pub fn times(&self) -> Vec<(&str, u64)> {
        self.starts.iter().map(|started| (started.path.as_str(), started.at)).collect()
    }

    /// A field of the first start of a step.
    pub fn given(&self, path: &str, field: &str) -> Value {
        let started = self.starts.iter().find(|started| started.path == path);
        let fields = &started
            .unwrap_or_else(|| panic!("{path} never started: {:?}", self.started()))
            .start
            .input
            .fields;
        fields.get(field).cloned().unwrap_or_default()
    }

    /// The message that a notification was given.
    pub fn said(&self, path: &str) -> Value {
        self.given(path, "message")
    }

    pub fn step(&self, path: &str) -> &StepStatus {
        self.run
            .steps
            .get(path)
            .or_else(|| self.run.rollback.get(path))
            .unwrap_or_else(|| panic!("{path} is not on record"))
    }

    pub fn phases(&self) -> Vec<(&str, StepPhase)> {
        self.run.steps.values().map(|record| (record.path.as_str(), record.phase)).collect()
    }

    pub fn undone(&self) -> Vec<(&str, StepPhase)> {
        self.run
            .rollback
            .values()
            .map(|record| (record.path.as_str(), record.phase))
            .collect()
    }

    pub fn output(&self, name: &str) -> Value {
        self.run.outputs.get(name).cloned().unwrap_or_default()
    }

    pub fn last_status(&self) -> &OperationStatus {
        self.statuses.last().unwrap()
    }
}
