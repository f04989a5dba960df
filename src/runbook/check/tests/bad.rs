//! Bad documents, and where each is told to be bad.

use super::*;

/// One problem in the steps, which start at line 3.
const STEPS: Table = &[
    ("  - delay\n", ("wrong-shape", "steps[0]", 3, 5)),
    ("  - name: x\n    seconds: 1\n", ("required-field", "steps[0].type", 3, 5)),
    ("  - {type: dely, seconds: 1}\n", ("unknown-step-type", "steps[0].type", 3, 12)),
    ("  - {type: [delay], seconds: 1}\n", ("wrong-shape", "steps[0].type", 3, 12)),
    (
        "  - type: http_request\n    urll: x\n    url: y\n",
        ("unknown-field", "steps[0].urll", 4, 5),
    ),
    (
        "  - type: http_request\n    urll: x\n    url: y\n    timeout: 0\n    output: 1x\n    method: GETT\n",
        ("unknown-field", "steps[0].urll", 4, 5),
    ),
    ("  - {type: http_request, url: null}\n", ("required-field", "steps[0].url", 3, 5)),
    ("  - {type: http_request, url: [a]}\n", ("wrong-shape", "steps[0].url", 3, 31)),
    (
        "  - {type: http_request, url: x, method: GETT}\n",
        ("unknown-word", "steps[0].method", 3, 42),
    ),
    (
        "  - {type: http_request, url: x, headers: [a]}\n",
        ("wrong-shape", "steps[0].headers", 3, 43),
    ),
    (
        "  - {type: http_request, url: x, expected_status: 2000}\n",
        ("bad-value", "steps[0].expected_status", 3, 51),
    ),
    (
        "  - {type: http_request, url: x, expected_status: [200]}\n",
        ("bad-value", "steps[0].expected_status", 3, 51),
    ),
    ("  - {type: delay}\n", ("required-field", "steps[0]", 3, 5)),
    (
        "  - {type: delay, seconds: 1, duration: 1s}\n",
        ("exclusive-fields", "steps[0]", 3, 5),
    ),
    ("  - {type: delay, seconds: -1}\n", ("bad-value", "steps[0].seconds", 3, 28)),
    ("  - {type: delay, seconds: 5 minutes}\n", ("bad-value", "steps[0].seconds", 3, 28)),
    (
        "  - {type: delay, seconds: 1, timeout: 0}\n",
        ("bad-value", "steps[0].timeout", 3, 40),
    ),
    (
        "  - {type: delay, seconds: 1, retries: 0}\n",
        ("bad-value", "steps[0].retries", 3, 40),
    ),
    (
        "  - {type: delay, seconds: 1, backoff: quadratic}\n",
        ("unknown-word", "steps[0].backoff", 3, 40),
    ),
    (
        "  - {type: delay, seconds: 1, continue_on_failure: 'yes'}\n",
        ("wrong-shape", "steps[0].continue_on_failure", 3, 52),
    ),
    (
        "  - {type: delay, seconds: 1, output: my-name}\n",
        ("bad-name", "steps[0].output", 3, 39),
    ),
    (
        "  - {type: delay, seconds: 1, description: {a: b}}\n",
        ("wrong-shape", "steps[0].description", 3, 44),
    ),
    (
        "  - {type: delay, seconds: 1, name: a}\n  - {type: delay, seconds: 1, name: a}\n",
        ("duplicate-name", "steps[1].name", 4, 37),
    ),
    (
        "  - {type: conditional, steps: [{type: delay, seconds: 1}]}\n",
        ("required-field", "steps[0].condition", 3, 5),
    ),
    (
        "  - {type: conditional, condition: true, steps: []}\n",
        ("required-field", "steps[0].steps", 3, 49),
    ),
    (
        "  - {type: conditional, condition: [a], steps: [{type: delay, seconds: 1}]}\n",
        ("wrong-shape", "steps[0].condition", 3, 36),
    ),
    (
        "  - {type: conditional, condition: true, steps: {type: delay}}\n",
        ("wrong-shape", "steps[0].steps", 3, 49),
    ),
    (
        "  - type: foreach\n    items: [1]\n    steps:\n      - type: conditional\n        condition: item == 1\n        steps:\n          - {type: delay, seconds: 1, exit: true}\n",
        ("exit-in-foreach", "steps[0].steps[0].steps[0].exit", 9, 45),
    ),
    (
        "  - {type: foreach, items: a, steps: [{type: delay, seconds: 1}]}\n",
        ("wrong-shape", "steps[0].items", 3, 28),
    ),
    (
        "  - {type: foreach, items: [1], as: 'a b', steps: [{type: delay, seconds: 1}]}\n",
        ("bad-name", "steps[0].as", 3, 37),
    ),
    ("  - {type: state_check, file: a.json}\n", ("required-field", "steps[0]", 3, 5)),
    (
        "  - {type: state_check, file: a.json, path: 'a..b'}\n",
        ("state-path", "steps[0].path", 3, 48),
    ),
    (
        "  - type: state_update\n    file: a.json\n    updates:\n      .a.\"b: 1\n",
        ("state-path", "steps[0].updates[\".a.\\\"b\"]", 6, 7),
    ),
    (
        "  - {type: state_update, file: a.json, updates: {}}\n",
        ("wrong-shape", "steps[0].updates", 3, 49),
    ),
    ("  - {type: health_check}\n", ("required-field", "steps[0]", 3, 5)),
    ("  - {type: health_check, method: http}\n", ("required-field", "steps[0].url", 3, 5)),
    (
        "  - {type: health_check, method: tcp, host: a}\n",
        ("required-field", "steps[0].port", 3, 5),
    ),
    (
        "  - {type: health_check, method: tcp, host: a, port: 70000}\n",
        ("bad-value", "steps[0].port", 3, 54),
    ),
    (
        "  - {type: health_check, method: icmp}\n",
        ("unknown-word", "steps[0].method", 3, 34),
    ),
    (
        "  - {type: health_check, method: ssh_command, command: uptime}\n",
        ("not-available", "steps[0].method", 3, 34),
    ),
    (
        "  - {type: notification, channel: beeper, message: x}\n",
        ("not-available", "steps[0].channel", 3, 35),
    ),
    ("  - {type: lock, resource: x}\n", ("not-available", "steps[0].type", 3, 12)),
    (
        "  - {type: delay, seconds: 1, rollback: [{type: delay, seconds: 1}]}\n",
        ("not-available", "steps[0].rollback", 3, 41),
    ),
    (
        "  - type: operation_log\n    entry:\n      a:\n        - \"x ${b\"\n",
        ("expression", "steps[0].entry.a[0]", 6, 14),
    ),
    (
        "  - type: operation_log\n    entry: |\n      one\n        ${1 +}\n",
        ("expression", "steps[0].entry", 6, 14),
    ),
    (
        "  - {type: operation_log, entry: 'x ${nowhere}'}\n",
        ("undefined-name", "steps[0].entry", 3, 39),
    ),
    (
        "  - {type: operation_log, entry: x, when: nowhere == 1}\n",
        ("undefined-name", "steps[0].when", 3, 43),
    ),
    (
        "  - {type: operation_log, entry: x, platform_specific: docker}\n",
        ("undefined-name", "steps[0].platform_specific", 3, 56),
    ),
    (
        "  - {type: operation_log, entry: '${error_message}'}\n",
        ("undefined-name", "steps[0].entry", 3, 37),
    ),
    (
        "  - {type: operation_log, entry: '${result}'}\n",
        ("undefined-name", "steps[0].entry", 3, 37),
    ),
    (
        "  - {type: operation_log, entry: '${steps.nowhere.output}'}\n",
        ("undefined-name", "steps[0].entry", 3, 43),
    ),
    (
        "  - {type: foreach, items: [1], steps: [{type: filter, items: [1], condition: a == 1, output: mine}]}\n  - {type: operation_log, entry: '${mine}'}\n",
        ("undefined-name", "steps[1].entry", 4, 37),
    ),
    (
        "  - {type: operation_log, entry: '${late}'}\n  - {type: filter, items: [1], condition: a == 1, output: late}\n",
        ("used-before-defined", "steps[0].entry", 3, 37),
    ),
    (
        "  - {type: health_check, method: http, url: x, output: health}\n  - {type: delay, seconds: 1, when: health == 'healthy'}\n",
        ("never-equal", "steps[1].when", 4, 48),
    ),
];

