//! Good documents, and what becomes of them.

use std::collections::BTreeSet;

use serde_json::json;

use super::*;
use crate::runbook::step::{Body, StepType};

const HEALTH: &str = r#"
operation:
  name: "health_check"
  type: "maintain"
  description: "Check services and record what is found"

parameters:
  services: []              # such as ["search", "mail"]
  service_group: ""         # such as core
  auto_restart: false
  threshold: {type: integer, default: 2, description: failures before an alert}
  level: {type: string, enum: [low, high], default: low}

triggers:
  - health_check_failed:
      service: "${services}"
      consecutive_failures: 2
  - manual:
      description: By hand

steps:
  - name: load_services
    type: conditional
    condition: "${service_group} != ''"
    steps:
      - type: service_group_lookup
        file: infra/services.yml
        group: "${service_group}"
        output: services

  - name: check_all
    type: foreach
    items: "${services}"
    as: service
    parallel: true
    max_concurrent: 10
    steps:
      - name: entry
        type: service_lookup
        service: "${service}"
        get: health_check
      - name: http
        type: conditional
        condition: "${health_check.method} == 'http'"
        steps:
          - type: http_request
            url: "${health_check.url}"
            expected_status: "${health_check.expected_status}"
            timeout: "${health_check.timeout}"
            output: health_status
      - type: health_check
        service: "${service}"
        when: health_status == null
        retries: 3
        retry_delay: 5s
        backoff: exponential
      - type: state_update
        file: deployments.json
        updates:
          ".*.${service}.last_health_check": "${current_timestamp}"
          ".*.${service}.health_status": "${health_status || 'failed'}"

  - type: aggregate_results
    format: markdown
    output: health_report
  - type: filter
    condition: "${health_status} == 'failed' AND ${critical} == true"
    output: critical_failures
  - name: alert
    type: conditional
    condition: "${critical_failures.length} >= threshold"
    steps:
      - type: notification
        channel: log
        priority: "${level == 'high' ? 'high' : 'normal'}"
        message: |
          Down: ${critical_failures}
          Report: ${health_report}
    else:
      - {type: delay, duration: 1m, description: "let it settle"}

notifications:
  on_complete:
    - {channel: log, message: "Done: ${steps.alert.status}"}
  on_critical_failure:
    - {channel: log, message: "Down: ${critical_failures}"}

results:
  report_format: |
    # Health on ${current_date}
    - Total: ${total_services}
    - Healthy: ${healthy_count} of ${size(services)}
    ${service_details}
  save_to: "reports/${current_date}.md"

outputs:
  failures: critical_failures
  all_well: size(critical_failures) == 0
"#;

const DEPLOY: &str = r#"
operation: {name: deploy_worker, type: deploy, platform: cloudflare}
parameters:
  app: ""
  region: dfw
  ticket: ""
  note:
  token: {type: string, required: true, secret: true, pattern: "[a-z0-9]{8,}"}
steps:
  - name: before
    type: state_check
    file: infra/state/deployments.json
    path: ".apps.${app}"
    action: read
    output: previous
  - name: release
    type: http_request
    url: "https://deploy.example.org/${app}"
    method: POST
    headers: {Authorization: "Bearer ${token}"}
    body: {region: "${region}", from: "${previous.version || 'none'}", price: "$${5}"}
    expected_status: 202
    output: release
    until: result.status == 202 && size(result.body.id) > 0
    timeout: 2m
    idempotent: true
  - name: verify
    type: health_check
    method: http
    url: "https://${app}.example.org/health"
    expected_status: 200
    retries: 5
    retry_delay: 10
  - type: operation_log
    entry: {type: deploy, target: "${app}", ticket: "${ticket}", at: "${current_timestamp}"}
    when: ticket != ''
  - {type: delay, seconds: 1, platform_specific: "it's", when: region == 'dfw', exit: true}
  - {type: service_lookup, service: "${app}", get: platform}
rollback:
  enabled: false
  on_failure:
    - type: state_update
      file: deployments.json
      updates: {".apps.${app}.status": "${failed_step}: ${error_message}", ".apps.\"a.b\".x": null}
notifications:
  on_success: [{channel: log, message: "${app} is in ${region}"}]
  on_failure: [{channel: log, message: "${app}: ${error_message} ${note}"}]
