//! A program that ends with the one that started it.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, kill_process};

use super::{Failure, Result, wait::eventually};

pub use rustix::process::Signal;

/// Runs `$2...` with its output appended to `$1` and prints its pid.
///
/// Holds the reading end of a pipe whose writing end only the harness has. The kernel closes that end when the harness
/// ends, also by SIGKILL; then the program is killed. Only this shell reaps the program, and only this shell kills it
/// then, so no other process that was given the same pid is ever hit.
const SUPERVISOR: &str = r#"
log=$1; shift
exec 3<&0 </dev/null
"$@" 3<&- >>"$log" 2>&1 &
child=$!
trap 'kill -KILL $child; wait $child; exit 137' TERM
(trap - TERM; read -r _ <&3; kill -TERM $$) >/dev/null 2>&1 &
watcher=$!
exec 3<&-
echo $child
wait $child
status=$?
trap '' TERM
kill -KILL $watcher
exit $status
"#;

/// How a program is started.
#[derive(Debug, Clone)]
pub struct Program {
    pub name: String,
    pub path: PathBuf,
    pub arguments: Vec<String>,
    pub environment: Vec<(String, String)>,
    /// Standard output and standard error are appended here.
    pub log: PathBuf,
}

/// A running (or ended) [`Program`]. Killed when dropped.
#[derive(Debug)]
pub struct Process {
    program: Program,
    pid: Pid,
    supervisor: Child,
    /// Closing it makes the supervisor kill the program.
    _lifeline: ChildStdin,
}

impl Program {
    /// # Errors
    /// When the supervising shell cannot be started. A program that cannot be executed ends with status 126 or 127.
    pub fn start(self) -> Result<Process> {
        let mut supervisor = Command::new("sh")
            .args(["-c", SUPERVISOR, "supervisor"])
            .arg(&self.log)
            .arg(&self.path)
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // Ctrl-C on the terminal reaches the harness alone, which then ends its programs in order.
            .process_group(0)
            .spawn()
            .map_err(|error| Failure::during(error, format_args!("start {}", self.name)))?;
        let (Some(lifeline), Some(output)) = (supervisor.stdin.take(), supervisor.stdout.take()) else {
            return Err(Failure::new(format!("{} was started without pipes", self.name)));
        };
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let pid = line.trim().parse().ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| Failure::new(format!("the supervisor of {} said {line:?} instead of a pid", self.name)))?;
        Ok(Process {
            program: self,
            pid,
            supervisor,
            _lifeline: lifeline,
        })
    }
}

impl Process {
    pub fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    pub fn program(&self) -> &Program {
        &self.program
    }

    pub fn log(&self) -> &Path {
        &self.program.log
    }

    /// The exit status as a shell tells it (128 + the signal's number when one ended it), or `None` while it runs.
    ///
    /// # Errors
    /// When the operating system cannot be asked.
    pub fn exit_status(&mut self) -> Result<Option<i32>> {
        Ok(self.supervisor.try_wait()?.map(|status| status.code().unwrap_or(137)))
    }

    /// # Errors
    /// When it has ended already.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        if let Some(status) = self.exit_status()? {
            return Err(Failure::new(format!(
                "{} has ended with status {status}\n{}",
                self.program.name,
                self.log_tail()
            )));
        }
        kill_process(self.pid, signal).map_err(|error| Failure::during(error, format_args!("send {signal:?} to {}", self.program.name)))
    }

    /// SIGKILL, and waits until it is gone. Does nothing to a program that has ended.
    pub fn kill(&mut self) {
        // The program may end between the question and the signal; it is gone either way.
        let _ = self.signal(Signal::KILL);
        let _ = self.supervisor.wait();
    }

    /// Waits until it ends by itself and gives its status as [`Process::exit_status`] does.
    ///
    /// # Errors
    /// When it still runs after `within`.
    pub async fn wait_exit(&mut self, within: Duration) -> Result<i32> {
        let what = format!("{} ends", self.program.name);
        eventually(&what, within, async || match self.exit_status() {
            Ok(Some(status)) => Ok(status),
            Ok(None) => Err("it is running".to_owned()),
            Err(error) => Err(error.to_string()),
        })
        .await
    }

    /// The end of what it wrote, for messages.
    pub fn log_tail(&self) -> String {
        let text = fs::read(&self.program.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        let tail = &lines[lines.len().saturating_sub(20)..];
        format!("the end of {}:\n{}", self.program.log.display(), tail.join("\n"))
    }

    /// Resident memory now, in bytes.
    ///
    /// # Errors
    /// When it does not run, or the operating system has no `/proc`.
    pub fn resident_memory(&self) -> Result<u64> {
        self.memory("VmRSS:")
    }

    /// The most resident memory it ever had, in bytes.
    ///
    /// # Errors
    /// As [`Process::resident_memory`].
    pub fn resident_memory_peak(&self) -> Result<u64> {
        self.memory("VmHWM:")
    }

    fn memory(&self, field: &str) -> Result<u64> {
        let path = format!("/proc/{}/status", self.pid());
        let status = fs::read_to_string(&path).map_err(|error| Failure::during(error, format_args!("read {path}")))?;
        let kibibytes = status
            .lines()
            .find_map(|line| line.strip_prefix(field)?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        kibibytes
            .map(|count| count * 1024)
            .ok_or_else(|| Failure::new(format!("{path} has no {field}")))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
