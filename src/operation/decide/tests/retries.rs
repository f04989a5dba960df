//! Attempts: how many, when, and until what.

use std::collections::BTreeSet;

use serde_json::json;

use super::simulation::{Does, answers, fails, simulate};
use crate::api::operation::{Phase, StepPhase};

fn times(fields: &str, does: Vec<Does>) -> (Vec<u64>, Phase, String) {
    let ended = simulate(&format!(
        "\nsteps:\n  - {{name: ask, type: http_request, url: 'http://a', {fields}}}\n"
    ))
    .step("ask", does)
    .run();
    let times = ended.starts.iter().map(|started| started.at).collect();
    (times, ended.outcome.phase, ended.step("ask").message.clone().unwrap_or_default())
}

#[test]
fn a_step_is_tried_as_often_as_it_says_with_the_pause_that_it_says() {
    let ok = || answers(json!(null));
    assert_eq!(
        times("retries: 3, retry_delay: 10", vec![fails("a"), fails("b"), ok()]).0,
        [0, 11, 22]
    );
    assert_eq!(times("retries: 3, retry_delay: 1m", vec![fails("a"), ok()]).0, [0, 61]);
    assert_eq!(times("retries: 2", vec![fails("a"), ok()]).0, [0, 6]);
    assert_eq!(times("retries: '2', retry_delay: 0", vec![fails("a"), ok()]).0, [0, 1]);
    assert_eq!(times("retry_delay: 1", vec![fails("a"), ok()]).0, [0]);
}

#[test]
fn the_last_failure_says_which_attempt_it_was() {
    let (times, phase, message) = times("retries: 2, retry_delay: 1", vec![fails("refused")]);
    assert_eq!(
        (times.len(), phase, message.as_str()),
        (2, Phase::Failed, "refused (attempt 2 of 2)")
    );
}

#[test]
fn what_no_attempt_can_mend_is_not_tried_again() {
    let (times, phase, message) = times("retries: 5", vec![Does::FailsForGood("no such host name")]);
    assert_eq!((times.len(), phase, message.as_str()), (1, Phase::Failed, "no such host name"));
}

#[test]
fn while_it_waits_for_the_next_attempt_the_record_says_why() {
    let ended = simulate("\nsteps: [{name: ask, type: http_request, url: u, retries: 2, retry_delay: 30}]\n")
        .step("ask", [fails("status 503"), answers(json!(1))])
        .run();
    let between = ended
        .statuses
        .iter()
        .find(|status| status.steps[0].phase == StepPhase::Retrying)
        .unwrap();
    assert_eq!(between.steps[0].message.as_deref(), Some("status 503 (attempt 1 of 2)"));
    assert_eq!(
        between.message.as_deref(),
        Some("ask: status 503 (attempt 1 of 2); will be tried again")
    );
    assert_eq!(ended.step("ask").message, None);
    assert_eq!(ended.step("ask").attempt, Some(2));
}

#[test]
fn exponential_pauses_double_give_or_take_a_fifth() {
    let (times, ..) = times("retries: 5, retry_delay: 10, backoff: exponential", vec![fails("a")]);
    let pauses: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0] - 1).collect();
    for (pause, middle) in pauses.into_iter().zip([10, 20, 40, 80]) {
        assert!(
            (middle * 8 / 10..=middle * 12 / 10 + 1).contains(&pause),
            "{pause} is not about {middle}"
        );
    }
}

#[test]
fn steps_that_failed_together_are_not_tried_again_together() {
    let ended = simulate(
        "
steps:
  - name: each
    type: foreach
    items: [1, 2, 3, 4, 5, 6]
    parallel: true
    steps: [{name: ask, type: http_request, url: u, retries: 2, retry_delay: 100, backoff: exponential}]
",
    )
    .run_failing_first("ask");
    let again: BTreeSet<u64> = ended
        .starts
        .iter()
        .filter(|started| started.attempt == 2)
        .map(|started| started.at)
        .collect();
    assert!(again.len() >= 5, "{again:?}");
}

#[test]
fn until_repeats_a_step_that_succeeds_till_its_result_is_as_wanted() {
    let fields = "until: \"result.state == 'up'\", retry_delay: 10, timeout: 5m";
    let (when, phase, _) = times(
        fields,
        vec![answers(json!({"state": "down"})), fails("refused"), answers(json!({"state": "up"}))],
    );
    assert_eq!((when, phase), (vec![0, 11, 22], Phase::Succeeded));
}

#[test]
fn until_gives_up_when_the_next_attempt_would_be_after_the_timeout() {
    let fields = "until: result == 1, retry_delay: 10, timeout: 30";
    let (when, phase, message) = times(fields, vec![answers(json!(0))]);
    assert_eq!((when, phase), (vec![0, 11, 22], Phase::Failed));
    assert_eq!(
        message,
        "until result == 1 does not hold yet, and the timeout of 30s is over (attempt 3)"
    );
}

#[test]
fn an_attempt_under_until_has_only_the_time_that_is_left() {
    let ended = simulate("\nsteps: [{name: ask, type: http_request, url: u, until: result == 1, retry_delay: 10, timeout: 30}]\n")
        .step("ask", [answers(json!(0))])
        .run();
    let timeouts: Vec<u64> = ended
        .starts
        .iter()
        .map(|started| started.start.timeout.unwrap().as_secs())
        .collect();
    assert_eq!(timeouts, [30, 19, 8]);
}

#[test]
fn until_without_a_timeout_bounds_each_attempt_and_goes_on() {
    let mut does = vec![answers(json!(0)); 40];
    does.push(answers(json!(1)));
    let ended = simulate("\nsteps: [{name: ask, type: http_request, url: u, until: result == 1, retry_delay: 10}]\n")
        .step("ask", does)
        .run();
    assert_eq!((ended.starts.len(), ended.outcome.phase), (41, Phase::Succeeded));
    assert_eq!(ended.starts[40].start.timeout.unwrap().as_secs(), 10);
}

#[test]
fn retries_bound_the_attempts_of_until_too() {
    let (when, phase, message) = times("until: result == 1, retries: 2, retry_delay: 1", vec![answers(json!(0))]);
    assert_eq!((when.len(), phase), (2, Phase::Failed));
    assert_eq!(message, "until result == 1 does not hold yet (attempt 2 of 2)");
}

#[test]
fn an_until_that_is_no_condition_fails_the_step() {
    let (when, phase, message) = times("until: result.body, retries: 9", vec![answers(json!({"body": 1}))]);
    assert_eq!((when.len(), phase), (1, Phase::Failed));
    assert!(message.starts_with("until: a condition is true or false"), "{message}");
}

#[test]
fn retries_that_are_no_number_fail_the_step_before_it_starts() {
    for (field, message) in [
        ("retries: '${word}'", "retries: \"many\" is no whole number of at least 1"),
        ("retry_delay: '${word}'", "retry_delay: \"many\" is no duration"),
        ("timeout: '${word}'", "timeout: \"many\" is no duration"),
    ] {
        let ended = simulate(&format!(
            "\nparameters: {{word: many}}\nsteps: [{{name: ask, type: http_request, method: POST, url: u, {field}}}]\n"
        ))
        .run();
        assert!(ended.started().is_empty());
        assert!(
            ended.step("ask").message.as_ref().unwrap().starts_with(message),
            "{:?}",
            ended.step("ask").message
        );
    }
}
