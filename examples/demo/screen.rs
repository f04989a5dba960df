//! What the demo prints, and kubectl as it is typed.

use std::{
    env,
    ffi::OsStr,
    io::{self, IsTerminal, Write},
    process::Stdio,
};

use tokio::process::Command;

use crate::harness::{Failure, Result, control_plane::ControlPlane};

/// Lines for whoever watches. Nobody may: a closed pipe is no error.
pub fn say(text: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

pub fn title(text: &str) {
    say(&format!("\n{}", bold(&format!("== {text}"))));
}

fn bold(text: &str) -> String {
    if io::stdout().is_terminal() {
        format!("\x1b[1m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}

/// kubectl as the administrator, in the folder of the project.
pub struct Kubectl<'plane> {
    plane: &'plane ControlPlane,
}

impl<'plane> Kubectl<'plane> {
    pub fn of(plane: &'plane ControlPlane) -> Self {
        Self { plane }
    }

    /// A command that ends when it is dropped.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::from(self.plane.kubectl_command(self.plane.kubeconfig(), arguments));
        command
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Prints the command as a person would type it.
    #[expect(clippy::unused_self, reason = "reads as kubectl.echo")]
    pub fn echo(&self, arguments: &[&str]) {
        let words: Vec<_> = arguments.iter().map(|word| quoted(word)).collect();
        say(&bold(&format!("$ kubectl {}", words.join(" "))));
    }

    /// Prints the command, runs it and prints what it says.
    ///
    /// # Errors
    /// When it fails.
    pub async fn run(&self, arguments: &[&str]) -> Result<()> {
        self.echo(arguments);
        let said = self.ask(arguments).await?;
        say(said.trim_end());
        Ok(())
    }

    /// Runs a command that nobody needs to see and gives what it says.
    ///
    /// # Errors
    /// When it fails, with what it said.
    pub async fn ask(&self, arguments: &[&str]) -> Result<String> {
        let output = self.command(arguments).output().await?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let complaint = String::from_utf8_lossy(&output.stderr);
        Err(Failure::new(format!(
            "kubectl {}: {}\n{complaint}",
            arguments.join(" "),
            output.status
        )))
    }

    /// What to type in another terminal so that its kubectl is this one.
    pub fn environment(&self) -> Vec<String> {
        let mut lines = vec![format!("export KUBECONFIG={}", self.plane.kubeconfig().display())];
        if !is_on_path("kubectl")
            && let Some(folder) = self.plane.kubectl_program().parent()
        {
            lines.push(format!("export PATH=$PATH:{}", folder.display()));
        }
        lines
    }
}

fn is_on_path(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(OsStr::new(&path)).any(|folder| folder.join(program).is_file())
}

/// The word as a shell needs it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
