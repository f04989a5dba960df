use proptest::prelude::*;
use serde_json::json;

use super::{Expression, Names, assert_values, evaluate, holds, names};

#[test]
fn conditions_in_the_spelling_of_templates_mean_what_they_mean_in_cel() {
    for (condition, expected) in [
        ("${platform} == 'fly.io' AND ${force} == true", true),
        ("platform == 'fly.io' && force", true),
        ("${platform == 'fly.io'} AND NOT ${no}== true", true),
        ("NOT platform == 'x'", true),
        ("NOT platform == 'fly.io' OR force", true),
        ("NOT NOT force AND force", true),
        ("NOT force AND 1 / 0 == 1", false),
        ("(NOT force) == false", true),
        ("'a' in lines AND NOT 'z' in lines", true),
        ("${count} > 2 && ${lines}.length == 2", true),
        ("${lines.length} == 2", true),
        ("${map}.a == 1", true),
        ("${items[0].name} == 'a'", true),
        ("${{'a': 1}.a} == 1", true),
        ("${${count}} == 3", true),
        ("${yes} == true", true),
    ] {
        assert_eq!(holds(condition), Ok(expected), "{condition}");
    }
}

#[test]
fn a_quoted_literal_of_a_condition_renders_what_is_embedded_in_it() {
    for condition in [
        "'${platform}' == 'fly.io'",
        "'${platform}-x' == \"fly.io-x\"",
        "'<${count}|${nothing}|${lines}|${force}|${ratio}>' == '<3||[\"b\",\"a\"]|true|0.5>'",
        "'$${platform}' == '$' + '{platform}'",
        "'$$${platform}' == '$' + '$' + '{platform}'",
        "'costs $5 {}' == 'costs ' + '$5 {}'",
        "'${map['b'].c}!' == 'deep!'",
        "'${'}' + platform}' == '}fly.io'",
        "'é${'${platform}'}ü\\n' == 'éfly.ioü\\n'",
        "r'\\${platform}' == '\\\\' + platform",
        "${platform == '${platform}'}",
        "lines.exists(x, '${x}' == 'a')",
        "'${platform}' in ['fly.io']",
    ] {
        assert_eq!(holds(condition), Ok(true), "{condition}");
    }
}

#[test]
fn a_value_rendered_into_a_literal_never_becomes_a_part_of_the_condition() {
    let scope = Names(json!({"name": "' || true || '${platform}"}));
    let condition = Expression::parse_condition("'${name}' == 'x'").unwrap();
    assert_eq!(condition.holds(&scope), Ok(false));
}

#[test]
fn a_condition_that_yields_no_boolean_is_an_error_and_never_true() {
    for (condition, part) in [
        ("platform", "this one is text"),
        ("yes", "`... == true`"),
        ("count", "this one is an integer"),
        ("missing", "this one is null"),
        ("items", "this one is a list"),
        ("platform || false", "this one is text"),
    ] {
        let error = holds(condition).unwrap_err().0;
        assert!(error.contains(part), "{condition}: {error}");
    }
}

#[test]
fn an_or_after_no_boolean_gives_its_default_where_that_is_null_missing_or_empty() {
    assert_values(&[
        ("nothing || 'd'", json!("d")),
        ("missing || 'd'", json!("d")),
        ("map.z || 'd'", json!("d")),
        ("lines[7] || 'd'", json!("d")),
        ("empty || 'd'", json!("d")),
        ("platform || 'd'", json!("fly.io")),
        ("platform || 1 / 0", json!("fly.io")),
        ("0 || 1", json!(0)),
        ("[] || [1]", json!([])),
        ("missing || empty || lines", json!(["b", "a"])),
        ("missing || nothing", json!(null)),
        ("missing || ''", json!("")),
        ("missing || false", json!(false)),
        ("missing || force", json!(true)),
        ("missing || false || true", json!(true)),
        ("force || 'd'", json!(true)),
        ("(missing || 'a') + 'b'", json!("ab")),
    ]);
    assert!(evaluate("missing || 1 / 0").unwrap_err().0.contains("by zero"));
}

#[test]
fn length_is_the_size_unless_a_map_has_a_member_of_that_name() {
    assert_values(&[
        ("lines.length", json!(2)),
        ("word.length", json!(5)),
        ("map.length", json!(5)),
        ("measure.length", json!(12)),
        ("nothing.length", json!(0)),
        ("missing.a.length", json!(0)),
        ("lines.length > 1 ? 'many' : 'one'", json!("many")),
        ("size(lines) + lines.size()", json!(4)),
    ]);
    assert!(evaluate("count.length").unwrap_err().0.contains("an integer has none"));
}

