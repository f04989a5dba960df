//! What the documents say: every command in them is run, every example is what it is called, and every list is complete.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod harness;

#[path = "readme/blocks.rs"]
mod blocks;

use std::{collections::BTreeSet, env, fs, path::Path, process::Command, time::Duration};

use blocks::{Block, blocks, commands};
use harness::{Result, control_plane::ControlPlane, controller::Setup, servers::Server, wait::eventually};
use serde_json::Value;
use thermostat::{
    api::{self, Reason},
    runbook::{Runbook, StepType, step::COMMON_FIELDS},
    telemetry::metrics::Metrics,
};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const PROGRAM: &str = env!("CARGO_BIN_EXE_thermostat");
/// In the order in which a person would read them, and in which their commands are run.
const DOCUMENTS: [&str; 5] = [
    "README.md",
    "docs/operations.md",
    "docs/runbooks.md",
    "docs/kinds.md",
    "docs/architecture.md",
];
/// Commands that are not run here, and why.
const NOT_RUN: [(&str, &str); 3] = [
    ("make demo", "is run by .ci/run"),
    ("make test", "is what runs this test"),
    (
        "cargo install --locked --path .",
        "the program under test is the one that cargo built for it",
    ),
];
/// Set, it writes docs/kinds.md instead of comparing it.
const UPDATE: &str = "THERMOSTAT_UPDATE_DOCS";
const SOON: Duration = Duration::from_mins(1);

fn all_blocks() -> Vec<Block> {
    DOCUMENTS
        .iter()
        .flat_map(|document| blocks(Path::new(ROOT), document).unwrap())
        .collect()
}

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The files below a folder of the project, by their paths from its root.
fn files(folder: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(Path::new(ROOT).join(folder)).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[test]
fn every_yaml_block_says_what_it_is_and_is_that() {
    for block in all_blocks().iter().filter(|block| block.language == "yaml") {
        let place = &block.place;
        match block.mark.as_deref() {
            Some("runbook") => valid(place, &block.text),
            Some(mark) if mark.starts_with("steps") => valid(place, &around(mark, &block.text)),
            Some(path) if path.starts_with("examples/") => assert_eq!(block.text.trim(), read(path).trim(), "{place} differs from {path}"),
            other => panic!("{place}: {other:?} on the line before does not say what this is: a file of examples/, runbook, or steps"),
        }
    }
}

/// A runbook around steps; the mark `steps a, b` names the parameters that they read.
fn around(mark: &str, steps: &str) -> String {
    let names = mark
        .trim_start_matches("steps")
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty());
    let parameters: Vec<_> = names.map(|name| format!("{name}: [some]")).collect();
    let parameters = format!("parameters: {{{}}}\n", parameters.join(", "));
    format!("operation: {{name: example, type: maintain}}\n{parameters}steps:\n{steps}")
}

fn valid(place: &str, text: &str) {
    if let Err(problems) = Runbook::parse(text) {
        panic!("{}", problems.render(place));
    }
}

#[test]
fn every_file_of_the_examples_is_shown_or_used() {
    let shown: String = DOCUMENTS.iter().map(|document| read(document)).collect();
    let demo: String = files("examples/demo").iter().map(|path| read(path)).collect();
    for path in files("examples").iter().filter(|path| !path.starts_with("examples/demo/")) {
        assert!(
            shown.contains(path.as_str()) || demo.contains(path.as_str()),
            "{path} is nowhere used"
        );
    }
}

#[test]
fn every_runbook_of_the_examples_and_the_library_is_without_a_problem() {
    let output = Command::new(PROGRAM)
        .args(["lint", "operations", "examples/runbooks"])
        .current_dir(ROOT)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains(" 0 problems"), "{said}");
}

