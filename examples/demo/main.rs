//! `make demo`: a control plane, the controller under its own `ServiceAccount`, and Operations that succeed, fail, queue and are
//! cancelled, applied as the files that README.md shows.
//!
//! Everything runs until Ctrl-C. With `DEMO_EXIT=1` it ends by itself, with status 1 if an Operation did not end as it should.

#[path = "../../tests/harness/mod.rs"]
mod harness;

mod scenes;
mod screen;
mod table;

use std::{
    env,
    future::Future,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use harness::{
    Failure, Result,
    control_plane::ControlPlane,
    controller::{Controller, Setup},
};
use screen::{Kubectl, say, title};
use table::Table;
use tokio::signal::unix::{SignalKind, signal};

/// Set to anything but 0 or nothing, the demo ends by itself.
const EXIT: &str = "DEMO_EXIT";
const READY_WITHIN: Duration = Duration::from_mins(1);
const STOPPED_WITHIN: Duration = Duration::from_secs(15);

fn main() -> ExitCode {
    match demo() {
        Ok(End::Reached) => ExitCode::SUCCESS,
        Ok(End::Interrupted) => ExitCode::from(130),
        Err(failure) => {
            say(&format!("\nthe demo failed: {failure}"));
            ExitCode::FAILURE
        }
    }
}

/// How the demo ended.
enum End {
    Reached,
    Interrupted,
}

fn demo() -> Result<End> {
    let binary = controller_binary()?;
    title("A Kubernetes control plane");
    say("etcd, kube-apiserver and kube-controller-manager on this machine (built once if they are not there yet) ...");
    // before anything listens for Ctrl-C: the long build ends by it like any program
    let plane = ControlPlane::start()?;
    say(&format!("ready at {} after {:.1} s", plane.url(), plane.start_took().as_secs_f64()));
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(on_the_plane(&plane, &binary))
}

/// `cargo build` puts the program beside the folder of the examples.
fn controller_binary() -> Result<PathBuf> {
    let own = env::current_exe()?;
    let profile = own.parent().and_then(Path::parent);
    let binary = profile.map(|folder| folder.join("thermostat")).filter(|path| path.is_file());
    binary.ok_or_else(|| {
        Failure::new(format!(
            "the controller is not built: run `cargo build` with the same profile first; looked near {}",
            own.display()
        ))
    })
}

async fn on_the_plane(plane: &ControlPlane, binary: &Path) -> Result<End> {
    let mut controller = None;
    let interrupted = interrupted()?;
    tokio::pin!(interrupted);
    let result = tokio::select! {
        result = show(plane, binary, &mut controller) => result.map(|()| End::Reached),
        () = &mut interrupted => Ok(End::Interrupted),
    };
    let result = match result {
        Ok(End::Reached) if !exits_by_itself() => {
            let table = Table::start(&Kubectl::of(plane))?;
            tokio::select! {
                // the API server closes a watch after half an hour or more
                result = table.closed() => {
                    say("(the table ended: kubectl get operations --watch goes on)");
                    interrupted.await;
                    result.map(|()| End::Reached)
                }
                () = &mut interrupted => Ok(End::Reached),
            }
        }
        other => other.map_err(|failure| with_log(&failure, controller.as_ref())),
    };
    say("\nstopping the controller and the control plane");
    if let Some(controller) = &mut controller {
        stop(controller).await;
    }
    result
}

/// Ctrl-C, or SIGTERM.
fn interrupted() -> Result<impl Future<Output = ()>> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

fn exits_by_itself() -> bool {
    env::var_os(EXIT).is_some_and(|value| !value.is_empty() && value != "0")
}

async fn show(plane: &ControlPlane, binary: &Path, controller: &mut Option<Controller>) -> Result<()> {
    let kubectl = Kubectl::of(plane);
    title("Thermostat: its kinds, its rights, its controller");
    kubectl.run(&["apply", "-k", "config/"]).await?;
    // there are no nodes here for the Deployment of config/, so the controller runs as a process with the same account
    let started = Setup::of(plane, binary)
        .arguments(["--ca-file".to_owned(), plane.ca_file()?.display().to_string()])
        .start()?;
    let controller = controller.insert(started);
    controller.ready(READY_WITHIN).await?;
    say("the controller is ready, as the ServiceAccount thermostat-system/thermostat");

    kubectl.echo(&table::ARGUMENTS);
    say("(its lines appear below, as things happen)");
    let table = Table::start(&kubectl)?;
    scenes::play(&kubectl, &table, &scenes::Endpoints::of(plane, controller)?).await?;
    drop(table);
    closing(&kubectl).await
}

async fn closing(kubectl: &Kubectl<'_>) -> Result<()> {
    title("All four ended as they should");
    kubectl.run(&["get", "operations,operationqueues"]).await?;
    if exits_by_itself() {
        return Ok(());
    }
    say("\nEverything keeps running until Ctrl-C. In another terminal:\n");
    for line in kubectl.environment() {
        say(&format!("  {line}"));
    }
    for (command, why) in [
        ("kubectl get op -o wide", "what happened last to each, in words"),
        ("kubectl describe op release-shop", "every step, and what was undone"),
        (
            "kubectl get configmap infra.state.health.json -o yaml",
            "what the health check wrote",
        ),
        ("kubectl get op check-control-plane -o jsonpath='{.status.report}'", "its report"),
        ("kubectl explain op.spec", "what an Operation may say"),
        (
            "kubectl delete op check-control-plane && kubectl apply -f examples/operations/check-control-plane.yaml",
            "run it again: a finished Operation never does by itself",
        ),
    ] {
        say(&format!("  {command}\n      {why}"));
    }
    say("\nThe table goes on here:");
    Ok(())
}

/// An orderly end: the controller gives its lease back. What does not end in time is killed when it is dropped.
async fn stop(controller: &mut Controller) {
    if controller.terminate().is_ok()
        && let Err(failure) = controller.wait_exit(STOPPED_WITHIN).await
    {
        say(&format!("the controller is killed: {failure}"));
    }
}

fn with_log(failure: &Failure, controller: Option<&Controller>) -> Failure {
    let log = controller.and_then(|controller| controller.log().ok()).unwrap_or_default();
    let lines: Vec<_> = log.lines().collect();
    let tail = lines.get(lines.len().saturating_sub(30)..).unwrap_or_default();
    Failure::new(format!("{failure}\n\nthe end of the controller's log:\n{}", tail.join("\n")))
}
