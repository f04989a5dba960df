//! What a person reads who is woken by a run.

use serde_json::json;

use super::simulation::{Event, fails, simulate};
use crate::api::condition::{READY, RECONCILING, STALLED};
use crate::api::operation::Phase;

const RUNBOOK: &str = "
parameters: {go: true}
steps:
  - {name: a, type: delay, seconds: 1}
  - {name: b, type: http_request, method: POST, url: u, when: '${go}', continue_on_failure: true}
  - {name: c, type: delay, seconds: 1, exit: true, when: NOT go}
  - {name: d, type: delay, seconds: 1}
";

#[test]
fn a_good_end_says_how_many_steps_succeeded() {
    let message = |simulation: super::simulation::Simulation| simulation.run().outcome.message;
    assert_eq!(message(simulate("\nsteps: [{type: delay, seconds: 1}]\n")), "the step succeeded");
    assert_eq!(
        message(simulate("\nsteps: [{type: delay, seconds: 1}, {type: delay, seconds: 2}]\n")),
        "all 2 steps succeeded"
    );
    assert_eq!(
        message(simulate(RUNBOOK)),
        "3 of 4 steps succeeded, 1 skipped because their condition did not hold"
    );
    assert_eq!(
        message(simulate(RUNBOOK).step("b", [fails("no")])),
        "2 of 4 steps succeeded, 1 skipped because their condition did not hold, 1 failed, which the runbook tolerates"
    );
    assert_eq!(
        message(simulate(RUNBOOK).parameter("go", json!(false))),
        "2 of 4 steps succeeded, 1 skipped because their condition did not hold, 1 not reached because an earlier step ended the run"
    );
}

#[test]
fn a_bad_end_says_where_what_and_whether_it_was_undone() {
    let ended = simulate(&format!("{RUNBOOK}\nrollback: {{on_failure: []}}"))
        .step("d", [fails("disk is full")])
        .run();
    assert_eq!(
        ended.outcome.message,
        "d: disk is full; not rolled back, because the runbook has no rollback steps"
    );
    let status = ended.last_status();
    assert_eq!(status.message.as_deref(), Some(ended.outcome.message.as_str()));
    assert_eq!(status.conditions[0].message, ended.outcome.message);
}

#[test]
fn a_message_names_some_failed_rollback_steps_and_counts_the_rest() {
    let undo: Vec<String> = (0..8)
        .map(|number| format!("{{name: u{number}, type: delay, seconds: 1}}"))
        .collect();
    let mut simulation = simulate(&format!(
        "\nsteps: [{{name: a, type: http_request, method: POST, url: u}}]\nrollback: {{on_failure: [{}]}}\n",
        undo.join(", ")
    ))
    .step("a", [fails("no")]);
    for number in 0..8 {
        simulation = simulation.step(&format!("rollback/u{number}"), [fails("no")]);
    }
    let expected =
        "a: no; the rollback failed in rollback/u0, rollback/u1, rollback/u2, rollback/u3, rollback/u4 and 3 more: see status.rollback";
    assert_eq!(simulation.run().outcome.message, expected);
}

#[test]
fn at_no_time_are_reconciling_and_stalled_true_together_and_only_success_is_ready() {
    let runs = [
        simulate(RUNBOOK).run(),
        simulate(RUNBOOK).step("a", [fails("no")]).run(),
        simulate(RUNBOOK).at(1, Event::Cancel).run(),
        simulate(RUNBOOK).at(1, Event::Suspend).at(9, Event::Resume).run(),
    ];
    for ended in runs {
        for status in &ended.statuses {
            let holds = |kind: &str| {
                status
                    .conditions
                    .iter()
                    .any(|condition| condition.type_ == kind && condition.status == "True")
            };
            assert!(status.conditions.iter().any(|condition| condition.type_ == READY));
            assert!(!(holds(RECONCILING) && holds(STALLED)));
            let phase = status.phase.unwrap();
            assert_eq!(holds(READY), phase == Phase::Succeeded);
            assert_eq!(holds(RECONCILING), !phase.is_final());
            assert_eq!(holds(STALLED), matches!(phase, Phase::Failed | Phase::Cancelled));
        }
    }
}
