//! `foreach`, and what works on its results.

use serde_json::json;

use super::simulation::{Does, Event, answers, fails, simulate};
use crate::api::operation::{Phase, StepPhase};

const PROBE: &str = "
parameters: {hosts: [a, b, c, d, e], width: 2, wide: true}
steps:
  - name: each
    type: foreach
    items: ${hosts}
    as: host
    parallel: ${wide}
    max_concurrent: ${width}
    output: results
    steps:
      - {name: probe, type: http_request, url: 'http://${host}', output: answer}
outputs: {results: results}
";

fn path(number: usize) -> String {
    format!("each[#{number}]/probe")
}

#[test]
fn items_run_one_after_the_other_unless_they_are_parallel() {
    let ended = simulate(PROBE).parameter("wide", json!(false)).run();
    let expected: Vec<(String, u64)> = (0..5).map(|number| (path(number), number as u64)).collect();
    assert_eq!(
        ended.times(),
        expected.iter().map(|(path, at)| (path.as_str(), *at)).collect::<Vec<_>>()
    );
}

#[test]
fn parallel_items_are_never_more_than_max_concurrent_and_the_next_starts_as_one_ends() {
    let ended = simulate(PROBE).takes(&path(0), 5).run();
    let expected = [(path(0), 0), (path(1), 0), (path(2), 1), (path(3), 2), (path(4), 3)];
    assert_eq!(
        ended.times(),
        expected.iter().map(|(path, at)| (path.as_str(), *at)).collect::<Vec<_>>()
    );
}

#[test]
fn what_bounds_a_foreach_may_be_given_as_text() {
    let ended = simulate(PROBE)
        .parameter("hosts", json!(["a", "b", "c"]))
        .parameter("width", json!("3"))
        .run();
    assert_eq!(ended.at, 1);
}

#[test]
fn results_are_in_item_order_whichever_ends_first() {
    let ended = simulate(PROBE)
        .parameter("hosts", json!(["a", "b"]))
        .takes(&path(0), 9)
        .step(&path(0), [answers(json!("A"))])
        .step(&path(1), [answers(json!("B"))])
        .run();
    assert_eq!(
        ended.output("results"),
        json!([{"host": "a", "answer": "A"}, {"host": "b", "answer": "B"}])
    );
}

#[test]
fn each_item_has_its_own_variables_and_nothing_leaves_it_but_its_result() {
    let ended = simulate(
        "
parameters: {seen: none}
steps:
  - name: each
    type: foreach
    items: [1, 2]
    output: results
    steps:
      - {name: before, type: notification, channel: log, message: '${item} ${seen}'}
      - {name: set, type: state_check, file: f.json, path: .a, output: seen}
  - {name: tell, type: notification, channel: log, message: '${seen} ${steps.set.status}'}
outputs: {results: results}
",
    )
    .step("each[#0]/set", [answers(json!("first"))])
    .run();
    assert_eq!(ended.said("each[#1]/before"), "2 none");
    assert_eq!(ended.said("tell"), "none ");
    assert_eq!(
        ended.output("results"),
        json!([{"item": 1, "seen": "first"}, {"item": 2, "seen": null}])
    );
}

#[test]
fn the_loop_variable_comes_before_all_other_names() {
    let ended = simulate(
        "
parameters: {host: outside}
steps:
  - name: each
    type: foreach
    items: [a]
    as: host
    output: results
    steps:
      - {name: set, type: state_check, file: f.json, path: .a, output: host}
      - {name: tell, type: notification, channel: log, message: '${host}'}
      - {name: inner, type: foreach, items: [x], as: other, steps: [{name: tell, type: notification, channel: log, message: '${host} ${other}'}]}
outputs: {results: results}
",
    )
    .step("each[#0]/set", [answers(json!("overwritten"))])
    .run();
    assert_eq!(ended.said("each[#0]/tell"), "a");
    assert_eq!(ended.said("each[#0]/inner[#0]/tell"), "a x");
    assert_eq!(ended.output("results"), json!([{"host": "a"}]));
}

#[test]
fn an_item_result_holds_the_registry_entry_that_was_read_and_earlier_ones_win() {
    let ended = simulate(
        "
steps:
  - name: each
    type: foreach
    items: [web]
    as: service
    output: results
    steps:
      - {name: look, type: service_lookup, service: '${service}', output: port}
      - {name: again, type: service_lookup, service: db, output: other}
outputs: {results: results}
",
    )
    .step(
        "each[#0]/look",
        [Does::Reads(json!({"service": "no", "port": 80, "url": "http://web"}))],
    )
    .step("each[#0]/again", [Does::Reads(json!({"url": "http://db"}))])
    .run();
    let expected = json!([{"service": "web", "port": null, "other": null, "url": "http://web"}]);
    assert_eq!(ended.output("results"), expected);
}

#[test]
fn a_failing_item_lets_running_ones_end_and_starts_none() {
    let ended = simulate(PROBE).takes(&path(0), 5).step(&path(1), [fails("refused")]).run();
    assert_eq!(ended.started(), [path(0), path(1)]);
    assert_eq!(ended.at, 5);
    assert_eq!(ended.step(&path(0)).phase, StepPhase::Succeeded);
    assert_eq!(ended.step("each").phase, StepPhase::Failed);
    assert_eq!(ended.step("each").message.as_deref(), Some("each[#1]/probe: refused"));
    assert_eq!(ended.run.cause().unwrap().failure.step.as_deref(), Some("each[#1]/probe"));
}