#[test]
fn the_api_server_takes_every_object_of_the_examples_and_every_inline_runbook_is_valid() -> Result<()> {
    let plane = ControlPlane::shared()?;
    plane.install()?;
    for path in files("examples/operations") {
        let file = format!("{ROOT}/{path}");
        let said = plane.kubectl(&["create", "--dry-run=server", "--output", "json", "--filename", &file])?;
        for object in serde_json::Deserializer::from_str(&said).into_iter::<Value>() {
            let object = object?;
            let items = object["items"].as_array().cloned().unwrap_or_else(|| vec![object.clone()]);
            for runbook in items.iter().filter_map(|item| item.pointer("/spec/runbook/inline")) {
                if let Err(problems) = Runbook::from_json(runbook) {
                    panic!("{path}: {problems}");
                }
            }
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_runs_and_ends_as_the_documents_say() -> Result<()> {
    let plane = ControlPlane::start()?;
    let mut controller = Setup::of(&plane, PROGRAM).start()?;
    controller.ready(SOON).await?;
    let folder = tempfile::tempdir()?;
    copy_project(folder.path(), &plane)?;
    for command in all_blocks().iter().filter(|block| block.language == "sh").flat_map(commands) {
        if NOT_RUN.iter().any(|(line, _)| *line == command.line) {
            continue;
        }
        let output = shell(&plane, folder.path(), &command.line).output()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            output.status.code(),
            Some(command.status),
            "{}: {}\n{said}\n{}",
            command.place,
            command.line,
            controller.log()?
        );
    }
    for (name, phase) in [
        ("check-control-plane", "Succeeded"),
        ("release-shop", "Failed"),
        ("maintenance-window", "Cancelled"),
    ] {
        let arguments = ["get", "operation", name, "--output", "jsonpath={.status.phase}"];
        eventually(&format!("{name} is {phase}"), SOON, async || match plane.kubectl(&arguments) {
            Ok(seen) if seen == phase => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .await?;
    }
    Ok(())
}

/// What the commands need, in a folder of its own; the addresses of the registry are those of servers that run here.
fn copy_project(folder: &Path, plane: &ControlPlane) -> Result<()> {
    for path in ["examples", "config", "crds"].into_iter().flat_map(files) {
        let target = folder.join(&path);
        fs::create_dir_all(target.parent().unwrap_or(folder))?;
        fs::copy(Path::new(ROOT).join(&path), target)?;
    }
    let mut registry = read("examples/services.yml");
    for (address, server) in [
        ("host: kubernetes.default.svc, port: 443", Server::Api),
        ("host: kube-dns.kube-system.svc, port: 53", Server::Etcd),
    ] {
        let url = plane.servers()?.url(server);
        let port = url.rsplit(':').next().unwrap_or_default();
        assert!(registry.contains(address), "the registry has no {address}");
        registry = registry.replace(address, &format!("host: 127.0.0.1, port: {port}"));
    }
    Ok(fs::write(folder.join("examples/services.yml"), registry)?)
}

/// A shell as a reader's: kubectl, the program, and the right cluster.
fn shell(plane: &ControlPlane, folder: &Path, line: &str) -> Command {
    let folders = [Path::new(PROGRAM), plane.kubectl_program()]
        .into_iter()
        .filter_map(Path::parent)
        .map(Path::to_owned);
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths(folders.chain(env::split_paths(&path))).unwrap_or(path);
    let mut command = Command::new("sh");
    command
        .args(["-euc", line])
        .current_dir(folder)
        .env("PATH", path)
        .env("KUBECONFIG", plane.kubeconfig());
    command.env("KUBECACHEDIR", folder.join("kubectl-cache"));
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"] {
        command.env_remove(name);
    }
    command
}

#[test]
fn tables_of_operations_have_the_columns_of_the_kind() {
    let (_, definition) = api::definitions().into_iter().find(|(name, _)| *name == "operations").unwrap();
    let columns = definition.spec.versions[0].additional_printer_columns.clone().unwrap();
    let columns = columns
        .iter()
        .filter(|column| column.priority.unwrap_or(0) == 0)
        .map(|column| column.name.to_uppercase());
    let expected: Vec<_> = ["NAME".to_owned()].into_iter().chain(columns).collect();
    let mut tables = 0;
    for block in all_blocks()
        .iter()
        .filter(|block| block.language == "text" && block.text.starts_with("NAME "))
    {
        let header = block.text.lines().next().unwrap_or_default();
        let shown: Vec<_> = header.split("  ").map(str::trim).filter(|word| !word.is_empty()).collect();
        assert_eq!(shown, expected, "{}", block.place);
        tables += 1;
    }
    assert!(tables > 0, "no document shows what kubectl prints");
}

/// The first cells of the rows of a table, without backticks.
fn first_cells(text: &str) -> BTreeSet<&str> {
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| row.split('`').next()).collect()
}

fn section<'t>(text: &'t str, title: &str) -> &'t str {
    let start = text
        .find(&format!("\n## {title}\n"))
        .unwrap_or_else(|| panic!("no section {title}"));
    let rest = &text[start + 4 + title.len()..];
    rest.find("\n## ").map_or(rest, |end| &rest[..end])
}

