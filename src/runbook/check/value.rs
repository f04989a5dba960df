//! The values of fields: their shape, and what stands inside them.

use serde_json::Value;

use super::Checker;
use super::names::Reading;
use crate::runbook::diagnostic::Diagnostic;
use crate::runbook::document::{Node, NodeValue};
use crate::runbook::expression::{Expression, ParseError};
use crate::runbook::path::StatePath;
use crate::runbook::shell::Command;
use crate::runbook::step::{Shape, boolean, count, duration};
use crate::runbook::substitute::Template;

const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

impl Checker<'_> {
    /// Tells that a text does not parse, at the place in it.
    pub(super) fn unparsed(&mut self, code: &'static str, error: ParseError, node: &Node, path: &str) {
        let position = node.position_at(error.offset);
        self.problems
            .push(Diagnostic::error(code, path, position, error.message).with_fix(error.fix));
    }

    fn wrong_shape(&mut self, expected: &str, node: &Node, path: &str) {
        let message = format!("this is {}, where {expected} is expected", node.kind());
        self.problems.error("wrong-shape", path, node.position, message);
    }

    /// A value with `${...}` anywhere inside. Keys are taken as they are.
    pub(super) fn template(&mut self, node: &Node, path: &str) -> Template {
        match &node.value {
            NodeValue::Text(text) => self.text_template(text, node, path),
            NodeValue::List(items) => {
                let items = items.iter().enumerate();
                Template::list(
                    items
                        .map(|(index, item)| self.template(item, &format!("{path}[{index}]")))
                        .collect(),
                )
            }
            NodeValue::Map(entries) => {
                let entries = entries.iter();
                let entry = |(key, value): &(crate::runbook::document::Key, Node)| {
                    let value = self.template(value, &format!("{path}.{}", key.name));
                    (Template::Literal(Value::from(key.name.as_str())), value)
                };
                Template::map(entries.map(entry).collect())
            }
            _ => Template::Literal(node.to_json()),
        }
    }

    fn text_template(&mut self, text: &str, node: &Node, path: &str) -> Template {
        match Template::parse(text) {
            Ok(template) => {
                template.each_expression(&mut |expression| self.reads(expression, Reading::Value, node, path));
                template
            }
            Err(error) => {
                self.unparsed("expression", error, node, path);
                Template::Literal(Value::Null)
            }
        }
    }

    fn reads(&mut self, expression: &Expression, reading: Reading, node: &Node, path: &str) {
        self.names.read(expression, reading, node, path, &mut self.problems);
    }

    /// A condition: text, or plainly true or false.
    pub(super) fn condition(&mut self, node: &Node, path: &str) -> Option<Expression> {
        let text = match &node.value {
            NodeValue::Text(text) => text.clone(),
            NodeValue::Boolean(boolean) => boolean.to_string(),
            _ => {
                self.wrong_shape("a condition", node, path);
                return None;
            }
        };
        match Expression::parse_condition(&text) {
            Ok(expression) => {
                self.reads(&expression, Reading::Condition, node, path);
                Some(expression)
            }
            Err(error) => {
                self.unparsed("expression", error, node, path);
                None
            }
        }
    }

    /// An expression on its own, as in `outputs`.
    pub(super) fn expression(&mut self, node: &Node, path: &str) -> Option<Expression> {
        let text = match &node.value {
            NodeValue::Text(text) => text.clone(),
            NodeValue::Boolean(_) | NodeValue::Integer(_) | NodeValue::Number(_) => node.to_json().to_string(),
            _ => {
                self.wrong_shape("an expression", node, path);
                return None;
            }
        };
        match Expression::parse_condition(&text) {
            Ok(expression) => {
                self.reads(&expression, Reading::Value, node, path);
                Some(expression)
            }
            Err(error) => {
                self.unparsed("expression", error, node, path);
                None
            }
        }
    }

    /// Literal text, in which nothing is substituted.
    pub(super) fn literal_text(&mut self, node: &Node, path: &str) -> Option<String> {
        match &node.value {
            NodeValue::Text(text) => Some(text.clone()),
            NodeValue::Boolean(_) | NodeValue::Integer(_) | NodeValue::Number(_) => Some(node.to_json().to_string()),
            _ => {
                self.wrong_shape("text", node, path);
                None
            }
        }
    }

    /// `true` or `false` as such.
    pub(super) fn flag(&mut self, node: &Node, path: &str) -> bool {
        let flag = node.as_boolean();
        if flag.is_none() {
            self.wrong_shape("true or false", node, path);
        }
        flag.unwrap_or_default()
    }

    /// A name for a variable.
    pub(super) fn variable(&mut self, node: &Node, path: &str) -> Option<String> {
        let Some(name) = node.as_text() else {
            self.wrong_shape("a name", node, path);
            return None;
        };
        let is_name =
            name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !is_name {
            let message = format!("\"{name}\" is no name that an expression can read");
            let fix = "use letters, digits and underscores, a digit not first".to_owned();
            self.problems
                .push(Diagnostic::error("bad-name", path, node.position, message).with_fix(fix));
        }
        is_name.then(|| name.to_owned())
    }

    /// The value of a field, checked as far as it is known. Of a command or a state path [`Template::source`] gives back
    /// the text, for the parser of its kind: rendered as a template it would not be quoted.
    pub(super) fn field(&mut self, shape: Shape, node: &Node, path: &str) -> Template {
        match shape {
            Shape::Command => self.command(node, path),
            Shape::Commands => self.each(node, path, Self::command),
            Shape::GitCommands => self.each(node, path, Self::git_command),
            Shape::GitCommand => self.git_command(node, path),
            Shape::StatePath => self.state_path(node, path),
            Shape::Updates => self.updates(node, path),
            _ => {
                let template = self.template(node, path);
                self.shape(shape, &template, node, path);
                template
            }
        }
    }

    fn each(&mut self, node: &Node, path: &str, check: fn(&mut Self, &Node, &str) -> Template) -> Template {
        let Some(items) = node.as_list() else {
            self.wrong_shape("a list of commands", node, path);
            return Template::Literal(Value::Null);
        };
        let items = items.iter().enumerate();
        Template::list(items.map(|(index, item)| check(self, item, &format!("{path}[{index}]"))).collect())
    }

    /// Whether a value that is known has the shape.
    fn shape(&mut self, shape: Shape, template: &Template, node: &Node, path: &str) {
        let is_scalar = node.as_list().is_none() && node.as_map().is_none();
        let of_scalars = node
            .as_list()
            .is_some_and(|items| items.iter().all(|item| item.as_list().is_none() && item.as_map().is_none()));
        let fits = match shape {
            _ if matches!(template, Template::Expression(_)) => true,
            Shape::Text => is_scalar,
            Shape::Map => node.as_map().is_some(),
            Shape::List => node.as_list().is_some(),
            Shape::Texts => of_scalars,
            Shape::Group => is_scalar || of_scalars || node.get("services").is_some(),
            Shape::Word(_) | Shape::Method => node.as_text().is_some(),
            _ => true,
        };
        if !fits {
            self.wrong_shape(noun(shape), node, path);
        } else if let Some(value) = template.literal() {
            self.known_value(shape, value, node, path);
        } else if matches!(
            shape,
            Shape::Boolean | Shape::Count | Shape::Port | Shape::Status | Shape::Duration | Shape::Timeout
        ) && !is_scalar
        {
            self.wrong_shape(noun(shape), node, path);
        }
    }

    fn known_value(&mut self, shape: Shape, value: &Value, node: &Node, path: &str) {
        let within = |least: u32, most: u32| {
            move |number: u32| {
                (least..=most)
                    .contains(&number)
                    .then_some(())
                    .ok_or_else(|| format!("{number} is not between {least} and {most}"))
            }
        };
        let checked = match shape {
            Shape::Boolean => boolean(value).map(drop),
            Shape::Count => count(value).map(drop),
            Shape::Port => count(value).and_then(within(1, 65_535)),
            Shape::Status => count(value).and_then(within(100, 599)),
            Shape::Duration => duration(value).map(drop),
            Shape::Timeout => duration(value).and_then(|timeout| {
                if timeout.is_zero() {
                    Err("a timeout of 0 ends before it starts".to_owned())
                } else {
                    Ok(())
                }
            }),
            Shape::Word(words) => return self.word(words, false, value, node, path),
            Shape::Method => return self.word(&METHODS, true, value, node, path),
            _ => Ok(()),
        };
        if let Err(message) = checked {
            self.problems.error("bad-value", path, node.position, message);
        }
    }

    fn word(&mut self, words: &[&str], any_case: bool, value: &Value, node: &Node, path: &str) {
        let given = value.as_str().unwrap_or_default();
        if words
            .iter()
            .any(|word| *word == given || any_case && word.eq_ignore_ascii_case(given))
        {
            return;
        }
        let fix = self
            .problems
            .hint(given, words.iter().copied())
            .unwrap_or_else(|| format!("write one of {}", words.join(", ")));
        let message = format!("\"{given}\" is not one of {}", words.join(", "));
        self.problems
            .push(Diagnostic::error("unknown-word", path, node.position, message).with_fix(fix));
    }

    fn command(&mut self, node: &Node, path: &str) -> Template {
        let Some(text) = node.as_text() else {
            self.wrong_shape("a command", node, path);
            return Template::Literal(Value::Null);
        };
        match Command::parse(text) {
            Ok(command) => {
                command
                    .expressions()
                    .for_each(|expression| self.reads(expression, Reading::Value, node, path));
                if command.uses_raw() {
                    let message = "raw() puts a value into the command as it is: it can run other commands";
                    self.problems.push(Diagnostic::warning("raw-value", path, node.position, message));
                }
                if let Some(offset) = command.reinterpreted() {
                    let message =
                        "a value stands in an argument that is read as a command once more: it is quoted for this shell, not for the next";
                    self.problems
                        .push(Diagnostic::warning("reinterpreted-value", path, node.position_at(offset), message));
                }
            }
            Err(error) => self.unparsed("command", error, node, path),
        }
        as_written(text)
    }

    /// Split into words without a shell, so nothing is quoted.
    fn git_command(&mut self, node: &Node, path: &str) -> Template {
        let is_git = node.as_text().is_some_and(|text| text.split_whitespace().next() == Some("git"));
        if !is_git {
            self.problems
                .error("bad-value", path, node.position, "the command of a git step starts with git");
        }
        self.template(node, path)
    }

    fn state_path(&mut self, node: &Node, path: &str) -> Template {
        let Some(text) = node.as_text() else {
            self.wrong_shape("a state path", node, path);
            return Template::Literal(Value::Null);
        };
        self.parse_path(text, node, path);
        as_written(text)
    }

    /// `node` is where the path is written.
    fn parse_path(&mut self, text: &str, node: &Node, path: &str) {
        match StatePath::parse(text) {
            Ok(parsed) => {
                for name in parsed.names() {
                    self.names.read_name(name, Reading::Value, node, path, &mut self.problems);
                }
            }
            Err(error) => self.unparsed("state-path", error, node, path),
        }
    }

    fn updates(&mut self, node: &Node, path: &str) -> Template {
        let Some(entries) = node.as_map().filter(|entries| !entries.is_empty()) else {
            self.wrong_shape("a map of state paths to values", node, path);
            return Template::Literal(Value::Null);
        };
        let mut updates = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let path = format!("{path}[{}]", Value::from(key.name.as_str()));
            let written = Node {
                position: key.position,
                ..Node::new(NodeValue::Text(key.name.clone()))
            };
            self.parse_path(&key.name, &written, &path);
            let value = self.template(value, &path);
            updates.push((as_written(&key.name), value));
        }
        Template::map(updates)
    }
}

/// The template of a text that another parser has checked.
fn as_written(text: &str) -> Template {
    Template::parse(text).unwrap_or(Template::Literal(Value::Null))
}

fn noun(shape: Shape) -> &'static str {
    match shape {
        Shape::Map | Shape::Updates => "a map",
        Shape::List | Shape::Steps => "a list",
        Shape::Texts => "a list of texts",
        Shape::Group => "a name, a list of names, or a map that holds them under services",
        Shape::Boolean | Shape::Flag => "true or false",
        Shape::Count | Shape::Port | Shape::Status => "a whole number",
        Shape::Duration | Shape::Timeout => "a duration",
        Shape::Word(_) | Shape::Method => "a word",
        Shape::Condition => "a condition",
        Shape::Variable => "a name",
        _ => "text",
    }
}
