#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::borrow::Cow;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{ResolvedPath, StatePath, apply_all, place};
use crate::runbook::expression::Scope;

struct Names(Value);

impl Scope for Names {
    fn lookup(&self, name: &str) -> Option<Cow<'_, Value>> {
        self.0.get(name).map(Cow::Borrowed)
    }
}

fn scope() -> Names {
    Names(json!({"name": "web", "dotted": "a.b c", "star": "*", "empty": "", "quote": "\"", "dollar": "${x}", "number": 1}))
}

fn resolve(text: &str) -> ResolvedPath {
    StatePath::parse(text).unwrap().resolve(&scope()).unwrap()
}

fn key(key: &str) -> place::Segment {
    place::Segment::Key(key.to_owned())
}

#[test]
fn a_path_is_split_into_segments() {
    let any = place::Segment::Any;
    let table = [
        (".", vec![]),
        (".a.b", vec![key("a"), key("b")]),
        ("a.b", vec![key("a"), key("b")]),
        (".\"a.b\".c", vec![key("a.b"), key("c")]),
        (r#"."a \"b\" \\"."#.trim_end_matches('.'), vec![key("a \"b\" \\")]),
        (".\"\"", vec![key("")]),
        (".*.url", vec![any.clone(), key("url")]),
        (".\"*\"", vec![key("*")]),
        (".svc-${name}.url", vec![key("svc-web"), key("url")]),
        (".${dotted}.url", vec![key("a.b c"), key("url")]),
        (".\"a ${dotted}\"", vec![key("a a.b c")]),
        (".${star}.x", vec![key("*"), key("x")]),
        (".${quote}", vec![key("\"")]),
        ("${dollar}", vec![key("${x}")]),
        (".a.$${b}", vec![key("a"), key("${b}")]),
        (".list.${number}", vec![key("list"), key("1")]),
        (".é-x:1/2", vec![key("é-x:1/2")]),
    ];
    for (text, segments) in table {
        assert_eq!(resolve(text).segments, segments, "{text}");
    }
}

#[test]
fn what_is_no_path_is_an_error_at_its_place() {
    let table = [
        ("", 0),
        ("..a", 1),
        (".a.", 3),
        (".a b", 2),
        (".\"a", 1),
        (".\"a\"b", 4),
        (".\"a\"${name}", 4),
        (".a*", 2),
        (".*a", 2),
        (".*${name}", 2),
        (".a[0]", 2),
        (".a\"b\"", 2),
        (r#"."\n""#, 3),
        (".a.${name", 3),
        (r#"."\${name}""#, 3),
    ];
    for (text, offset) in table {
        let error = StatePath::parse(text).unwrap_err();
        assert_eq!(error.offset, offset, "{text}: {error}");
        assert!(error.fix.is_some(), "{text}");
    }
    assert!(StatePath::parse(&".a".repeat(64)).is_ok());
    assert!(StatePath::parse(&".a".repeat(65)).is_err());
}

#[test]
fn a_substitution_that_leaves_a_segment_empty_is_an_error() {
    for text in [".a.${empty}", ".${missing}.b"] {
        assert!(StatePath::parse(text).unwrap().resolve(&scope()).is_err(), "{text}");
    }
    assert_eq!(resolve(".svc${empty}").segments, [key("svc")]);
}

#[test]
fn a_path_knows_its_names_and_shows_as_text_that_parses_back() {
    let path = StatePath::parse("a.\"b c\".\"d\".x-${name}.\"${star} y\".*.$${z}").unwrap();
    assert_eq!(path.to_string(), ".a.\"b c\".d.x-${name}.\"${star} y\".*.$${z}");
    assert_eq!(path.names().into_iter().collect::<Vec<_>>(), ["name", "star"]);
}

#[test]
fn get_finds_the_first_match() {
    let document = json!({
        "schema": 1,
        "list": [{"port": 80}, {"port": 81}],
        "apps": {"web": {"url": "u1"}, "a.b": {"url": "u2"}},
        "hosts": {"web": {"url": "u3"}, "0": "zero"},
    });
    let table = [
        (".", Some(document.clone())),
        (".apps.web.url", Some(json!("u1"))),
        (".apps.\"a.b\".url", Some(json!("u2"))),
        (".*.web.url", Some(json!("u1"))),
        (".*.0", Some(json!({"port": 80}))),
        (".list.1.port", Some(json!(81))),
        (".list.01.port", None),
        (".list.*.port", Some(json!(80))),
        (".hosts.0", Some(json!("zero"))),
        (".schema.x", None),
        (".schema.*", None),
        (".apps.*.missing", None),
    ];
    for (text, expected) in table {
        assert_eq!(resolve(text).get(&document).cloned(), expected, "{text}");
    }
    assert_eq!(ResolvedPath::service("web").get(&document), Some(&json!({"url": "u1"})));
    assert_eq!(ResolvedPath::service("a.b").to_string(), ".*.\"a.b\"");
}

#[test]
fn set_creates_what_is_missing_and_a_wildcard_sets_what_is_there() {
    let before = json!({"a": {"x": {"v": 1}, "y": {}, "z": 3}, "list": [{"v": 1}, 2], "null": null});
    let table = [
        (".a.x.v", 1, "/a/x/v"),
        (".new.map.v", 1, "/new/map/v"),
        (".null.v", 1, "/null/v"),
        (".list.0.v", 1, "/list/0/v"),
        (".list.1", 1, "/list/1"),
        (".a.*.v", 2, "/a/y/v"),
        (".a.*", 3, "/a/z"),
        (".list.*", 2, "/list/1"),
        (".*.x", 1, "/a/x"),
        (".*.*.v", 3, "/list/0/v"),
        (".*.0", 2, "/list/0"),
    ];
    for (text, count, pointer) in table {
        let mut document = before.clone();
        assert_eq!(resolve(text).set(&mut document, &json!("set")), Ok(count), "{text}: {document}");
        assert_eq!(document.pointer(pointer), Some(&json!("set")), "{text}: {document}");
    }
    for text in [".*.nowhere.v", ".list.*.v.w", ".missing.*"] {
        let mut document = before.clone();
        assert_eq!(resolve(text).set(&mut document, &json!("set")), Ok(0), "{text}");
        assert_eq!(document, before, "{text}");
    }
}

#[test]
fn something_other_than_a_map_in_the_way_is_an_error_that_names_the_segment() {
    let before = json!({"a": {"x": "text"}, "list": [1]});
    let table = [
        (".a.x.v", ".a.x"),
        (".list.1.v", ".list"),
        (".list.name", ".list"),
        (".list.0.x.y", ".list.0"),
        (".", "`.`"),
    ];
    for (text, named) in table {
        let mut document = before.clone();
        let error = resolve(text).set(&mut document, &json!(1)).unwrap_err();
        assert_eq!(document, before, "{text}");
        assert!(error.contains(named), "{text}: {error}");
    }
}

#[test]
fn updates_are_applied_together_or_not_at_all() {
    let before = json!({"a": {"x": "text"}});
    let mut document = before.clone();
    let good = (resolve(".b.c"), json!(1));
    let error = apply_all(&mut document, &[good.clone(), (resolve(".a.x.v"), json!(2))]).unwrap_err();
    assert!(error.contains(".a.x.v"), "{error}");
    assert_eq!(document, before);
    assert_eq!(apply_all(&mut document, &[good, (resolve(".*.d"), json!(3))]), Ok(3));
    assert_eq!(document, json!({"a": {"x": "text", "d": 3}, "b": {"c": 1, "d": 3}}));
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics_and_shows_as_text_that_parses_back(text in "([.]|[*\"\\\\a-c é0\\[]|[$][$]?[{]|[}]){0,16}") {
        if let Ok(path) = StatePath::parse(&text) {
            let shown = path.to_string();
            prop_assert_eq!(StatePath::parse(&shown).unwrap().to_string(), shown);
            let _ = path.resolve(&scope());
        }
    }

    #[test]
    fn a_resolved_path_shows_as_text_that_parses_back(keys in prop::collection::vec(any::<String>(), 1..5)) {
        let path = ResolvedPath { segments: keys.iter().map(|name| key(name)).collect() };
        prop_assert_eq!(resolve(&path.to_string()), path);
    }

    #[test]
    fn what_is_set_is_found_again(keys in prop::collection::vec("[a-z.* 0-9]{0,3}", 1..6), number in any::<i64>()) {
        let path = ResolvedPath { segments: keys.iter().map(|name| key(name)).collect() };
        let mut document = json!({});
        prop_assert_eq!(path.set(&mut document, &json!(number)), Ok(1));
        prop_assert_eq!(path.get(&document), Some(&json!(number)));
        prop_assert_eq!(StatePath::parse(&path.to_string()).unwrap().resolve(&scope()).unwrap().get(&document), Some(&json!(number)));
    }
}
