//! What is large takes its time once, not once for each step.

use std::fmt::Write as _;

use serde_json::json;

use super::simulation::simulate;
use crate::api::Reason;
use crate::api::operation::Phase;
use crate::operation::record::ROOM_OF_AN_OBJECT;

#[test]
fn ten_thousand_items_of_two_steps_are_decided_in_one_go_each() {
    let simulation = simulate(
        "
parameters: {things: []}
steps:
  - name: each
    type: foreach
    items: ${things}
    parallel: true
    output: results
    steps:
      - {name: one, type: delay, seconds: 1}
      - {name: two, type: state_check, file: f.json, path: .a, output: seen}
outputs: {n: size(results)}
",
    )
    .parameter("things", json!((0..10_000).collect::<Vec<_>>()));
    let run = simulation.run_quietly();
    assert_eq!((run.outcome.phase, run.output("n")), (Phase::Succeeded, json!(10_000)));
    assert_eq!(run.starts.len(), 20_000);
    // ten run at once, so each decision takes note of ten ends and starts ten attempts
    assert!(run.decisions <= 2_100, "{}", run.decisions);
}

#[test]
fn a_thousand_steps_are_decided_in_one_go_each() {
    let mut runbook = "\nsteps:\n".to_owned();
    for number in 0..1_000 {
        writeln!(
            runbook,
            "  - {{name: s{number}, type: state_check, file: f.json, path: .a, output: v{number}}}"
        )
        .unwrap();
    }
    let simulation = simulate(&runbook);
    let run = simulation.run_quietly();
    assert_eq!(
        (run.outcome.phase, run.starts.len(), run.decisions),
        (Phase::Succeeded, 1_000, 1_001)
    );
}

#[test]
fn ten_thousand_items_are_taken_up_without_walking_them_again_and_again() {
    let simulation = || {
        simulate("\nparameters: {things: []}\nsteps: [{name: each, type: foreach, items: '${things}', steps: [{name: one, type: delay, seconds: 1}]}]\n")
            .parameter("things", json!((0..10_000).collect::<Vec<_>>()))
            .timeout(20_000)
    };
    let whole = simulation().run_quietly();
    let mut again = simulation();
    again.record.steps = whole.run.steps.values().cloned().collect();
    let taken_up = again.run_quietly();
    assert_eq!(
        (taken_up.starts.len(), taken_up.decisions, taken_up.outcome.phase),
        (0, 1, Phase::Succeeded)
    );
}

#[test]
fn a_run_whose_record_is_full_ends_and_says_so() {
    let ended = simulate(
        "\nparameters: {items: []}\nsteps:\n  - {name: each, type: foreach, items: \"${items}\", steps: [{name: ask, type: http_request, url: \"http://x/\", output: answer}]}\n",
    )
    .parameter("items", json!((0..5000).collect::<Vec<_>>()))
    .room(ROOM_OF_AN_OBJECT)
    .run();
    assert_eq!((ended.outcome.phase, ended.outcome.reason), (Phase::Failed, Reason::OutputTooLarge));
    assert!(
        ended.outcome.message.contains("split the runbook or its lists"),
        "{}",
        ended.outcome.message
    );
}
