//! The expression language agrees with the `cel` crate wherever that yields a value.
//!
//! Left out are the places where the language differs on purpose (a text equals a boolean, `||` of what is no boolean, members of null,
//! `.length`) and those where the crate differs from the specification of CEL, which a table below lists.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::{Union, ValueTree};
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use thermostat::runbook::{Expression, Scope};

/// Beyond this the crate may overflow its stack.
const LONGEST: usize = 1024;

/// How many expressions are compared.
const CASES: usize = 1500;

struct Names(Value);

impl Scope for Names {
    fn lookup(&self, name: &str) -> Option<Cow<'_, Value>> {
        self.0.get(name).map(Cow::Borrowed)
    }
}

fn names() -> Value {
    json!({
        "n": 3,
        "x": 7,
        "flag": true,
        "word": "fly.io",
        "numbers": [1, 2, 3],
        "words": ["a", "b"],
        "map": {"a": 1, "b": {"c": "deep", "d": [4, 5]}, "none": null},
    })
}

/// Strategies for the texts of expressions, by the type of their value.
struct Level {
    integer: BoxedStrategy<String>,
    double: BoxedStrategy<String>,
    boolean: BoxedStrategy<String>,
    text: BoxedStrategy<String>,
    integers: BoxedStrategy<String>,
    texts: BoxedStrategy<String>,
}

fn words(words: &str) -> BoxedStrategy<String> {
    select(words.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).boxed()
}

/// The templates, split at `;`, with each type's letter after a dollar replaced by an expression of that type.
fn templates(level: &Level, templates: &str) -> BoxedStrategy<String> {
    Union::new(templates.split(';').map(|template| fill(level, template.trim()))).boxed()
}

fn fill(level: &Level, template: &str) -> BoxedStrategy<String> {
    let mut filled = Just(String::new()).boxed();
    let mut rest = template;
    while let Some(at) = rest.find('$') {
        let before = rest[..at].to_owned();
        let part = match &rest[at + 1..at + 2] {
            "i" => &level.integer,
            "d" => &level.double,
            "b" => &level.boolean,
            "t" => &level.text,
            "I" => &level.integers,
            "T" => &level.texts,
            other => panic!("{other} is no type"),
        };
        filled = (filled, part.clone())
            .prop_map(move |(filled, part)| format!("{filled}{before}{part}"))
            .boxed();
        rest = &rest[at + 2..];
    }
    let after = rest.to_owned();
    filled.prop_map(move |filled| filled + &after).boxed()
}

fn atoms() -> Level {
    Level {
        integer: words(
            "0 1 2 3 -1 -7 42 0x1F 9223372036854775807 -9223372036854775807 n x -n map.a map['a'] numbers[0] numbers[2] map.b.d[1]",
        ),
        double: words("0.5 1.25 -2.75 .5 1e3 2.5e-1 100.0 0.0"),
        boolean: words("true false flag !flag !true has(map.a) has(map.z) has(map.b.c)"),
        text: words(r#"'' 'a' "b" 'abc' '42' '-7' '1.5' 'é' '\n\x41\u00e9\101' r'\d' word map.b.c words[0] words[1]"#),
        integers: words("[] [1] [1,2,3] [3,n,x,] numbers map.b.d"),
        texts: words("[] ['a','b'] [word,] words"),
    }
}

fn next(level: &Level) -> Level {
    Level {
        integer: templates(
            level,
            "$i + $i;$i - $i;$i * $i;$i / $i;$i % $i;$i + $i * $i - $i;($i);($b ? $i : $i);size($I);$I.size();size($T);$I[$i];int(2.75);\
             int(-0.5);int('42');int($t);{'a': $i, 'b': $t}.a;{'a': $i}['a'];{1: $i, true: 2}[1];$I.map(x, $i)[0];size({'k': $t, 'l': $i})",
        ),
        double: templates(
            level,
            "$d + $d;$d - $d;$d * $d;$d / $d;($d);($b ? $d : $d);double($i);double('1.5');double($t)",
        ),
        boolean: templates(
            level,
            "$b && $b;$b || $b;!($b);($b);($b ? $b : $b);$b == $b;$b != $b;$i == $i;$i != $i;$i < $i;$i <= $i;$i > $i;$i >= $i;\
             ($d) == ($d);($d) < ($d);($d) >= ($d);($d) < ($i);($i) >= ($d);($t) == ($t);$t != $t;$t < $t;$t >= $t;$i in $I;$t in $T;$t in map;\
             $i in {1: 2, 3: 4};'a' in {'a': $i};$I == $I;$T != $T;{'a': $i, 'b': $t} == {'b': $t, 'a': $i};$i == ($t);null == ($t);\
             map.none == null;$I == $T;$i < ($t);$t.contains($t);$t.startsWith($t);$t.endsWith($t);$t.matches('^[a-z]+');$t.matches(r'\\d');\
             word.matches($t);$I.contains($i);$I.all(x, $b);$I.all(x, x > $i);$I.exists(x, x == $i);$I.exists(y, y < x);$I.exists_one(x, x > $i);\
             $T.exists(t, t == $t);map.all(k, k != $t);map.exists(k, k == $t);{$t: 1}.exists_one(k, k < $t);$i / 0 == 1 || $b;$b || $i / 0 == 1;\
             $i % 0 == 1 && $b;$b && 1 / 0 == 1",
        ),
        text: templates(
            level,
            "($t + $t);($t + $t + $t);($t);($b ? $t : $t);string($i);string($d);string($t);{'a': $t, 'b': $i}.a;$T[$i];$T.map(t, t + $t)[0]",
        ),
        integers: templates(
            level,
            "[$i];[$i, $i,];($I + $I);($b ? $I : $I);$I.map(x, $i);$I.map(x, x * 2);$I.map(x, $b, $i);$I.filter(x, x > $i);$I.filter(y, $b);\
             $I.map(y, $I.filter(x, x < y).size());$T.map(t, size([t]))",
        ),
        texts: templates(
            level,
            "[$t];[$t, $t];($T + $T);$T.filter(t, t != $t);$T.map(t, t + $t);$I.map(i, string(i));{'k': $i}.map(k, k);{$t: 1}.filter(k, $b)",
        ),
    }
}

/// Expressions of every type, up to four operators deep.
fn expressions() -> BoxedStrategy<String> {
    let one = next(&atoms());
    let two = next(&one);
    let three = next(&two);
    let four = next(&three);
    let levels = [one, two, three, four].into_iter();
    Union::new(levels.flat_map(|level| [level.integer, level.double, level.boolean, level.text, level.integers, level.texts])).boxed()
}

/// A value of JSON as one of the crate. By hand, for its own conversion makes unsigned integers of positive ones.
fn to_cel(value: &Value) -> cel::Value {
    match value {
        Value::Null => cel::Value::Null,
        Value::Bool(boolean) => cel::Value::Bool(*boolean),
        Value::Number(number) => number
            .as_i64()
            .map_or_else(|| cel::Value::Float(number.as_f64().unwrap()), cel::Value::Int),
        Value::String(text) => cel::Value::String(Arc::new(text.clone())),
        Value::Array(values) => cel::Value::List(Arc::new(values.iter().map(to_cel).collect())),
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| (key.clone(), to_cel(value)))
            .collect::<std::collections::HashMap<_, _>>()
            .into(),
    }
}

