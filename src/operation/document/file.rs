//! State documents as files under a directory: what `thermostat run` uses.

use std::path::PathBuf;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde_json::Value;
use tokio::sync::Mutex;

use super::{Change, Documents, Error, LARGEST, apply_each, full_path, parse, print};

/// Files under a directory.
#[derive(Debug)]
pub struct Files {
    root: PathBuf,
    /// One change at a time in this process.
    changing: Mutex<()>,
}

impl Files {
    #[must_use]
    pub fn under(root: PathBuf) -> Self {
        Self {
            root,
            changing: Mutex::new(()),
        }
    }

    async fn load(&self, path: &str) -> Result<Option<Value>, Error> {
        let file = self.root.join(path);
        let unreadable = |message: String| Error::Unreadable {
            path: path.to_owned(),
            message,
        };
        let length = match tokio::fs::metadata(&file).await {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreadable(error.to_string())),
        };
        if length > LARGEST as u64 {
            return Err(Error::TooLarge { path: path.to_owned() });
        }
        let text = tokio::fs::read_to_string(&file)
            .await
            .map_err(|error| unreadable(error.to_string()))?;
        parse(path, &text).map(Some)
    }

    /// Writes to a temporary file beside the document and renames it, so that a reader sees the old text or the new one.
    async fn store(&self, path: &str, text: &str) -> Result<(), Error> {
        let file = self.root.join(path);
        let temporary = self.root.join(format!("{path}.{}.tmp", std::process::id()));
        let written = async {
            if let Some(folder) = file.parent() {
                tokio::fs::create_dir_all(folder).await?;
            }
            tokio::fs::write(&temporary, text).await?;
            tokio::fs::rename(&temporary, &file).await
        };
        written.await.map_err(|error| Error::Unreadable {
            path: path.to_owned(),
            message: format!("failed to write: {error}"),
        })
    }
}

impl Documents for Files {
    fn read<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<Option<Arc<Value>>, Error>> {
        async move { Ok(self.load(&full_path(path)?).await?.map(Arc::new)) }.boxed()
    }

    fn change<'a>(&'a self, path: &'a str, change: Change) -> BoxFuture<'a, Result<usize, Error>> {
        async move {
            let path = full_path(path)?;
            let _one = self.changing.lock().await;
            let mut document = self.load(&path).await?.unwrap_or(Value::Null);
            let result = apply_each(&path, &mut document, &[change]).remove(0)?;
            self.store(&path, &print(&path, &document)?).await?;
            Ok(result)
        }
        .boxed()
    }
}
