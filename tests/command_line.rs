//! The program without a cluster, as people and pipelines call it.

mod harness;

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use harness::{
    Failure, Result,
    target::{Answer, Target},
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A folder with a runbook, and the program in it.
struct Desk {
    folder: TempDir,
    target: Target,
}

impl Desk {
    /// The word TARGET in the runbook stands for the target's URL.
    fn with(runbook: &str) -> Result<Self> {
        let desk = Self {
            folder: tempfile::tempdir()?,
            target: Target::start()?,
        };
        desk.write("runbook.yml", runbook)?;
        Ok(desk)
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        Ok(fs::write(self.path().join(name), text.replace("TARGET", &self.target.url("")))?)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_thermostat"));
        command.args(arguments).current_dir(self.path()).env_clear().stdin(Stdio::null());
        command
    }

    fn call(&self, arguments: &[&str]) -> Result<Answered> {
        Ok(Answered::from(self.command(arguments).output()?))
    }

    fn call_with_input(&self, arguments: &[&str], input: &str) -> Result<Answered> {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input.as_bytes())?;
        }
        Ok(Answered::from(child.wait_with_output()?))
    }

    fn start(&self, arguments: &[&str]) -> Result<Child> {
        Ok(self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?)
    }

    /// Waits until so many requests for a path are unanswered.
    fn asked(&self, path: &str, count: usize) -> Result<()> {
        let started = Instant::now();
        while self.target.in_flight(path) != count {
            if started.elapsed() > Duration::from_secs(30) {
                return Err(Failure::new(format!(
                    "{path}: {} requests in flight, not {count}",
                    self.target.in_flight(path)
                )));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    fn document(&self, path: &str) -> Result<Value> {
        Ok(serde_json::from_str(&fs::read_to_string(self.path().join(path))?)?)
    }
}

/// What the program said.
#[derive(Debug)]
struct Answered {
    code: Option<i32>,
    output: String,
    progress: String,
}

impl From<Output> for Answered {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self {
            code: output.status.code(),
            output: text(output.stdout),
            progress: text(output.stderr),
        }
    }
}

impl Answered {
    fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.output).map_err(|error| Failure::during(error, format_args!("read {self:?}")))
    }
}

fn interrupt(child: &Child) -> Result<()> {
    let pid = i32::try_from(child.id())
        .ok()
        .and_then(Pid::from_raw)
        .ok_or_else(|| Failure::new("no pid"))?;
    Ok(kill_process(pid, Signal::INT)?)
}

const GREET: &str = "
operation: {name: greet, type: maintain}
parameters: {name: world, times: 1, secret_word: {type: string, secret: true, default: hush-hush-hush}}
steps:
  - {name: ask, type: http_request, url: 'TARGET/hello?name=${name}&times=${times + 1}', headers: {x-word: '${secret_word}'}, output: answer}
  - {name: note, type: state_update, file: greetings.json, updates: {'.${name}': '${answer.status}'}}
  - {name: tell, type: notification, channel: log, message: 'told ${name}, and the word is ${secret_word}'}
outputs: {greeted: name, status: answer.status}
results: {report_format: 'greeted ${name}', save_to: reports/greet.txt}
";

const UNDO: &str = "
operation: {name: change, type: deploy}
steps:
  - {name: change, type: http_request, method: POST, url: TARGET/change}
  - {name: slow, type: http_request, url: TARGET/slow, timeout: 10m}
rollback: {on_failure: [{name: undo, type: http_request, method: POST, url: TARGET/undo}]}
";