#[test]
fn every_problem_of_a_step_is_told_with_its_code_and_place() {
    for (steps, (code, path, line, column)) in STEPS {
        let text = with_steps(steps);
        let told = problems(&text);
        assert_eq!(
            told.first(),
            Some(&(*code, (*path).to_owned(), *line, *column)),
            "{text}
{told:?}"
        );
    }
}

/// One problem beside the steps.
const SECTIONS: Table = &[
    ("[a]", ("wrong-shape", "", 1, 1)),
    ("steps: [{type: delay, seconds: 1}]", ("required-field", "operation", 1, 1)),
    ("operation: {name: a, type: b}", ("required-field", "steps", 1, 1)),
    ("operation: {name: a, type: b}\nsteps: []", ("required-field", "steps", 2, 8)),
    (
        "operation: {type: b}\nsteps: [{type: delay, seconds: 1}]",
        ("required-field", "operation.name", 1, 12),
    ),
    (
        "operation: {name: a, type: De_ploy}\nsteps: [{type: delay, seconds: 1}]",
        ("bad-value", "operation.type", 1, 28),
    ),
    (
        "operation: {name: [a], type: b}\nsteps: [{type: delay, seconds: 1}]",
        ("wrong-shape", "operation.name", 1, 19),
    ),
    (
        "operation: a\nsteps: [{type: delay, seconds: 1}]",
        ("wrong-shape", "operation", 1, 12),
    ),
    (
        "operation: {name: a, type: b, owner: c}\nsteps: [{type: delay, seconds: 1}]",
        ("unknown-key", "operation.owner", 1, 31),
    ),
];

