//! What another controller makes of the records of one that died.

use serde_json::json;

use super::simulation::{Event, answers, fails, simulate};
use crate::api::Reason;
use crate::api::operation::{Phase, StepPhase};

const RUNBOOK: &str = "
steps:
  - {name: read, type: http_request, url: u, output: answer}
  - {name: make, type: http_request, method: POST, url: 'http://${answer.host}', output: made}
  - {name: wait, type: delay, seconds: 100}
rollback: {on_failure: [{name: undo, type: http_request, method: DELETE, url: 'http://${made.id}'}, {name: more, type: delay, seconds: 1}]}
";

#[test]
fn a_repeatable_step_that_was_running_runs_again() {
    let ended = simulate(RUNBOOK)
        .takes("read", 10)
        .step("read", [answers(json!({"host": "h"}))])
        .at(5, Event::Crash)
        .run();
    assert_eq!(ended.times()[..3], [("read", 0), ("read", 5), ("make", 15)]);
    assert_eq!(ended.step("read").attempt, Some(1));
    assert_eq!(ended.given("make", "url"), "http://h");
    assert_eq!(ended.outcome.phase, Phase::Succeeded);
}

#[test]
fn a_delay_counts_from_its_recorded_start() {
    let ended = simulate(RUNBOOK).takes("wait", 100).at(50, Event::Crash).run();
    let started: Vec<_> = ended.starts.iter().filter(|started| started.path == "wait").collect();
    assert_eq!(started.len(), 2);
    assert_eq!(started[0].start.input.started, started[1].start.input.started);
}

#[test]
fn an_unrepeatable_step_that_was_running_is_interrupted_and_leads_to_rollback() {
    let ended = simulate(RUNBOOK).takes("make", 10).at(5, Event::Crash).run();
    assert_eq!(ended.started(), ["read", "make", "rollback/undo", "rollback/more"]);
    assert_eq!(ended.step("make").phase, StepPhase::Interrupted);
    assert_eq!((ended.outcome.phase, ended.outcome.reason), (Phase::Failed, Reason::Interrupted));
    assert!(
        ended.outcome.message.starts_with("make: was running when its controller ended"),
        "{}",
        ended.outcome.message
    );
}

#[test]
fn an_idempotent_step_that_was_running_runs_again() {
    let runbook = RUNBOOK.replace("method: POST,", "method: POST, idempotent: true,");
    let ended = simulate(&runbook).takes("make", 10).at(5, Event::Crash).run();
    assert_eq!(ended.started(), ["read", "make", "make", "wait"]);
    assert_eq!(ended.outcome.phase, Phase::Succeeded);
    assert!(ended.starts[1].start.repeatable && ended.starts[1].start.outside_effect);
}

#[test]
fn a_step_that_waits_for_its_next_attempt_was_not_interrupted() {
    let runbook = RUNBOOK.replace("method: POST,", "method: POST, retries: 2, retry_delay: 20,");
    let ended = simulate(&runbook)
        .step("make", [fails("busy"), answers(json!(null))])
        .at(10, Event::Crash)
        .run();
    assert_eq!(ended.times()[1..3], [("make", 1), ("make", 22)]);
    assert_eq!(ended.outcome.phase, Phase::Succeeded);
}

#[test]
fn interruption_is_not_tolerated_as_a_failure_is() {
    let ended = simulate(
        "
steps:
  - name: each
    type: foreach
    items: [1, 2]
    parallel: true
    continue_on_failure: true
    steps: [{name: make, type: http_request, method: POST, url: u, continue_on_failure: true, outcome: went}]
  - {name: unreached, type: delay, seconds: 1}
",
    )
    .takes("each[#0]/make", 4)
    .takes("each[#1]/make", 10)
    .at(5, Event::Crash)
    .run();
    assert_eq!(ended.started(), ["each[#0]/make", "each[#1]/make"]);
    assert_eq!(
        (ended.step("each").phase, ended.step("each[#1]/make").phase),
        (StepPhase::Failed, StepPhase::Interrupted)
    );
    assert_eq!(ended.outcome.reason, Reason::Interrupted);
}

