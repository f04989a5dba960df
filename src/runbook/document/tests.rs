#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn json_of(text: &str) -> serde_json::Value {
    read(text).unwrap().to_json()
}

/// Code, path, line and column of every problem.
fn problems(text: &str) -> Vec<(&'static str, String, usize, usize)> {
    let diagnostics = read(text).unwrap_err().0;
    let place = |position: Option<Position>| position.map_or((0, 0), |position| (position.line, position.column));
    let told = |diagnostic: Diagnostic| {
        (
            diagnostic.code,
            diagnostic.path,
            place(diagnostic.position).0,
            place(diagnostic.position).1,
        )
    };
    diagnostics.into_iter().map(told).collect()
}

#[test]
fn plain_scalars_are_those_of_yaml_1_2() {
    for (text, expected) in [
        ("yes", json!("yes")),
        ("no", json!("no")),
        ("on", json!("on")),
        ("Off", json!("Off")),
        ("true", json!(true)),
        ("FALSE", json!(false)),
        ("tRue", json!("tRue")),
        ("null", json!(null)),
        ("~", json!(null)),
        ("nil", json!("nil")),
        ("12", json!(12)),
        ("+12", json!(12)),
        ("-7", json!(-7)),
        ("0o17", json!(15)),
        ("0x1F", json!(31)),
        ("0b1", json!("0b1")),
        ("1_000", json!("1_000")),
        ("007", json!(7)),
        ("1.5", json!(1.5)),
        ("1.", json!(1.0)),
        (".5", json!(0.5)),
        ("1e3", json!(1000.0)),
        ("-1.5E-1", json!(-0.15)),
        ("1.2.3", json!("1.2.3")),
        ("e3", json!("e3")),
        ("12:30:45", json!("12:30:45")),
        ("2024-12-01", json!("2024-12-01")),
        ("'12'", json!("12")),
        ("\"true\"", json!("true")),
        ("9223372036854775807", json!(i64::MAX)),
        ("-9223372036854775808", json!(i64::MIN)),
        ("infinity", json!("infinity")),
        ("nan", json!("nan")),
    ] {
        assert_eq!(json_of(text), expected, "{text}");
    }
}

#[test]
fn a_number_that_would_lose_its_value_is_refused_rather_than_rounded() {
    for text in [
        "9223372036854775808",
        "12345678901234567890123",
        "1e999",
        ".inf",
        "-.INF",
        ".nan",
        "0xFFFFFFFFFFFFFFFFF",
    ] {
        assert_eq!(problems(&format!("a: {text}")), [("number", "a".to_owned(), 1, 4)], "{text}");
    }
}

#[test]
fn every_node_and_key_knows_its_place() {
    let document = read("a: 1\nb:\n  - x\n  - {ü: 'y', z: w}\n").unwrap();
    let at = |node: &Node| node.position.map(|position| (position.line, position.column));
    assert_eq!(at(&document), Some((1, 1)));
    assert_eq!(at(document.get("a").unwrap()), Some((1, 4)));
    let list = document.get("b").unwrap();
    assert_eq!(at(list), Some((3, 3)));
    let item = &list.as_list().unwrap()[1];
    assert_eq!(at(item), Some((4, 5)));
    assert_eq!(at(item.get("z").unwrap()), Some((4, 17)));
    assert_eq!(item.as_map().unwrap()[1].0.position, Some(Position { line: 4, column: 14 }));
}

#[test]
fn a_place_inside_a_text_is_told_where_the_source_holds_the_text_as_it_is() {
    for (text, offset, expected) in [
        ("a: plain text", 6, (1, 10)),
        ("a: 'single'", 2, (1, 7)),
        ("a: \"dübel x\"", 7, (1, 11)),
        ("a: 'it''s'", 3, (1, 4)),
        ("a: \"tab\\tx\"", 4, (1, 4)),
        ("a: |\n  one\n    two\n", 8, (3, 7)),
        ("a: >\n  one\n  two\n", 5, (2, 3)),
        ("a: >-\n  one two\n", 4, (2, 7)),
        ("a: plain\n  folded", 7, (1, 4)),
        ("x: &x text\na: *x", 2, (2, 4)),
    ] {
        let document = read(text).unwrap();
        let position = document.get("a").unwrap().position_at(offset).unwrap();
        assert_eq!((position.line, position.column), expected, "{text:?}");
    }
    assert_eq!(
        read("a: b").unwrap().get("a").unwrap().position_at(99),
        Some(Position { line: 1, column: 4 })
    );
}

