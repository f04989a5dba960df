//! What a test measured, for people: printed, and on demand kept in a document.

use std::{
    env, fs,
    sync::{Mutex, PoisonError},
};

use crate::harness::{Failure, Result};

/// The document whose sections are written anew, if set.
const DOCUMENT: &str = "THERMOSTAT_RELIABILITY";

/// Held while the document is written: tests run side by side.
static WRITING: Mutex<()> = Mutex::new(());

/// Prints what was measured. With [`DOCUMENT`] set, puts it into the section of that file that begins with
/// `<!-- measured: SECTION -->` and ends with `<!-- end -->`.
///
/// # Errors
/// When the file cannot be written, or has no such section.
pub fn tell(section: &str, measured: &str) -> Result<()> {
    eprintln!("{section}:\n{measured}");
    let Some(path) = env::var_os(DOCUMENT) else { return Ok(()) };
    let _writing = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    let text = fs::read_to_string(&path)?;
    let (begin, end) = (format!("<!-- measured: {section} -->\n"), "<!-- end -->");
    let missing = || Failure::new(format!("{} has no section {begin}", path.display()));
    let (before, rest) = text.split_once(&begin).ok_or_else(missing)?;
    let (_, after) = rest.split_once(end).ok_or_else(missing)?;
    fs::write(&path, format!("{before}{begin}```text\n{measured}\n```\n{end}{after}"))?;
    Ok(())
}
