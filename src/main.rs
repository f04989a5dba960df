//! Parse, run, exit code.

use std::process::ExitCode;

/// Gives memory back after a relist, which glibc's does not.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    thermostat::cli::main(std::env::args_os())
}
