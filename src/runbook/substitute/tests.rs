#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use proptest::prelude::*;
use serde_json::json;

use super::*;

struct Names(Value);

impl Scope for Names {
    fn lookup(&self, name: &str) -> Option<Cow<'_, Value>> {
        self.0.get(name).map(Cow::Borrowed)
    }
}

fn scope() -> Names {
    Names(json!({
        "name": "web", "port": 8080, "hosts": ["a", "b"], "nothing": null, "yes": true, "same": "web",
        "large": "x".repeat(600 * 1024),
    }))
}

#[test]
fn a_string_renders_to_the_value_or_to_text() {
    let table = [
        ("plain", json!("plain")),
        ("", json!("")),
        ("${port}", json!(8080)),
        ("${hosts}", json!(["a", "b"])),
        ("${nothing}", json!(null)),
        ("${missing}", json!(null)),
        (" ${port}", json!(" 8080")),
        ("${name}:${port}", json!("web:8080")),
        ("[${nothing}]", json!("[]")),
        ("hosts ${hosts} ${yes}", json!("hosts [\"a\",\"b\"] true")),
        ("$${name}", json!("${name}")),
        ("$$${name}", json!("$${name}")),
        ("a $${b} ${name}", json!("a ${b} web")),
        ("$name $ {name} }{", json!("$name $ {name} }{")),
        ("é${name}é", json!("éwebé")),
    ];
    for (text, expected) in table {
        let template = Template::parse(text).unwrap();
        assert_eq!(template.render(&scope()).unwrap(), expected, "{text}");
        assert_eq!(template.render_text(&scope()).unwrap(), super::text(&expected), "{text}");
        assert_eq!(template.to_string(), text);
    }
}

#[test]
fn an_unterminated_substitution_is_an_error_at_its_place() {
    for (text, offset) in [("${", 0), ("a ${name", 2), ("$${a} é ${b", 9), ("${name} ${'}'", 8)] {
        assert_eq!(Template::parse(text).unwrap_err().offset, offset, "{text}");
    }
}

#[test]
fn what_has_nothing_to_substitute_is_a_literal() {
    let literal = Template::parse("a").unwrap();
    let list = Template::list(vec![literal.clone(), Template::Literal(json!(1))]);
    assert_eq!(list.literal(), Some(&json!(["a", 1])));
    assert!(matches!(list.value(&scope()).unwrap(), Cow::Borrowed(_)));
    let map = Template::map(vec![(literal.clone(), list)]);
    assert_eq!(map.literal(), Some(&json!({"a": ["a", 1]})));
    assert!(
        Template::list(vec![literal, Template::parse("${name}").unwrap()])
            .literal()
            .is_none()
    );
}

#[test]
fn lists_and_maps_render_at_any_depth_and_keep_nulls() {
    let parse = |text| Template::parse(text).unwrap();
    let inner = Template::map(vec![
        (parse(".${name}.port"), parse("${port}")),
        (parse("none"), parse("${nothing}")),
    ]);
    let template = Template::list(vec![inner, parse("${hosts}")]);
    assert_eq!(
        template.render(&scope()).unwrap(),
        json!([{".web.port": 8080, "none": null}, ["a", "b"]])
    );
    assert_eq!(
        template.names().into_iter().collect::<Vec<_>>(),
        ["hosts", "name", "nothing", "port"]
    );
    assert_eq!(
        template.to_string(),
        r#"[{".${name}.port":"${port}","none":"${nothing}"},"${hosts}"]"#
    );
}

#[test]
fn two_keys_with_the_same_text_are_an_error_that_names_it() {
    let parse = |text| Template::parse(text).unwrap();
    let template = Template::map(vec![(parse("${name}"), parse("1")), (parse("${same}"), parse("2"))]);
    assert!(template.render(&scope()).unwrap_err().0.contains("\"web\""));
}

#[test]
fn all_text_of_one_rendering_together_is_bounded() {
    let one = Template::parse("${large}").unwrap();
    assert!(one.render(&scope()).is_ok());
    assert!(Template::list(vec![one.clone(), one]).render(&scope()).is_err());
    assert!(Template::parse("${large} ${large}").unwrap().render_text(&scope()).is_err());
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics_and_shows_as_it_was_written(text in "([$][$]?[{]?|[}{'\"a-c é]){0,24}") {
        if let Ok(template) = Template::parse(&text) {
            prop_assert_eq!(template.to_string(), text);
            let _ = template.render(&scope());
        }
    }

    #[test]
    fn text_without_a_substitution_renders_to_itself(text in any::<String>()) {
        prop_assume!(!text.contains("${"));
        let template = Template::parse(&text).unwrap();
        prop_assert_eq!(template.literal(), Some(&json!(text)));
    }
}