#[test]
fn functions_convert_and_ask_as_in_cel() {
    assert_values(&[
        ("size(nothing)", json!(0)),
        ("size('größe')", json!(5)),
        ("platform.contains('fly')", json!(true)),
        ("lines.contains('a')", json!(true)),
        ("map.contains('a')", json!(true)),
        ("platform.startsWith('fly') && platform.endsWith('.io')", json!(true)),
        ("platform.matches('^[a-z]+\\\\.io$')", json!(true)),
        ("platform.matches(r'^\\w+$')", json!(false)),
        ("matches(platform, lines[1] + '|io')", json!(true)),
        ("int('42') + int(' -7\\n') + int(2.9) + int(-2.9)", json!(35)),
        ("double('1.5') + double(1)", json!(2.5)),
        ("string(1) + string(1.0) + string(true) + string('x')", json!("11truex")),
        (
            "string(lines) + string(nothing) + string({'a': [1.0, null]})",
            json!("[\"b\",\"a\"]{\"a\":[1.0,null]}"),
        ),
        (
            "[bool('true'), bool('0'), bool(true), bool('False\\n')]",
            json!([true, false, true, false]),
        ),
    ]);
    for (text, part) in [
        ("int('x')", "`int` got a text"),
        ("int('9223372036854775808')", "64 bits"),
        ("int(9223372036854775808.0)", "64 bits"),
        ("int(0.0 / 0.0)", "64 bits"),
        ("int(huge)", "64 bits"),
        ("int(true)", "got a boolean"),
        ("double('x')", "no number"),
        ("double(lines)", "got a list"),
        ("bool('yes')", "neither"),
        ("bool(1)", "got an integer"),
        ("size(1)", "an integer has none"),
        ("nothing.contains('x')", "`(text || '')`"),
        ("platform.contains(1)", "takes text for an argument, got an integer"),
        ("platform.matches(empty + '(')", "no regular expression"),
        ("count.trim()", "`trim` works on text, got an integer"),
    ] {
        let error = evaluate(text).unwrap_err().0;
        assert!(error.contains(part), "{text}: {error}");
    }
}

#[test]
fn functions_on_text_split_join_and_replace() {
    assert_values(&[
        ("'a,b,,c'.split(',')", json!(["a", "b", "", "c"])),
        ("'a,b,c'.split(',', 2)", json!(["a", "b,c"])),
        ("'a,b'.split(',', 0)", json!([])),
        ("'a,b'.split(',', -1)", json!(["a", "b"])),
        ("word.split('')", json!(["g", "r", "ö", "ß", "e"])),
        ("''.split(',')", json!([""])),
        ("''.split('')", json!([])),
        ("(platform + ',x').split(',')", json!(["fly.io", "x"])),
        ("log.trim().split('\\n')", json!(["one", "two"])),
        ("(log + ' ').trim()", json!("one\ntwo")),
        ("lines.join(', ')", json!("b, a")),
        ("lines.join()", json!("ba")),
        ("[1, true, null, 'x'].join('-')", json!("1-true--x")),
        ("[].join(',')", json!("")),
        ("'AbÖ'.lowerAscii() + 'aBö'.upperAscii()", json!("abÖABö")),
        ("'aXbX'.replace('X', '--')", json!("a--b--")),
        ("'aXbX'.replace('X', '', 1)", json!("abX")),
        ("'aX'.replace('X', 'y', 0)", json!("aX")),
        ("'aXX'.replace('X', 'y', -1)", json!("ayy")),
        ("'ab'.replace('', '-')", json!("-a-b-")),
    ]);
}

proptest! {
    #[test]
    fn splitting_and_joining_gives_the_text_back(text in "[ab,;é]{0,20}", separator in "[,;]|,;") {
        let scope = Names(json!({"text": text.clone(), "separator": separator}));
        let expression = Expression::parse("text.split(separator).join(separator)").unwrap();
        prop_assert_eq!(expression.evaluate(&scope), Ok(json!(text)));
    }

    #[test]
    fn a_text_survives_every_way_to_quote_it(text in "[a-z'\"$é\n ]{0,20}") {
        let escaped = text.replace('\'', "\\'");
        let expression = Expression::parse(&format!("'{escaped}'")).unwrap();
        prop_assert_eq!(expression.evaluate(&names()), Ok(json!(text)));
    }
}
