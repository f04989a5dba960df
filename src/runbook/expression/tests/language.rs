use serde_json::json;

use super::{assert_failures, assert_values};

#[test]
fn a_literal_is_its_value() {
    assert_values(&[
        ("1", json!(1)),
        ("-9223372036854775808", json!(i64::MIN)),
        ("0x1F", json!(31)),
        ("1.5", json!(1.5)),
        (".5", json!(0.5)),
        ("1e3", json!(1000.0)),
        ("2.5E-1", json!(0.25)),
        ("'a\\n\\u00e9'", json!("a\né")),
        (r#""it's""#, json!("it's")),
        (r"r'\d'", json!(r"\d")),
        ("'${x} stays'", json!("${x} stays")),
        ("true", json!(true)),
        ("null", json!(null)),
        ("[1, 'a', [null],]", json!([1, "a", [null]])),
        ("{'a': 1, 'b': {},}", json!({"a": 1, "b": {}})),
        ("{1: 'a', true: count}", json!({"1": "a", "true": 3})),
        ("[]", json!([])),
    ]);
}

#[test]
fn arithmetic_is_that_of_cel_and_mixes_integers_with_doubles() {
    assert_values(&[
        ("1 + 2 * 3 - 4", json!(3)),
        ("(1 + 2) * 3", json!(9)),
        ("7 / 2", json!(3)),
        ("-7 / 2", json!(-3)),
        ("-7 % 3", json!(-1)),
        ("--count", json!(3)),
        ("7.0 / 2", json!(3.5)),
        ("count * ratio", json!(1.5)),
        ("1 - 0.5", json!(0.5)),
        ("'a' + 'b' + 'c'", json!("abc")),
        ("[1] + lines + [2]", json!([1, "b", "a", 2])),
        ("1.0 / 0.0 > 5.0", json!(true)),
    ]);
    assert_failures(&[
        ("9223372036854775807 + 1", "no integer of 64 bits"),
        ("-9223372036854775808 - 1", "no integer of 64 bits"),
        ("-(-9223372036854775808)", "no integer of 64 bits"),
        ("-9223372036854775808 / -1", "no integer of 64 bits"),
        ("4611686018427387904 * 2", "no integer of 64 bits"),
        ("huge + 1", "no integer of 64 bits"),
        ("1 / 0", "by zero"),
        ("1 % 0", "by zero"),
        ("1.5 % 1.0", "`%` does not apply to a double and a double"),
        ("1.0 / 0.0", "infinite or not a number"),
        ("[0.0 / 0.0]", "infinite or not a number"),
        ("'a' + 1", "`string(x)`"),
        ("platform - 1", "text and an integer"),
        ("-platform", "stands before a number, got text"),
        ("!count", "only a boolean"),
    ]);
}

#[test]
fn values_of_different_types_are_unequal_and_never_an_error() {
    assert_values(&[
        ("1 == 1.0", json!(true)),
        ("1 != 1.5", json!(true)),
        ("huge == 18446744073709551616.0", json!(true)),
        ("1 == '1'", json!(false)),
        ("null == 0", json!(false)),
        ("null == ''", json!(false)),
        ("[1, [2]] == [1.0, [2.0]]", json!(true)),
        ("{'a': 1, 'b': 2} == {'b': 2, 'a': 1.0}", json!(true)),
        ("{'a': 1} == {'a': 2}", json!(false)),
        ("{'a': 1} == {'b': 1}", json!(false)),
        ("[] == {}", json!(false)),
        ("lines != ['b', 'a']", json!(false)),
        ("0.0 / 0.0 == 0.0 / 0.0", json!(false)),
    ]);
}

#[test]
fn the_texts_true_and_false_equal_the_booleans() {
    assert_values(&[
        ("yes == true", json!(true)),
        ("true == yes", json!(true)),
        ("yes == false", json!(false)),
        ("no == false", json!(true)),
        ("no != true", json!(true)),
        ("yes in [true]", json!(true)),
        ("'True' == true", json!(false)),
        ("platform == true", json!(false)),
    ]);
}

#[test]
fn order_is_of_two_numbers_two_texts_or_two_booleans_and_an_error_across_types() {
    assert_values(&[
        ("1 < 1.5", json!(true)),
        ("2 >= 2.0", json!(true)),
        ("huge > 9223372036854775807", json!(true)),
        ("'a' < 'b'", json!(true)),
        ("'B' <= 'a'", json!(true)),
        ("false < true", json!(true)),
        ("0.0 / 0.0 <= 1.0", json!(false)),
        ("1 < 2 == true", json!(true)),
    ]);
    assert_failures(&[
        ("'1' < 2", "`int(x)`"),
        ("null < 1", "got null and an integer"),
        ("[1] > [0]", "got a list and a list"),
        ("yes > true", "got text and a boolean"),
    ]);
}

#[test]
fn membership_is_of_items_and_keys() {
    assert_values(&[
        ("'a' in lines", json!(true)),
        ("1.0 in [1]", json!(true)),
        ("'a' in map", json!(true)),
        ("'z' in map", json!(false)),
        ("1 in {1: 'x'}", json!(true)),
        ("1 in map", json!(false)),
        ("[1] in map", json!(false)),
        ("'a' in nothing", json!(false)),
        ("'a' in missing", json!(false)),
    ]);
    assert_failures(&[("'a' in 'abc'", "`text.contains('part')`"), ("1 in 1", "got an integer")]);
}

#[test]
fn logic_is_that_of_cel_where_one_side_can_make_up_for_a_failure_on_the_other() {
    assert_values(&[
        ("true && false", json!(false)),
        ("1 / 0 == 1 && false", json!(false)),
        ("false && 1 / 0 == 1", json!(false)),
        ("1 / 0 == 1 || true", json!(true)),
        ("true || 1 / 0 == 1", json!(true)),
        ("count && false", json!(false)),
        ("false || 1 / 0 == 1 || true", json!(true)),
        ("false || false", json!(false)),
        ("true && true && true", json!(true)),
        ("false && true || true", json!(true)),
        ("!!true", json!(true)),
        ("[1, 0].exists(x, 1 / x == 1)", json!(true)),
        ("[0, 1].exists(x, 1 / x == 1)", json!(true)),
        ("[0, 1].all(x, 1 / x == 2)", json!(false)),
    ]);
    assert_failures(&[
        ("1 / 0 == 1 || false", "by zero"),
        ("true && 1 / 0 == 1", "by zero"),
        ("true && yes", "got text: compare it"),
        ("false || 'x'", "joins booleans"),
        ("[0].all(x, 1 / x == 1)", "by zero"),
    ]);
}

#[test]
fn a_choice_evaluates_the_chosen_side_only() {
    assert_values(&[
        ("force ? 'a' : 1 / 0", json!("a")),
        ("!force ? 1 / 0 : 'b'", json!("b")),
        ("false ? 1 : false ? 2 : 3", json!(3)),
        ("true ? false ? 1 : 2 : 3", json!(2)),
        ("count == 3 || false ? [1] : []", json!([1])),
    ]);
    assert_failures(&[("yes ? 1 : 2", "before `?`"), ("nothing ? 1 : 2", "before `?`")]);
}

#[test]
fn what_is_missing_is_null() {
    assert_values(&[
        ("missing", json!(null)),
        ("missing.a.b['c'][0]", json!(null)),
        ("map.z", json!(null)),
        ("map['z'].y", json!(null)),
        ("lines[2]", json!(null)),
        ("lines[huge]", json!(null)),
        ("steps.other.output", json!(null)),
        ("has(map.a)", json!(true)),
        ("has(map.b.c)", json!(true)),
        ("has(map.z)", json!(false)),
        ("has(missing.a.b)", json!(false)),
        ("has(steps.deploy.error)", json!(true)),
        ("has(measure.length)", json!(true)),
    ]);
}

#[test]
fn members_are_read_by_name_or_by_any_text() {
    assert_values(&[
        ("map.b.c", json!("deep")),
        ("map['b']['c']", json!("deep")),
        ("map['with-dash']", json!(5)),
        ("map.in + map.NOT", json!(13)),
        ("items[1].name", json!("b")),
        ("{1: 'a'}[1]", json!("a")),
        ("(map).b.c", json!("deep")),
        ("huge", json!(u64::MAX)),
    ]);
    assert_failures(&[
        ("lines[-1]", "items.length - 1"),
        ("lines[0.0]", "an integer, got a double"),
        ("lines.name", "`items[0].name`"),
        ("count.name", "an integer has no member `name`"),
        ("platform[0]", "got text"),
        ("map[null]", "key of a map"),
        ("has(count.x)", "got an integer"),
        ("{1.5: 1}", "a key of a map"),
        ("{1: 1, '1': count}", "same text"),
    ]);
}

#[test]
fn macros_run_over_items_or_keys() {
    assert_values(&[
        ("items.filter(x, x.ready).map(x, x.name)", json!(["a"])),
        ("items.map(x, x.size > 5, x.name)", json!(["b"])),
        ("items.all(x, x.size > 0)", json!(true)),
        ("items.exists(x, x.name == 'b')", json!(true)),
        ("items.exists_one(x, x.size > 0)", json!(false)),
        ("items.exists_one(x, x.ready)", json!(true)),
        ("[].all(x, false)", json!(true)),
        ("[].exists(x, true)", json!(false)),
        ("map.filter(k, k.contains('a'))", json!(["a", "with-dash"])),
        ("map.exists(k, k == 'b')", json!(true)),
        ("[1, 2].map(x, [10, 20].map(y, x + y))", json!([[11, 21], [12, 22]])),
        ("[[1], [2, 3]].map(x, x.map(x, x * 2))", json!([[2], [4, 6]])),
        ("[1].map(count, count) + [count]", json!([1, 3])),
    ]);
    assert_failures(&[
        ("nothing.all(x, true)", "`(items || []).all(...)`"),
        ("platform.map(x, x)", "got text"),
        ("items.filter(x, x.name)", "the condition of `filter` is a boolean, got text"),
        ("items.all(x, x.name)", "the condition of `all`"),
        ("items.exists_one(x, 1)", "the condition of `exists_one`"),
    ]);
}
