//! What a step is given when it starts, and what its end means. Pure.

use std::borrow::Cow;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::record::Ending;
use super::scope::View;
use super::walk::{Answer, Fault};
use crate::runbook::path::StatePath;
use crate::runbook::step::Step;
use crate::runbook::substitute::text;
use crate::runbook::{Scope, StepType, Template};

/// What a step is given.
#[derive(Debug, Clone)]
pub struct Input {
    /// The fields of its type, with everything substituted; one whose value is null is not there.
    pub fields: Map<String, Value>,
    /// The step's path and when its first attempt started: together with the Operation's uid they name its effect.
    pub path: String,
    pub started: Timestamp,
}

/// The fields of a step in this scope.
///
/// # Errors
/// A field that does not evaluate, or a required one that is empty; the text names it.
pub fn input(step: &Step, path: &str, started: Timestamp, scope: &View<'_>) -> Result<Input, String> {
    let mut fields = Map::new();
    for (&name, template) in &step.fields {
        let value = match (step.kind, name) {
            // holds or not for each item, in a scope of its own
            (StepType::Filter, "condition") => continue,
            (StepType::StateCheck, "path") => state_path(&template.source(), scope).map(Value::String),
            (StepType::StateUpdate, "updates") => updates(template, scope),
            _ => template.render(scope).map_err(|error| error.to_string()),
        }
        .map_err(|error| format!("{name}: {error}"))?;
        if value.is_null() || value == "" {
            if step.kind.field(name).is_some_and(|field| field.required) {
                let names: Vec<_> = template.names().into_iter().collect();
                return Err(format!("{name}: a value is needed, and {} gave none", names.join(", ")));
            }
            if value.is_null() {
                continue;
            }
        }
        fields.insert(name.to_owned(), value);
    }
    match step.kind {
        StepType::Filter => {
            let kept = filter(step, fields.remove("items"), scope)?;
            fields.insert("items".to_owned(), kept);
        }
        StepType::AggregateResults => {
            fields.insert("results".to_owned(), last_foreach(scope)?);
        }
        _ => {}
    }
    Ok(Input {
        fields,
        path: path.to_owned(),
        started,
    })
}

fn last_foreach(scope: &View<'_>) -> Result<Value, String> {
    let results = scope.layers.iter().rev().find_map(|layer| layer.last_foreach.as_ref());
    results
        .map(|results| Value::Array(results.clone()))
        .ok_or_else(|| "no foreach ran before this step".to_owned())
}

/// A state path, every substituted value one segment of it, in the one spelling that reads back as itself. The check keeps the
/// path as a template, whose source is the path's own text.
fn state_path(path: &Value, scope: &dyn Scope) -> Result<String, String> {
    let source = text(path);
    let path = StatePath::parse(&source).map_err(|error| format!("{source}: {error}"))?;
    path.resolve(scope)
        .map(|path| path.to_string())
        .map_err(|error| format!("{source}: {error}"))
}

fn updates(template: &Template, scope: &dyn Scope) -> Result<Value, String> {
    let rendered = |template: &Template| template.render(scope).map_err(|error| error.to_string());
    let entries: Vec<(Value, Value)> = match template {
        Template::Map(entries) => entries
            .iter()
            .map(|(path, value)| Ok((path.source(), rendered(value)?)))
            .collect::<Result<_, String>>()?,
        Template::Literal(Value::Object(entries)) => entries
            .iter()
            .map(|(path, value)| (Template::Literal(Value::from(path.as_str())).source(), value.clone()))
            .collect(),
        _ => return Err("a map of paths and values is needed".to_owned()),
    };
    let mut updates = Map::new();
    for (path, value) in entries {
        let path = state_path(&path, scope)?;
        if updates.insert(path.clone(), value).is_some() {
            return Err(format!("{path} is set twice"));
        }
    }
    Ok(Value::Object(updates))
}

/// One item of a `filter`: its fields are names before all others.
struct ItemScope<'a> {
    item: &'a Value,
    around: &'a View<'a>,
}

impl Scope for ItemScope<'_> {
    fn lookup(&self, name: &str) -> Option<Cow<'_, Value>> {
        match self.item.get(name) {
            Some(value) => Some(Cow::Borrowed(value)),
            None if name == "item" => Some(Cow::Borrowed(self.item)),
            None => self.around.lookup(name),
        }
    }
}

