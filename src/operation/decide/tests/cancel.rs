//! Cancel and suspend.

use serde_json::json;

use super::simulation::{Event, answers, fails, simulate};
use crate::api::Reason;
use crate::api::operation::{Phase, StepPhase};

const RUNBOOK: &str = "
steps:
  - {name: make, type: http_request, method: POST, url: u, output: made}
  - {name: wait, type: delay, seconds: 100, retries: 3, retry_delay: 60}
  - {name: last, type: delay, seconds: 1}
rollback:
  on_failure:
    - {name: undo, type: http_request, method: DELETE, url: 'http://a/${made.id}'}
    - {name: more, type: delay, seconds: 1}
notifications:
  on_failure: [{name: failed, type: notification, channel: log, message: failed}]
  on_complete: [{name: complete, type: notification, channel: log, message: 'made ${made.id}'}]
";

#[test]
fn a_cancel_stops_the_step_that_runs_rolls_back_and_ends_as_cancelled() {
    let ended = simulate(RUNBOOK).takes("wait", 100).at(10, Event::Cancel).run();
    assert_eq!(
        ended.started(),
        [
            "make",
            "wait",
            "rollback/undo",
            "rollback/more",
            "notifications/on_complete/complete"
        ]
    );
    assert_eq!(ended.step("wait").phase, StepPhase::Cancelled);
    assert_eq!((ended.outcome.phase, ended.outcome.reason), (Phase::Cancelled, Reason::Cancelled));
    assert_eq!(ended.outcome.message, "wait: was cancelled; rolled back");
    assert_eq!(ended.starts[2].at, 10);
}

#[test]
fn a_cancel_between_two_attempts_ends_the_step() {
    let ended = simulate(RUNBOOK).step("wait", [fails("busy")]).at(10, Event::Cancel).run();
    assert_eq!(
        (ended.step("wait").phase, ended.step("wait").attempt),
        (StepPhase::Cancelled, Some(1))
    );
    assert_eq!(ended.outcome.phase, Phase::Cancelled);
}

#[test]
fn a_step_that_ends_before_it_could_be_stopped_is_on_record_with_what_it_found() {
    let ended = simulate(RUNBOOK)
        .takes("make", 20)
        .finishes("make")
        .step("make", [answers(json!({"id": 7}))])
        .at(10, Event::Cancel)
        .run();
    assert_eq!(
        (ended.step("make").phase, ended.outcome.phase),
        (StepPhase::Succeeded, Phase::Cancelled)
    );
    assert_eq!(ended.given("rollback/undo", "url"), "http://a/7");
    assert_eq!(ended.said("notifications/on_complete/complete"), "made 7");
}

#[test]
fn steps_around_the_one_that_was_stopped_are_cancelled_too() {
    let ended = simulate(
        "
steps:
  - name: each
    type: foreach
    items: [1, 2, 3]
    parallel: true
    max_concurrent: 2
    continue_on_failure: true
    steps:
      - name: choose
        type: conditional
        condition: 1 == 1
        steps: [{name: wait, type: delay, seconds: 100}, {name: last, type: delay, seconds: 1}]
  - {name: unreached, type: delay, seconds: 1}
",
    )
    .takes("each[#0]/choose/wait", 100)
    .takes("each[#1]/choose/wait", 100)
    .finishes("each[#1]/choose/wait")
    .at(10, Event::Cancel)
    .run();
    let expected = [
        ("each", StepPhase::Cancelled),
        ("each[#0]/choose", StepPhase::Cancelled),
        ("each[#0]/choose/wait", StepPhase::Cancelled),
        ("each[#1]/choose", StepPhase::Cancelled),
        ("each[#1]/choose/wait", StepPhase::Succeeded),
    ];
    assert_eq!(ended.phases(), expected);
}

