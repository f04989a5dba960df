use std::borrow::Cow;
use std::cell::Cell;
use std::thread;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Expression, Names, Scope, assert_failures, evaluate, names, parse_error};

/// Runs with as much stack as half a default thread has, so that nothing comes near the end of a real one.
fn with_small_stack(test: impl FnOnce() + Send + 'static) {
    thread::Builder::new().stack_size(1024 * 1024).spawn(test).unwrap().join().unwrap();
}

#[test]
fn a_text_of_any_shape_neither_overflows_the_stack_nor_takes_long() {
    let patterns =
        "( ! - NOT~ a?b: a? [ {'a': a.b .b a+ a* a== a&& a|| a[ size( a.all(x, a.trim(). { '${ ${ ' x.map(y, 1, a~in~ [1, has(a. !-";
    with_small_stack(move || {
        for pattern in patterns.split(' ').map(|pattern| pattern.replace('~', " ")) {
            for (start, end) in [("", "a"), ("a", ""), ("[", "a]"), ("a", ".trim()")] {
                let text = format!("{start}{}{end}", pattern.repeat(10_000 / pattern.len()));
                for expression in [Expression::parse(&text), Expression::parse_condition(&text)].into_iter().flatten() {
                    let copy = expression.clone();
                    assert_eq!(expression.evaluate(&names()), copy.evaluate(&names()), "{pattern}");
                    assert!(copy.names().len() + copy.comparisons().len() <= text.len());
                }
            }
        }
    });
}

#[test]
fn brackets_may_nest_to_the_limit_with_every_operator_between_and_no_deeper() {
    with_small_stack(|| {
        let level = "(false ? 1 : missing || true && NOT 1 == 1 + 2 * -size([";
        let nested = |levels: usize| format!("{}1{}", level.repeat(levels), "]))".repeat(levels));
        let deepest = Expression::parse(&nested(10)).unwrap();
        assert_eq!(deepest.evaluate(&names()), Ok(json!(true)));
        assert_eq!(deepest.clone().names().len(), 1);
        for text in [nested(11), "(".repeat(33) + "1" + &")".repeat(33)] {
            assert!(parse_error(&text).message.contains("deeper than 32"), "{text}");
        }
        assert_eq!(evaluate(&("(".repeat(32) + "1" + &")".repeat(32))), Ok(json!(1)));
    });
}

#[test]
fn long_chains_have_their_value() {
    let sum = "1+".repeat(30_000) + "1";
    assert_eq!(evaluate(&sum), Ok(json!(30_001)));
    let text = "'ab'+".repeat(10_000) + "'c'";
    assert_eq!(evaluate(&text).unwrap().as_str().map(str::len), Some(20_001));
    let path = "map".to_owned() + &".b".repeat(30_000);
    assert_eq!(evaluate(&path), Ok(json!(null)));
    assert_eq!(evaluate(&("!".repeat(30_001) + "true")), Ok(json!(false)));
    assert_eq!(evaluate(&("false ? 1 : ".repeat(5_000) + "2")), Ok(json!(2)));
    assert_eq!(evaluate(&("' a '".to_owned() + &".trim()".repeat(9_000))), Ok(json!("a")));
}

#[test]
fn a_text_above_64_kib_is_refused() {
    let error = parse_error(&"a".repeat(64 * 1024 + 1));
    assert_eq!(error.message, "an expression has at most 65536 bytes, this one 65537");
    assert!(Expression::parse(&"a".repeat(64 * 1024)).is_ok());
}

#[test]
fn more_than_100_000_steps_are_refused_and_nothing_makes_up_for_that() {
    let thousand = Value::from((0..1000).collect::<Vec<_>>());
    let scope = Names(json!({"a": thousand, "long": "x".repeat(1_000_000)}));
    for text in [
        "a.all(x, a.all(y, x + y >= 0)) || true",
        "a.exists(x, a.exists(y, x + y < 0)) && false",
        "a.filter(x, a == a)",
        "a.filter(x, x in a)",
        "a.filter(x, long.contains('y'))",
        "a.filter(x, long == long)",
        "a.filter(x, long.matches('y'))",
        "a.filter(x, 'a'.matches(string(x)))",
    ] {
        let error = Expression::parse(text).unwrap().evaluate(&scope).unwrap_err().0;
        assert!(error.contains("more than 100000 steps"), "{text}: {error}");
    }
}

#[test]
fn more_than_1_mib_of_text_is_refused_however_it_is_built() {
    let scope = Names(json!({"long": "x".repeat(1000), "a": (0..5000).collect::<Vec<_>>(), "big": [["x".repeat(300_000)]]}));
    for text in [
        "a.map(x, long)",
        "a.map(x, a.map(y, x))",
        "a.map(x, long).join('')",
        "a.join(long)",
        "a.map(x, long + string(x))",
        "long.replace('x', long + long)",
        "long.replace('', long + long)",
        "a.map(x, [x, x, x, x, x, x, x, x, x, x, x, x, x])",
        "[big, big, big, big]",
        "{'a': big, 'b': big, 'c': {'d': big, 'e': big}}",
        "string(big) + string(big) + string(big)",
        "a.map(x, long.upperAscii()).size() > 0",
    ] {
        let error = Expression::parse(text).unwrap().evaluate(&scope).unwrap_err().0;
        assert!(error.contains("more than 1048576 bytes"), "{text}: {error}");
    }
}

