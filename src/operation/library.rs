//! The runbook library: the runbooks that come with the program, and those of a directory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::runbook::document;

/// The runbooks that come with the program, by name.
const BUILT_IN: [(&str, &str); 1] = [("maintain/health-check", include_str!("../../operations/maintain/health-check.yml"))];
/// The largest runbook, in bytes.
const LARGEST: u64 = 512 * 1024;
/// How deep a library's folders may be.
const DEEPEST: usize = 8;

/// Runbooks by name.
#[derive(Debug, Clone, Default)]
pub struct Library {
    texts: BTreeMap<String, Arc<str>>,
    /// `operation.name` of a document to its name in the library.
    by_operation: BTreeMap<String, String>,
}

/// Why a library cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("failed to read the library at {path}: {source}")]
pub struct Error {
    path: PathBuf,
    source: std::io::Error,
}

impl Library {
    /// The runbooks that come with the program, and over them those of a directory: every `.yml` and `.yaml` file below it.
    ///
    /// # Errors
    /// A directory or file that cannot be read.
    pub fn load(directory: Option<&Path>) -> Result<Self, Error> {
        let mut library = Self::default();
        for (name, text) in BUILT_IN {
            library.insert(name.to_owned(), text);
        }
        if let Some(directory) = directory {
            library.read(directory, "", 0)?;
        }
        Ok(library)
    }

    fn read(&mut self, directory: &Path, prefix: &str, depth: usize) -> Result<(), Error> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| Error { path, source }
        };
        for entry in std::fs::read_dir(directory).map_err(failed(directory))? {
            let path = entry.map_err(failed(directory))?.path();
            let Some(name) = path
                .file_name()
                .and_then(|name| name.to_str())
                .filter(|name| !name.starts_with('.'))
            else {
                continue;
            };
            let metadata = std::fs::metadata(&path).map_err(failed(&path))?;
            if metadata.is_dir() && depth < DEEPEST {
                self.read(&path, &format!("{prefix}{name}/"), depth + 1)?;
            } else if let Some(stem) = name.strip_suffix(".yml").or_else(|| name.strip_suffix(".yaml"))
                && metadata.is_file()
                && metadata.len() <= LARGEST
            {
                let text = std::fs::read_to_string(&path).map_err(failed(&path))?;
                self.insert(format!("{prefix}{stem}"), &text);
            }
        }
        Ok(())
    }

    fn insert(&mut self, name: String, text: &str) {
        // what is no document stays findable by its name, and says what is wrong when it is run
        if let Ok(document) = document::read(text)
            && let Some(operation) = document.to_json().pointer("/operation/name").and_then(serde_json::Value::as_str)
        {
            self.by_operation.insert(operation.to_owned(), name.clone());
        }
        self.texts.insert(name, text.into());
    }

    /// A runbook's text: `deploy/mcp-server`, `operations/deploy/mcp-server.yml` and the operation name `deploy_mcp_server` are the same.
    ///
    /// # Errors
    /// The nearest name, where there is one near.
    pub fn find(&self, name: &str) -> Result<Arc<str>, Option<&str>> {
        let plain = name.strip_prefix("operations/").unwrap_or(name);
        let plain = plain.strip_suffix(".yml").or_else(|| plain.strip_suffix(".yaml")).unwrap_or(plain);
        let found = self.texts.get(plain).or_else(|| self.texts.get(self.by_operation.get(plain)?));
        found.cloned().ok_or_else(|| {
            let near = |known: &String| strsim::jaro_winkler(known, plain);
            let nearest = self.texts.keys().max_by(|a, b| near(a).total_cmp(&near(b)));
            nearest.filter(|known| near(known) > 0.8).map(String::as_str)
        })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]
    use super::*;

    #[test]
    fn three_spellings_name_the_same_runbook() {
        let library = Library::load(None).unwrap();
        let text = library.find("maintain/health-check").unwrap();
        assert_eq!(library.find("operations/maintain/health-check.yml").unwrap(), text);
        assert_eq!(library.find("health_check").unwrap(), text);
    }

    #[test]
    fn an_unknown_name_comes_with_the_nearest() {
        let library = Library::load(None).unwrap();
        assert_eq!(library.find("maintain/healthcheck").unwrap_err(), Some("maintain/health-check"));
        assert_eq!(library.find("xyz").unwrap_err(), None);
    }

    #[test]
    fn every_runbook_that_comes_with_the_program_is_valid() {
        for (name, text) in BUILT_IN {
            let runbook = crate::runbook::Runbook::parse(text)
                .map_err(|problems| format!("{name}: {problems}"))
                .unwrap();
            assert!(runbook.warnings.0.is_empty(), "{name}: {}", runbook.warnings);
        }
    }
}
