//! What follows a failure.

use serde_json::json;

use super::simulation::{Does, answers, fails, simulate};
use crate::api::Reason;
use crate::api::operation::{Phase, StepPhase};
use crate::operation::walk::path;

const UNDO: &str = "
rollback:
  on_failure:
    - {name: remove, type: http_request, method: DELETE, url: 'http://a/${made.id}'}
    - {name: tell, type: notification, channel: log, message: '${failed_step}: ${error_message}'}
    - {name: log, type: operation_log, entry: undone}
";

fn with_undo(steps: &str) -> String {
    format!("\nsteps:\n{steps}{UNDO}")
}

#[test]
fn a_failure_after_an_effect_outside_runs_the_whole_rollback() {
    let ended = simulate(&with_undo(
        "
  - {name: make, type: http_request, method: POST, url: 'http://a', output: made}
  - {name: check, type: health_check, method: tcp, host: h, port: 1}
  - {name: unreached, type: delay, seconds: 1}
",
    ))
    .step("make", [answers(json!({"id": 7}))])
    .step("check", [fails("refused")])
    .run();
    assert_eq!(
        ended.started(),
        ["make", "check", "rollback/remove", "rollback/tell", "rollback/log"]
    );
    assert_eq!(ended.given("rollback/remove", "url"), "http://a/7");
    assert_eq!(ended.said("rollback/tell"), "check: refused");
    assert_eq!((ended.outcome.phase, ended.outcome.reason), (Phase::Failed, Reason::StepFailed));
    assert_eq!(ended.outcome.message, "check: refused; rolled back");
}

#[test]
fn a_failure_before_any_effect_outside_only_releases_and_tells() {
    let ended = simulate(&with_undo(
        "
  - {name: read, type: http_request, url: 'http://a', output: made}
  - {name: late, type: http_request, method: POST, url: 'http://a'}
",
    ))
    .step("read", [fails("refused")])
    .run();
    assert_eq!(ended.started(), ["read", "rollback/tell"]);
    assert_eq!(ended.outcome.message, "read: refused; nothing had to be rolled back");
}

#[test]
fn the_step_that_failed_counts_as_an_effect_once_it_started() {
    let steps = "\n  - {name: make, type: http_request, method: POST, url: '${where}', output: made}\n";
    let runbook = format!("\nparameters: {{where: here}}\n{}", with_undo(steps));
    let ended = simulate(&runbook).step("make", [fails("refused")]).run();
    assert_eq!(ended.undone().len(), 3);
    // a step whose fields could not be made never started
    let ended = simulate(&runbook.replace("${where}", "${int(where)}")).run();
    assert_eq!(
        (ended.started(), ended.step("make").started_at.clone()),
        (vec!["rollback/tell"], None)
    );
}

#[test]
fn a_rollback_that_is_not_enabled_only_releases_and_tells() {
    let disabled = with_undo("\n  - {name: make, type: http_request, method: POST, url: u, output: made}\n")
        .replace("rollback:\n", "rollback:\n  enabled: false\n");
    let ended = simulate(&disabled).step("make", [fails("no")]).run();
    assert_eq!(ended.started(), ["make", "rollback/tell"]);
    assert_eq!(
        ended.outcome.message,
        "make: no; not rolled back, because rollback.enabled is false"
    );
}

#[test]
fn where_only_notifications_run_those_inside_other_steps_do_too() {
    let ended = simulate(
        "
steps: [{name: read, type: http_request, url: u}]
rollback:
  on_failure:
    - name: choose
      type: conditional
      condition: failed_step == 'read'
      steps:
        - {name: undo, type: delay, seconds: 1}
        - {name: tell, type: notification, channel: log, message: hi}
    - {name: plain, type: conditional, condition: 1 == 1, steps: [{type: delay, seconds: 1}]}
    - {name: each, type: foreach, items: [a, b], steps: [{name: tell, type: notification, channel: log, message: '${item}'}]}
",
    )
    .step("read", [fails("no")])
    .run();
    assert_eq!(
        ended.started(),
        ["read", "rollback/choose/tell", "rollback/each[#0]/tell", "rollback/each[#1]/tell"]
    );
}

#[test]
fn a_failing_rollback_step_is_recorded_and_the_rest_still_run() {
    let ended = simulate(&with_undo(
        "\n  - {name: make, type: http_request, method: POST, url: u, output: made}\n",
    ))
    .step("make", [fails("no")])
    .step("rollback/remove", [fails("gone")])
    .run();
    let expected = [
        ("rollback/remove", StepPhase::Failed),
        ("rollback/tell", StepPhase::Succeeded),
        ("rollback/log", StepPhase::Succeeded),
    ];
    assert_eq!(ended.undone(), expected);
    assert_eq!(
        ended.outcome.message,
        "make: no; the rollback failed in rollback/remove: see status.rollback"
    );
}