/// A value of the crate as JSON; `None` for an infinite double, which has no place there.
fn to_json(value: &cel::Value) -> Option<Value> {
    Some(match value {
        cel::Value::Null => Value::Null,
        cel::Value::Bool(boolean) => json!(boolean),
        cel::Value::Int(integer) => json!(integer),
        cel::Value::Float(double) => Value::Number(serde_json::Number::from_f64(*double)?),
        cel::Value::String(text) => json!(**text),
        cel::Value::List(values) => Value::Array(values.iter().map(to_json).collect::<Option<_>>()?),
        other => panic!("no expression of the grammar yields {other:?}"),
    })
}

/// What the crate makes of an expression, if it yields a value. It panics in places, as when it negates the least integer.
fn oracle(text: &str, context: &cel::Context<'_>) -> Option<cel::Value> {
    catch_unwind(AssertUnwindSafe(|| cel::Program::compile(text).ok()?.execute(context).ok()))
        .ok()
        .flatten()
}

fn compare() {
    let scope = Names(names());
    let mut context = cel::Context::default();
    for (name, value) in scope.0.as_object().unwrap() {
        context.add_variable_from_value(name.clone(), to_cel(value));
    }
    let strategy = expressions();
    let mut runner = TestRunner::new(Config::default());
    let mut agreed = 0;
    for _ in 0..CASES {
        let text = strategy.new_tree(&mut runner).unwrap().current();
        let Some(theirs) = (text.len() < LONGEST).then(|| oracle(&text, &context)).flatten() else {
            continue;
        };
        let ours = Expression::parse(&text)
            .unwrap_or_else(|error| panic!("{text}: {error}"))
            .evaluate(&scope);
        match to_json(&theirs) {
            Some(theirs) => assert_eq!(ours, Ok(theirs), "{text}"),
            None => assert!(ours.is_err(), "{text}"),
        }
        agreed += 1;
    }
    assert!(
        agreed > CASES / 3,
        "the crate yielded only {agreed} values of {CASES}: the comparison says little"
    );
}

#[test]
fn the_language_agrees_with_cel_wherever_that_yields_a_value() {
    thread::Builder::new()
        .stack_size(64 * 1024 * 1024)
        .spawn(compare)
        .unwrap()
        .join()
        .unwrap();
}

#[test]
fn where_the_crate_differs_from_the_specification_the_language_does_not_follow() {
    let scope = Names(names());
    for (text, theirs, ours) in [
        ("1 == 1.0", json!(false), Some(json!(true))),
        ("1.0 in [1]", json!(false), Some(json!(true))),
        ("size('é')", json!(2), Some(json!(1))),
        (r#"'\"'"#, json!("\\\""), Some(json!("\""))),
        ("(1).a", json!(false), None),
        ("'1'.contains(1)", json!(false), None),
        ("[1] + {'a': 1}", json!([1, "a"]), None),
        ("int(0.0 / 0.0)", json!(0), None),
        ("int(9223372036854775808.0)", json!(i64::MAX), None),
    ] {
        let crate_value = oracle(text, &cel::Context::default()).and_then(|value| to_json(&value));
        assert_eq!(crate_value, Some(theirs), "{text}");
        assert_eq!(Expression::parse(text).unwrap().evaluate(&scope).ok(), ours, "{text}");
    }
}
