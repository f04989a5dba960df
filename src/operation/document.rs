//! State documents: named JSON, YAML or text documents that runbooks read and change.
//!
//! In a cluster a document is a ConfigMap, locally a file. What is to be changed is a value ([`Change`]), so that many changes
//! of one document join into one write.

mod config_map;
mod file;

use std::sync::Arc;

use futures::future::BoxFuture;
use serde_json::{Map, Value, json};

use crate::runbook::document;
use crate::runbook::path::ResolvedPath;

pub use config_map::ConfigMaps;
pub use file::Files;

/// Where registries stand unless a step names another file.
pub const SERVICES: &str = "infra/services.yml";
/// The operation log.
pub const OPERATIONS: &str = "infra/state/operations.json";
/// The folder of a file that is named without one.
const STATE_FOLDER: &str = "infra/state/";
/// How many entries an operation log keeps.
const LOG_ENTRIES: usize = 1000;
/// The largest document, in bytes: what a `ConfigMap` holds, less its metadata.
const LARGEST: usize = 1000 * 1024;

/// Why a document cannot be read or changed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    #[error("{0:?} is no path of a state document; write it relative, without '..'")]
    Path(String),
    #[error("{path} cannot be read: {message}")]
    Unreadable { path: String, message: String },
    #[error("{path}: {message}")]
    Change { path: String, message: String },
    #[error("{path} would be larger than {LARGEST} bytes")]
    TooLarge { path: String },
    /// Trying again may help.
    #[error("failed to reach {path}: {message}")]
    Unreachable { path: String, message: String },
}

impl Error {
    /// Whether trying again cannot help.
    #[must_use]
    pub const fn is_permanent(&self) -> bool {
        !matches!(self, Self::Unreachable { .. })
    }
}

/// One change of a document.
#[derive(Debug, Clone)]
pub enum Change {
    /// Sets places; all of them or none.
    Set(Vec<(ResolvedPath, Value)>),
    /// Adds an entry to the list `operations`, once for each `id`; the oldest entries beyond a thousand go.
    Append { id: String, entry: Value },
    /// As many [`Change::Append`]s, each with its id.
    AppendAll(Vec<(String, Value)>),
    /// Replaces the whole document by a text.
    Text(String),
}

impl Change {
    /// Changes a document; yields how many places changed.
    ///
    /// # Errors
    /// A place that cannot be set; the document is then as it was.
    pub fn apply(&self, document: &mut Value) -> Result<usize, String> {
        match self {
            Self::Set(updates) => {
                if document.is_null() {
                    *document = json!({});
                }
                crate::runbook::path::apply_all(document, updates)
            }
            Self::Append { id, entry } => append(document, id, entry),
            Self::AppendAll(entries) => entries.iter().map(|(id, entry)| append(document, id, entry)).sum(),
            Self::Text(text) => {
                *document = Value::String(text.clone());
                Ok(1)
            }
        }
    }
}

fn append(document: &mut Value, id: &str, entry: &Value) -> Result<usize, String> {
    if document.is_null() {
        *document = json!({});
    }
    let Value::Object(fields) = document else {
        return Err("the log must be a map with a list named operations".to_owned());
    };
    let list = fields.entry("operations").or_insert_with(|| json!([]));
    let Value::Array(entries) = list else {
        return Err("operations must be a list".to_owned());
    };
    if entries.iter().any(|known| known.get("id").is_some_and(|known| known == id)) {
        return Ok(0);
    }
    let mut fields = match entry {
        Value::Object(fields) => fields.clone(),
        other => Map::from_iter([("entry".to_owned(), other.clone())]),
    };
    fields.insert("id".to_owned(), json!(id));
    entries.push(Value::Object(fields));
    if entries.len() > LOG_ENTRIES {
        entries.drain(..entries.len() - LOG_ENTRIES);
    }
    Ok(1)
}

/// Where state documents live.
pub trait Documents: Send + Sync {
    /// The document, or `None` where there is none.
    fn read<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<Option<Arc<Value>>, Error>>;

    /// Changes a document, which is made where there is none; yields how many places changed.
    fn change<'a>(&'a self, path: &'a str, change: Change) -> BoxFuture<'a, Result<usize, Error>>;
}

