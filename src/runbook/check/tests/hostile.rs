//! Nothing makes the check panic, overflow or take long.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::runbook::StepType;
use crate::runbook::document::{MAX_DEPTH, from_json};

#[test]
fn a_thousand_steps_are_allowed_and_one_more_is_not() {
    let runbook = |count: usize| with_steps(&"  - {type: delay, seconds: 1}\n".repeat(count));
    assert_eq!(parse(&runbook(MAX_STEPS)).steps.len(), MAX_STEPS);
    let told = problems(&runbook(MAX_STEPS + 5));
    assert_eq!(told, [("too-many-steps", format!("steps[{MAX_STEPS}]"), MAX_STEPS + 3, 5)]);
}

#[test]
fn a_foreach_over_too_long_a_list_is_refused() {
    let items = "1,".repeat(MAX_ITEMS + 1);
    let told = problems(&with_steps(&format!(
        "  - {{type: foreach, items: [{items}], steps: [{{type: delay, seconds: 1}}]}}\n"
    )));
    assert_eq!(told, [("too-many-items", "steps[0].items".to_owned(), 3, 28)]);
}

#[test]
fn steps_nested_as_deep_as_a_document_goes_are_checked() {
    let mut step = json!({"type": "delay", "seconds": 1});
    for _ in 0..(MAX_DEPTH - 3) / 2 {
        step = json!({"type": "conditional", "condition": "true", "steps": [step]});
    }
    let document = json!({"operation": {"name": "a", "type": "b"}, "steps": [step]});
    assert!(Runbook::from_json(&document).is_ok());
}

/// Documents that are all problems, or all names.
fn costly() -> Vec<String> {
    let mut unknown = String::new();
    let mut names = "  - type: operation_log\n    entry:\n".to_owned();
    let mut outputs = String::new();
    for index in 0..2_000 {
        let _ = writeln!(unknown, "    unknown_field_number_{index}: 1");
        let _ = writeln!(names, "      - ${{unknown_name_number_{index}}}");
    }
    for index in 0..300 {
        let _ = writeln!(outputs, "  - {{type: delay, seconds: 1, output: unknown_name_nomber_{index}}}");
    }
    let ors = vec!["a"; 20_000].join(" || ");
    vec![
        with_steps(&format!("  - type: delay\n    seconds: 1\n{unknown}")),
        with_steps(&(outputs + &names)),
        with_steps(&format!("  - {{type: delay, seconds: 1, when: {ors}}}\n")),
        with_steps(&format!("  - {{type: operation_log, entry: '{}'}}\n", "${a}".repeat(10_000))),
        with_steps(&format!("  - {{type: git, command: 'git {}'}}\n", "${a} \"".repeat(10_000))),
        with_steps(&format!("  - {{type: {}, seconds: 1}}\n", "x".repeat(300_000))),
        format!("{}:\n", "b".repeat(400_000)),
    ]
}

#[test]
fn costly_documents_are_refused_soon_and_in_few_words() {
    for text in costly() {
        let before = Instant::now();
        let told = read(&text).and_then(|document| check(&document)).unwrap_err();
        let most = if cfg!(debug_assertions) { 10_000 } else { 500 };
        let start: String = text.chars().skip(50).take(60).collect();
        assert!(before.elapsed() < Duration::from_millis(most), "{start}: {:?}", before.elapsed());
        assert!(told.0.len() <= 201, "{start}");
    }
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[ -~]{0,12}".prop_map(Value::from),
        Just(json!("${item}")),
        Just(json!("${a} b")),
        Just(json!("5m")),
        Just(json!("log")),
        Just(json!("${")),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z_]{1,6}", inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

/// Steps of every type with any of its fields holding anything.
fn step() -> impl Strategy<Value = Value> {
    let any_step = (
        prop::sample::select(StepType::ALL.to_vec()),
        prop::collection::vec((any::<prop::sample::Index>(), value()), 0..8),
    );
    let leaf = any_step.prop_map(|(kind, given)| {
        let fields: Vec<_> = kind
            .fields()
            .iter()
            .chain(crate::runbook::step::COMMON_FIELDS)
            .map(|field| field.name)
            .collect();
        let mut step: serde_json::Map<_, _> = given
            .into_iter()
            .map(|(index, value)| ((*index.get(&fields)).to_owned(), value))
            .collect();
        step.insert("type".to_owned(), json!(kind.name()));
        Value::Object(step)
    });
    leaf.prop_recursive(3, 12, 3, |inner| {
        let steps = prop::collection::vec(inner, 0..3);
        (steps.clone(), steps, prop::sample::select(vec!["conditional", "foreach"]))
            .prop_map(|(steps, other, kind)| json!({"type": kind, "condition": "a == 1", "items": [1], "steps": steps, "else": other}))
    })
}

proptest! {
    #[test]
    fn arbitrary_documents_never_panic(value in value()) {
        let _ = from_json(&value).and_then(|document| check(&document));
    }

    #[test]
    fn arbitrary_sections_never_panic(section in prop::sample::select(SECTIONS.to_vec()), value in value()) {
        let mut document = json!({"operation": {"name": "a", "type": "b"}, "steps": [{"type": "delay", "seconds": 1}]});
        document[section] = value;
        let _ = from_json(&document).and_then(|document| check(&document));
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn arbitrary_steps_never_panic_and_are_read_the_same_from_yaml(steps in prop::collection::vec(step(), 1..4)) {
        let document = json!({"operation": {"name": "a", "type": "b"}, "parameters": {"a": 1}, "steps": steps, "rollback": {"on_failure": steps}});
        let from_json = Runbook::from_json(&document);
        let from_yaml = Runbook::parse(&document.to_string());
        let codes = |result: &Result<Runbook, Diagnostics>| {
            let told = match result {
                Ok(runbook) => &runbook.warnings,
                Err(diagnostics) => diagnostics,
            };
            let mut codes: Vec<_> = told.0.iter().map(|diagnostic| (diagnostic.code, diagnostic.path.clone())).collect();
            codes.sort();
            codes
        };
        prop_assert_eq!(codes(&from_json), codes(&from_yaml));
        prop_assert_eq!(from_json.ok().map(|runbook| runbook.digest), from_yaml.ok().map(|runbook| runbook.digest));
    }
}
