#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::BTreeSet;
use std::time::Duration;

use indexmap::IndexMap;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

#[test]
fn every_type_has_a_name_that_means_it() {
    let names: BTreeSet<_> = StepType::ALL.iter().map(|kind| kind.name()).collect();
    assert_eq!(names.len(), StepType::ALL.len());
    for kind in StepType::ALL {
        assert_eq!(StepType::parse(kind.name()), Some(kind));
        assert_eq!(kind.to_string(), kind.name());
    }
    assert_eq!(StepType::parse("Delay"), None);
}

#[test]
fn no_field_stands_twice_in_the_table_and_every_alternative_is_a_field() {
    for kind in StepType::ALL {
        let fields: Vec<_> = kind.fields().iter().chain(COMMON_FIELDS).map(|field| field.name).collect();
        let shared = usize::from(kind == StepType::HeatStack); // `name` is the step's and the stack's
        assert_eq!(fields.iter().collect::<BTreeSet<_>>().len(), fields.len() - shared, "{kind}");
        for alternative in kind.alternatives().iter().copied().flatten() {
            assert!(!kind.field(alternative).unwrap().required, "{kind}.{alternative}");
        }
    }
}

#[test]
fn durations_are_seconds_or_text_with_units() {
    for (value, milliseconds) in [
        (json!(0), 0),
        (json!(10), 10_000),
        (json!(0.5), 500),
        (json!("90s"), 90_000),
        (json!("5m"), 300_000),
        (json!("1h30m"), 5_400_000),
        (json!("2d"), 172_800_000),
        (json!("1m500ms"), 60_500),
        (json!("15"), 15_000),
        (json!(" 2.5 "), 2_500),
    ] {
        assert_eq!(duration(&value), Ok(Duration::from_millis(milliseconds)), "{value}");
    }
}

#[test]
fn what_is_no_sensible_duration_is_refused() {
    let values = [
        json!(-1),
        json!("-5s"),
        json!("-1"),
        json!(""),
        json!("s"),
        json!("5x"),
        json!("5 m"),
        json!("30m1h"),
        json!("1h1h"),
        json!("400d"),
        json!(1e30),
        json!("99999999999999999999s"),
        json!("9999999999999999999d"),
        json!("inf"),
        json!("nan"),
        json!("1e400"),
        json!(true),
        json!(null),
        json!([1]),
        json!({}),
    ];
    for value in values {
        assert!(duration(&value).is_err(), "{value}");
    }
}

#[test]
fn counts_and_booleans_are_taken_from_text_too() {
    for (value, expected) in [
        (json!(3), Some(3)),
        (json!("3"), Some(3)),
        (json!(3.0), Some(3)),
        (json!(0), None),
        (json!(-1), None),
        (json!(1.5), None),
        (json!("x"), None),
        (json!(1e12), None),
        (json!(null), None),
    ] {
        assert_eq!(count(&value).ok(), expected, "{value}");
    }
    for (value, expected) in [
        (json!(true), Some(true)),
        (json!("false"), Some(false)),
        (json!("yes"), None),
        (json!(1), None),
    ] {
        assert_eq!(boolean(&value).ok(), expected, "{value}");
    }
}

fn request(method: Option<&str>) -> IndexMap<&'static str, Template> {
    method
        .map(|method| ("method", Template::parse(method).unwrap()))
        .into_iter()
        .collect()
}

#[test]
fn a_request_that_may_change_something_is_not_repeated() {
    for (method, reads) in [
        (None, true),
        (Some("GET"), true),
        (Some("head"), true),
        (Some("POST"), false),
        (Some("DELETE"), false),
        (Some("${m}"), false),
    ] {
        assert_eq!(StepType::HttpRequest.repeatable(&request(method)), reads, "{method:?}");
        assert_eq!(StepType::HttpRequest.has_outside_effect(&request(method)), !reads, "{method:?}");
    }
}

#[test]
fn what_runs_a_command_has_an_outside_effect_and_is_not_repeatable() {
    let none = request(None);
    let unrepeatable: Vec<_> = StepType::ALL.into_iter().filter(|kind| !kind.repeatable(&none)).collect();
    assert_eq!(
        unrepeatable,
        [StepType::Git, StepType::Script, StepType::SshCommand, StepType::ExternalApi]
    );
    assert!(unrepeatable.iter().all(|kind| kind.has_outside_effect(&none)));
    assert!(StepType::StateUpdate.repeatable(&none) && StepType::StateUpdate.has_outside_effect(&none));
}

proptest! {
    #[test]
    fn conversion_never_panics(text in any::<String>(), number in any::<f64>(), units in "[0-9dhms]{0,12}") {
        for value in [Value::from(text), Value::from(number), Value::from(units)] {
            let _ = (duration(&value), count(&value), boolean(&value));
        }
    }

    #[test]
    fn whole_seconds_are_themselves_however_written(seconds in 0_u64..31_000_000) {
        let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
        for value in [json!(seconds), json!(format!("{seconds}s")), json!(format!("{hours}h{minutes}m{}s", seconds % 60))] {
            prop_assert_eq!(duration(&value), Ok(Duration::from_secs(seconds)));
        }
    }
}
