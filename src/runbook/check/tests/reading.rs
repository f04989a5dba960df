//! A check that is read reports, one that is not read guards.

use super::*;
use crate::runbook::step::{Body, Step};

const CHECK: &str = "  - {type: health_check, method: http, url: x}\n";
const OPTIONAL: &str = "  - {type: health_check, method: http, url: x, when: 1 == 2}\n";
const IF_FAILED: &str = "  - {type: delay, seconds: 1, when: health_status == 'failed'}\n";

fn flags(steps: &[Step], found: &mut Vec<bool>) {
    for step in steps {
        match &step.body {
            Body::None => {}
            Body::Branches { then, otherwise, .. } => {
                flags(then, found);
                flags(otherwise, found);
            }
            Body::Each { steps, .. } => flags(steps, found),
        }
        if step.kind != crate::runbook::StepType::Delay || step.outcome.is_some() {
            found.push(step.reports);
        }
    }
}

fn reports(steps: &str) -> Vec<bool> {
    let mut found = Vec::new();
    flags(&parse(&with_steps(steps)).steps, &mut found);
    found
}

#[test]
fn a_health_check_reports_if_a_later_condition_reads_it() {
    let each = |condition: &str| {
        format!(
            "  - type: foreach\n    items: [1]\n    steps:\n      - {{type: health_check, method: http, url: x}}\n  - {{type: filter, condition: \"{condition}\"}}\n"
        )
    };
    for (steps, expected) in [
        (CHECK.to_owned(), vec![false]),
        (CHECK.to_owned() + IF_FAILED, vec![true]),
        (IF_FAILED.to_owned() + CHECK, vec![false]),
        (CHECK.to_owned() + CHECK + IF_FAILED, vec![false, true]),
        (CHECK.to_owned() + OPTIONAL + IF_FAILED, vec![true, true]),
        (
            CHECK.to_owned() + "  - {type: operation_log, entry: '${health_status}'}\n",
            vec![false, false],
        ),
        (CHECK.replace("url: x", "url: x, until: health_status == 'ok'"), vec![true]),
        (CHECK.replace("url: x", "url: x, output: mine"), vec![true]),
        (CHECK.replace("url: x", "url: x, outcome: mine"), vec![true]),
        (each("health_status == 'failed'"), vec![true, false, false]),
        (each("other == 1"), vec![false, false, false]),
        (
            CHECK.to_owned() + &each("health_status == 'failed'"),
            vec![false, true, false, false],
        ),
    ] {
        assert_eq!(reports(&steps), expected, "{steps}");
    }
}

#[test]
fn a_check_in_a_branch_is_read_by_what_follows_the_branch() {
    let branch = "  - type: conditional\n    condition: 1 == 1\n    steps:\n      - {type: health_check, method: http, url: x}\n";
    assert_eq!(reports(branch), [false, false]);
    assert_eq!(reports(&(branch.to_owned() + IF_FAILED)), [true, false]);
    assert_eq!(reports(&(CHECK.to_owned() + branch + IF_FAILED)), [true, true, false]);
    let nested = format!("{CHECK}  - type: conditional\n    condition: 1 == 1\n    steps:\n    {IF_FAILED}");
    assert_eq!(reports(&nested), [true, false]);
}

#[test]
fn a_request_reports_only_into_health_status_and_any_step_into_an_outcome() {
    for (step, expected) in [
        ("  - {type: http_request, url: x}\n", false),
        ("  - {type: http_request, url: x, output: answer}\n", false),
        ("  - {type: http_request, url: x, output: health_status}\n", true),
        ("  - {type: state_check, file: a, path: .b, output: c}\n", false),
        ("  - {type: delay, seconds: 1, outcome: waited}\n", true),
    ] {
        assert_eq!(reports(step), [expected], "{step}");
    }
}

#[test]
fn what_rollback_asks_does_not_turn_a_guard_into_a_report() {
    let text = format!(
        "{}rollback:\n  on_failure:\n{}",
        with_steps(CHECK),
        IF_FAILED.replace("  -", "    -")
    );
    assert!(!parse(&text).steps[0].reports);
}
