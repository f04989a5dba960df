//! What is printed. A closed pipe is no error: nobody reads any more.

use std::io::Write as _;

/// A line for whoever reads the answer.
pub fn line(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// Text as it is.
pub fn text(text: &str) {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

/// A line for whoever watches.
pub fn progress(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// An error.
pub fn complain(message: &str) {
    let _ = writeln!(std::io::stderr().lock(), "error: {message}");
}
