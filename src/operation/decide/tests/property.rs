//! Runs that are cut at random moments and taken up from what is on record.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

use super::super::{Observed, Outcome, Run};
use super::generate::{Plan, runbook};
use super::simulation::{Simulation, on_record, second};
use crate::api::operation::{OperationStatus, Phase, StepPhase};
use crate::operation::record::Original;
use crate::operation::report;
use crate::operation::walk::{End, Start};
use crate::runbook::Runbook;

/// More decisions than any of these runs needs.
const ENOUGH: usize = 20_000;

/// What a run did, whoever carried it out.
#[derive(Default)]
struct Trace {
    /// How often each attempt of a step that must not run twice was started.
    unrepeatable: HashMap<(String, i32), usize>,
    /// Paths on record as ended.
    ended: BTreeSet<String>,
}

/// The API server: what was acknowledged last.
struct Persisted {
    status: OperationStatus,
    originals: BTreeMap<String, Original>,
}

/// One run with its controllers, of which several may die.
struct World<'p> {
    plan: &'p Plan,
    simulation: Simulation,
    run: Run,
    now: u64,
    running: BTreeMap<(u64, String), (End, Start)>,
    owes_barrier: bool,
    persisted: Persisted,
    trace: Trace,
    observed: Observed,
    /// Where chance decides: to write, to die, in what order ends come.
    chance: Vec<u8>,
    throws: usize,
    deaths: usize,
}

impl<'p> World<'p> {
    fn new(plan: &'p Plan, runbook: &Runbook, chance: &[u8], deaths: usize) -> Self {
        let simulation = Simulation::of(runbook.clone()).secret("hunter22").timeout(10_000_000);
        let run = Run::new(simulation.beginning(), super::super::Record::default());
        let status = report::running(&OperationStatus::default(), &run, None, false, second(0));
        let persisted = Persisted {
            status,
            originals: BTreeMap::new(),
        };
        Self {
            plan,
            simulation,
            run,
            now: 0,
            running: BTreeMap::new(),
            owes_barrier: false,
            persisted,
            trace: Trace::default(),
            observed: Observed::default(),
            chance: chance.to_vec(),
            throws: 0,
            deaths,
        }
    }

    fn throw(&mut self) -> u8 {
        self.throws += 1;
        let length = self.chance.len().max(1);
        self.chance
            .get(self.throws % length)
            .copied()
            .unwrap_or(0)
            .wrapping_add(u8::try_from(self.throws % 251).unwrap())
    }

    fn write(&mut self) {
        if let Some(originals) = self.run.take_new_originals() {
            self.persisted.originals = originals;
            // the journal is written first, so there may be an end between the two
            if self.deaths > 0 && self.throw() < 20 {
                return self.die();
            }
        }
        self.persisted.status = report::running(&OperationStatus::default(), &self.run, None, false, second(self.now));
        let records = self.persisted.status.steps.iter().chain(&self.persisted.status.rollback);
        let ended = records.filter(|record| record.phase.is_final()).map(|record| record.path.clone());
        self.trace.ended.extend(ended);
        self.owes_barrier = false;
    }

    fn die(&mut self) {
        self.deaths -= 1;
        let record = on_record(&self.persisted.status, &self.persisted.originals);
        self.run = Run::new(self.simulation.beginning(), record);
        self.running.clear();
        self.owes_barrier = false;
    }

    /// Runs to the end; with `cancel`, that is asked for after so many decisions.
    fn carry_out(mut self, cancel: Option<usize>) -> (Run, Outcome) {
        for decisions in 0..ENOUGH {
            self.observed.cancel |= cancel.is_some_and(|at| decisions >= at);
            let now = second(self.now);
            let decision = self.run.decide(&self.observed, now);
            let again = self.run.decide(&self.observed, now);
            assert!(again.starts.is_empty(), "without news something starts again: {:?}", again.starts);
            if let Some(outcome) = decision.end {
                return (self.run, outcome);
            }
            let deaths = self.deaths;
            let barrier = (self.owes_barrier && !decision.starts.is_empty()) || decision.starts.iter().any(|start| !start.repeatable);
            if barrier || self.throw() < 60 {
                self.write();
            }
            if self.deaths < deaths {
                continue;
            }
            for start in decision.starts {
                self.start(start);
            }
            if self.deaths > 0 && self.throw() < 30 {
                self.die();
                continue;
            }
            if decision.stop {
                self.stop();
            } else {
                self.wait(decision.wake);
            }
        }
        panic!("it does not end: {:#?}", self.run.steps);
    }

