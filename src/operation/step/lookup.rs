//! `service_lookup` and `service_group_lookup`: what the registry says of a service or a group.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::document::SERVICES;
use super::super::walk::{Answer, Fault};
use super::World;
use crate::runbook::substitute::text;

#[derive(Deserialize)]
pub struct ServiceFields {
    #[serde(default)]
    file: Option<String>,
    service: Value,
    #[serde(default)]
    get: Option<String>,
}

#[derive(Deserialize)]
pub struct GroupFields {
    #[serde(default)]
    file: Option<String>,
    group: Value,
}

pub async fn service(fields: ServiceFields, world: &World) -> Result<Answer, Fault> {
    let entry = registry_entry(fields.file.as_deref().unwrap_or(SERVICES), &text(&fields.service), world).await?;
    let value = match &fields.get {
        None => entry.clone(),
        Some(get) => get
            .split('.')
            .try_fold(&entry, |value, name| value.get(name))
            .cloned()
            .unwrap_or(Value::Null),
    };
    let variables = fields.get.map(|get| Map::from_iter([(get, value.clone())])).unwrap_or_default();
    Ok(Answer {
        output: value,
        variables,
        registry_entry: Some(entry),
        ..Answer::default()
    })
}

pub async fn group(fields: GroupFields, world: &World) -> Result<Answer, Fault> {
    let file = fields.file.as_deref().unwrap_or(SERVICES);
    let registry = registry(file, world).await?;
    let name = text(&fields.group);
    let groups = ["groups", "service_groups"].iter().find_map(|key| registry.get(key)?.as_object());
    let found = groups.and_then(|groups| groups.get(&name)).or_else(|| registry.get(&name));
    let list = match found {
        Some(Value::Array(list)) => Some(list),
        Some(Value::Object(group)) => group.get("services").and_then(Value::as_array),
        _ => None,
    };
    let known = || groups.into_iter().flat_map(Map::keys).map(String::as_str);
    let list = list.ok_or_else(|| unknown("group", &name, file, known()))?;
    Ok(Answer {
        output: json!(list),
        ..Answer::default()
    })
}

async fn registry(file: &str, world: &World) -> Result<std::sync::Arc<Value>, Fault> {
    let document = world.documents.read(file).await?;
    document.ok_or_else(|| Fault::permanent(format!("the registry {file} does not exist")))
}

/// The entry of a service: under `services`, a map by name or a list of maps with a `name`.
pub async fn registry_entry(file: &str, service: &str, world: &World) -> Result<Value, Fault> {
    let registry = registry(file, world).await?;
    let services = registry.get("services").unwrap_or(&registry);
    let found = match services {
        Value::Object(map) => map.get(service),
        Value::Array(list) => list.iter().find(|entry| entry.get("name").is_some_and(|name| name == service)),
        _ => None,
    };
    found.cloned().ok_or_else(|| {
        let names: Vec<&str> = match services {
            Value::Object(map) => map.keys().map(String::as_str).collect(),
            Value::Array(list) => list.iter().filter_map(|entry| entry.get("name")?.as_str()).collect(),
            _ => Vec::new(),
        };
        unknown("service", service, file, names.into_iter())
    })
}

fn unknown<'a>(kind: &str, name: &str, file: &str, known: impl Iterator<Item = &'a str>) -> Fault {
    let nearest = known
        .map(|known| (strsim::damerau_levenshtein(known, name), known))
        .min()
        .filter(|(distance, _)| *distance <= 3);
    let hint = nearest.map(|(_, known)| format!("; did you mean {known:?}?")).unwrap_or_default();
    Fault::permanent(format!("{kind} {name:?} is not in {file}{hint}"))
}