/// The items for which the condition holds; over the results of a foreach, their loop values.
fn filter(step: &Step, items: Option<Value>, scope: &View<'_>) -> Result<Value, String> {
    let Some(Template::Expression(condition)) = step.fields.get("condition") else {
        return Err("condition: a condition is needed".to_owned());
    };
    let over_results = items.is_none();
    let items = match items {
        Some(items) => items,
        None => last_foreach(scope)?,
    };
    let Value::Array(items) = items else {
        return Err(format!("items: a list is needed, not {}", kind_of(&items)));
    };
    let mut kept = Vec::new();
    for item in items {
        if condition
            .holds(&ItemScope {
                item: &item,
                around: scope,
            })
            .map_err(|error| format!("condition: {error}"))?
        {
            kept.push(if over_results { loop_value(item) } else { item });
        }
    }
    Ok(Value::Array(kept))
}

/// The loop variable stands first in a foreach item's result.
fn loop_value(result: Value) -> Value {
    match result {
        Value::Object(fields) => fields.into_iter().next().map_or(Value::Null, |(_, value)| value),
        other => other,
    }
}

/// What the last attempt's result means for the step: its output, and the variables it sets.
#[must_use]
pub fn ending(step: &Step, result: Result<Answer, Fault>) -> Ending {
    let failed = result.is_err();
    let mut ending = match result {
        Ok(answer) => Ending {
            failed,
            output: answer.output,
            variables: answer.variables,
            message: answer.message,
            registry_entry: answer.registry_entry,
        },
        Err(fault) => Ending {
            failed,
            output: fault.output,
            message: Some(fault.message),
            ..Ending::default()
        },
    };
    let asks_for_health = step.output.as_deref() == Some("health_status");
    match step.kind {
        StepType::HealthCheck | StepType::Script | StepType::LoadOperation if failed => ending.output = json!("failed"),
        StepType::HttpRequest | StepType::SshCommand if asks_for_health => ending.output = json!(if failed { "failed" } else { "ok" }),
        _ => {}
    }
    if step.kind == StepType::HealthCheck {
        ending.variables.insert("health_status".to_owned(), ending.output.clone());
    }
    if let Some(outcome) = &step.outcome {
        ending
            .variables
            .insert(outcome.clone(), json!(if failed { "failed" } else { "success" }));
    }
    ending
}

/// What a value is called in a message.
#[must_use]
pub const fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]
    use super::*;
    use crate::operation::scope::{Identity, Layer};
    use crate::runbook::Runbook;

    /// The fields that the only step is given, with `service` being `a.b ${c}`.
    fn fields(step: &str) -> Result<Map<String, Value>, String> {
        let text = format!("operation: {{name: x, type: maintain}}\nparameters: {{service: some}}\nsteps:\n- {step}");
        let runbook = Runbook::parse(&text).unwrap();
        let layer = Layer {
            variables: Map::from_iter([("service".to_owned(), json!("a.b ${c}"))]),
            ..Layer::default()
        };
        let (layers, identity, now) = ([&layer], Identity::default(), Timestamp::UNIX_EPOCH);
        let view = View {
            layers: &layers,
            identity: &identity,
            now,
            attempt: 1,
            failure: None,
            result: None,
        };
        input(&runbook.steps[0], "x", now, &view).map(|input| input.fields)
    }

    #[test]
    fn a_value_in_a_state_path_is_one_segment_whatever_is_in_it() {
        let check = fields("{type: state_check, file: x.json, path: '.${service}.version'}").unwrap();
        assert_eq!(check["path"], json!(r#"."a.b $${c}".version"#));
        let update = fields("{type: state_update, file: x.json, updates: {'.all.${service}': '${service}', .count: 1}}").unwrap();
        assert_eq!(update["updates"], json!({r#".all."a.b $${c}""#: "a.b ${c}", ".count": 1}));
    }

    #[test]
    fn a_state_path_without_values_is_kept_as_it_was_meant() {
        let update = fields("{type: state_update, file: x.json, updates: {'.a.\"b.c\"': 1, '.$${d}': 2}}").unwrap();
        assert_eq!(update["updates"], json!({r#".a."b.c""#: 1, ".$${d}": 2}));
    }

    #[test]
    fn two_state_paths_that_become_the_same_are_an_error() {
        let twice = fields("{type: state_update, file: x.json, updates: {'.${service}': 1, '.\"a.b $${c}\"': 2}}");
        assert!(twice.unwrap_err().contains("is set twice"));
    }
}