#[test]
fn what_is_built_nests_100_levels_deep_and_no_deeper() {
    with_small_stack(|| {
        let nested = |levels: usize| (0..levels).fold(json!(1), |inner, _| json!([inner]));
        let scope = Names(json!({"deep": nested(100)}));
        let evaluate = |text: &str| Expression::parse(text).unwrap().evaluate(&scope).map_err(|error| error.0);
        let wrapped = |levels: usize| "[1]".to_owned() + &".map(x, [x])".repeat(levels);
        assert_eq!(evaluate(&wrapped(99)), Ok(nested(100)));
        assert_eq!(evaluate("deep"), Ok(nested(100)));
        for text in [
            &wrapped(100),
            &wrapped(5000),
            "[deep]",
            "{'a': deep}",
            "string([deep])",
            &("[1]".to_owned() + &".map(x, {'a': [x, x]})".repeat(2000)),
        ] {
            assert!(evaluate(text).unwrap_err().contains("deeper than 100 levels"), "{}", &text[..10]);
        }
        let doubled = "[1]".to_owned() + &".map(x, [x, x])".repeat(60);
        assert!(evaluate(&doubled).unwrap_err().contains("more than 1048576 bytes"));
        assert!(
            evaluate(&format!("[{doubled}].exists(l, l == {doubled})"))
                .unwrap_err()
                .contains("more than 100000 steps")
        );
    });
}

#[test]
fn what_is_only_passed_on_costs_nothing() {
    let long = "x".repeat(3_000_000);
    let scope = Names(json!({"long": long, "list": [long]}));
    for (text, value) in [
        ("long", json!(long)),
        ("list[0]", json!(long)),
        ("list", json!([long])),
        ("false || size(list) == 1 ? long : ''", json!(long)),
    ] {
        assert_eq!(Expression::parse(text).unwrap().evaluate(&scope), Ok(value), "{text}");
    }
}

#[test]
fn ten_thousand_items_are_filtered_within_the_budget() {
    let items: Vec<_> = (0..10_000)
        .map(|index| json!({"a": index, "b": "ready", "c": {"big": [index, index]}}))
        .collect();
    let scope = Names(json!({"items": items}));
    let expression = Expression::parse("items.filter(x, x.a >= 9990 && x.b == 'ready')").unwrap();
    assert_eq!(expression.evaluate(&scope).unwrap(), json!(items[9990..]));
}

#[test]
fn a_name_is_looked_up_once_and_only_if_it_is_read() {
    struct Counting(Cell<usize>);
    impl Scope for Counting {
        fn lookup(&self, name: &str) -> Option<Cow<'_, Value>> {
            assert_ne!(name, "unread");
            self.0.set(self.0.get() + 1);
            Some(Cow::Owned(json!([1, 2, 3])))
        }
    }
    let scope = Counting(Cell::new(0));
    let expression = Expression::parse("a.all(x, x in a && a.size() == 3) || unread").unwrap();
    assert_eq!(expression.evaluate(&scope), Ok(json!(true)));
    assert_eq!(scope.0.get(), 1);
}

#[test]
fn a_pattern_is_bounded() {
    assert_eq!(
        evaluate(r"'some.one@example.org'.matches(r'^[\w.+-]+@(\w+\.)+\w{2,10}$')"),
        Ok(json!(true))
    );
    assert_failures(&[
        (r"platform.matches(r'(\pL{100}){100}')", "too large once it is compiled"),
        ("platform.matches('((a{100}){100}){100}')", "too large once it is compiled"),
        ("platform.matches(empty + '(a{500}){500}')", "too large once it is compiled"),
    ]);
    let deep = format!("platform.matches('{}{}')", "(".repeat(1000), ")".repeat(1000));
    assert!(parse_error(&deep).message.contains("no regular expression"));
    let many: Vec<_> = (0..1000).map(|index| format!("platform.matches('{index}')")).collect();
    let large: Vec<_> = (0..26).map(|index| format!(r"platform.matches(r'\w{{9}}{index}')")).collect();
    assert_failures(&[
        (&many.join(" || "), "more than 100000 steps"),
        (&large.join(" || "), "more than 100000 steps"),
    ]);
}

/// Pieces of the language, in any order.
fn pieces() -> impl Strategy<Value = String> {
    let pieces = "a items map x 1 -1 2.5 'a' '${a}' \"b\" r'c' true null [ ] { } ( ) , : ? + - * / % ! == != < >= && || ~AND~ ~OR~ ~NOT~ ~in~ . \
                  .length .b size( has( .map(x, .all(x, .split( .join( .matches( int( string( ${ $${ ' \\ é ~";
    let piece = prop::sample::select(
        pieces
            .split(' ')
            .filter(|piece| !piece.is_empty())
            .map(|piece| piece.replace('~', " "))
            .collect::<Vec<_>>(),
    );
    prop::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,60}") {
        for parsed in [Expression::parse(&text), Expression::parse_condition(&text)] {
            match parsed {
                Ok(expression) => { let _ = expression.evaluate(&names()); }
                Err(error) => prop_assert!(text.is_char_boundary(error.offset), "{error:?}"),
            }
        }
    }

    #[test]
    fn no_sequence_of_tokens_panics(text in pieces()) {
        for parsed in [Expression::parse(&text), Expression::parse_condition(&text)] {
            match parsed {
                Ok(expression) => { let _ = (expression.evaluate(&names()), expression.holds(&names()), expression.comparisons()); }
                Err(error) => prop_assert!(text.is_char_boundary(error.offset), "{error:?}"),
            }
        }
    }
}
