use super::*;

fn layer(loop_variable: Option<(&str, Value)>, variables: &[(&str, Value)]) -> Layer {
    Layer {
        loop_variable: loop_variable.map(|(name, value)| (name.to_owned(), value)),
        variables: variables.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
        ..Layer::default()
    }
}

fn look(layers: &[&Layer], name: &str) -> Option<Value> {
    let failure = Failure {
        step: None,
        message: "no".to_owned(),
    };
    let identity = Identity {
        operation_name: "op".to_owned(),
        ..Identity::default()
    };
    let view = View {
        layers,
        identity: &identity,
        now: Timestamp::UNIX_EPOCH,
        attempt: 3,
        failure: Some(&failure),
        result: None,
    };
    view.lookup(name).map(Cow::into_owned)
}

#[test]
fn loop_variables_come_first_then_the_innermost_variable_then_built_ins() {
    let outer = layer(None, &[("a", json!("outer")), ("b", json!("outer")), ("attempt", json!("mine"))]);
    let middle = layer(Some(("a", json!("loop"))), &[("b", json!("middle"))]);
    let inner = layer(Some(("c", json!("inner loop"))), &[("a", json!("inner")), ("c", json!("inner"))]);
    let layers = [&outer, &middle, &inner];
    for (name, value) in [
        ("a", "loop"),
        ("b", "middle"),
        ("c", "inner loop"),
        ("attempt", "mine"),
        ("operation_name", "op"),
    ] {
        assert_eq!(look(&layers, name), Some(json!(value)), "{name}");
    }
    assert_eq!(look(&[&middle], "attempt"), Some(json!(3)));
}

#[test]
fn what_nothing_defines_is_nothing() {
    for name in ["unknown", "failed_step", "result"] {
        assert_eq!(look(&[], name), None, "{name}");
    }
    assert_eq!(look(&[], "error_message"), Some(json!("no")));
}

#[test]
fn steps_of_all_layers_are_seen_and_the_innermost_of_a_name_counts() {
    let with = |steps: Value| Layer {
        steps: steps.as_object().cloned().unwrap_or_default(),
        ..Layer::default()
    };
    let (outer, inner) = (with(json!({"a": 1, "b": 1})), with(json!({"b": 2})));
    assert_eq!(look(&[&outer, &inner], "steps"), Some(json!({"a": 1, "b": 2})));
}