#[test]
fn every_problem_of_a_runbook_is_told_with_its_code_and_place() {
    for (text, (code, path, line, column)) in SECTIONS {
        let told = problems(text);
        assert_eq!(told.first(), Some(&(*code, (*path).to_owned(), *line, *column)), "{text}\n{told:?}");
    }
}

/// One problem in a section after the steps, from line 3.
const AFTER: Table = &[
    ("notificatons: {}", ("unknown-key", "notificatons", 3, 1)),
    ("parameters: [a]", ("wrong-shape", "parameters", 3, 13)),
    ("parameters: {my-name: 1}", ("bad-name", "parameters.my-name", 3, 14)),
    ("parameters: {a: {type: int}}", ("unknown-word", "parameters.a.type", 3, 24)),
    (
        "parameters: {a: {type: integer, default: x}}",
        ("bad-default", "parameters.a.default", 3, 42),
    ),
    (
        "parameters: {a: {type: integer, default: '5'}}",
        ("bad-default", "parameters.a.default", 3, 42),
    ),
    (
        "parameters: {a: {enum: [x, y], default: z}}",
        ("bad-default", "parameters.a.default", 3, 41),
    ),
    (
        "parameters: {a: {type: string, enum: [x, 1]}}",
        ("bad-enum", "parameters.a.enum[1]", 3, 38),
    ),
    ("parameters: {a: {enum: x}}", ("wrong-shape", "parameters.a.enum", 3, 24)),
    ("parameters: {a: {pattern: '['}}", ("bad-pattern", "parameters.a.pattern", 3, 27)),
    (
        "parameters: {a: {pattern: '[a-z]+', default: A}}",
        ("bad-default", "parameters.a.default", 3, 46),
    ),
    ("parameters: {a: {required: 1}}", ("wrong-shape", "parameters.a.required", 3, 28)),
    ("prerequisites: [{command: which git}]", ("not-available", "prerequisites", 3, 16)),
    ("finally: [{type: delay, seconds: 1}]", ("not-available", "finally", 3, 10)),
    ("rollback: {enable: false}", ("unknown-field", "rollback.enable", 3, 12)),
    ("rollback: {enabled: '${x}'}", ("wrong-shape", "rollback.enabled", 3, 21)),
    ("rollback: {on_failure: {}}", ("wrong-shape", "rollback.on_failure", 3, 24)),
    ("notifications: {success: []}", ("unknown-field", "notifications.success", 3, 17)),
    (
        "notifications: {on_success: [{channel: log}]}",
        ("required-field", "notifications.on_success[0].message", 3, 30),
    ),
    (
        "notifications: {on_success: [{type: delay, seconds: 1}]}",
        ("wrong-step-type", "notifications.on_success[0].type", 3, 37),
    ),
    (
        "notifications: {on_success: [{channel: log, message: '${failed_step}'}]}",
        ("undefined-name", "notifications.on_success[0].message", 3, 57),
    ),
    (
        "notifications: {on_complete: [{channel: mail, message: x}]}",
        ("not-available", "notifications.on_complete[0].channel", 3, 41),
    ),
    (
        "notifications: {on_sucess: [{channel: log, message: x}]}",
        ("never-sent", "notifications.on_sucess", 3, 17),
    ),
    ("triggers: [{manual: null}]", ("not-available", "triggers", 3, 11)),
    ("triggers: [manual]", ("wrong-shape", "triggers[0]", 3, 12)),
    ("triggers: [{a: 1}]", ("wrong-shape", "triggers[0]", 3, 12)),
    ("results: {report: x}", ("unknown-field", "results.report", 3, 11)),
    (
        "results: {report_format: '${nowhere}'}",
        ("undefined-name", "results.report_format", 3, 29),
    ),
    ("outputs: {a: 1 +}", ("expression", "outputs.a", 3, 17)),
    ("outputs: {a: nowhere}", ("undefined-name", "outputs.a", 3, 14)),
    ("outputs: {a: [1]}", ("wrong-shape", "outputs.a", 3, 14)),
];

