#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use super::*;
use crate::operation::scope::{Identity, Layer};
use crate::runbook::Runbook;

fn step(step: &str) -> Step {
    let text = format!("operation: {{name: t, type: maintain}}\nparameters: {{v: 1, w: 2}}\nsteps:\n  - {step}\n");
    Runbook::parse(&text)
        .unwrap_or_else(|problems| panic!("{}", problems.render("t")))
        .steps
        .remove(0)
}

fn given(of: &str, variables: &Value) -> Result<Value, String> {
    let layer = Layer {
        variables: variables.as_object().unwrap().clone(),
        ..Layer::default()
    };
    let identity = Identity::default();
    let view = View {
        layers: &[&layer],
        identity: &identity,
        now: Timestamp::UNIX_EPOCH,
        attempt: 1,
        failure: None,
        result: None,
    };
    input(&step(of), "p", Timestamp::UNIX_EPOCH, &view).map(|input| Value::Object(input.fields))
}

#[test]
fn fields_keep_their_types_and_texts_are_joined() {
    let of = "{type: http_request, url: 'http://${v}', headers: {x-key: '${v}'}, body: ['${v}', 'a${w}', '$${v}']}";
    let expected = json!({"url": "http://[1]", "headers": {"x-key": [1]}, "body": [[1], "aa", "${v}"]});
    assert_eq!(given(of, &json!({"v": [1], "w": "a"})), Ok(expected));
}

#[test]
fn a_state_path_takes_what_is_substituted_as_one_segment() {
    let check = |path: &str, value: Value| {
        given(
            &format!("{{type: state_check, file: f, path: '{path}'}}"),
            &json!({"v": value, "w": 2}),
        )
    };
    for (path, value, expected) in [
        (".a.${v}.b", json!("x"), ".a.x.b"),
        (".a.${v}", json!("x.y z"), ".a.\"x.y z\""),
        (".a.${v}", json!("*"), ".a.\"*\""),
        (".a.${v}", json!("${w}"), ".a.$${w}"),
        ("${v}", json!("x"), ".x"),
        (".plain.\"a.b\"", json!(1), ".plain.\"a.b\""),
        (".*.url", json!(1), ".*.url"),
        (".$${d}", json!(1), ".$${d}"),
    ] {
        assert_eq!(
            check(path, value).map(|fields| fields["path"].clone()),
            Ok(json!(expected)),
            "{path}"
        );
    }
    assert!(check(".a.${v}", json!("")).unwrap_err().starts_with("path: .a.${v}: "));
}

#[test]
fn the_places_of_an_update_are_paths_too_and_no_two_are_the_same() {
    let set = |updates: &str, value: Value| {
        given(
            &format!("{{type: state_update, file: f, updates: {updates}}}"),
            &json!({"v": value, "w": 2}),
        )
    };
    let updates = set("{'.a.${v}': '${w}', .plain: [1, '${v}']}", json!("x.y")).unwrap();
    assert_eq!(updates["updates"], json!({".a.\"x.y\"": 2, ".plain": [1, "x.y"]}));
    assert_eq!(
        set("{.a: 1, b: {c: null}}", json!(1)).unwrap()["updates"],
        json!({".a": 1, ".b": {"c": null}})
    );
    assert_eq!(set("{'.${v}': 1, .a: 2}", json!("a")), Err("updates: .a is set twice".to_owned()));
}

#[test]
fn an_empty_text_is_no_value_for_a_required_field_and_one_for_another() {
    let empty = json!({"v": "", "w": 2});
    assert_eq!(
        given("{type: http_request, url: '${v}'}", &empty),
        Err("url: a value is needed, and v gave none".to_owned())
    );
    assert_eq!(
        given("{type: http_request, url: u, body: '${v}'}", &empty),
        Ok(json!({"url": "u", "body": ""}))
    );
}

#[test]
fn an_expression_that_fails_names_its_field() {
    let error = given("{type: http_request, url: '${1 / v}'}", &json!({"v": 0, "w": 2})).unwrap_err();
    assert!(error.starts_with("url: "), "{error}");
}

#[test]
fn a_filter_over_what_is_no_list_says_what_it_is() {
    let filter = |value: Value| given("{type: filter, items: '${v}', condition: item > 1}", &json!({"v": value, "w": 2}));
    assert_eq!(filter(json!([1, 2, 3])), Ok(json!({"items": [2, 3]})));
    assert_eq!(filter(json!("a")), Err("items: a list is needed, not text".to_owned()));
    assert!(filter(json!(["a"])).unwrap_err().starts_with("condition: "));
}

#[test]
fn the_outcome_is_said_in_one_word() {
    let outcome = |result| ending(&step("{type: delay, seconds: 1, outcome: v}"), result).variables;
    assert_eq!(outcome(Ok(Answer::default())), Map::from_iter([("v".to_owned(), json!("success"))]));
    assert_eq!(outcome(Err(Fault::default())), Map::from_iter([("v".to_owned(), json!("failed"))]));
}

#[test]
fn a_failed_word_stands_for_what_was_found_only_where_the_step_type_has_one() {
    let output = |of: &str| {
        ending(
            &step(of),
            Err(Fault {
                output: json!("printed"),
                ..Fault::default()
            }),
        )
        .output
    };
    assert_eq!(output("{type: health_check, method: tcp, host: h, port: 1}"), "failed");
    assert_eq!(output("{type: http_request, url: u, output: v}"), "printed");
    assert_eq!(output("{type: http_request, url: u, output: health_status}"), "failed");
}