#[test]
fn merge_keys_add_what_a_map_does_not_say_itself() {
    let text = "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc: {<<: [*a, *b], x: 0}\nd:\n  <<: *b\n  '<<': text\n";
    let document = json_of(text);
    assert_eq!(document["c"], json!({"x": 0, "y": 1, "z": 2}));
    assert_eq!(document["d"], json!({"<<": "text", "y": 2, "z": 2}));
}

#[test]
fn what_is_no_strict_document_is_told_with_its_place() {
    for (text, expected) in [
        ("", ("empty-document", "", 0, 0)),
        ("# nothing", ("empty-document", "", 0, 0)),
        ("a: 1\nb: 2\na: 3\n", ("duplicate-key", "", 3, 1)),
        ("s:\n  - {k: 1, k: 2}\n", ("duplicate-key", "s[0]", 2, 12)),
        ("a: 1\n---\nb: 2\n", ("multiple-documents", "", 2, 1)),
        ("a: !!str 1", ("tag", "a", 1, 4)),
        ("a: !secret x", ("tag", "a", 1, 4)),
        ("? [a]\n: b", ("key", "", 1, 3)),
        ("~: b", ("key", "", 1, 1)),
        (": b", ("key", "", 1, 1)),
        ("a: {b: *c}", ("yaml", "a.b", 1, 8)),
        ("a: &a [*a]", ("alias", "a[0]", 1, 8)),
        ("a:\n\t- b", ("yaml", "a", 2, 2)),
        ("a: 'b", ("yaml", "a", 1, 4)),
        ("a: {<<: 1}", ("merge-key", "a", 1, 9)),
        ("a: &a {b: 1}\nc: {<<: *a, <<: *a}", ("duplicate-key", "c", 2, 13)),
        ("a: {{ b }}", ("key", "a", 1, 5)),
    ] {
        let (code, path, line, column) = expected;
        assert_eq!(problems(text), [(code, path.to_owned(), line, column)], "{text:?}");
    }
}

#[test]
fn several_problems_are_told_at_once() {
    let codes: Vec<_> = problems("a: 1\na: 2\nb: !x y\nc: .inf\nd: [")
        .into_iter()
        .map(|problem| problem.0)
        .collect();
    assert_eq!(codes, ["tag", "number", "yaml"]);
    let codes: Vec<_> = problems("a: {b: 1, b: 2}\nc: {d: 1, d: 2}\n")
        .into_iter()
        .map(|problem| problem.0)
        .collect();
    assert_eq!(codes, ["duplicate-key", "duplicate-key"]);
}

const MISPLACED: &[(&str, &str, &str)] = &[
    (
        "the item above",
        "steps:\n  - type: http_request\n  url: x\n",
        "steps:\n  - type: http_request\n    url: x\n",
    ),
    (
        "the item above, with all that hangs on it",
        "s:\n- a: 1\n  l:\n    - k: 1\n    m:\n\n      n: |\n        t\n\n      o: 2\n\nz: 1\n",
        "s:\n- a: 1\n  l:\n    - k: 1\n      m:\n\n        n: |\n          t\n\n        o: 2\n\nz: 1\n",
    ),
    (
        "beside the list's key, where the item has that key",
        "a:\n  l:\n    - k: 1\n    k: 2\n",
        "a:\n  l:\n    - k: 1\n  k: 2\n",
    ),
    (
        "beside the list's key, where the items have no keys",
        "a:\n  patterns:\n    - x\n    - y\n    output: z\n",
        "a:\n  patterns:\n    - x\n    - y\n  output: z\n",
    ),
    (
        "twice in one document",
        "a:\n  - k: 1\n  l: 2\nb:\n  - k: 1\n  'm': 2 # why\n",
        "a:\n  - k: 1\n    l: 2\nb:\n  - k: 1\n    'm': 2 # why\n",
    ),
    (
        "a group of a registry",
        "service_groups:\n  core:\n    - \"one\"\n    # and\n    - \"two\"\n    description: x\n  voice:\n    - a\n    description: y\n",
        "service_groups:\n  core:\n    services:\n      - \"one\"\n      # and\n      - \"two\"\n    description: x\n  voice:\n    services:\n      - a\n    description: y\n",
    ),
    (
        "with carriage returns",
        "a:\r\n  - k: 1\r\n  l: 2\r\n",
        "a:\r\n  - k: 1\r\n    l: 2\r\n",
    ),
];

