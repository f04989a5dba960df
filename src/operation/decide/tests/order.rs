//! What runs after what, and which names the later steps see.

use serde_json::json;

use super::simulation::{Does, answers, fails, simulate};
use crate::api::Reason;
use crate::api::operation::{Phase, StepPhase};

#[test]
fn steps_run_one_after_the_other_and_see_what_those_before_them_found() {
    let ended = simulate(
        "
steps:
  - {name: ask, type: http_request, url: 'http://a', output: answer}
  - {type: delay, seconds: 2}
  - {name: tell, type: notification, channel: log, message: '${answer.body.n + 1}'}
  - {name: again, type: notification, channel: log, message: '${steps.ask.status} ${steps.ask.output.body.n} ${steps.ask.error}'}
",
    )
    .step("ask", [answers(json!({"body": {"n": 4}}))])
    .takes("[1]/delay", 2)
    .run();
    assert_eq!(ended.times(), [("ask", 0), ("[1]/delay", 1), ("tell", 3), ("again", 4)]);
    assert_eq!(ended.said("tell"), 5);
    assert_eq!(ended.said("again"), "success 4 ");
    assert_eq!((ended.outcome.phase, ended.outcome.reason), (Phase::Succeeded, Reason::Succeeded));
}

#[test]
fn step_outputs_hide_parameters_and_parameters_hide_built_ins() {
    let ended = simulate(
        "
parameters: {region: dc3, attempt: mine}
steps:
  - {name: before, type: notification, channel: log, message: '${region} ${attempt} ${runbook_name}'}
  - {type: state_check, file: f.json, path: .a, output: region}
  - {name: after, type: notification, channel: log, message: '${region}'}
",
    )
    .step("[1]/state_check", [answers(json!("dc4"))])
    .run();
    assert_eq!(ended.said("before"), "dc3 mine test");
    assert_eq!(ended.said("after"), "dc4");
}

#[test]
fn built_ins_tell_the_run_and_the_start_of_the_step() {
    let message =
        "${current_date} ${current_time} ${current_timestamp} ${operation_name} ${operation_namespace} ${operation_id} ${attempt}";
    let ended = simulate(&format!(
        "
steps:
  - {{type: delay, seconds: 40}}
  - {{name: tell, type: notification, channel: log, message: '{message}', retries: 2, retry_delay: 7}}
"
    ))
    .takes("[0]/delay", 40)
    .step("tell", [fails("busy"), answers(json!(null))])
    .run();
    let said = |index: usize| ended.starts[index].start.input.fields["message"].clone();
    assert_eq!(said(1), "2027-01-15 08:00:40 2027-01-15T08:00:40Z op ns uid-1 1");
    // the step started once, however often it was tried
    assert_eq!(said(2), "2027-01-15 08:00:40 2027-01-15T08:00:40Z op ns uid-1 2");
}

#[test]
fn a_name_that_only_skipped_steps_would_have_defined_is_null_and_one_with_a_value_keeps_it() {
    let ended = simulate(
        "
parameters: {go: false, size: 3}
steps:
  - {name: one, type: state_check, file: f.json, path: .a, output: never, when: '${go}'}
  - {name: two, type: state_check, file: f.json, path: .a, output: size, when: '${go}', outcome: went}
  - {name: tell, type: notification, channel: log, message: 'never=${never} size=${size} went=${went} one=${steps.one.status}'}
outputs: {never: never, size: size}
",
    )
    .run();
    assert_eq!(ended.said("tell"), "never= size=3 went= one=");
    assert_eq!((ended.output("never"), ended.output("size")), (json!(null), json!(3)));
    assert_eq!(ended.step("one").phase, StepPhase::Skipped);
    assert_eq!(ended.step("one").message.as_deref(), Some("when ${go} does not hold"));
    assert_eq!((ended.step("one").attempt, ended.step("one").started_at.as_ref()), (None, None));
}

#[test]
fn platform_specific_is_short_for_a_condition() {
    let ended = simulate(
        "
parameters: {platform: fly.io, force: true}
steps:
  - {name: fly, type: delay, seconds: 1, platform_specific: fly.io}
  - {name: other, type: delay, seconds: 1, platform_specific: heroku}
  - {name: both, type: delay, seconds: 1, platform_specific: fly.io, when: NOT force}
",
    )
    .run();
    assert_eq!(ended.started(), ["fly"]);
}