    fn start(&mut self, start: Start) {
        assert!(
            !self.trace.ended.contains(&start.path),
            "{} is on record as ended and starts again",
            start.path
        );
        let in_rollback = self.run.rollback.get(&start.path).filter(|_| start.path.starts_with("rollback/"));
        let attempt = in_rollback
            .or_else(|| self.run.steps.get(&start.path))
            .and_then(|record| record.attempt)
            .unwrap_or(1);
        if !start.repeatable {
            let times = self.trace.unrepeatable.entry((start.path.clone(), attempt)).or_insert(0);
            *times += 1;
            assert!(*times == 1, "attempt {attempt} of {} starts {times} times", start.path);
        }
        let end = self.plan.end(&start, attempt);
        let takes = self.plan.takes(&start.path, attempt);
        self.running.insert((self.now + takes, start.path.clone()), (end, start));
    }

    fn stop(&mut self) {
        for ((_, path), (end, start)) in std::mem::take(&mut self.running) {
            self.owes_barrier |= !start.repeatable;
            let end = if self.throw() < 100 { end } else { End::Stopped };
            self.run.ended(path, end);
        }
    }

    fn wait(&mut self, wake: Option<Timestamp>) {
        let wake = wake.map(|at| u64::try_from(at.as_second() - second(0).as_second()).unwrap() + u64::from(at.subsec_nanosecond() > 0));
        let end = self.running.keys().next().map(|(at, _)| *at);
        let next = [wake, end].into_iter().flatten().min();
        self.now = next
            .unwrap_or_else(|| panic!("nothing will ever happen: {:#?}", self.run.steps))
            .max(self.now);
        self.observed.running_for = Duration::from_secs(self.now);
        while let Some(entry) = self.running.first_entry().filter(|entry| entry.key().0 <= self.now) {
            let ((_, path), (end, start)) = entry.remove_entry();
            self.owes_barrier |= !start.repeatable;
            self.run.ended(path, end);
        }
    }
}

/// Whether a foreach failed: if it was parallel, it is a matter of time which of its items had started.
fn a_foreach_failed(run: &Run) -> bool {
    run.steps
        .values()
        .any(|record| record.kind == "foreach" && record.phase == StepPhase::Failed)
}

/// How a run ended, and all that it found. What ran side by side may have started in any order.
fn end_of(run: &Run, outcome: &Outcome) -> Value {
    let steps: BTreeMap<_, _> = run
        .steps
        .values()
        .map(|record| (&record.path, (record.phase, &record.output, &record.variables)))
        .collect();
    let rollback: BTreeMap<_, _> = run
        .rollback
        .values()
        .map(|record| (&record.path, (record.phase, &record.output)))
        .collect();
    json!({
        "phase": outcome.phase,
        "failure": run.cause().map(|cause| (&cause.failure.step, &cause.failure.message)),
        "outputs": run.outputs,
        "variables": run.layer.variables,
        "steps": steps,
        "rollback": rollback,
    })
}

proptest! {
    // these are long; PROPTEST_CASES asks for more of them
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 4, ..ProptestConfig::default() })]

    #[test]
    fn a_run_of_repeatable_steps_ends_the_same_however_often_its_controller_dies(
        plan in Plan::any(false), chance in prop::collection::vec(any::<u8>(), 1..64), deaths in 1_usize..12
    ) {
        let runbook = runbook(&plan);
        let (whole, outcome) = World::new(&plan, &runbook, &chance, 0).carry_out(None);
        if plan.is_parallel() && a_foreach_failed(&whole) {
            return Ok(());
        }
        let (cut, cut_outcome) = World::new(&plan, &runbook, &chance, deaths).carry_out(None);
        prop_assert_eq!(end_of(&whole, &outcome), end_of(&cut, &cut_outcome));
    }

    #[test]
    fn no_step_on_record_as_ended_runs_again_and_no_unrepeatable_attempt_runs_twice(
        plan in Plan::any(true),
        chance in prop::collection::vec(any::<u8>(), 1..64),
        deaths in 0_usize..12,
        cancel in prop::option::of(any::<Index>()),
    ) {
        let runbook = runbook(&plan);
        let world = World::new(&plan, &runbook, &chance, deaths);
        let (run, outcome) = world.carry_out(cancel.map(|at| at.index(60)));
        prop_assert!(outcome.phase.is_final());
        prop_assert!(run.steps.values().chain(run.rollback.values()).all(|record| record.phase.is_final()));
        let interrupted = run.steps.values().any(|record| record.phase == StepPhase::Interrupted);
        prop_assert!(!interrupted || outcome.phase != Phase::Succeeded);
    }

    #[test]
    fn a_run_that_nothing_disturbs_is_the_same_each_time(plan in Plan::any(true), one in any::<u8>(), other in any::<u8>()) {
        let runbook = runbook(&plan);
        let (first, outcome) = World::new(&plan, &runbook, &[one], 0).carry_out(None);
        let (second, again) = World::new(&plan, &runbook, &[other], 0).carry_out(None);
        prop_assert_eq!(end_of(&first, &outcome), end_of(&second, &again));
    }
}
