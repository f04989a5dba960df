//! What is generated and committed is what the program would generate now, and says what it should.

use std::{collections::BTreeSet, error::Error, fs, path::Path, process::Command};

use serde_json::Value;
use thermostat::api::Reason;

const BINARY: &str = env!("CARGO_BIN_EXE_thermostat");

type Result<T = (), E = Box<dyn Error>> = std::result::Result<T, E>;

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The definitions that are committed, by file name.
fn committed() -> Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(repository().join("crds"))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name != "kustomization.yaml" {
            files.push((name, fs::read_to_string(entry.path())?));
        }
    }
    files.sort();
    Ok(files)
}

#[test]
fn the_committed_definitions_are_those_that_the_program_writes() -> Result {
    let folder = tempfile::tempdir()?;
    let status = Command::new(BINARY).args(["crds", "--output-dir"]).arg(folder.path()).status()?;
    assert!(status.success());
    let mut written: Vec<(String, String)> = Vec::new();
    for entry in fs::read_dir(folder.path())? {
        let entry = entry?;
        written.push((entry.file_name().to_string_lossy().into_owned(), fs::read_to_string(entry.path())?));
    }
    written.sort();
    assert!(
        committed()? == written,
        "crds/ is not what src/api/ says: run `make generate` and commit"
    );
    Ok(())
}

#[test]
fn the_program_prints_the_committed_definitions() -> Result {
    let output = Command::new(BINARY).arg("crds").output()?;
    let printed = String::from_utf8(output.stdout)?;
    for (name, text) in committed()? {
        assert!(printed.contains(&text), "`thermostat crds` does not print crds/{name}");
    }
    Ok(())
}

#[test]
fn every_definition_is_installed() -> Result {
    let listed = fs::read_to_string(repository().join("crds/kustomization.yaml"))?;
    for (name, _) in committed()? {
        assert!(listed.contains(&name), "crds/kustomization.yaml does not list {name}");
    }
    Ok(())
}

/// Every place in a schema whose description is missing.
fn undescribed(schema: &Value, place: &str, found: &mut Vec<String>) {
    let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    for (name, property) in properties {
        let place = format!("{place}.{name}");
        let described = property
            .get("description")
            .and_then(Value::as_str)
            .is_some_and(|text| text.len() > 3);
        // the API machinery describes metadata itself
        if !described && place != ".metadata" {
            found.push(place.clone());
        }
        undescribed(property, &place, found);
    }
    if let Some(items) = schema.get("items") {
        undescribed(items, &format!("{place}[]"), found);
    }
}

#[test]
fn every_field_of_every_definition_has_a_description() -> Result {
    for (name, text) in committed()? {
        let definition: Value = serde_yaml::from_str(&text)?;
        let schema = definition.pointer("/spec/versions/0/schema/openAPIV3Schema").ok_or("no schema")?;
        assert!(schema.get("description").is_some(), "{name}");
        let mut found = Vec::new();
        undescribed(schema, "", &mut found);
        assert_eq!(found, Vec::<String>::new(), "{name}");
    }
    Ok(())
}

#[test]
fn every_rule_has_a_sentence_for_people() -> Result {
    fn rules(schema: &Value, found: &mut Vec<Value>) {
        match schema {
            Value::Object(fields) => {
                found.extend(
                    fields
                        .get("x-kubernetes-validations")
                        .and_then(Value::as_array)
                        .into_iter()
                        .flatten()
                        .cloned(),
                );
                fields.values().for_each(|field| rules(field, found));
            }
            Value::Array(items) => items.iter().for_each(|item| rules(item, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    for (_, text) in committed()? {
        rules(&serde_yaml::from_str(&text)?, &mut found);
    }
    assert!(found.len() > 10);
    for rule in found {
        let message = rule.get("message").and_then(Value::as_str).unwrap_or_default();
        assert!(message.contains(' ') && message.len() > 20, "{rule}");
    }
    Ok(())
}

/// All of the program's source but the place where the reasons are defined, tests left out.
fn source(folder: &Path, text: &mut String) -> Result {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default();
        if path.is_dir() {
            if name != "tests" {
                source(&path, text)?;
            }
        } else if name != "tests.rs" && !path.ends_with("api/condition.rs") {
            let file = fs::read_to_string(&path)?;
            text.push_str(file.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default());
        }
    }
    Ok(())
}

#[test]
fn every_reason_is_given_by_something() -> Result {
    let mut text = String::new();
    source(&repository().join("src"), &mut text)?;
    let used = |reason: &&Reason| text.contains(&format!("Reason::{reason}"));
    let unused: Vec<_> = Reason::ALL.iter().filter(|reason| !used(reason)).collect();
    assert!(unused.is_empty(), "no condition ever has the reasons {unused:?}");
    Ok(())
}

#[test]
fn no_two_reasons_are_the_same_word() {
    let words: BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
    assert_eq!(words.len(), Reason::ALL.len());
    for reason in Reason::ALL {
        assert_eq!(reason.as_str().parse(), Ok(*reason));
    }
}