#[test]
fn items_that_already_run_come_to_the_end_of_all_their_steps() {
    let ended = simulate(
        "
steps:
  - name: each
    type: foreach
    items: [0, 1, 2]
    parallel: true
    max_concurrent: 2
    steps:
      - {name: one, type: delay, seconds: 1}
      - {name: two, type: delay, seconds: 1}
",
    )
    .takes("each[#0]/one", 3)
    .step("each[#1]/one", [fails("no")])
    .run();
    assert_eq!(ended.started(), ["each[#0]/one", "each[#1]/one", "each[#0]/two"]);
}

#[test]
fn of_several_failing_items_the_first_one_is_told() {
    let ended = simulate(PROBE)
        .takes(&path(0), 3)
        .step(&path(0), [fails("slow")])
        .step(&path(1), [fails("quick")])
        .run();
    assert_eq!(ended.run.cause().unwrap().failure.message, "slow");
}

#[test]
fn a_tolerated_failure_of_a_foreach_leaves_the_results_of_the_items_that_ran() {
    let runbook = PROBE.replace("    output: results", "    output: results\n    continue_on_failure: true");
    let report = "  - {name: report, type: aggregate_results}\noutputs:";
    let ended = simulate(&runbook.replace("outputs:", report))
        .step(&path(1), [Does::Prints("refused")])
        .run();
    assert_eq!(ended.outcome.phase, Phase::Succeeded);
    let expected = json!([{"host": "a", "answer": null}, {"host": "b", "answer": "printed"}]);
    assert_eq!(ended.output("results"), expected);
    assert_eq!(ended.given("report", "results"), expected);
}

#[test]
fn filter_and_aggregate_results_work_on_the_last_foreach() {
    let ended = simulate(
        "
steps:
  - {type: foreach, items: [9], steps: [{type: delay, seconds: 1}]}
  - name: each
    type: foreach
    items: [a, b, c]
    as: host
    steps: [{name: probe, type: health_check, method: tcp, host: '${host}', port: 1}]
  - {name: bad, type: filter, condition: health_status == 'failed', output: bad}
  - {name: listed, type: filter, items: '${[1, 2, 3]}', condition: item > 1, output: numbers}
  - {name: maps, type: filter, items: '${[{\"n\": 1}, {\"n\": 2}]}', condition: n == 2, output: maps}
  - {name: report, type: aggregate_results, format: json}
outputs: {bad: bad, numbers: numbers, maps: maps}
",
    )
    .step("each[#1]/probe", [fails("refused")])
    .run();
    assert_eq!(ended.output("bad"), json!(["b"]));
    assert_eq!(ended.output("numbers"), json!([2, 3]));
    assert_eq!(ended.output("maps"), json!([{"n": 2}]));
    let states: Vec<_> = ended
        .given("report", "results")
        .as_array()
        .unwrap()
        .iter()
        .map(|result| result["health_status"].clone())
        .collect();
    assert_eq!(states, ["ok", "failed", "ok"]);
}

#[test]
fn without_a_foreach_there_is_nothing_to_report() {
    let ended = simulate("\nsteps: [{name: report, type: aggregate_results}]\n").run();
    assert_eq!(ended.step("report").message.as_deref(), Some("no foreach ran before this step"));
}

#[test]
fn a_foreach_over_what_is_no_list_fails_before_it_begins() {
    for (items, message) in [
        (json!("a"), "items: a list is needed, not text"),
        (json!(null), "items: nothing was given, a list is needed"),
        (json!(vec![0; 10_001]), "items: 10001 items are more than 10000; split the list"),
    ] {
        let runbook = "\nparameters: {things: {required: false}}\nsteps:\n  - {name: each, type: foreach, items: '${things}', steps: [{type: delay, seconds: 1}]}\n";
        let ended = simulate(runbook).parameter("things", items).run();
        assert_eq!(ended.step("each").message.as_deref(), Some(message));
        assert!(ended.started().is_empty());
    }
}

#[test]
fn a_foreach_over_nothing_succeeds_with_no_results() {
    let ended = simulate(PROBE).parameter("hosts", json!([])).run();
    assert_eq!((ended.outcome.phase, ended.output("results")), (Phase::Succeeded, json!([])));
}

#[test]
fn foreach_in_foreach_runs_each_within_each() {
    let ended = simulate(
        "
steps:
  - name: outer
    type: foreach
    items: [[1, 2], [3]]
    as: group
    output: all
    steps:
      - name: inner
        type: foreach
        items: ${group}
        as: number
        output: mine
        steps:
          - type: conditional
            condition: number > 1
            steps: [{name: tell, type: notification, channel: log, message: '${number} of ${group}', output: told}]
outputs: {all: all}
",
    )
    .step("outer[#1]/inner[#0][0]/conditional/tell", [answers(json!("t"))])
    .run();
    assert_eq!(
        ended.started(),
        ["outer[#0]/inner[#1][0]/conditional/tell", "outer[#1]/inner[#0][0]/conditional/tell"]
    );
    let expected = json!([
        {"group": [1, 2], "mine": [{"number": 1}, {"number": 2, "told": null}]},
        {"group": [3], "mine": [{"number": 3, "told": "t"}]}
    ]);
    assert_eq!(ended.output("all"), expected);
}

#[test]
fn a_foreach_that_is_suspended_starts_no_item() {
    let ended = simulate(PROBE).at(1, Event::Suspend).at(50, Event::Resume).run();
    let expected = [(path(0), 0), (path(1), 0), (path(2), 50), (path(3), 50), (path(4), 51)];
    assert_eq!(
        ended.times(),
        expected.iter().map(|(path, at)| (path.as_str(), *at)).collect::<Vec<_>>()
    );
}
