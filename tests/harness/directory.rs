//! A folder that is removed with the process that made it.

use std::{
    env, fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use super::Result;

/// Set to anything, it keeps the folders of every test for a look at the logs.
const KEEP: &str = "THERMOSTAT_TEST_KEEP";

/// Waits until the pipe on its standard input closes, then removes `$1`. Programs that write into it are killed at the
/// same instant, each by its own supervisor; the repetition is for the moment that takes.
const JANITOR: &str = r#"
read -r _
for _ in 1 2 3 4 5 6 7 8 9 10; do
    sleep 0.3
    rm -rf "$1" && [ ! -e "$1" ] && exit
done
"#;

/// A new, empty folder; removed when dropped, and also when the process ends without dropping it.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    janitor: Option<Child>,
}

impl Directory {
    /// # Errors
    /// When it cannot be made.
    pub fn create() -> Result<Self> {
        let path = tempfile::Builder::new().prefix("thermostat-").tempdir()?.keep();
        if env::var_os(KEEP).is_some() {
            return Ok(Self { path, janitor: None });
        }
        let janitor = Command::new("sh")
            .args(["-c", JANITOR, "janitor"])
            .arg(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        Ok(Self {
            path,
            janitor: Some(janitor),
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let Some(mut janitor) = self.janitor.take() else { return };
        // What cannot be removed now the janitor tries again.
        let _ = fs::remove_dir_all(&self.path);
        let _ = janitor.wait();
    }
}
