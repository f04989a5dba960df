//! Whom a run tells at its end, and its report.

use serde_json::{Value, json};

use super::simulation::{Does, Event, answers, fails, simulate};
use crate::api::operation::Phase;

const RUNBOOK: &str = "
parameters: {warning: null}
steps:
  - {name: work, type: state_check, file: f.json, path: .a, output: warnings}
notifications:
  on_success: [{name: good, type: notification, channel: log, message: 'done'}]
  on_failure: [{name: bad, type: notification, channel: log, message: '${failed_step} ${error_message}'}]
  on_complete: [{name: all, type: notification, channel: log, message: 'over'}]
  on_warning: [{name: warn, type: notification, channel: log, message: 'found ${warnings}'}]
results: {report_format: 'found ${warnings}', save_to: 'reports/${runbook_name}.md'}
";

fn told(does: Does) -> Vec<String> {
    let ended = simulate(RUNBOOK).step("work", [does]).run();
    ended
        .started()
        .iter()
        .filter_map(|path| path.strip_prefix("notifications/"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_end_tells_its_own_and_on_complete_is_always_sent() {
    assert_eq!(told(answers(Value::Null)), ["on_success/good", "on_complete/all"]);
    assert_eq!(told(fails("no")), ["on_failure/bad", "on_complete/all"]);
    let ended = simulate(RUNBOOK).takes("work", 9).at(1, Event::Cancel).run();
    assert_eq!(ended.started(), ["work", "notifications/on_complete/all"]);
}

#[test]
fn on_other_is_sent_where_its_variable_is_true_or_a_list_with_something_in_it() {
    for (value, sent) in [
        (json!(true), true),
        (json!(["a"]), true),
        (json!([]), false),
        (json!(false), false),
        (json!("true"), false),
        (json!(1), false),
        (json!({"a": 1}), false),
    ] {
        assert_eq!(
            told(answers(value.clone())).contains(&"on_warning/warn".to_owned()),
            sent,
            "{value}"
        );
    }
    let ended = simulate(RUNBOOK).parameter("warning", json!(true)).run();
    assert!(ended.started().contains(&"notifications/on_warning/warn"));
}

#[test]
fn failure_notifications_know_what_failed() {
    let ended = simulate(RUNBOOK).step("work", [fails("no such file")]).run();
    assert_eq!(ended.said("notifications/on_failure/bad"), "work no such file");
}

#[test]
fn a_notification_that_fails_changes_neither_the_others_nor_the_end() {
    let ended = simulate(RUNBOOK)
        .step("notifications/on_success/good", [fails("no such channel")])
        .run();
    assert_eq!(ended.outcome.phase, Phase::Succeeded);
    assert!(ended.started().contains(&"notifications/on_complete/all"));
    let failed: Vec<_> = ended.run.failed_notifications().collect();
    assert_eq!(failed, [("notifications/on_success/good", "no such channel")]);
}

#[test]
fn notifications_together_take_at_most_half_a_minute() {
    let ended = simulate(RUNBOOK)
        .takes("notifications/on_success/good", 20)
        .takes("notifications/on_complete/all", 20)
        .run();
    assert_eq!((ended.at, ended.outcome.phase), (31, Phase::Succeeded));
    let failed: Vec<_> = ended.run.failed_notifications().map(|(path, _)| path).collect();
    assert_eq!(failed, ["notifications/on_complete/all"]);
    let ended = simulate(RUNBOOK).takes("notifications/on_success/good", 40).run();
    assert_eq!((ended.at, ended.starts.len()), (31, 2));
}

#[test]
fn a_notification_cannot_change_who_is_told() {
    let runbook = RUNBOOK.replace("message: 'done'}", "message: 'done', output: warnings}");
    let ended = simulate(&runbook)
        .step("notifications/on_success/good", [answers(json!(["a"]))])
        .run();
    assert!(!ended.started().contains(&"notifications/on_warning/warn"));
}

#[test]
fn the_report_is_made_at_every_end_and_names_where_it_goes() {
    let ended = simulate(RUNBOOK).step("work", [answers(json!(["a"]))]).run();
    assert_eq!(ended.run.report.as_deref(), Some("found [\"a\"]"));
    assert_eq!(
        ended.run.report_path(jiff::Timestamp::UNIX_EPOCH),
        Some(Ok("reports/test.md".to_owned()))
    );
    let ended = simulate(RUNBOOK).step("work", [Does::Prints("no")]).run();
    assert_eq!(ended.run.report.as_deref(), Some("found printed"));
}

#[test]
fn a_long_report_is_not_cut_as_a_message_is() {
    let text = "x".repeat(40_000);
    let ended = simulate(RUNBOOK).step("work", [answers(json!(text))]).run();
    assert_eq!(ended.run.report.map(|report| report.len()), Some(40_006));
}

#[test]
fn a_report_that_fails_says_why_in_its_place() {
    let ended = simulate(&RUNBOOK.replace("found ${warnings}", "found ${1 / 0}")).run();
    assert_eq!(ended.outcome.phase, Phase::Succeeded);
    assert!(ended.run.report.unwrap().starts_with("results.report_format: "));
}

#[test]
fn outputs_are_what_the_variables_are_at_the_end() {
    let ended = simulate(&format!(
        "{RUNBOOK}\noutputs: {{first: 'warnings[0]', all: warnings, both: \"{{'n': size(warnings)}}\"}}"
    ))
    .step("work", [answers(json!(["a", "b"]))])
    .run();
    assert_eq!(
        Value::Object(ended.run.outputs),
        json!({"first": "a", "all": ["a", "b"], "both": {"n": 2}})
    );
}
