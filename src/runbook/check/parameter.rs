//! The declared parameters, in short and long form.

use serde_json::Value;

use super::Checker;
use crate::runbook::diagnostic::Diagnostic;
use crate::runbook::document::{Key, Node};
use crate::runbook::parameter::{Kind, Parameter, infer};

const LONG_FORM: [&str; 7] = ["type", "description", "default", "required", "enum", "pattern", "secret"];
const KINDS: [Kind; 6] = [Kind::String, Kind::Integer, Kind::Number, Kind::Boolean, Kind::List, Kind::Object];

/// Whether the map is a long form rather than a default that is a map.
fn is_long_form(node: &Node) -> bool {
    let entries = node.as_map().unwrap_or_default();
    !entries.is_empty() && entries.iter().all(|(key, _)| LONG_FORM.contains(&key.name.as_str()))
}

/// Whether the parameter may turn out to be one that cannot be left out: a short form with nothing in it.
pub(super) fn is_empty(node: &Node) -> bool {
    node.is_null() || node.as_text() == Some("")
}

impl Checker<'_> {
    pub(super) fn parameter(&mut self, key: &Key, node: &Node) -> Parameter {
        let path = format!("parameters.{}", key.name);
        let is_name = key.name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && key.name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !is_name {
            let message = format!("no expression can read \"{}\"", key.name);
            let fix = "use letters, digits and underscores, a digit not first".to_owned();
            self.problems
                .push(Diagnostic::warning("bad-name", &path, key.position, message).with_fix(fix));
        }
        if is_long_form(node) {
            self.long_form(node, &path)
        } else {
            infer(&node.to_json())
        }
    }

    fn long_form(&mut self, node: &Node, path: &str) -> Parameter {
        let mut parameter = Parameter::default();
        for (key, value) in node.as_map().unwrap_or_default() {
            let path = format!("{path}.{}", key.name);
            match key.name.as_str() {
                "type" => parameter.kind = self.parameter_kind(value, &path),
                "description" => parameter.description = self.literal_text(value, &path),
                "default" => parameter.default = Some(value.to_json()).filter(|default| !default.is_null()),
                "required" => parameter.required = self.flag(value, &path),
                "enum" => parameter.one_of = self.parameter_enum(value, &path),
                "pattern" => parameter.pattern = self.literal_text(value, &path),
                _ => parameter.secret = self.flag(value, &path),
            }
        }
        self.consistent(&parameter, node, path);
        parameter
    }

    fn parameter_kind(&mut self, node: &Node, path: &str) -> Option<Kind> {
        let given = self.literal_text(node, path)?;
        let known = KINDS.into_iter().find(|kind| kind.to_string() == given);
        if known.is_none() {
            let names = KINDS.map(|kind| kind.to_string());
            let message = format!("\"{given}\" is not one of {}", names.join(", "));
            let hint = self.problems.hint(&given, names.iter().map(String::as_str));
            self.problems
                .push(Diagnostic::error("unknown-word", path, node.position, message).with_fix(hint));
        }
        known
    }

    fn parameter_enum(&mut self, node: &Node, path: &str) -> Option<Vec<Value>> {
        let items = node.as_list().filter(|items| !items.is_empty());
        if items.is_none() {
            self.problems
                .error("wrong-shape", path, node.position, "an enum is a list of at least one value");
        }
        items.map(|items| items.iter().map(Node::to_json).collect())
    }

    /// What is said of the parameter must hold for its own values.
    fn consistent(&mut self, parameter: &Parameter, node: &Node, path: &str) {
        let position_of = |field: &str| node.get(field).and_then(|field| field.position);
        if let Err(refusal) = parameter.validate_pattern() {
            let problem = Diagnostic::error("bad-pattern", format!("{path}.pattern"), position_of("pattern"), refusal.message);
            self.problems.push(problem.with_fix(refusal.fix));
            return;
        }
        let without_enum = Parameter {
            one_of: None,
            ..parameter.clone()
        };
        for (index, value) in parameter.one_of.iter().flatten().enumerate() {
            if let Err(refusal) = fits(&without_enum, value) {
                let problem = Diagnostic::error("bad-enum", format!("{path}.enum[{index}]"), position_of("enum"), refusal);
                self.problems.push(problem);
            }
        }
        if let Some(default) = &parameter.default
            && let Err(refusal) = fits(parameter, default)
        {
            let problem = Diagnostic::error("bad-default", format!("{path}.default"), position_of("default"), refusal);
            self.problems.push(problem);
        }
    }
}

/// Whether a value written in the document is one of the parameter's, without being converted.
fn fits(parameter: &Parameter, value: &Value) -> Result<(), String> {
    let of_kind = match (parameter.kind, Kind::of(value)) {
        (Some(Kind::Number), Some(Kind::Integer)) | (None, _) => true,
        (kind, of) => kind == of,
    };
    match parameter.kind {
        Some(kind) if !of_kind => Err(format!(
            "{} is no {kind}",
            if parameter.secret {
                "the value".to_owned()
            } else {
                value.to_string()
            }
        )),
        _ => parameter.accept(value).map(drop).map_err(|refusal| refusal.message),
    }
}