#[test]
fn every_reason_is_explained_and_no_other() {
    let text = read("docs/operations.md");
    let reasons: BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
    assert_eq!(first_cells(section(&text, "Reasons, and what to do")), reasons);
}

#[test]
fn every_flag_of_the_controller_is_explained_and_no_other() {
    let output = Command::new(PROGRAM).args(["controller", "--help"]).output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let flags = help.lines().filter_map(|line| line.trim_start().strip_prefix("--"));
    let flags: BTreeSet<_> = flags.filter_map(|line| line.split_whitespace().next()).collect();
    let text = read("docs/operations.md");
    let explained: BTreeSet<_> = first_cells(section(&text, "The controller's flags"))
        .into_iter()
        .map(|cell| cell.trim_start_matches("--").split(' ').next().unwrap_or_default())
        .collect();
    assert_eq!(explained, flags);
}

#[test]
fn every_metric_is_explained_and_no_other() {
    let metrics = Metrics::new();
    // a family of series is only told of once it has one
    metrics.operation_ended("Succeeded");
    metrics.set_queue("ops", "default", 1, 1);
    metrics.step_ended("delay", "Succeeded", SOON);
    metrics.set_unreadable_objects("Operation", 1);
    metrics.notification_failed("log");
    metrics.api_request_failed("get", "NotFound");
    let encoded = metrics.encode().unwrap();
    let names = encoded.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split(' ').next());
    let text = read("docs/operations.md");
    let explained = first_cells(section(&text, "Metrics"));
    let missing: Vec<_> = names
        .clone()
        .filter(|name| !explained.iter().any(|cell| is_series_of(cell, name)))
        .collect();
    assert!(missing.is_empty(), "not explained: {missing:?}");
    let unknown: Vec<_> = explained
        .iter()
        .filter(|cell| !names.clone().any(|name| is_series_of(cell, name)))
        .collect();
    assert!(unknown.is_empty(), "not there: {unknown:?}");
}

/// Counters and the like are scraped with a suffix.
fn is_series_of(series: &str, name: &str) -> bool {
    matches!(series.strip_prefix(name), Some("" | "_total" | "_info"))
}

#[test]
fn every_step_type_stands_in_the_docs_with_every_field_or_among_those_to_come() {
    let text = read("docs/runbooks.md");
    let (steps, to_come) = (section(&text, "Step types"), section(&text, "Not available in this version"));
    let (available, others): (Vec<_>, Vec<_>) = StepType::ALL.into_iter().partition(|kind| kind.available());
    assert_eq!(first_cells(steps), available.iter().map(|kind| kind.name()).collect());
    for kind in available {
        let row = steps.lines().find(|line| line.starts_with(&format!("| `{kind}` |"))).unwrap();
        for field in kind.fields() {
            assert!(row.contains(&format!("`{}`", field.name)), "the row of {kind} lacks {}", field.name);
        }
    }
    for kind in others {
        assert!(to_come.contains(&format!("`{kind}`")), "{kind} is not said to be unavailable");
    }
    let common = section(&text, "What every step may have");
    for field in COMMON_FIELDS {
        assert!(common.contains(&format!("`{}`", field.name)), "{} is not explained", field.name);
    }
}

#[test]
fn the_document_of_the_kinds_is_what_their_definitions_say() {
    let made = kinds::document();
    if env::var_os(UPDATE).is_some() {
        fs::write(Path::new(ROOT).join("docs/kinds.md"), &made).unwrap();
    }
    assert_eq!(read("docs/kinds.md"), made, "run make generate and commit what it writes");
}

#[path = "readme/kinds.rs"]
mod kinds;

#[test]
fn links_lead_to_files() {
    let documents = DOCUMENTS.into_iter().chain(["CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"]);
    for document in documents {
        let text = read(document);
        let folder = Path::new(ROOT).join(document).parent().map(Path::to_owned).unwrap_or_default();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = target.split('#').next().unwrap_or_default();
            assert!(
                target.contains("://") || path.is_empty() || folder.join(path).exists(),
                "{document}: {target}"
            );
        }
    }
}

#[test]
fn commands_that_are_not_run_are_named_with_their_reason_and_exist() {
    let lines: Vec<_> = all_blocks()
        .iter()
        .filter(|block| block.language == "sh")
        .flat_map(commands)
        .map(|command| command.line)
        .collect();
    for (line, reason) in NOT_RUN {
        assert!(lines.iter().any(|known| known == line), "no document says {line} ({reason})");
    }
}
