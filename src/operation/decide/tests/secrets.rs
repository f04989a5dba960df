//! What is secret stands masked on record, and is there for the steps all the same.

use serde_json::json;

use super::simulation::{Event, answers, fails, simulate};

const RUNBOOK: &str = "
steps:
  - {name: login, type: http_request, url: u, output: session}
  - {name: use, type: http_request, url: u, headers: {token: '${session.token}'}}
  - {name: last, type: notification, channel: log, message: '${session.token}'}
outputs: {session: session}
";

fn login() -> super::simulation::Simulation {
    simulate(RUNBOOK)
        .secret("hunter22")
        .step("login", [answers(json!({"token": "hunter22", "n": 1}))])
}

#[test]
fn what_is_on_record_is_masked_and_what_steps_are_given_is_not() {
    let ended = login().run();
    assert_eq!(ended.step("login").output, Some(json!({"token": "***", "n": 1})));
    assert_eq!(ended.given("use", "headers"), json!({"token": "hunter22"}));
    assert_eq!(ended.output("session"), json!({"token": "***", "n": 1}));
}

#[test]
fn after_a_takeover_the_steps_are_still_given_what_is_masked() {
    let ended = login().takes("use", 10).at(5, Event::Crash).run();
    assert_eq!(ended.said("last"), "hunter22");
    assert_eq!(ended.started(), ["login", "use", "use", "last"]);
}

#[test]
fn no_secret_stands_anywhere_in_a_status() {
    let ended = simulate(
        "
parameters: {key: {secret: true, default: hunter22}}
steps:
  - name: each
    type: foreach
    items: ['${key}', b]
    output: results
    steps: [{name: say, type: state_check, file: '${item}', path: .a, output: seen}]
  - {name: maybe, type: delay, seconds: 1, when: key == 'hunter22x'}
  - {name: fail, type: http_request, url: 'http://${key}', retries: 2, retry_delay: 1}
results: {report_format: 'with ${key}'}
notifications: {on_failure: [{type: notification, channel: log, message: '${error_message}'}]}
",
    )
    .secret("hunter22")
    .step("each[#0]/say", [answers(json!(["hunter22"]))])
    .step("fail", [fails("no route to hunter22")])
    .run();
    for status in &ended.statuses {
        let text = serde_json::to_string(status).unwrap();
        assert!(!text.contains("hunter22"), "{text}");
    }
    assert!(ended.outcome.message.contains("no route to ***"));
    assert_eq!(ended.run.report.as_deref(), Some("with ***"));
}

#[test]
fn a_secret_that_is_the_name_of_a_branch_does_not_change_the_branch() {
    let ended = simulate(
        "
steps:
  - name: choose
    type: conditional
    condition: 1 == 2
    output: taken
    steps: [{name: a, type: delay, seconds: 1}]
    else: [{name: b, type: delay, seconds: 1}]
  - {name: wait, type: delay, seconds: 9}
  - {name: tell, type: notification, channel: log, message: '${taken}'}
",
    )
    .secret("else")
    .takes("wait", 9)
    .at(4, Event::Crash)
    .run();
    assert_eq!(ended.started(), ["choose/b", "wait", "wait", "tell"]);
    assert_eq!(ended.said("tell"), "else");
}

#[test]
fn a_value_too_large_for_the_status_is_there_for_the_steps_all_the_same() {
    let large = json!(vec!["y".repeat(100); 1000]);
    let ended = simulate(&RUNBOOK.replace("outputs: {session: session}", "outputs: {n: size(session.token)}"))
        .step("login", [answers(json!({"token": large}))])
        .takes("use", 10)
        .at(5, Event::Crash)
        .run();
    let shown = ended.step("login").output.clone().unwrap();
    assert!(shown.as_str().unwrap().starts_with("[too large to be shown: "), "{shown}");
    assert_eq!(ended.output("n"), 1000);
}

#[test]
fn a_value_too_large_for_the_journal_fails_its_step() {
    let ended = simulate(RUNBOOK)
        .step("login", [answers(json!({"token": vec!["y".repeat(1000); 500]}))])
        .run();
    assert!(
        ended.outcome.message.starts_with("login: OutputTooLarge: "),
        "{}",
        ended.outcome.message
    );
    assert_eq!(ended.step("login").output, None);
}