#[test]
fn a_cancel_during_the_rollback_changes_nothing() {
    let quiet = simulate(RUNBOOK).step("make", [fails("no")]).takes("rollback/undo", 50).run();
    let cancelled = simulate(RUNBOOK)
        .step("make", [fails("no")])
        .takes("rollback/undo", 50)
        .at(20, Event::Cancel)
        .run();
    assert_eq!(
        (quiet.outcome.clone(), quiet.times()),
        (cancelled.outcome.clone(), cancelled.times())
    );
    assert_eq!(cancelled.outcome.phase, Phase::Failed);
}

#[test]
fn of_a_failure_and_a_cancel_the_first_decides() {
    let ended = simulate(RUNBOOK)
        .step("make", [fails("no")])
        .takes("make", 10)
        .at(9, Event::Cancel)
        .run();
    assert_eq!(ended.outcome.phase, Phase::Cancelled);
    // at the same moment the failure is on record already
    let ended = simulate(RUNBOOK)
        .step("make", [fails("no")])
        .takes("make", 10)
        .at(10, Event::Cancel)
        .run();
    assert_eq!(
        (ended.outcome.phase, ended.outcome.message.as_str()),
        (Phase::Failed, "make: no; rolled back")
    );
}

#[test]
fn a_cancel_at_the_moment_of_the_good_end_comes_too_late() {
    let ended = simulate("\nsteps: [{name: a, type: delay, seconds: 1}]\n")
        .at(1, Event::Cancel)
        .run();
    assert_eq!(ended.outcome.phase, Phase::Succeeded);
}

#[test]
fn a_cancel_before_any_effect_outside_rolls_nothing_back() {
    let ended = simulate("\nsteps: [{name: a, type: delay, seconds: 9}]\nrollback: {on_failure: [{type: delay, seconds: 1}]}\n")
        .takes("a", 9)
        .at(1, Event::Cancel)
        .run();
    assert!(ended.undone().is_empty());
    assert_eq!(ended.outcome.message, "a: was cancelled; nothing had to be rolled back");
}

#[test]
fn suspend_holds_between_two_steps_and_lets_the_one_that_runs_end() {
    let ended = simulate(RUNBOOK)
        .takes("make", 10)
        .at(5, Event::Suspend)
        .at(60, Event::Resume)
        .run();
    assert_eq!(ended.times()[..2], [("make", 0), ("wait", 60)]);
    assert_eq!(ended.outcome.phase, Phase::Succeeded);
    let held = ended
        .statuses
        .iter()
        .find(|status| status.message.as_ref().is_some_and(|message| message.contains("suspended")))
        .unwrap();
    assert_eq!(held.conditions[0].reason, "Suspended");
}

#[test]
fn suspended_time_does_not_count_towards_the_timeout() {
    let runbook = "\nsteps: [{name: a, type: delay, seconds: 1}, {name: b, type: delay, seconds: 40}]\n";
    let run = || simulate(runbook).timeout(60).takes("b", 40).at(1, Event::Suspend);
    assert_eq!(run().at(500, Event::Resume).run().outcome.phase, Phase::Succeeded);
    let ended = run().at(2, Event::Resume).takes("b", 70).run();
    assert_eq!((ended.outcome.reason, ended.at), (Reason::TimedOut, 61));
}

#[test]
fn a_retry_that_is_due_waits_while_the_run_is_suspended() {
    let ended = simulate(RUNBOOK)
        .step("wait", [fails("busy"), answers(json!(null))])
        .at(5, Event::Suspend)
        .at(200, Event::Resume)
        .run();
    assert_eq!(ended.times()[1..3], [("wait", 1), ("wait", 200)]);
}

#[test]
fn a_suspended_run_can_be_cancelled() {
    let ended = simulate(RUNBOOK).at(1, Event::Suspend).at(30, Event::Cancel).run();
    assert_eq!(
        (ended.outcome.phase, ended.starts[1].path.as_str()),
        (Phase::Cancelled, "rollback/undo")
    );
}