#[test]
fn no_step_on_record_as_ended_runs_again() {
    let ended = simulate(RUNBOOK).on_record(&[
        ("read", StepPhase::Succeeded),
        ("make", StepPhase::Succeeded),
        ("wait", StepPhase::Succeeded),
    ]);
    let ended = ended.run();
    assert_eq!((ended.started().len(), ended.outcome.phase), (0, Phase::Succeeded));
    for phase in [StepPhase::Failed, StepPhase::Interrupted, StepPhase::Cancelled] {
        let ended = simulate(RUNBOOK)
            .on_record(&[("read", StepPhase::Succeeded), ("make", phase)])
            .run();
        assert_eq!(ended.started(), ["rollback/undo", "rollback/more"], "{phase:?}");
    }
}

#[test]
fn items_that_had_started_go_on_though_another_one_failed() {
    let ended = simulate(
        "
steps:
  - name: each
    type: foreach
    items: [0, 1, 2, 3]
    parallel: true
    max_concurrent: 2
    steps:
      - {name: one, type: http_request, url: u}
      - {name: two, type: http_request, method: POST, url: u}
rollback: {on_failure: [{name: undo, type: delay, seconds: 1}]}
",
    )
    .takes("each[#0]/one", 5)
    .step("each[#0]/one", [fails("no")])
    .takes("each[#2]/one", 10)
    .at(8, Event::Crash)
    .run();
    let expected = [
        "each[#0]/one",
        "each[#1]/one",
        "each[#1]/two",
        "each[#2]/one",
        "each[#2]/one",
        "each[#2]/two",
        "rollback/undo",
    ];
    assert_eq!(ended.started(), expected);
    assert_eq!(ended.step("each").message.as_deref(), Some("each[#0]/one: no"));
}

#[test]
fn a_foreach_goes_over_the_items_that_it_had_when_it_started() {
    let runbook = "
steps:
  - name: each
    type: foreach
    items: \"${current_time >= '08:00:05' ? [9] : [1, 2, 3]}\"
    output: results
    steps: [{name: wait, type: delay, seconds: 4}]
outputs: {results: results}
";
    let waits = |number: usize| format!("each[#{number}]/wait");
    let ended = simulate(runbook).takes(&waits(0), 4).takes(&waits(1), 4).at(6, Event::Crash).run();
    assert_eq!(ended.started(), [waits(0), waits(1), waits(1), waits(2)]);
    assert_eq!(ended.output("results"), json!([{"item": 1}, {"item": 2}, {"item": 3}]));
}

#[test]
fn a_conditional_stays_in_the_branch_that_it_took() {
    let ended = simulate(
        "
parameters: {go: true}
steps:
  - name: choose
    type: conditional
    condition: go == true
    steps:
      - {name: flip, type: state_check, file: f.json, path: .a, output: go}
      - {name: wait, type: delay, seconds: 9}
    else: [{name: other, type: delay, seconds: 1}]
",
    )
    .step("choose/flip", [answers(json!(false))])
    .takes("choose/wait", 9)
    .at(5, Event::Crash)
    .run();
    assert_eq!(ended.started(), ["choose/flip", "choose/wait", "choose/wait"]);
}

#[test]
fn a_run_in_its_rollback_goes_on_there_with_its_first_cause() {
    let ended = simulate(RUNBOOK)
        .step("read", [answers(json!({"host": "h"}))])
        .step("make", [answers(json!({"id": "x"}))])
        .step("wait", [fails("late")])
        .takes("rollback/more", 20)
        .at(10, Event::Crash)
        .at(12, Event::Cancel)
        .run();
    assert_eq!(
        ended.started(),
        ["read", "make", "wait", "rollback/undo", "rollback/more", "rollback/more"]
    );
    assert_eq!(
        (ended.outcome.phase, ended.outcome.message.as_str()),
        (Phase::Failed, "wait: late; rolled back")
    );
    assert_eq!(ended.given("rollback/undo", "url"), "http://x");
}

#[test]
fn an_interrupted_rollback_step_is_recorded_and_the_rest_still_run() {
    let ended = simulate(RUNBOOK)
        .step("make", [fails("no")])
        .takes("rollback/undo", 10)
        .at(5, Event::Crash)
        .run();
    assert_eq!(
        ended.undone(),
        [("rollback/undo", StepPhase::Interrupted), ("rollback/more", StepPhase::Succeeded)]
    );
    assert_eq!(
        ended.outcome.message,
        "make: no; the rollback failed in rollback/undo: see status.rollback"
    );
}

