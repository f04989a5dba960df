use serde_json::json;

use super::{Expression, names};

#[test]
fn names_are_those_read_from_the_scope() {
    for (text, expected) in [
        ("a + b.c[d].e(f)", None),
        ("a + b.c[d].contains(f)", Some(vec!["a", "b", "d", "f"])),
        ("items.filter(x, x.a == y).map(x, x)", Some(vec!["items", "y"])),
        ("x.all(x, x)", Some(vec!["x"])),
        ("steps.deploy.output || steps['x'].status", Some(vec!["steps"])),
        ("size(size) + {'k': v}.k", Some(vec!["size", "v"])),
        ("true && null == 'name'", Some(vec![])),
    ] {
        let names = Expression::parse(text).ok();
        let names = names.as_ref().map(|expression| expression.names().into_iter().collect::<Vec<_>>());
        assert_eq!(names, expected, "{text}");
    }
    let condition = Expression::parse_condition("'${a}-${b.c}' == ${d} && 'e'.matches('f')").unwrap();
    assert_eq!(condition.names().into_iter().collect::<Vec<_>>(), ["a", "b", "d"]);
}

#[test]
fn members_of_a_name_are_the_first_of_each_path() {
    let expression = Expression::parse("steps.a.output + steps['b'].c + other.d + has(steps.e) + steps[f].g").unwrap();
    assert_eq!(expression.members_of("steps").into_iter().collect::<Vec<_>>(), ["a", "b", "e"]);
    assert!(expression.members_of("nothing").is_empty());
}

#[test]
fn comparisons_are_of_a_name_with_a_literal() {
    for (text, expected) in [
        ("a == 'x' && 1 != b", vec![("a", json!("x")), ("b", json!(1))]),
        ("a in ['x', 'y']", vec![("a", json!("x")), ("a", json!("y"))]),
        ("NOT '${a}' == 'x'", vec![("a", json!("x"))]),
        (
            "(${a}) == -1.5 ? b == true : c.d == 'no'",
            vec![("a", json!(-1.5)), ("b", json!(true))],
        ),
        ("items.all(x, x == 'no' && a == 'x')", vec![("a", json!("x"))]),
        ("a < 'x' || a == b || 'x' in a", vec![]),
    ] {
        let condition = Expression::parse_condition(text).unwrap();
        let pairs: Vec<_> = condition
            .comparisons()
            .into_iter()
            .map(|(name, value)| (name, value.clone()))
            .collect();
        assert_eq!(pairs, expected, "{text}");
    }
}

#[test]
fn raw_around_the_whole_is_told_and_changes_nothing_of_the_value() {
    for (text, raw) in [("raw(platform)", true), (" raw( platform ) ", true), ("platform", false)] {
        let expression = Expression::parse(text).unwrap();
        assert_eq!(
            (expression.is_raw(), expression.evaluate(&names())),
            (raw, Ok(json!("fly.io"))),
            "{text}"
        );
        assert_eq!(expression.source(), text);
    }
}

#[test]
fn an_expression_is_shared_between_threads() {
    fn shared<T: Send + Sync + Clone + 'static>(_: &T) {}
    shared(&Expression::parse("platform.matches('a')").unwrap());
}
