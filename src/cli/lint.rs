//! `thermostat lint`: checks runbooks as the controller does.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::{Exit, output};
use crate::runbook::{Diagnostics, Runbook, document};

/// The largest file that is read, in bytes; a larger one is refused by the check.
const LARGEST: u64 = 1024 * 1024;

/// What to check.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Runbook files, directories of them, or - for standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How to print what was found
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    output: Format,
    /// Mend what can be mended without doubt, in place
    #[arg(long)]
    fix: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Text,
    Json,
}

#[derive(serde::Serialize)]
struct Found {
    file: String,
    diagnostics: Diagnostics,
}

pub fn run(arguments: &Arguments) -> Exit {
    let mut files = Vec::new();
    for path in &arguments.files {
        if let Err(message) = collect(path, &mut files) {
            return Exit::usage(&message);
        }
    }
    let mut all = Vec::new();
    for path in &files {
        match check(path, arguments.fix) {
            Ok(diagnostics) => all.push(Found {
                file: path.display().to_string(),
                diagnostics,
            }),
            Err(message) => return Exit::usage(&message),
        }
    }
    let failed = all.iter().any(|found| found.diagnostics.has_errors());
    match arguments.output {
        Format::Json => output::line(&serde_json::to_string_pretty(&all).unwrap_or_default()),
        Format::Text => {
            for found in all.iter().filter(|found| !found.diagnostics.0.is_empty()) {
                output::line(found.diagnostics.render(&found.file).trim_end());
            }
            let problems: usize = all.iter().map(|found| found.diagnostics.0.len()).sum();
            output::progress(&format!("{} checked, {problems} problems", files.len()));
        }
    }
    if failed { Exit::Failed } else { Exit::Succeeded }
}

/// A file, or every YAML file below a directory.
fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), String> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let failed = |error: std::io::Error| format!("failed to read {}: {error}", path.display());
    let mut entries: Vec<_> = std::fs::read_dir(path).map_err(failed)?.collect::<Result<_, _>>().map_err(failed)?;
    entries.sort_by_key(std::fs::DirEntry::path);
    for entry in entries {
        let path = entry.path();
        let is_yaml = path.extension().is_some_and(|extension| extension == "yml" || extension == "yaml");
        if entry.file_type().map_err(failed)?.is_dir() {
            collect(&path, files)?;
        } else if is_yaml {
            files.push(path);
        }
    }
    Ok(())
}

fn check(path: &Path, fix: bool) -> Result<Diagnostics, String> {
    let mut text = read(path)?;
    if fix
        && path != Path::new("-")
        && let Some(mended) = document::repair(&text).filter(|mended| document::read(mended).is_ok())
    {
        std::fs::write(path, &mended).map_err(|error| format!("failed to write {}: {error}", path.display()))?;
        output::progress(&format!("{}: indentation mended", path.display()));
        text = mended;
    }
    Ok(match Runbook::parse(&text) {
        Ok(runbook) => runbook.warnings,
        Err(diagnostics) => diagnostics,
    })
}

/// A file's text, or standard input's.
///
/// # Errors
/// What cannot be read, is no UTF-8 or is far too large.
pub fn read(path: &Path) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("failed to read {}: {error}", path.display());
    let mut text = String::new();
    let length = if path == Path::new("-") {
        std::io::stdin()
            .lock()
            .take(LARGEST + 1)
            .read_to_string(&mut text)
            .map_err(failed)?
    } else {
        std::fs::File::open(path)
            .map_err(failed)?
            .take(LARGEST + 1)
            .read_to_string(&mut text)
            .map_err(failed)?
    };
    if length as u64 > LARGEST {
        Err(format!("{} is larger than {LARGEST} bytes", path.display()))
    } else {
        Ok(text)
    }
}
