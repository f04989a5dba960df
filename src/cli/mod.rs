//! The command line: one file per command, named as typed.

mod controller;
mod crds;
mod exit;
mod lint;
mod output;
mod run;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use exit::Exit;

/// Holds a thing where you set it: runbooks through a queue, on Kubernetes or on a laptop.
#[derive(Debug, Parser)]
#[command(name = "thermostat", version, propagate_version = true, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the controller: watch Operations and carry them out
    Controller(Box<controller::Arguments>),
    /// Run one runbook here and now, without a cluster
    Run(run::Arguments),
    /// Check runbooks and say what is wrong, where, and how to mend it
    Lint(lint::Arguments),
    /// Print the `CustomResourceDefinitions`
    Crds(crds::Arguments),
}

/// Runs what the arguments say. Exit codes: 0 Succeeded; 1 Failed; 2 usage or invalid runbook; 130 Cancelled.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // where even this cannot be printed nobody reads it
            let _ = error.print();
            return if error.use_stderr() {
                Exit::Usage.into()
            } else {
                Exit::Succeeded.into()
            };
        }
    };
    let exit = match arguments.command {
        Command::Crds(arguments) => crds::run(&arguments),
        Command::Lint(arguments) => lint::run(&arguments),
        Command::Run(arguments) => on_runtime(run::run(arguments)),
        Command::Controller(arguments) => on_runtime(controller::run(*arguments)),
    };
    exit.into()
}

fn on_runtime(command: impl Future<Output = Exit>) -> Exit {
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => {
            let exit = runtime.block_on(command);
            runtime.shutdown_background();
            exit
        }
        Err(error) => Exit::failed(&format!("failed to start: {error}")),
    }
}