#[test]
fn the_first_cause_is_kept_while_steps_are_still_being_stopped() {
    let ended = simulate(RUNBOOK).takes("make", 50).at(10, Event::Cancel).at(10, Event::Crash).run();
    // the cancel was seen by the new controller first: then the step had been interrupted
    assert_eq!(ended.outcome.reason, Reason::Interrupted);
    let stopping = simulate(RUNBOOK).takes("make", 50).at(10, Event::Cancel).run();
    let status = stopping.statuses.iter().find(|status| status.reason.is_some()).unwrap();
    assert_eq!(
        (status.phase, status.reason.as_deref()),
        (Some(Phase::RollingBack), Some("Cancelled"))
    );
    assert_eq!(status.steps[1].phase, StepPhase::Running);
    let record = super::super::Record::of(status, std::collections::BTreeMap::new());
    let mut again = simulate(RUNBOOK);
    again.record = record;
    let ended = again.run();
    assert_eq!(
        (ended.outcome.phase, ended.step("make").phase),
        (Phase::Cancelled, StepPhase::Interrupted)
    );
    assert_eq!(ended.started(), ["rollback/undo", "rollback/more"]);
}

#[test]
fn the_timeout_of_the_rollback_counts_from_its_recorded_start() {
    let ended = simulate(RUNBOOK)
        .timeout(100)
        .step("make", [fails("no")])
        .takes("rollback/more", 500)
        .at(60, Event::Crash)
        .run();
    assert_eq!(ended.at, 102);
}

#[test]
fn a_run_whose_steps_all_ended_only_tells() {
    let runbook = "
steps: [{name: a, type: delay, seconds: 1}]
notifications: {on_success: [{name: tell, type: notification, channel: log, message: hi}]}
outputs: {n: 1 + 1}
";
    let ended = simulate(runbook)
        .takes("notifications/on_success/tell", 9)
        .at(5, Event::Crash)
        .at(5, Event::Cancel)
        .run();
    assert_eq!(
        ended.started(),
        ["a", "notifications/on_success/tell", "notifications/on_success/tell"]
    );
    assert_eq!((ended.outcome.phase, ended.output("n")), (Phase::Succeeded, json!(2)));
}

#[test]
fn a_step_that_never_started_is_no_effect_after_a_takeover_either() {
    let ended = simulate(
        "
parameters: {where: here}
steps: [{name: make, type: http_request, method: POST, url: '${int(where)}'}]
rollback: {on_failure: [{name: tell, type: notification, channel: log, message: hi}, {name: undo, type: delay, seconds: 1}]}
",
    )
    .takes("rollback/tell", 10)
    .at(5, Event::Crash)
    .run();
    assert_eq!(ended.started(), ["rollback/tell", "rollback/tell"]);
}

#[test]
fn inside_a_step_on_record_as_ended_nothing_starts() {
    let runbook = "
steps:
  - {name: choose, type: conditional, condition: 1 == 1, steps: [{name: a, type: delay, seconds: 1}]}
  - {name: each, type: foreach, items: [1, 2], steps: [{name: b, type: delay, seconds: 1}]}
  - {name: last, type: delay, seconds: 1}
";
    let ended = simulate(runbook)
        .on_record(&[("choose", StepPhase::Succeeded), ("each", StepPhase::Succeeded)])
        .run();
    assert_eq!(ended.started(), ["last"]);
    for phase in [StepPhase::Failed, StepPhase::Cancelled] {
        let ended = simulate(runbook)
            .on_record(&[("choose", StepPhase::Succeeded), ("each", phase)])
            .run();
        assert_eq!((ended.started().len(), ended.outcome.phase), (0, Phase::Failed));
    }
}

#[test]
fn what_is_on_record_of_an_ended_run_stays_as_it_is() {
    let runbook = "
parameters: {things: [1, 2, 3]}
steps:
  - name: each
    type: foreach
    items: ${things}
    continue_on_failure: true
    output: results
    steps:
      - {type: conditional, condition: item == 2, steps: [{name: fail, type: state_update, file: f.json, updates: {.a: 1}, retries: 2}]}
  - {name: broken, type: foreach, items: '${things[0]}', continue_on_failure: true, steps: [{type: delay, seconds: 1}]}
  - {name: last, type: delay, seconds: 1, when: 1 == 2}
";
    let whole = simulate(runbook).step("each[#1][0]/conditional/fail", [fails("no")]).run();
    let mut again = simulate(runbook);
    again.record.steps = whole.run.steps.values().cloned().collect();
    let again = again.run();
    assert_eq!((again.starts.len(), &again.outcome), (0, &whole.outcome));
    assert_eq!(again.run.steps, whole.run.steps);
    assert_eq!(
        again.step("broken").message.as_deref(),
        Some("items: a list is needed, not a number")
    );
}