#[test]
fn rollback_steps_are_tried_again_and_see_what_those_before_them_found() {
    let ended = simulate(
        "
steps: [{name: make, type: http_request, method: POST, url: u}]
rollback:
  on_failure:
    - {name: read, type: state_check, file: f.json, path: .hosts, output: hosts, retries: 2, retry_delay: 3}
    - {name: each, type: foreach, items: '${hosts}', output: hosts, steps: [{name: tell, type: notification, channel: log, message: '${item}'}]}
    - {name: last, type: notification, channel: log, message: '${hosts}'}
",
    )
    .step("make", [fails("no")])
    .step("rollback/read", [fails("busy"), answers(json!(["a", "b", "c"]))])
    .run();
    let expected = [
        "make",
        "rollback/read",
        "rollback/read",
        "rollback/each[#0]/tell",
        "rollback/each[#1]/tell",
        "rollback/each[#2]/tell",
        "rollback/last",
    ];
    assert_eq!(ended.started(), expected);
    assert_eq!(ended.said("rollback/last"), json!([{"item": "a"}, {"item": "b"}, {"item": "c"}]));
}

#[test]
fn the_rollback_has_the_timeout_of_the_run_again_and_is_then_stopped() {
    let ended = simulate(&with_undo(
        "\n  - {name: make, type: http_request, method: POST, url: u, output: made}\n",
    ))
    .timeout(100)
    .step("make", [fails("no")])
    .takes("make", 90)
    .takes("rollback/remove", 500)
    .run();
    assert_eq!(ended.at, 190);
    assert_eq!(ended.undone(), [("rollback/remove", StepPhase::Cancelled)]);
    let expected = "make: no; the rollback was stopped, because it was not done within 1m40s: see status.rollback";
    assert_eq!((ended.outcome.phase, ended.outcome.message.as_str()), (Phase::Failed, expected));
}

#[test]
fn the_run_has_its_timeout_and_is_then_stopped_and_rolled_back() {
    let ended = simulate(&with_undo(
        "
  - {name: make, type: http_request, method: POST, url: u, output: made}
  - {name: wait, type: delay, seconds: 500}
",
    ))
    .timeout(100)
    .takes("wait", 500)
    .run();
    assert_eq!(
        (ended.outcome.phase, ended.outcome.reason, ended.step("wait").phase),
        (Phase::Failed, Reason::TimedOut, StepPhase::Cancelled)
    );
    assert_eq!(
        ended.outcome.message,
        "wait: was stopped: spec.timeout of 1m40s is over; rolled back"
    );
    assert_eq!(ended.starts[2].at, 100);
}

#[test]
fn a_step_of_a_conditional_and_of_a_foreach_has_its_effects_in_the_run() {
    let ended = simulate(&with_undo(
        "
  - name: each
    type: foreach
    items: [1]
    output: made
    steps:
      - {type: conditional, condition: 1 == 1, steps: [{name: make, type: state_update, file: f.json, updates: {.a: 1}}]}
  - {name: check, type: delay, seconds: 1}
",
    ))
    .step("check", [Does::FailsForGood("no")])
    .run();
    assert_eq!(ended.undone().len(), 3);
}

#[test]
fn outputs_that_fail_fail_the_run_and_roll_it_back() {
    let ended = simulate(&format!(
        "{}\noutputs: {{good: 1 + 1, bad: '1 / 0'}}",
        with_undo("\n  - {name: make, type: http_request, method: POST, url: u, output: made}\n")
    ))
    .run();
    assert_eq!(ended.started(), ["make", "rollback/remove", "rollback/tell", "rollback/log"]);
    assert_eq!((ended.outcome.phase, ended.outcome.reason), (Phase::Failed, Reason::StepFailed));
    assert!(ended.outcome.message.starts_with("outputs.bad: "), "{}", ended.outcome.message);
    assert!(ended.run.outputs.is_empty());
}

#[test]
fn an_output_that_no_status_holds_fails_the_run() {
    let ended = simulate("\nparameters: {big: []}\nsteps: [{type: delay, seconds: 1}]\noutputs: {big: big}\n")
        .parameter("big", json!(vec!["x".repeat(1000); 100]))
        .run();
    assert_eq!((ended.outcome.phase, ended.outcome.reason), (Phase::Failed, Reason::OutputTooLarge));
}

#[test]
fn paths_of_the_rollback_are_never_those_of_steps() {
    let runbook =
        simulate("\nsteps: [{name: rollback, type: delay, seconds: 1}, {name: notifications, type: delay, seconds: 1}]\n").runbook;
    let paths: Vec<String> = runbook
        .steps
        .iter()
        .enumerate()
        .map(|(index, step)| path("", index, step))
        .collect();
    assert_eq!(paths, ["rollback~", "notifications~"]);
}
