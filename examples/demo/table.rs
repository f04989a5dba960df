//! `kubectl get operations --watch`: its lines on the screen, and what they say.

use std::{process::Stdio, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::ChildStdout,
    sync::watch,
    task::JoinHandle,
    time::timeout,
};

use crate::{
    harness::{Failure, Result},
    screen::{Kubectl, say},
};

pub const ARGUMENTS: [&str; 3] = ["get", "operations", "--watch"];
/// How long an Operation of the demo may take. Nothing waits this long when all is well.
const PATIENCE: Duration = Duration::from_mins(2);
const FINAL: [&str; 3] = ["Succeeded", "Failed", "Cancelled"];

/// An Operation's name and final phase.
type Ended = (String, String);

/// The table that is being shown. Ends when dropped.
pub struct Table {
    task: JoinHandle<()>,
    ended: watch::Receiver<Vec<Ended>>,
}

impl Table {
    /// # Errors
    /// When kubectl cannot be started.
    pub fn start(kubectl: &Kubectl<'_>) -> Result<Self> {
        let mut command = kubectl.command(&ARGUMENTS);
        // Ctrl-C on the terminal is the demo's: it ends kubectl by its pid
        let mut child = command.process_group(0).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let output = child
            .stdout
            .take()
            .ok_or_else(|| Failure::new("kubectl was started without a pipe"))?;
        let (sender, ended) = watch::channel(Vec::new());
        let task = tokio::spawn(async move {
            follow(output, &sender).await;
            drop(child);
        });
        Ok(Self { task, ended })
    }

    /// Waits until these have ended and gives them in the order of their ends.
    ///
    /// # Errors
    /// When they have not in time, or kubectl ends.
    pub async fn ended(&self, names: &[&str]) -> Result<Vec<Ended>> {
        let of_interest =
            |ended: &[Ended]| -> Vec<Ended> { ended.iter().filter(|(name, _)| names.contains(&name.as_str())).cloned().collect() };
        let mut receiver = self.ended.clone();
        let all = timeout(PATIENCE, receiver.wait_for(|ended| of_interest(ended).len() == names.len())).await;
        match all {
            Ok(Ok(ended)) => Ok(of_interest(&ended)),
            Ok(Err(_)) => Err(Failure::new("kubectl get --watch ended")),
            Err(_) => Err(Failure::new(format!(
                "{} did not end within {PATIENCE:?}; seen: {:?}",
                names.join(", "),
                self.ended.borrow()
            ))),
        }
    }

    /// Waits until the API server closes the watch.
    ///
    /// # Errors
    /// When the task that shows it broke down.
    pub async fn closed(mut self) -> Result<()> {
        Ok((&mut self.task).await?)
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Shows each line, and tells who ended. The API server sends the changes of all Operations in the order in which they were made.
async fn follow(output: ChildStdout, ended: &watch::Sender<Vec<Ended>>) {
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        say(line.trim_end());
        let mut words = line.split_whitespace();
        if let (Some(name), Some(phase)) = (words.next(), words.next())
            && FINAL.contains(&phase)
        {
            ended.send_if_modified(|ended| {
                let news = !ended.iter().any(|(known, _)| known == name);
                if news {
                    ended.push((name.to_owned(), phase.to_owned()));
                }
                news
            });
        }
    }
}