/// The document's whole path: a name without a slash is under `infra/state/`.
///
/// # Errors
/// An absolute path, one with `..`, or one that is no text to begin with.
pub fn full_path(file: &str) -> Result<String, Error> {
    let path = if file.contains('/') {
        file.to_owned()
    } else {
        format!("{STATE_FOLDER}{file}")
    };
    let wrong = file.is_empty()
        || path.len() > 512
        || path.starts_with('/')
        || path.chars().any(char::is_control)
        || path.split('/').any(|segment| matches!(segment, "" | "." | ".."));
    if wrong {
        Err(Error::Path(file.chars().take(128).collect()))
    } else {
        Ok(path)
    }
}

fn is_json(path: &str) -> bool {
    has_extension(path, &["json"])
}

fn has_extension(path: &str, wanted: &[&str]) -> bool {
    path.rsplit_once('.')
        .is_some_and(|(_, extension)| wanted.iter().any(|wanted| extension.eq_ignore_ascii_case(wanted)))
}

/// A document's text as a value: by its extension JSON or YAML, all else text.
///
/// # Errors
/// What is neither, with the place.
fn parse(path: &str, text: &str) -> Result<Value, Error> {
    let unreadable = |message: String| Error::Unreadable {
        path: path.to_owned(),
        message,
    };
    if text.trim().is_empty() {
        return Ok(Value::Null);
    }
    if is_json(path) {
        serde_json::from_str(text).map_err(|error| unreadable(error.to_string()))
    } else if has_extension(path, &["yml", "yaml"]) {
        document::read(text)
            .map(|node| node.to_json())
            .map_err(|diagnostics| unreadable(diagnostics.to_string()))
    } else {
        Ok(Value::String(text.to_owned()))
    }
}

/// A value as the document's text.
fn print(path: &str, value: &Value) -> Result<String, Error> {
    let unreadable = |message: String| Error::Unreadable {
        path: path.to_owned(),
        message,
    };
    let text = match value {
        Value::String(text) if !is_json(path) => text.clone(),
        value if has_extension(path, &["yml", "yaml"]) => serde_yaml::to_string(value).map_err(|error| unreadable(error.to_string()))?,
        value => serde_json::to_string_pretty(value)
            .map(|text| text + "\n")
            .map_err(|error| unreadable(error.to_string()))?,
    };
    if text.len() > LARGEST {
        Err(Error::TooLarge { path: path.to_owned() })
    } else {
        Ok(text)
    }
}

/// Applies changes one after the other; one that fails leaves the others.
fn apply_each(path: &str, document: &mut Value, changes: &[Change]) -> Vec<Result<usize, Error>> {
    changes
        .iter()
        .map(|change| {
            change.apply(document).map_err(|message| Error::Change {
                path: path.to_owned(),
                message,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]
    use super::*;

    #[test]
    fn a_name_without_a_folder_is_a_state_document() {
        assert_eq!(full_path("deployments.json").unwrap(), "infra/state/deployments.json");
        assert_eq!(full_path("infra/services.yml").unwrap(), "infra/services.yml");
    }

    #[test]
    fn a_path_that_leaves_its_folder_is_refused() {
        for path in ["", "/etc/passwd", "../x.json", "a/../../x", "a//b", "a/./b", "a/\nb"] {
            assert!(full_path(path).is_err(), "{path:?}");
        }
    }

    #[test]
    fn an_entry_is_written_once_for_each_id_and_other_keys_stay() {
        let mut document = json!({"kept": 1});
        let change = Change::Append {
            id: "a".to_owned(),
            entry: json!({"name": "x"}),
        };
        assert_eq!(change.apply(&mut document).unwrap(), 1);
        assert_eq!(change.apply(&mut document).unwrap(), 0);
        assert_eq!(document, json!({"kept": 1, "operations": [{"name": "x", "id": "a"}]}));
    }

    #[test]
    fn the_log_keeps_its_last_thousand_entries() {
        let mut document = Value::Null;
        for number in 0..1005 {
            Change::Append {
                id: number.to_string(),
                entry: json!(number),
            }
            .apply(&mut document)
            .unwrap();
        }
        let entries = document["operations"].as_array().unwrap();
        assert_eq!((entries.len(), &entries[0]["entry"]), (1000, &json!(5)));
    }
}