#[test]
fn a_run_says_what_it_does_and_keeps_its_state_in_files() -> Result<()> {
    let desk = Desk::with(GREET)?;
    let answered = desk.call(&["run", "runbook.yml", "name=garza", "times=2"])?;
    assert_eq!(answered.code, Some(0), "{answered:?}");
    assert_eq!(
        desk.target.received().first().map(|request| request.query.clone()).as_deref(),
        Some("name=garza&times=3")
    );
    assert_eq!(desk.document("infra/state/greetings.json")?, json!({"garza": 200}));
    assert_eq!(fs::read_to_string(desk.path().join("reports/greet.txt"))?.trim(), "greeted garza");
    for line in ["greeted garza", "greeted = garza", "status = 200", "Succeeded in "] {
        assert!(answered.output.contains(line), "{line} is missing in {answered:?}");
    }
    for step in ["ask", "note", "tell", "log: told garza, and the word is ***"] {
        assert!(answered.progress.contains(step), "{step} is missing in {answered:?}");
    }
    let word = desk
        .target
        .received()
        .first()
        .and_then(|request| request.headers.get("x-word").cloned());
    assert_eq!(word.as_deref(), Some("hush-hush-hush"));
    assert!(!format!("{answered:?}").contains("hush"), "{answered:?}");
    Ok(())
}

#[test]
fn in_a_pipe_there_are_plain_lines_without_colours() -> Result<()> {
    let desk = Desk::with(GREET)?;
    let answered = desk.call(&["run", "runbook.yml"])?;
    assert!(
        !answered.output.contains('\x1b') && !answered.progress.contains('\x1b'),
        "{answered:?}"
    );
    assert!(
        answered
            .progress
            .lines()
            .any(|line| line.trim_start().starts_with("ok") && line.contains("ask")),
        "{answered:?}"
    );
    Ok(())
}

#[test]
fn as_json_there_is_one_document_and_nothing_else() -> Result<()> {
    let desk = Desk::with(GREET)?;
    let answered = desk.call(&["run", "runbook.yml", "-o", "json"])?;
    assert_eq!((answered.code, answered.progress.as_str()), (Some(0), ""));
    let status = answered.json()?;
    assert_eq!(status.get("phase"), Some(&json!("Succeeded")));
    assert_eq!(status.get("outputs"), Some(&json!({"greeted": "world", "status": 200})));
    assert_eq!(status.pointer("/steps/0/path"), Some(&json!("ask")));
    assert!(!answered.output.contains("hush"), "{answered:?}");
    Ok(())
}

#[test]
fn a_run_that_fails_rolls_back_says_why_and_exits_with_1() -> Result<()> {
    let desk = Desk::with(UNDO)?;
    desk.target.answer("/slow", Answer::status(503));
    let answered = desk.call(&["run", "runbook.yml"])?;
    assert_eq!(answered.code, Some(1), "{answered:?}");
    assert!(answered.output.contains("slow: status 503, expected 2xx"), "{answered:?}");
    assert!(answered.progress.contains("undo"), "{answered:?}");
    assert_eq!(desk.target.count("/undo"), 1);
    Ok(())
}

#[test]
fn control_c_cancels_rolls_back_and_exits_with_130() -> Result<()> {
    let desk = Desk::with(UNDO)?;
    desk.target.hold("/slow");
    let child = desk.start(&["run", "runbook.yml", "--output", "json"])?;
    desk.asked("/slow", 1)?;
    interrupt(&child)?;
    let answered = Answered::from(child.wait_with_output()?);
    assert_eq!(answered.code, Some(130), "{answered:?}");
    assert_eq!(answered.json()?.get("phase"), Some(&json!("Cancelled")));
    assert_eq!(desk.target.count("/undo"), 1);
    assert!(answered.progress.contains("cancelling"), "{answered:?}");
    Ok(())
}

#[test]
fn a_second_control_c_does_not_cut_the_rollback_short() -> Result<()> {
    let desk = Desk::with(UNDO)?;
    desk.target.hold("/slow");
    desk.target.hold("/undo");
    let child = desk.start(&["run", "runbook.yml"])?;
    desk.asked("/slow", 1)?;
    interrupt(&child)?;
    desk.asked("/undo", 1)?;
    interrupt(&child)?;
    desk.target.release("/undo");
    let answered = Answered::from(child.wait_with_output()?);
    assert_eq!(answered.code, Some(130), "{answered:?}");
    assert!(
        answered.progress.contains("undo") && answered.output.contains("Cancelled"),
        "{answered:?}"
    );
    Ok(())
}

