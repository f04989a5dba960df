#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use super::*;

fn second(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

#[test]
fn a_dry_run_says_of_every_step_what_it_would_do() {
    let text = "
operation: {name: test, type: maintain}
parameters: {host: a, hosts: [a]}
steps:
  - {name: wait, type: delay, duration: 5m, when: host == 'a'}
  - {type: delay, seconds: 3}
  - {name: ask, type: http_request, url: 'http://${host}', retries: 3}
  - {name: make, type: http_request, method: post, url: u, until: result.status == 200, timeout: 1m}
  - name: choose
    type: conditional
    condition: host == 'a'
    steps: [{name: probe, type: health_check, method: tcp, host: '${host}', port: 80}]
    else: [{name: probe, type: health_check, service: web}]
  - {name: plain, type: conditional, condition: host == 'a', steps: [{name: probe, type: health_check, method: http, url: u}]}
  - name: each
    type: foreach
    items: ${hosts}
    as: one
    parallel: true
    steps: [{name: set, type: state_update, file: f.json, updates: {'.${one}': up}}]
  - {name: read, type: state_check, file: f.json, path: .a}
  - {name: of, type: state_check, file: f.json, service: web}
  - {name: keep, type: filter, condition: one != 'x'}
  - {name: sum, type: aggregate_results}
  - {name: log, type: operation_log, entry: {done: true}}
  - {name: look, type: service_lookup, service: web, get: url}
  - {name: group, type: service_group_lookup, group: core, output: names}
  - {name: tell, type: notification, channel: log, message: 'hello ${host}'}
";
    let steps = dry_run(&Runbook::parse(text).unwrap());
    assert!(steps.iter().all(|step| step.phase == StepPhase::Skipped && step.attempt.is_none()));
    let said: Vec<(&str, &str)> = steps
        .iter()
        .map(|step| (step.path.as_str(), step.message.as_deref().unwrap()))
        .collect();
    let expected = [
        ("wait", "if host == 'a': would wait 5m"),
        ("[1]/delay", "would wait 3s"),
        ("ask", "would send GET http://${host}, at most 3 times"),
        ("make", "would send POST u, until result.status == 200"),
        ("choose", "would run its steps if host == 'a', else the others"),
        ("choose/probe", "would check ${host}:80"),
        ("choose/else/probe", "would check the service web"),
        ("plain", "would run its steps if host == 'a'"),
        ("plain/probe", "would check u"),
        ("each", "would run its steps for each one of ${hosts}, parallel: true"),
        ("each[#]/set", "would set {\".${one}\":\"up\"} in f.json"),
        ("read", "would read .a of f.json"),
        ("of", "would read the service web of f.json"),
        ("keep", "would keep the items of the last foreach for which ${one != 'x'}"),
        ("sum", "would make a report of the last foreach"),
        ("log", "would log {\"done\":true}"),
        ("look", "would look up url of the service web"),
        ("group", "would look up the services of core"),
        ("tell", "would tell the channel log: hello ${host}"),
    ];
    assert_eq!(said, expected);
}

#[test]
fn what_waits_says_its_place_and_what_is_suspended_says_how_to_let_it_go_on() {
    let base = OperationStatus::default();
    let said = |position, suspended| {
        let status = queued(&base, QueuePlace { position, priority: 5 }, suspended, Some(3), second(1));
        assert_eq!((status.phase, status.observed_generation), (Some(Phase::Queued), Some(3)));
        (status.conditions[0].reason.clone(), status.message.unwrap())
    };
    assert_eq!(
        said(Some(2), false),
        ("Queued".to_owned(), "waits for a slot, 2 in its queue".to_owned())
    );
    assert_eq!(said(None, false).1, "waits for a slot of its queue");
    assert_eq!(said(Some(2), true).0, "Suspended");
    assert!(said(Some(2), true).1.contains("spec.suspend"));
}

#[test]
fn an_ended_status_has_its_times_and_nothing_that_is_no_longer_so() {
    let base = OperationStatus {
        started_at: Some(Time(second(100))),
        current_step: Some("a".to_owned()),
        queue: Some(QueuePlace {
            position: Some(1),
            priority: 5,
        }),
        ..OperationStatus::default()
    };
    let outcome = Outcome {
        phase: Phase::Failed,
        reason: Reason::StepFailed,
        message: "no".to_owned(),
    };
    let status = ended(&base, &outcome, None, second(165));
    assert_eq!(
        (status.phase, status.reason.as_deref(), status.message.as_deref()),
        (Some(Phase::Failed), Some("StepFailed"), Some("no"))
    );
    assert_eq!((status.queue, status.current_step), (None, None));
    assert_eq!(status.duration.unwrap().to_string(), "1m5s");
    assert_eq!(ended(&base, &outcome, None, second(5)).duration.unwrap().to_string(), "0s");
}

#[test]
fn the_conditions_of_no_phase_say_both_that_work_goes_on_and_that_nothing_will_happen() {
    for phase in [
        Phase::Pending,
        Phase::Queued,
        Phase::Running,
        Phase::RollingBack,
        Phase::Succeeded,
        Phase::Failed,
        Phase::Cancelled,
    ] {
        let status = in_phase(&OperationStatus::default(), phase, Reason::Running, "m", None, second(1));
        let kinds: Vec<_> = status.conditions.iter().map(|condition| condition.type_.as_str()).collect();
        assert_eq!(
            kinds.contains(&"Stalled"),
            matches!(phase, Phase::Failed | Phase::Cancelled),
            "{phase:?}"
        );
        assert_eq!(kinds.contains(&"Reconciling"), !phase.is_final(), "{phase:?}");
    }
}

#[test]
fn a_long_message_is_cut_with_its_mark_inside_the_limit() {
    let status = in_phase(
        &OperationStatus::default(),
        Phase::Failed,
        Reason::StepFailed,
        &"ž".repeat(9_000),
        None,
        second(1),
    );
    let message = status.message.unwrap();
    assert!(message.len() <= LONGEST_MESSAGE && message.ends_with("... [cut: 18000 bytes]"));
    assert_eq!(status.conditions[0].message, message);
}