#[test]
fn a_condition_that_is_no_truth_fails_the_step_and_never_counts_as_true() {
    let ended = simulate(
        "
parameters: {count: 3}
steps:
  - {name: odd, type: delay, seconds: 1, when: '${count}'}
  - {name: never, type: delay, seconds: 1}
",
    )
    .run();
    assert!(ended.started().is_empty());
    assert_eq!(ended.step("odd").phase, StepPhase::Failed);
    assert!(
        ended.outcome.message.starts_with("odd: when: a condition is true or false"),
        "{}",
        ended.outcome.message
    );
}

#[test]
fn the_branches_of_a_conditional_write_to_the_variables_around_them() {
    let runbook = "
parameters: {fast: true}
steps:
  - name: choose
    type: conditional
    condition: ${fast} == true
    output: taken
    outcome: chose
    steps:
      - {name: read, type: state_check, file: f.json, path: .fast, output: speed}
      - type: conditional
        condition: speed == 9
        steps: [{type: state_check, file: f.json, path: .deep, output: deep}]
    else:
      - {name: read, type: state_check, file: f.json, path: .slow, output: speed}
  - {name: tell, type: notification, channel: log, message: '${speed} ${deep} ${taken} ${chose} ${steps.read.output}'}
";
    let deep = "choose[1]/conditional[0]/state_check";
    let ended = simulate(runbook)
        .step("choose/read", [answers(json!(9))])
        .step(deep, [answers(json!("d"))])
        .run();
    assert_eq!(ended.started(), ["choose/read", deep, "tell"]);
    assert_eq!(ended.given("choose/read", "path"), ".fast");
    assert_eq!(ended.said("tell"), "9 d then success 9");
    let ended = simulate(runbook)
        .parameter("fast", json!(false))
        .step("choose/read", [answers(json!(1))])
        .run();
    assert_eq!(ended.given("choose/read", "path"), ".slow");
    assert_eq!(ended.said("tell"), "1  else success 1");
}

#[test]
fn a_conditional_without_the_branch_that_is_taken_does_nothing() {
    let ended = simulate(
        "
steps:
  - {name: choose, type: conditional, condition: 1 == 2, steps: [{type: delay, seconds: 1}]}
",
    )
    .run();
    assert_eq!(ended.phases(), [("choose", StepPhase::Succeeded)]);
}

#[test]
fn a_step_that_fails_under_continue_on_failure_still_sets_what_it_found() {
    let ended = simulate(
        "
steps:
  - {name: ask, type: http_request, url: 'http://a', output: answer, continue_on_failure: true, outcome: went}
  - {name: probe, type: health_check, method: tcp, host: h, port: 1, continue_on_failure: true, output: health}
  - {name: tell, type: notification, channel: log, message: '${answer} ${went} ${health} ${health_status} ${steps.ask.error}'}
",
    )
    .step("ask", [Does::Prints("status 503")])
    .step("probe", [fails("refused")])
    .run();
    assert_eq!(ended.said("tell"), "printed failed failed failed status 503");
    assert_eq!(ended.outcome.phase, Phase::Succeeded);
    assert_eq!(ended.step("ask").phase, StepPhase::Failed);
}

#[test]
fn a_check_that_is_read_reports_and_one_that_is_not_read_guards() {
    let probe = "{name: probe, type: health_check, method: tcp, host: h, port: 1}";
    let guards = simulate(&format!("\nsteps:\n  - {probe}\n  - {{name: next, type: delay, seconds: 1}}\n"));
    let ended = guards.step("probe", [fails("refused")]).run();
    assert_eq!((ended.outcome.phase, ended.started()), (Phase::Failed, vec!["probe"]));
    let reports = simulate(&format!(
        "\nsteps:\n  - {probe}\n  - {{name: next, type: delay, seconds: 1, when: health_status == 'failed'}}\n"
    ));
    let ended = reports.step("probe", [fails("refused")]).run();
    assert_eq!((ended.outcome.phase, ended.started()), (Phase::Succeeded, vec!["probe", "next"]));
}

#[test]
fn output_health_status_makes_a_request_a_check() {
    let runbook = "
steps:
  - {name: ask, type: http_request, url: 'http://a', output: health_status}
outputs: {health: health_status}
";
    assert_eq!(
        simulate(runbook).step("ask", [fails("status 503")]).run().output("health"),
        "failed"
    );
    assert_eq!(
        simulate(runbook)
            .step("ask", [answers(json!({"status": 200}))])
            .run()
            .output("health"),
        "ok"
    );
}

