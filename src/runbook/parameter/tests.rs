#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use indexmap::IndexMap;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::super::diagnostic::Diagnostics;
use super::{Kind, Parameter, bind, infer, nearest};

fn of(kind: Kind) -> Parameter {
    Parameter {
        kind: Some(kind),
        ..Parameter::default()
    }
}

fn declared(parameters: impl IntoIterator<Item = (&'static str, Parameter)>) -> IndexMap<String, Parameter> {
    parameters
        .into_iter()
        .map(|(name, parameter)| (name.to_owned(), parameter))
        .collect()
}

fn bind_json(declared: &IndexMap<String, Parameter>, given: &Value) -> Result<Map<String, Value>, Diagnostics> {
    bind(declared, given.as_object().unwrap())
}

#[test]
fn a_given_value_is_converted_to_the_type() {
    let table = [
        (Kind::String, json!("8080"), Some(json!("8080"))),
        (Kind::String, json!(8080), None),
        (Kind::String, json!(true), None),
        (Kind::String, json!(["a"]), None),
        (Kind::Integer, json!("8080"), Some(json!(8080))),
        (Kind::Integer, json!(" -8 "), Some(json!(-8))),
        (Kind::Integer, json!(5.0), Some(json!(5))),
        (Kind::Integer, json!("5.0"), Some(json!(5))),
        (Kind::Integer, json!(5.5), None),
        (Kind::Integer, json!("5.5"), None),
        (Kind::Integer, json!("9223372036854775807"), Some(json!(i64::MAX))),
        (Kind::Integer, json!("9223372036854775808"), None),
        (Kind::Integer, json!(u64::MAX), None),
        (Kind::Integer, json!(1e300), None),
        (Kind::Integer, json!("8080x"), None),
        (Kind::Integer, json!(""), None),
        (Kind::Integer, json!(true), None),
        (Kind::Number, json!("1.5"), Some(json!(1.5))),
        (Kind::Number, json!("8"), Some(json!(8))),
        (Kind::Number, json!(8), Some(json!(8))),
        (Kind::Number, json!("1e3"), Some(json!(1000.0))),
        (Kind::Number, json!("1e999"), None),
        (Kind::Number, json!("inf"), None),
        (Kind::Number, json!("NaN"), None),
        (Kind::Boolean, json!("true"), Some(json!(true))),
        (Kind::Boolean, json!("false"), Some(json!(false))),
        (Kind::Boolean, json!("yes"), None),
        (Kind::Boolean, json!(1), None),
        (Kind::List, json!("a, b,c"), Some(json!(["a", "b", "c"]))),
        (Kind::List, json!("[1, \"a,b\"]"), Some(json!([1, "a,b"]))),
        (Kind::List, json!("[1, "), None),
        (Kind::List, json!(""), Some(json!([]))),
        (Kind::List, json!("a"), Some(json!(["a"]))),
        (Kind::List, json!({"a": 1}), None),
        (Kind::Object, json!("{\"a\": 1}"), Some(json!({"a": 1}))),
        (Kind::Object, json!("[1]"), None),
        (Kind::Object, json!("a=1"), None),
        (Kind::Object, json!({"a": 1}), Some(json!({"a": 1}))),
    ];
    for (kind, given, expected) in table {
        let accepted = of(kind).accept(&given);
        assert_eq!(accepted.clone().ok(), expected, "{kind} {given}");
        assert!(accepted.is_ok_and(|value| expected == Some(value)) || of(kind).accept(&given).unwrap_err().code == "wrong-type");
    }
    assert_eq!(of(Kind::String).accept(&json!(8080)).unwrap_err().fix.as_deref(), Some("quote it"));
}

#[test]
fn a_default_decides_the_type_of_the_short_form() {
    let table = [
        (json!(""), json!("8080"), json!("8080")),
        (json!(3000), json!("8080"), json!(8080)),
        (json!(1.5), json!("2"), json!(2)),
        (json!(false), json!("true"), json!(true)),
        (json!([]), json!("a,b"), json!(["a", "b"])),
        (json!({}), json!("{}"), json!({})),
        (json!(null), json!("8080"), json!("8080")),
        (json!(null), json!(8080), json!(8080)),
    ];
    for (default, given, expected) in table {
        let parameter = infer(&default);
        assert_eq!(parameter.accept(&given), Ok(expected), "{default}");
        assert_eq!(parameter.default, Some(default));
    }
}

#[test]
fn every_declared_parameter_has_a_value() {
    let declared = declared([
        (
            "name",
            Parameter {
                required: true,
                ..of(Kind::String)
            },
        ),
        ("port", infer(&json!(3000))),
        ("region", infer(&json!("iad"))),
        ("owner", of(Kind::String)),
    ]);
    let bound = bind_json(&declared, &json!({"name": "web", "port": "8080", "region": null})).unwrap();
    assert_eq!(
        Value::Object(bound),
        json!({"name": "web", "port": 8080, "region": "iad", "owner": null})
    );
}

#[test]
fn all_problems_are_reported_together() {
    let declared = declared([
        (
            "service_name",
            Parameter {
                required: true,
                ..of(Kind::String)
            },
        ),
        ("port", infer(&json!(3000))),
        (
            "size",
            Parameter {
                one_of: Some(vec![json!("s"), json!("m")]),
                ..Parameter::default()
            },
        ),
        (
            "image",
            Parameter {
                pattern: Some("[a-z]+".to_owned()),
                ..Parameter::default()
            },
        ),
        (
            "empty",
            Parameter {
                required: true,
                ..Parameter::default()
            },
        ),
    ]);
    let given = json!({"servicename": "web", "port": "many", "size": "xl", "image": "a1", "empty": "", "whatever_this_is": 1});
    let problems = bind_json(&declared, &given).unwrap_err();
    let found: Vec<_> = problems.0.iter().map(|problem| (problem.path.as_str(), problem.code)).collect();
    let expected = [
        ("parameters.service_name", "missing-parameter"),
        ("parameters.port", "wrong-type"),
        ("parameters.size", "not-in-enum"),
        ("parameters.image", "pattern-mismatch"),
        ("parameters.empty", "missing-parameter"),
        ("parameters.servicename", "unknown-parameter"),
        ("parameters.whatever_this_is", "unknown-parameter"),
    ];
    assert_eq!(found, expected);
    let fixes: Vec<_> = problems.0.iter().map(|problem| problem.fix.as_deref()).collect();
    assert_eq!(fixes[2], Some("write one of s, m"));
    assert_eq!(fixes[5], Some("did you mean `service_name`?"));
    assert_eq!(fixes[6], Some("the runbook takes service_name, port, size, image, empty"));
    assert_eq!(problems.0[1].message, "parameter `port`: \"many\" is no integer");
}

#[test]
fn a_secret_value_is_in_no_message() {
    let secret = |parameter| Parameter { secret: true, ..parameter };
    let declared = declared([
        ("a", secret(of(Kind::Integer))),
        (
            "b",
            secret(Parameter {
                one_of: Some(vec![json!("x")]),
                ..Parameter::default()
            }),
        ),
        (
            "c",
            secret(Parameter {
                pattern: Some("[0-9]".to_owned()),
                ..Parameter::default()
            }),
        ),
        ("d", secret(of(Kind::Object))),
    ]);
    let given = json!({"a": "hunter2", "b": "hunter2", "c": "hunter2", "d": "{\"hunter2\": ", "e": "hunter2"});
    let problems = bind_json(&declared, &given).unwrap_err();
    assert_eq!(problems.0.len(), 5);
    assert!(!format!("{problems:?}").contains("hunter2"));
}

#[test]
fn an_enum_is_compared_after_conversion() {
    let numbers = Parameter {
        one_of: Some(vec![json!(1), json!(2)]),
        ..Parameter::default()
    };
    assert_eq!(numbers.accept(&json!("2")), Ok(json!(2)));
    assert_eq!(numbers.accept(&json!(2.0)), Ok(json!(2)));
    assert!(numbers.accept(&json!(3)).is_err());
    let mixed = Parameter {
        one_of: Some(vec![json!(1), json!("all")]),
        ..Parameter::default()
    };
    assert_eq!(mixed.accept(&json!("all")), Ok(json!("all")));
}

#[test]
fn a_pattern_matches_the_whole_text() {
    let with = |pattern: &str| Parameter {
        pattern: Some(pattern.to_owned()),
        ..Parameter::default()
    };
    for (pattern, value, matches) in [
        ("a|b", json!("b"), true),
        ("a|b", json!("ab"), false),
        ("^a$", json!("a"), true),
        ("^a$", json!("a\nb"), false),
        ("a+", json!("a\n"), false),
        ("(?m)^a$", json!("b\na"), false),
        ("[0-9]+", json!(8080), true),
        ("[a-z]+", json!(["a", "b"]), true),
        ("[a-z]+", json!(["a", "B"]), false),
        ("(?x) a # the letter", json!("a"), true),
        (r"[\w.-]{1,63}", json!("web.example.org"), true),
    ] {
        assert_eq!(with(pattern).accept(&value).is_ok(), matches, "{pattern} {value}");
        assert!(with(pattern).validate_pattern().is_ok());
    }
    for pattern in ["(", "a)|(?:b", "[a", r"((\w{100}){100}){100}", "(?=a)"] {
        assert_eq!(with(pattern).validate_pattern().unwrap_err().code, "invalid-pattern", "{pattern}");
        assert_eq!(with(pattern).accept(&json!("a")).unwrap_err().code, "invalid-pattern", "{pattern}");
    }
    assert!(Parameter::default().validate_pattern().is_ok());
}

#[test]
fn a_misspelt_name_gets_the_nearest_one() {
    let known = ["service_name", "port", "region"];
    for (name, expected) in [
        ("servce_name", Some("service_name")),
        ("service-name", Some("service_name")),
        ("Port", Some("port")),
        ("prot", Some("port")),
        ("zzz", None),
        ("", None),
    ] {
        assert_eq!(nearest(name, known), expected, "{name}");
    }
}

#[test]
fn a_long_value_is_cut_in_a_message() {
    let error = of(Kind::Integer).accept(&json!("é".repeat(10_000))).unwrap_err();
    assert!(error.message.len() < 400);
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[-+0-9.eE\\[\\]{},\" a]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| prop::collection::vec(inner, 0..3).prop_map(Value::from))
}

proptest! {
    #[test]
    fn what_was_accepted_has_the_type_and_is_accepted_again(value in any_value(), kind in 0..6) {
        let kind = [Kind::String, Kind::Integer, Kind::Number, Kind::Boolean, Kind::List, Kind::Object][usize::try_from(kind).unwrap()];
        if let Ok(accepted) = of(kind).accept(&value) {
            prop_assert!(Kind::of(&accepted) == Some(kind) || kind == Kind::Number && Kind::of(&accepted) == Some(Kind::Integer));
            prop_assert_eq!(of(kind).accept(&accepted), Ok(accepted));
        }
    }

    #[test]
    fn an_arbitrary_pattern_never_panics(pattern in any::<String>(), value in any_value()) {
        let parameter = Parameter { pattern: Some(pattern), ..Parameter::default() };
        let _ = parameter.accept(&value);
    }
}