#[test]
fn every_problem_of_another_section_is_told_with_its_code_and_place() {
    for (section, (code, path, line, column)) in AFTER {
        let text = format!("{}\n{section}", with_steps("  [{type: delay, seconds: 1}]"));
        let text = text.replacen("steps:\n  ", "steps: ", 1);
        let told = problems(&text);
        let found = told.iter().find(|problem| problem.0 == *code);
        assert_eq!(found, Some(&(*code, (*path).to_owned(), *line, *column)), "{text}\n{told:?}");
    }
}

#[test]
fn all_problems_are_told_at_once_in_document_order() {
    let text = "outputs: {a: nowhere}\noperation: {name: a, type: B}\nsteps:\n  - {type: dely}\n  - {type: delay, seconds: -1, foo: 1}\nrollback: {x: 1}\n";
    let codes: Vec<_> = problems(text).into_iter().map(|problem| (problem.0, problem.2)).collect();
    let expected = [
        ("undefined-name", 1),
        ("bad-value", 2),
        ("unknown-step-type", 4),
        ("bad-value", 5),
        ("unknown-field", 5),
        ("unknown-field", 6),
    ];
    assert_eq!(codes, expected);
}

#[test]
fn a_misspelt_name_gets_the_nearest_as_a_hint() {
    let text = with_steps("  - {type: http_reqest, url: x}\n  - {type: http_request, urll: x, url: '${curent_date}'}\n");
    let diagnostics = check(&read(&text).unwrap()).unwrap_err();
    let fixes: Vec<_> = diagnostics.0.iter().filter_map(|diagnostic| diagnostic.fix.as_deref()).collect();
    assert_eq!(
        fixes,
        [
            "did you mean \"http_request\"?",
            "did you mean \"url\"?",
            "did you mean \"current_date\"?"
        ]
    );
}

#[test]
fn every_type_that_is_not_available_is_refused_and_still_checked() {
    for kind in crate::runbook::StepType::ALL.into_iter().filter(|kind| !kind.available()) {
        let text = with_steps(&format!(
            "  - {{type: {kind}, output: known, retries: 0}}\n  - {{type: operation_log, entry: '${{known}}'}}\n"
        ));
        let codes: Vec<_> = problems(&text).into_iter().map(|problem| problem.0).collect();
        assert!(
            codes.contains(&"not-available") && codes.contains(&"bad-value"),
            "{kind}: {codes:?}"
        );
        assert!(!codes.contains(&"undefined-name"), "{kind}: {codes:?}");
    }
}

#[test]
fn json_documents_get_the_same_diagnostics_with_paths_alone() {
    let json = serde_json::json!({"operation": {"name": "a", "type": "b"}, "steps": [{"type": "delay", "secs": 1}]});
    let diagnostics = Runbook::from_json(&json).unwrap_err();
    let told: Vec<_> = diagnostics
        .0
        .iter()
        .map(|diagnostic| (diagnostic.code, diagnostic.path.as_str(), diagnostic.position))
        .collect();
    assert_eq!(
        told,
        [("unknown-field", "steps[0].secs", None), ("required-field", "steps[0]", None)]
    );
}
