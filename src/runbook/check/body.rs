//! What single step types ask for beyond the table: bodies, conditions, and what depends on another field.

use super::names::Allowed;
use super::step::Reading;
use super::{Checker, MAX_ITEMS};
use crate::runbook::document::Node;
use crate::runbook::step::{Body, StepType};
use crate::runbook::substitute::Template;

impl Checker<'_> {
    pub(super) fn body(&mut self, reading: &mut Reading<'_>, kind: StepType) {
        match kind {
            StepType::Conditional => self.branches(reading),
            StepType::Foreach => self.each_item(reading),
            StepType::Filter => self.filter(reading),
            StepType::HealthCheck => self.health_check(reading),
            StepType::Notification => self.notification(reading),
            _ => {}
        }
    }

    fn branches(&mut self, reading: &mut Reading<'_>) {
        let place = reading.step.place.clone();
        let condition = given(reading.node, "condition").and_then(|node| self.condition(node, &format!("{place}.condition")));
        let (then, otherwise) = self.sometimes(|checker| {
            let mut branch = |field: &str| {
                let path = format!("{place}.{field}");
                given(reading.node, field).map(|node| {
                    if field == "steps" {
                        checker.not_empty(node, &path);
                    }
                    checker.steps(node, &path, None)
                })
            };
            (branch("steps").unwrap_or_default(), branch("else").unwrap_or_default())
        });
        reading.step.defines = then
            .iter()
            .chain(&otherwise)
            .flat_map(|step| step.defines.iter().cloned())
            .collect();
        match condition {
            Some(condition) => {
                reading.step.body = Body::Branches {
                    condition,
                    then,
                    otherwise,
                }
            }
            None => reading.broken = true,
        }
    }

    fn each_item(&mut self, reading: &mut Reading<'_>) {
        let place = reading.step.place.clone();
        let items = given(reading.node, "items");
        if let Some(count) = items.and_then(Node::as_list).map(<[Node]>::len).filter(|count| *count > MAX_ITEMS) {
            let message = format!("{count} items; a foreach takes at most {MAX_ITEMS}");
            self.problems.error(
                "too-many-items",
                &format!("{place}.items"),
                items.and_then(|items| items.position),
                message,
            );
        }
        let variable = match given(reading.node, "as") {
            Some(node) => self.variable(node, &format!("{place}.as")),
            None => Some("item".to_owned()),
        };
        let variable = variable.unwrap_or_else(|| "item".to_owned());
        self.names.enter(&place, &variable);
        self.inside_foreach += 1;
        let steps = self.sometimes(|checker| {
            let path = format!("{place}.steps");
            given(reading.node, "steps").map(|node| {
                checker.not_empty(node, &path);
                checker.steps(node, &path, None)
            })
        });
        self.inside_foreach -= 1;
        self.names.leave();
        let mut field = |name: &str| reading.step.fields.shift_remove(name);
        match field("items") {
            Some(items) => {
                reading.step.body = Body::Each {
                    items,
                    variable,
                    parallel: field("parallel"),
                    max_concurrent: field("max_concurrent"),
                    steps: steps.unwrap_or_default(),
                }
            }
            None => reading.broken = true,
        }
    }

    fn not_empty(&mut self, node: &Node, path: &str) {
        if node.as_list().is_some_and(<[Node]>::is_empty) {
            self.problems
                .error("required-field", path, node.position, "at least one step is needed here");
        }
    }

    fn filter(&mut self, reading: &mut Reading<'_>) {
        let Some(node) = given(reading.node, "condition") else { return };
        let path = format!("{}.condition", reading.step.place);
        let allowed = Allowed {
            anything: true,
            ..self.names.allowed
        };
        match self.allowing(allowed, |checker| checker.condition(node, &path)) {
            Some(condition) => drop(reading.step.fields.insert("condition", Template::Expression(condition))),
            None => reading.broken = true,
        }
    }

    /// How it checks is said here, or it comes from the registry's entry of a service.
    fn health_check(&mut self, reading: &mut Reading<'_>) {
        let (node, place) = (reading.node, &reading.step.place);
        let has = |field: &str| given(node, field).is_some();
        let Some(method) = given(node, "method") else {
            if !has("service") {
                self.required_field(place, node, "health_check needs \"method\" or \"service\"".to_owned());
            }
            return;
        };
        let from_registry = has("service") && given(node, "from_registry").is_some_and(|value| value.as_boolean() != Some(false));
        let needed: &[&str] = match method.as_text() {
            Some("ssh_command") => {
                self.not_available("the health check method \"ssh_command\"", &format!("{place}.method"), method);
                &["command"]
            }
            Some("http") => &["url"],
            Some("tcp") => &["host", "port"],
            _ => &[],
        };
        for field in needed.iter().filter(|field| !has(field) && !from_registry) {
            let method = method.as_text().unwrap_or_default();
            self.required_field(
                &format!("{place}.{field}"),
                node,
                format!("a health check by {method} needs \"{field}\""),
            );
        }
    }

    /// Only the log can be notified so far; a channel that an expression names is refused when the step starts.
    fn notification(&mut self, reading: &mut Reading<'_>) {
        let Some(Template::Literal(channel)) = reading.step.fields.get("channel") else {
            return;
        };
        let Some(node) = given(reading.node, "channel") else { return };
        if channel.as_str().is_some_and(|channel| channel != "log") {
            let what = format!("the channel {channel}");
            self.not_available(&what, &format!("{}.channel", reading.step.place), node);
        }
    }
}

fn given<'n>(node: &'n Node, field: &str) -> Option<&'n Node> {
    node.get(field).filter(|value| !value.is_null())
}