"#;

#[test]
fn a_realistic_runbook_is_accepted_with_a_word_on_its_triggers() {
    let runbook = parse(HEALTH);
    let warnings: Vec<_> = runbook
        .warnings
        .0
        .iter()
        .map(|warning| (warning.code, warning.path.as_str()))
        .collect();
    assert_eq!(warnings, [("not-available", "triggers")]);
    assert_eq!((runbook.name.as_str(), runbook.kind.as_str()), ("health_check", "maintain"));
    assert_eq!(runbook.steps.len(), 5);
    assert!(runbook.rollback.enabled && runbook.rollback.on_failure.is_empty());
    assert_eq!(runbook.notifications.on_other.keys().collect::<Vec<_>>(), ["critical_failure"]);
    assert_eq!(runbook.outputs.keys().collect::<Vec<_>>(), ["failures", "all_well"]);
    assert!(runbook.results.report.is_some() && runbook.results.save_to.is_some());
}

#[test]
fn bodies_hold_their_steps_and_say_what_they_define() {
    let runbook = parse(HEALTH);
    let Body::Branches { then, otherwise, .. } = &runbook.steps[4].body else {
        unreachable!("a conditional has branches")
    };
    assert_eq!((then[0].kind, otherwise[0].kind), (StepType::Notification, StepType::Delay));
    assert_eq!(otherwise[0].place, "steps[4].else[0]");
    let Body::Each {
        variable, steps, parallel, ..
    } = &runbook.steps[1].body
    else {
        unreachable!("a foreach has items")
    };
    assert_eq!((variable.as_str(), steps.len(), parallel.is_some()), ("service", 4, true));
    assert!(!runbook.steps[1].fields.contains_key("items"));
    assert_eq!(steps[1].defines, BTreeSet::from(["health_status".to_owned()]));
    assert_eq!(runbook.steps[0].defines, BTreeSet::from(["services".to_owned()]));
    assert_eq!(runbook.steps[1].defines, BTreeSet::new());
    let aggregated: Vec<_> = runbook.steps[2].defines.iter().map(String::as_str).collect();
    assert_eq!(
        aggregated,
        [
            "health_report",
            "healthy_count",
            "service_details",
            "total_services",
            "unhealthy_count"
        ]
    );
}

#[test]
fn a_parameter_must_be_given_where_a_step_that_always_runs_reads_it_first() {
    let runbook = parse(&DEPLOY.replace("platform_specific: \"it's\", ", ""));
    let required: Vec<_> = runbook
        .parameters
        .iter()
        .filter(|(_, parameter)| parameter.required)
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(required, ["app", "token"]);
    let runbook = parse(HEALTH);
    assert!(runbook.parameters.values().all(|parameter| !parameter.required));
}

#[test]
fn what_a_step_that_always_runs_defines_first_need_not_be_given() {
    for (steps, required) in [
        ("  - {type: operation_log, entry: '${p}'}\n", true),
        ("  - {type: operation_log, entry: '${p}', when: q == ''}\n", false),
        (
            "  - {type: service_lookup, service: x, get: p}\n  - {type: operation_log, entry: '${p}'}\n",
            false,
        ),
        ("  - {type: service_lookup, service: '${p}', get: p}\n", true),
        (
            "  - {type: service_lookup, service: x, get: p, when: q == ''}\n  - {type: operation_log, entry: '${p}'}\n",
            true,
        ),
        (
            "  - {type: conditional, condition: p == '', steps: [{type: operation_log, entry: '${p}'}]}\n",
            false,
        ),
        ("  - {type: foreach, items: '${p}', steps: [{type: delay, seconds: 1}]}\n", true),
        (
            "  - {type: foreach, items: [1], steps: [{type: operation_log, entry: '${p}'}]}\n",
            false,
        ),
        ("  - {type: state_update, file: a, updates: {'.${p}': 1}}\n", true),
        ("  - {type: delay, seconds: 1, until: p == ''}\n", false),
    ] {
        let runbook = parse(&format!("parameters: {{p: '', q:, r: {{}}}}\n{}", with_steps(steps)));
        assert_eq!(runbook.parameters["p"].required, required, "{steps}");
        assert!(!runbook.parameters["q"].required);
        assert_eq!(runbook.parameters["r"].default, Some(json!({})));
    }
}