#[test]
fn a_runbook_that_is_invalid_is_refused_with_2_before_anything_runs() -> Result<()> {
    let desk = Desk::with(
        "operation: {name: a, type: maintain}\nsteps:\n  - {name: ask, type: http_request, url: TARGET}\n  - {name: b, type: dely, seconds: 1}\n",
    )?;
    let answered = desk.call(&["run", "runbook.yml"])?;
    assert_eq!((answered.code, answered.output.as_str()), (Some(2), ""));
    assert!(
        answered.progress.contains("runbook.yml:4:") && answered.progress.contains("delay"),
        "{answered:?}"
    );
    assert_eq!(desk.target.received_count(), 0);
    Ok(())
}

#[test]
fn wrong_usage_exits_with_2_and_says_what_is_wrong() -> Result<()> {
    let desk = Desk::with(GREET)?;
    for (arguments, words) in [
        (&["run", "runbook.yml", "name"][..], r#""name" is not of the form name=value"#),
        (&["run", "runbook.yml", "nam=x"][..], "name"),
        (&["run", "runbook.yml", "times=many"][..], "many"),
        (&["run", "maintain/helth-check"][..], "did you mean maintain/health-check?"),
        (&["run", "nothing.yml"][..], "neither a file nor a runbook"),
        (&["run", "runbook.yml", "--timeout", "soon"][..], "1h30m"),
        (&["run"][..], "RUNBOOK"),
        (&["frobnicate"][..], "frobnicate"),
        (&["lint"][..], "FILE"),
        (&["lint", "nothing.yml"][..], "nothing.yml"),
    ] {
        let answered = desk.call(arguments)?;
        assert_eq!(
            (answered.code, answered.output.as_str()),
            (Some(2), ""),
            "{arguments:?}: {answered:?}"
        );
        assert!(answered.progress.contains(words), "{arguments:?}: {answered:?}");
    }
    let answered = desk.call(&["run", "runbook.yml", "secret_wort=hush-hush"])?;
    assert!(
        answered.code == Some(2) && answered.progress.contains("secret_word") && !answered.progress.contains("hush-hush"),
        "{answered:?}"
    );
    Ok(())
}

#[test]
fn a_run_takes_its_runbook_from_standard_input_or_the_library() -> Result<()> {
    let desk = Desk::with("")?;
    let runbook = "operation: {name: a, type: maintain}\nsteps: [{name: wait, type: delay, seconds: 0}]\n";
    assert_eq!(desk.call_with_input(&["run", "-"], runbook)?.code, Some(0));
    fs::create_dir_all(desk.path().join("infra"))?;
    desk.write(
        "infra/services.yml",
        "services: {web: {health_check: {method: http, url: TARGET/web}}}\ngroups: {all: [web]}\n",
    )?;
    let answered = desk.call(&["run", "maintain/health-check", "-o", "json"])?;
    assert_eq!(answered.code, Some(0), "{answered:?}");
    assert_eq!(
        answered.json()?.get("outputs"),
        Some(&json!({"total": 1, "healthy": 1, "unhealthy": []}))
    );
    fs::create_dir_all(desk.path().join("books/maintain"))?;
    desk.write("books/maintain/own.yml", runbook)?;
    assert_eq!(desk.call(&["run", "maintain/own", "--library", "books"])?.code, Some(0));
    Ok(())
}

#[test]
fn a_dry_run_does_nothing() -> Result<()> {
    let desk = Desk::with(UNDO)?;
    let answered = desk.call(&["run", "runbook.yml", "--dry-run"])?;
    assert_eq!(answered.code, Some(0), "{answered:?}");
    assert!(
        answered.output.contains("change") && answered.output.contains("slow"),
        "{answered:?}"
    );
    assert_eq!(desk.target.received_count(), 0);
    let listed = desk.call(&["run", "runbook.yml", "--dry-run", "-o", "json"])?.json()?;
    assert_eq!(listed.pointer("/steps/0/phase"), Some(&json!("Skipped")));
    Ok(())
}

#[test]
fn a_run_that_takes_too_long_fails() -> Result<()> {
    let desk = Desk::with(UNDO)?;
    desk.target.hold("/slow");
    let answered = desk.call(&["run", "runbook.yml", "--timeout", "500ms", "-o", "json"])?;
    assert_eq!(
        (answered.code, answered.json()?.get("reason")),
        (Some(1), Some(&json!("TimedOut"))),
        "{answered:?}"
    );
    assert_eq!(desk.target.count("/undo"), 1);
    Ok(())
}

#[test]
fn a_pipe_that_closes_early_is_no_error() -> Result<()> {
    let desk = Desk::with("operation: {name: a, type: maintain}\nsteps: [{name: wait, type: delay, seconds: 0}]\n")?;
    for arguments in [&["crds"][..], &["run", "runbook.yml"][..], &["lint", "runbook.yml"][..]] {
        let mut child = desk.start(arguments)?;
        drop((child.stdout.take(), child.stderr.take()));
        assert_eq!(child.wait()?.code(), Some(0), "{arguments:?}");
    }
    Ok(())
}

const BROKEN: &str = "operation: {name: a, type: maintain}
steps:
  - {name: a, type: dely, seconds: 1}
  - {name: a, type: http_request, url: '${nobody}'}
";

#[test]
fn lint_says_where_what_and_how_to_mend_it() -> Result<()> {
    let desk = Desk::with(BROKEN)?;
    let answered = desk.call(&["lint", "runbook.yml"])?;
    assert_eq!(answered.code, Some(1), "{answered:?}");
    for words in ["runbook.yml:3:", "dely", "delay", "runbook.yml:4:", "nobody"] {
        assert!(answered.output.contains(words), "{words} is missing in {answered:?}");
    }
    Ok(())
}

#[test]
fn lint_as_json_names_code_path_line_and_column() -> Result<()> {
    let desk = Desk::with(BROKEN)?;
    desk.write(
        "fine.yml",
        "operation: {name: a, type: maintain}\nsteps: [{name: wait, type: delay, seconds: 0}]\n",
    )?;
    let answered = desk.call(&["lint", "-o", "json", "runbook.yml", "fine.yml"])?;
    assert_eq!(answered.code, Some(1), "{answered:?}");
    let found = answered.json()?;
    assert_eq!(found.pointer("/0/file"), Some(&json!("runbook.yml")));
    let first = found.pointer("/0/diagnostics/0").cloned().unwrap_or_default();
    for field in ["code", "severity", "path", "line", "column", "message"] {
        assert!(
            first.get(field).is_some_and(|value| !value.is_null()),
            "{field} is missing in {first}"
        );
    }
    assert_eq!(found.pointer("/1/diagnostics"), Some(&json!([])));
    Ok(())
}

#[test]
fn lint_checks_directories_and_standard_input() -> Result<()> {
    let desk = Desk::with(BROKEN)?;
    assert_eq!(desk.call(&["lint", "."])?.code, Some(1));
    let fine = "operation: {name: a, type: maintain}\nsteps: [{name: wait, type: delay, seconds: 0}]\n";
    assert_eq!(desk.call_with_input(&["lint", "-"], fine)?.code, Some(0));
    assert_eq!(desk.call_with_input(&["lint", "-"], BROKEN)?.code, Some(1));
    let library = concat!(env!("CARGO_MANIFEST_DIR"), "/operations");
    let answered = desk.call(&["lint", library])?;
    assert_eq!((answered.code, answered.output.as_str()), (Some(0), ""), "{answered:?}");
    Ok(())
}

#[test]
fn lint_mends_the_commonest_break_in_place() -> Result<()> {
    let broken =
        "operation:\n  name: a\n  type: maintain\nsteps:\n  - name: tell\n    type: notification\n    message: hello\n  channel: log\n";
    let desk = Desk::with(broken)?;
    let answered = desk.call(&["lint", "runbook.yml"])?;
    assert_eq!(answered.code, Some(1), "{answered:?}");
    assert!(answered.output.contains("runbook.yml:8:"), "{answered:?}");
    let answered = desk.call(&["lint", "--fix", "runbook.yml"])?;
    assert_eq!(answered.code, Some(0), "{answered:?}");
    assert_eq!(
        fs::read_to_string(desk.path().join("runbook.yml"))?,
        broken.replace("\n  channel", "\n    channel")
    );
    assert_eq!(desk.call(&["run", "runbook.yml"])?.code, Some(0));
    Ok(())
}

#[test]
fn lint_leaves_alone_what_it_cannot_mend_whole() -> Result<()> {
    let broken = "steps:\n  - name: tell\n    type: notification\n  channel: log\n    message: hello\n";
    let desk = Desk::with(broken)?;
    assert_eq!(desk.call(&["lint", "--fix", "runbook.yml"])?.code, Some(1));
    assert_eq!(fs::read_to_string(desk.path().join("runbook.yml"))?, broken);
    Ok(())
}

#[test]
fn the_program_says_what_it_is_and_what_it_can() -> Result<()> {
    let desk = Desk::with("")?;
    let version = desk.call(&["--version"])?;
    assert_eq!(
        (version.code, version.output.trim()),
        (Some(0), concat!("thermostat ", env!("CARGO_PKG_VERSION")))
    );
    let help = desk.call(&["--help"])?;
    for command in ["controller", "run", "lint", "crds"] {
        assert!(help.output.contains(command), "{help:?}");
    }
    let flags = desk.call(&["controller", "--help"])?;
    for flag in [
        "namespace",
        "library",
        "max-running",
        "egress-allow",
        "ca-file",
        "metrics-addr",
        "health-addr",
        "lease-namespace",
        "lease-duration",
        "renew-deadline",
        "retry-period",
    ] {
        let variable = format!("THERMOSTAT_{}", flag.to_uppercase().replace('-', "_"));
        assert!(
            flags.output.contains(&format!("--{flag}")) && flags.output.contains(&variable),
            "{flag}: {flags:?}"
        );
    }
    Ok(())
}

#[test]
fn a_controller_without_a_cluster_says_so() -> Result<()> {
    let desk = Desk::with("")?;
    let answered = desk.call(&["controller", "--metrics-addr", "127.0.0.1:0", "--health-addr", "127.0.0.1:0"])?;
    assert_eq!(answered.code, Some(2), "{answered:?}");
    assert!(answered.progress.contains("KUBECONFIG"), "{answered:?}");
    for (flag, value) in [
        ("--max-running", "0"),
        ("--egress-allow", "127.0.0.0/33"),
        ("--retry-period", "soon"),
        ("--lease-duration", "1s"),
    ] {
        let answered = desk.call(&["controller", flag, value])?;
        assert_eq!(answered.code, Some(2), "{flag}: {answered:?}");
    }
    Ok(())
}

#[test]
fn what_is_no_text_is_refused() -> Result<()> {
    let desk = Desk::with("")?;
    fs::write(desk.path().join("runbook.yml"), [0xff, 0xfe, 0x00])?;
    assert_eq!(desk.call(&["run", "runbook.yml"])?.code, Some(2));
    fs::write(desk.path().join("runbook.yml"), vec![b' '; 3 << 20])?;
    let answered = desk.call(&["lint", "runbook.yml"])?;
    assert!(
        answered.code == Some(2) && answered.progress.contains("larger than"),
        "{answered:?}"
    );
    Ok(())
}