#[test]
fn a_key_at_the_column_of_the_list_above_is_put_where_it_was_meant() {
    for (name, broken, meant) in MISPLACED {
        assert_eq!(read(broken).unwrap_err().0[0].code, "mis-indented-key", "{name}");
        assert_eq!(repair(broken).as_deref(), Some(*meant), "{name}");
        assert!(read(meant).is_ok(), "{name}");
        assert_eq!(repair(meant), None, "{name}");
    }
}

#[test]
fn the_mis_indented_line_and_the_indentation_meant_are_named() {
    let diagnostics = read("steps:\n  - type: http_request\n  url: x\n").unwrap_err();
    assert_eq!(
        diagnostics.to_string(),
        "steps[1] (line 3, column 3): \"url\" stands at the column of the list above it, where only another item can; \
         indent line 3 by 4 spaces, so that it belongs to the item above"
    );
}

#[test]
fn what_is_broken_in_another_way_is_not_repaired() {
    for text in [
        "",
        "a: [",
        "a:\n  - b\n  c\n",
        "a:\n  - b\n c: d\n",
        "- a\nb: c\n",
        "l:\n- - a\n  b: 1\n",
    ] {
        assert_eq!(repair(text), None, "{text:?}");
    }
}

#[test]
fn json_comes_in_and_goes_out_unchanged() {
    let value = json!({"a": [1, -2.5, "x", true, null], "b": {"c": {}}});
    assert_eq!(from_json(&value).unwrap().to_json(), value);
    assert_eq!(from_json(&value).unwrap().position, None);
}

fn code_of(result: Result<Node, Diagnostics>) -> &'static str {
    result.unwrap_err().0[0].code
}

#[test]
fn json_is_under_the_same_limits() {
    let deep = |depth| (0..depth).fold(json!(1), |inner, _| json!([inner]));
    assert!(from_json(&deep(MAX_DEPTH)).is_ok());
    assert_eq!(code_of(from_json(&deep(MAX_DEPTH + 1))), "too-deep");
    assert_eq!(code_of(from_json(&json!(vec![0; MAX_NODES]))), "too-many-nodes");
    assert_eq!(code_of(from_json(&json!(vec!["x".repeat(100_000); 30]))), "too-much-text");
}

#[test]
fn nesting_is_allowed_to_its_limit_and_not_beyond() {
    let flow = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let block = |depth| (0..depth).map(|level| " ".repeat(level) + "a:\n").collect::<String>();
    for (text, beyond) in [(flow(MAX_DEPTH), flow(MAX_DEPTH + 1)), (block(MAX_DEPTH), block(MAX_DEPTH + 1))] {
        assert!(read(&text).is_ok());
        assert_eq!(code_of(read(&beyond)), "too-deep");
    }
    let aliases = "a: &a [[[[[[[[[[[[1]]]]]]]]]]]]\nb: &b [[[[[[[[[[[[*a]]]]]]]]]]]]\nc: &c [[[[[[[[[[[[*b]]]]]]]]]]]]\n";
    let deeper = "d: &d [[[[[[[[[[[[*c]]]]]]]]]]]]\ne: &e [[[[[[[[[[[[*d]]]]]]]]]]]]\nf: [[[[*e]]]]\n";
    assert!(read(aliases).is_ok());
    assert_eq!(code_of(read(&format!("{aliases}{deeper}"))), "too-deep");
}

