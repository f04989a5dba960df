//! docs/kinds.md, made from the definitions of the kinds.

use std::fmt::Write;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{JSONSchemaProps, JSONSchemaPropsOrArray};
use thermostat::api;

const INTRODUCTION: &str = "# The kinds

<!-- Made by `make generate` from src/api; edit the comments there. -->

Group `thermostat.dev`, version `v1alpha1`; all are namespaced, and `kubectl get thermostat` lists them together. `kubectl explain
operation.spec` says the same as this page. Every kind has the conditions `Ready`, `Reconciling` (while work goes on) and `Stalled`
(nothing will happen without a change); [operations.md](operations.md) lists their reasons.
";

/// The whole document.
pub fn document() -> String {
    let mut out = INTRODUCTION.to_owned();
    for (_, definition) in api::definitions() {
        let names = &definition.spec.names;
        let version = &definition.spec.versions[0];
        let schema = version
            .schema
            .as_ref()
            .and_then(|schema| schema.open_api_v3_schema.as_ref())
            .unwrap();
        let short = names.short_names.clone().unwrap_or_default().join(", ");
        writeln!(
            out,
            "\n## {} (`{short}`)\n\n{}\n",
            names.kind,
            schema.description.clone().unwrap_or_default()
        )
        .unwrap();
        for (part, title) in [("spec", "Spec"), ("status", "Status")] {
            let root = schema.properties.as_ref().and_then(|properties| properties.get(part)).unwrap();
            writeln!(out, "### {title} of {}\n\n| field | type | |\n|---|---|---|", names.kind).unwrap();
            rows(root, "", &mut out);
            out.push('\n');
        }
        out.push_str("Refused by the API server, beyond types and ranges:\n\n");
        rules(schema, "", &mut out);
    }
    out
}

fn rows(schema: &JSONSchemaProps, prefix: &str, out: &mut String) {
    let required = schema.required.clone().unwrap_or_default();
    for (name, field) in schema.properties.iter().flatten() {
        let path = format!("{prefix}{name}");
        let must = if required.contains(name) { " Required." } else { "" };
        let default = field
            .default
            .as_ref()
            .map(|value| format!(" Default `{}`.", value.0))
            .unwrap_or_default();
        let description = field.description.clone().unwrap_or_default().replace('|', "\\|");
        writeln!(out, "| `{path}` | {} | {description}{must}{default} |", kind(field)).unwrap();
        rows(field, &format!("{path}."), out);
        if let Some(item) = item(field) {
            rows(item, &format!("{path}[]."), out);
        }
    }
}

fn item(schema: &JSONSchemaProps) -> Option<&JSONSchemaProps> {
    match schema.items.as_ref()? {
        JSONSchemaPropsOrArray::Schema(item) => Some(item),
        JSONSchemaPropsOrArray::Schemas(_) => None,
    }
}

fn kind(schema: &JSONSchemaProps) -> String {
    if let Some(words) = &schema.enum_ {
        let words: Vec<_> = words.iter().filter_map(|word| word.0.as_str()).collect();
        return words.join(", ");
    }
    match (schema.type_.as_deref(), item(schema)) {
        (Some("array"), Some(item)) => format!("list of {}", kind(item)),
        (Some(name), _) => match (schema.minimum, schema.maximum) {
            (Some(least), Some(most)) => format!("{name}, {least} to {most}"),
            _ => name.to_owned(),
        },
        (None, _) => "any".to_owned(),
    }
}

fn rules(schema: &JSONSchemaProps, path: &str, out: &mut String) {
    for rule in schema.x_kubernetes_validations.iter().flatten() {
        let place = if path.is_empty() { String::new() } else { format!("`{path}`: ") };
        writeln!(out, "- {place}{}", rule.message.clone().unwrap_or_default()).unwrap();
    }
    for (name, field) in schema.properties.iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        rules(field, &path, out);
        if let Some(item) = item(field) {
            rules(item, &format!("{path}[]"), out);
        }
    }
}