#[test]
fn exit_ends_the_run_well_once_its_step_ran() {
    let runbook = "
parameters: {done: true}
steps:
  - {name: first, type: delay, seconds: 1}
  - name: check
    type: conditional
    condition: '${done}'
    steps:
      - {name: leave, type: delay, seconds: 1, exit: true}
      - {name: unreached, type: delay, seconds: 1}
  - {name: later, type: delay, seconds: 1}
";
    let ended = simulate(runbook).run();
    assert_eq!(ended.started(), ["first", "check/leave"]);
    assert_eq!(ended.outcome.phase, Phase::Succeeded);
    assert_eq!(ended.step("check").phase, StepPhase::Succeeded);
    assert_eq!(ended.last_status().progress.as_deref(), Some("2/3"));
    assert_eq!(
        simulate(runbook).parameter("done", json!(false)).run().started(),
        ["first", "later"]
    );
}

#[test]
fn a_step_with_exit_that_fails_fails_the_run_unless_that_is_tolerated() {
    let runbook =
        |more: &str| format!("\nsteps:\n  - {{name: leave, type: delay, seconds: 1, exit: true{more}}}\n  - {{type: delay, seconds: 1}}\n");
    let ended = simulate(&runbook("")).step("leave", [fails("no")]).run();
    assert_eq!(ended.outcome.phase, Phase::Failed);
    let ended = simulate(&runbook(", continue_on_failure: true")).step("leave", [fails("no")]).run();
    assert_eq!((ended.outcome.phase, ended.starts.len()), (Phase::Succeeded, 1));
}

#[test]
fn a_required_field_that_is_empty_fails_the_step_naming_what_gave_nothing() {
    let ended = simulate(
        "
parameters: {url: ''}
steps:
  - {type: conditional, condition: 1 == 1, steps: [{name: ask, type: http_request, url: '${url}'}]}
",
    )
    .run();
    assert!(ended.started().is_empty());
    assert_eq!(
        ended.step("[0]/conditional/ask").message.as_deref(),
        Some("url: a value is needed, and url gave none")
    );
    assert_eq!(
        ended.step("[0]/conditional").message.as_deref(),
        Some("[0]/conditional/ask: url: a value is needed, and url gave none")
    );
}

#[test]
fn a_field_whose_value_is_null_counts_as_not_given() {
    let ended = simulate(
        "
parameters: {title: {required: false}}
steps: [{name: tell, type: notification, channel: log, message: hi, title: '${title}'}]
",
    )
    .run();
    assert!(!ended.starts[0].start.input.fields.contains_key("title"));
}

#[test]
fn a_lookup_names_its_own_variable() {
    let ended = simulate(
        "
steps:
  - {name: look, type: service_lookup, service: web, get: port}
  - {name: tell, type: notification, channel: log, message: '${port}'}
",
    )
    .step(
        "look",
        [Does::Sets(json!(80), serde_json::Map::from_iter([("port".to_owned(), json!(80))]))],
    )
    .run();
    assert_eq!(ended.said("tell"), 80);
}

#[test]
fn state_paths_take_a_substituted_value_as_one_segment() {
    let ended = simulate(
        "
parameters: {name: a.b}
steps: [{name: set, type: state_update, file: f.json, updates: {'.apps.${name}.state': up, '.n': '${1 + 1}'}}]
",
    )
    .run();
    assert_eq!(ended.given("set", "updates"), json!({".apps.\"a.b\".state": "up", ".n": 2}));
}

#[test]
fn no_two_steps_have_the_same_path_whatever_they_are_called() {
    let ended = simulate(
        "
steps:
  - {name: a/b, type: delay, seconds: 1}
  - {name: a, type: conditional, condition: 1 == 1, steps: [{name: b, type: delay, seconds: 1}]}
  - {name: a~1b, type: delay, seconds: 1}
  - {name: each, type: foreach, items: [1], steps: [{name: x, type: delay, seconds: 1}]}
  - {name: 'each[#0]', type: conditional, condition: 1 == 1, steps: [{name: x, type: delay, seconds: 1}]}
  - {name: 'restart [all]', type: delay, seconds: 1}
  - {name: rollback, type: conditional, condition: 1 == 1, steps: [{name: undo, type: http_request, method: POST, url: u}]}
  - {name: last, type: delay, seconds: 1}
rollback: {on_failure: [{name: undo, type: delay, seconds: 1}]}
",
    )
    .step("last", [fails("no")])
    .run();
    let expected = [
        "a~1b",
        "a/b",
        "a~01b",
        "each[#0]/x",
        "each[#0~2/x",
        "restart [all]",
        "rollback~/undo",
        "last",
        "rollback/undo",
    ];
    assert_eq!(ended.started(), expected);
}