#[test]
fn a_platform_is_folded_into_the_condition() {
    let text = DEPLOY.replace("parameters:\n", "parameters:\n  platform: fly\n");
    let when = |index: usize| parse(&text).steps[index].when.as_ref().map(|when| when.source().to_owned());
    assert_eq!(when(4).as_deref(), Some("(region == 'dfw') && platform == 'it\\'s'"));
    assert_eq!(when(0), None);
}

#[test]
fn paths_and_all_other_fields_are_templates_that_give_back_what_was_written() {
    let runbook = parse(&DEPLOY.replace("platform_specific: \"it's\", ", ""));
    let literal = |index: usize, field: &str| runbook.steps[index].fields[field].literal().cloned();
    assert_eq!(runbook.steps[0].fields["path"].source(), json!(".apps.${app}"));
    assert_eq!(literal(1, "method"), Some(json!("POST")));
    assert_eq!(literal(1, "url"), None);
    let updates = &runbook.rollback.on_failure[0].fields["updates"];
    let crate::runbook::Template::Map(entries) = updates else {
        unreachable!("updates are a map")
    };
    assert_eq!(entries[0].0.source(), json!(".apps.${app}.status"));
    assert_eq!(entries[1].0.source(), json!(".apps.\"a.b\".x"));
    assert_eq!(entries[1].1.literal(), Some(&json!(null)));
    assert!(!runbook.rollback.enabled);
    assert!(runbook.steps[4].exit && runbook.steps[1].idempotent);
}

#[test]
fn the_same_document_has_the_same_digest_however_it_is_written() {
    let digest = |text: &str| parse(text).digest;
    let first = "operation: {name: a, type: b}\nsteps:\n  - type: delay\n    seconds: 5.0\n";
    let again = "# a comment\nsteps: [{\"seconds\": 5, \"type\": 'delay'}]\noperation: {type: b, name: a}\n";
    assert_eq!(digest(first), digest(again));
    assert_eq!(digest(first), Runbook::from_json(&read(first).unwrap().to_json()).unwrap().digest);
    assert_ne!(digest(first), digest(&first.replace("5.0", "5.5")));
    assert_eq!(digest(first).len(), 64);
}

#[test]
fn names_resolve_where_something_can_define_them() {
    for steps in [
        "  - {type: health_check, method: http, url: x}\n  - {type: operation_log, entry: '${health_status}'}\n",
        "  - {type: delay, seconds: 1, outcome: waited}\n  - {type: delay, seconds: 1, when: waited == 'success'}\n",
        "  - {type: conditional, condition: true, steps: [{type: filter, items: [1], condition: x, output: inner}]}\n  - {type: operation_log, entry: '${inner}'}\n",
        "  - {type: foreach, items: [1], steps: [{type: operation_log, entry: '${item} ${current_date}'}], output: all}\n  - {type: operation_log, entry: '${all[0].item}'}\n",
        "  - {type: delay, seconds: 1, name: a}\n  - {type: operation_log, entry: '${steps.a.status} ${steps[\"a\"].error}'}\n",
        "  - {type: http_request, url: x, until: result.status == 200}\n",
        "  - {type: operation_log, entry: '${[1, 2].map(n, n * 2)} ${runbook_name} ${attempt} ${operation_id}'}\n",
        "  - {type: filter, items: [{a: 1}], condition: a == 1 && b.c == 2, output: found}\n",
    ] {
        assert_eq!(problems(&with_steps(steps)), [], "{steps}");
    }
}

#[test]
fn a_word_that_a_variable_can_hold_is_compared_without_a_word() {
    for (condition, warned) in [
        ("health == 'ok'", false),
        ("health != 'skipped'", false),
        ("health == ''", false),
        ("health == 'success'", true),
        ("'healthy' == health", true),
        ("health in ['ok', 'fine']", true),
        ("item == 'x'", false),
    ] {
        let text = with_steps(&format!(
            "  - {{type: health_check, method: http, url: x, output: health}}\n  - {{type: foreach, items: [x], steps: [{{type: delay, seconds: 1, when: \"{condition}\"}}]}}\n"
        ));
        assert_eq!(
            problems(&text).iter().any(|problem| problem.0 == "never-equal"),
            warned,
            "{condition}"
        );
    }
}