/// Documents made to cost more than they are long.
fn hostile() -> Vec<(&'static str, String)> {
    let fill = |unit: &str| unit.repeat(MAX_TEXT / unit.len());
    let bomb = (1..10).fold("a0: &a0 x\n".to_owned(), |text, level| {
        let inner = vec![format!("*a{}", level - 1); 10].join(",");
        text + &format!("a{level}: &a{level} [{inner}]\n")
    });
    let long = format!("a: &a \"{}\"\nb: [", "x".repeat(100_000));
    let anchors = (0..60).map(|level| format!("&a{level} [")).collect::<Vec<_>>().concat();
    vec![
        ("too-deep", fill("[")),
        ("too-deep", fill("{")),
        ("too-deep", fill("- ")),
        ("key", fill("? ")),
        ("too-deep", fill("[\n")),
        ("too-deep", fill("{a: ")),
        ("too-many-nodes", fill("-\n")),
        ("too-many-nodes", format!("[{}", fill("a,").split_off(2))),
        ("too-many-nodes", bomb),
        ("too-many-nodes", format!("{anchors}{}", "x,".repeat(100_000))),
        ("too-much-text", long + &"*a,".repeat(100_000)),
        ("multiple-documents", fill("---\n")),
        ("too-large", " ".repeat(MAX_TEXT + 1)),
        ("yaml", fill("a: ")),
        ("yaml", fill("\"").split_off(1)),
        ("yaml", fill("!")),
        ("yaml", fill(":")),
        ("empty-document", fill("\n")),
        ("empty-document", fill("#")),
    ]
}

#[test]
fn hostile_documents_are_refused_at_once() {
    for (code, text) in hostile() {
        let start: String = text.chars().take(40).collect();
        let before = Instant::now();
        assert_eq!(code_of(read(&text)), code, "{start}");
        let most = if cfg!(debug_assertions) { 10_000 } else { 500 };
        assert!(before.elapsed() < Duration::from_millis(most), "{start}: {:?}", before.elapsed());
    }
}

#[test]
fn a_thousand_duplicate_keys_are_not_told_one_by_one() {
    assert!(read(&"a: 1\n".repeat(1_000)).unwrap_err().0.len() <= 101);
}

fn fragments() -> impl Strategy<Value = String> {
    let fragment = prop_oneof![
        Just("- "),
        Just("a: "),
        Just("b:"),
        Just("\n"),
        Just("  "),
        Just("    "),
        Just("["),
        Just("]"),
        Just("{"),
        Just("}"),
        Just(","),
        Just("&x "),
        Just("*x"),
        Just("<<: "),
        Just("'"),
        Just("\""),
        Just("|\n"),
        Just(">\n"),
        Just("? "),
        Just("!t "),
        Just("#"),
        Just("---\n"),
        Just("ü"),
        Just("1"),
        Just("${e}"),
        Just("\t"),
        Just("\r\n"),
        Just("%"),
        Just("\u{feff}"),
    ];
    prop::collection::vec(fragment, 0..60).prop_map(|fragments| fragments.concat())
}

proptest! {
    #[test]
    fn reading_and_repairing_never_panic(text in prop_oneof![any::<String>(), fragments()]) {
        let read = read(&text);
        let repaired = repair(&text);
        prop_assert!(read.is_err() || repaired.is_none());
        if let Ok(node) = read {
            prop_assert_eq!(from_json(&node.to_json()).unwrap().to_json(), node.to_json());
            for offset in 0..text.len() {
                let _ = node.position_at(offset);
            }
        }
    }

    #[test]
    fn a_literal_block_tells_the_place_of_every_character(lines in prop::collection::vec("[a-zü ]{0,6}[a-z]", 1..5), at in any::<prop::sample::Index>()) {
        let value = lines.join("\n");
        let source = format!("key:\n  - |-\n{}", lines.iter().map(|line| "    ".to_owned() + line + "\n").collect::<String>());
        prop_assume!(!lines[0].starts_with(' '));
        let document = read(&source).unwrap();
        let text = &document.get("key").unwrap().as_list().unwrap()[0];
        prop_assert_eq!(text.as_text(), Some(value.as_str()));
        let (offset, character) = value.char_indices().nth(at.index(value.chars().count())).unwrap();
        let position = text.position_at(offset).unwrap();
        let found = source.split('\n').nth(position.line - 1).unwrap().chars().nth(position.column - 1).unwrap_or('\n');
        prop_assert_eq!(found, character);
    }
}
