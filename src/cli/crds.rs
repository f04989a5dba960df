//! `thermostat crds`: the definitions of all kinds.

use std::path::PathBuf;

use super::{Exit, output};
use crate::api;

/// Where the definitions go.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Write one file per kind into this directory instead of printing all
    #[arg(long, value_name = "DIR")]
    output_dir: Option<PathBuf>,
}

pub fn run(arguments: &Arguments) -> Exit {
    for (name, definition) in api::definitions() {
        let text = match serde_yaml::to_string(&definition) {
            Ok(text) => text,
            Err(error) => return Exit::failed(&format!("failed to print the definition of {name}: {error}")),
        };
        match &arguments.output_dir {
            None => output::text(&format!("---\n{text}")),
            Some(directory) => {
                let path = directory.join(format!("{name}.yaml"));
                let written = std::fs::create_dir_all(directory).and_then(|()| std::fs::write(&path, text));
                if let Err(error) = written {
                    return Exit::failed(&format!("failed to write {}: {error}", path.display()));
                }
            }
        }
    }
    Exit::Succeeded
}
