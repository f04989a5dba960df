//! What the benchmarks share: figures with the bound that they must keep, printed side by side and kept in docs/performance.md.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::fmt::Write as _;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

/// Where the figures are kept, one section for each benchmark.
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/performance.md");

/// The bound of a figure that is only told.
pub const ANY: RangeInclusive<f64> = f64::NEG_INFINITY..=f64::INFINITY;

/// The figures of one benchmark.
pub struct Report {
    command: &'static str,
    rows: Vec<(String, f64, &'static str, RangeInclusive<f64>)>,
}

impl Report {
    pub fn of(command: &'static str) -> Self {
        Self { command, rows: Vec::new() }
    }

    pub fn add(&mut self, what: impl Into<String>, value: f64, unit: &'static str, bound: RangeInclusive<f64>) {
        let what = what.into();
        eprintln!("{what}: {value:.3} {unit}");
        self.rows.push((what, value, unit, bound));
    }

    /// Prints all figures, writes them to docs/performance.md, and ends the process: with 1 where a bound is missed.
    pub fn finish(self) -> ! {
        let mut table = format!("`{}`\n\n| figure | measured | bound | |\n|---|---|---|---|\n", self.command);
        let mut missed = false;
        for (what, value, unit, bound) in &self.rows {
            let kept = (*bound != ANY).then(|| bound.contains(value));
            let bound = match (bound.start(), bound.end()) {
                _ if kept.is_none() => String::new(),
                (least, most) if most.is_infinite() => format!("at least {least}"),
                (_, most) => format!("at most {most}"),
            };
            missed |= kept == Some(false);
            let verdict = kept.map_or("", |kept| if kept { "kept" } else { "MISSED" });
            let _ = writeln!(table, "| {what} | {} {unit} | {bound} | {verdict} |", digits(*value));
        }
        println!("\n{table}");
        if let Err(error) = keep(self.command, &table) {
            eprintln!("failed to write {FILE}: {error}");
            std::process::exit(1);
        }
        std::process::exit(i32::from(missed));
    }
}

fn digits(value: f64) -> String {
    if value >= 100.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.3}")
    }
}

/// Puts a section into the file, in the place of the one that was there.
fn keep(command: &str, table: &str) -> std::io::Result<()> {
    let (begin, end) = (format!("<!-- begin {command} -->"), format!("<!-- end {command} -->"));
    let section = format!("{begin}\n{table}{end}");
    let text = std::fs::read_to_string(FILE).unwrap_or_else(|_| "# Performance\n".to_owned());
    let text = match (text.find(&begin), text.find(&end)) {
        (Some(from), Some(to)) if from < to => format!("{}{section}{}", &text[..from], &text[to + end.len()..]),
        _ => format!("{}\n\n{section}\n", text.trim_end()),
    };
    if let Some(folder) = Path::new(FILE).parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(FILE, text)
}

/// The middle one of some durations.
pub fn median(mut durations: Vec<Duration>) -> Duration {
    durations.sort();
    durations.get(durations.len() / 2).copied().unwrap_or_default()
}
