//! What needs no cluster: choosing from a long queue, reading and checking documents, starting the program.

mod support;

use std::fmt::Write as _;
use std::hint::black_box;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use support::{ANY, Report, median};
use thermostat::queue::decide::{Index, Observed, admissions};
use thermostat::runbook::Runbook;

fn main() {
    let mut report = Report::of("make bench");
    queue(&mut report);
    documents(&mut report);
    start(&mut report);
    report.finish();
}

fn timed(times: usize, mut work: impl FnMut()) -> Duration {
    let took = (0..times).map(|_| {
        let started = Instant::now();
        work();
        started.elapsed()
    });
    median(took.collect())
}

fn waiting(count: i64) -> Index {
    let mut index = Index::default();
    for number in 0..count {
        let created = Timestamp::from_second(number / 7).unwrap_or_default();
        index.insert(
            &format!("uid-{number}"),
            &format!("operation-{number}"),
            i32::try_from(number % 10).unwrap_or(0),
            created,
        );
    }
    index
}

/// A decision, and one arrival and departure, with few and with many waiting.
fn queue(report: &mut Report) {
    let change = |index: &mut Index| {
        index.insert("uid-new", "operation-new", 5, Timestamp::from_second(1000).unwrap_or_default());
        black_box(index.remove("uid-new"));
    };
    let decide = |index: &Index| {
        let queue = Observed {
            key: 0,
            index,
            running: 100,
            max_concurrent: 200,
            suspended: false,
        };
        black_box(admissions(&[queue], 150));
        black_box(index.head().take(70).count());
    };
    let (mut few, mut many) = (waiting(500), waiting(50_000));
    let decision = timed(200, || decide(&many));
    report.add("queue decision, 50,000 waiting", decision.as_secs_f64() * 1e3, "ms", 0.0..=5.0);
    let thousand = |index: &mut Index| timed(50, || (0..1000).for_each(|_| change(index)));
    let (few, many) = (thousand(&mut few), thousand(&mut many));
    report.add("one arrival and departure, 50,000 waiting", many.as_secs_f64() * 1e3, "us", ANY);
    // log2(50,000) / log2(500) is 1.74; the rest is memory that is no longer near
    report.add(
        "growth of that from 500 to 50,000 waiting",
        many.as_secs_f64() / few.as_secs_f64(),
        "times",
        0.0..=3.5,
    );
}

/// A runbook of 200 lines, as people write them.
fn ordinary() -> String {
    let mut text = "operation:\n  name: ordinary\n  type: maintain\nparameters:\n  url: http://127.0.0.1/\n  count: 3\nsteps:\n".to_owned();
    for number in 0..24 {
        let _ = writeln!(
            text,
            "  - name: step_{number}\n    type: http_request\n    when: count > {number} && url != ''\n    url: ${{url}}/{number}\n    expected_status: 200\n    retries: 3\n    retry_delay: 5s\n    output: answer_{number}"
        );
    }
    text
}

fn documents(report: &mut Report) {
    let text = ordinary();
    assert!(Runbook::parse(&text).is_ok(), "the ordinary runbook is valid");
    let lines = text.lines().count();
    let took = timed(200, || drop(black_box(Runbook::parse(&text))));
    report.add(
        format!("a runbook of {lines} lines, parsed and checked"),
        took.as_secs_f64() * 1e3,
        "ms",
        0.0..=1.0,
    );
    let limit = 512 * 1024 - 16;
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let _ = writeln!(bomb, "a{level}: &a{level} [{}]", vec![format!("*a{}", level - 1); 10].join(", "));
    }
    let hostile = [
        ("aliases of aliases", bomb),
        ("a limit's worth of brackets", "[".repeat(limit)),
        ("a limit's worth of braces", "{".repeat(limit)),
        ("a limit's worth of dashes", "- ".repeat(limit / 2)),
        (
            "deep indentation",
            (0..1000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect(),
        ),
        (
            "a long expression",
            format!(
                "operation: {{name: x, type: maintain}}\nsteps:\n  - type: delay\n    seconds: 1\n    when: {}1\n",
                "(".repeat(limit / 2)
            ),
        ),
    ];
    for (what, text) in hostile {
        assert!(Runbook::parse(&text).is_err(), "{what} is refused");
        let took = timed(5, || drop(black_box(Runbook::parse(&text))));
        report.add(format!("{what}, refused"), took.as_secs_f64() * 1e3, "ms", 0.0..=100.0);
    }
}

/// From the start of the process to its end, with a runbook of one step that takes no time.
fn start(report: &mut Report) {
    let path = std::env::temp_dir().join(format!("thermostat-bench-{}.yml", std::process::id()));
    let text = "operation: {name: start, type: maintain}\nsteps:\n  - {type: delay, seconds: 0}\n";
    let result = std::fs::write(&path, text);
    assert!(result.is_ok(), "{result:?}");
    let took = timed(20, || {
        let status = Command::new(env!("CARGO_BIN_EXE_thermostat"))
            .arg("run")
            .arg(&path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        assert!(status.is_ok_and(|status| status.success()), "the runbook runs");
    });
    // it is a temporary file
    let _ = std::fs::remove_file(&path);
    report.add("run, from start to end", took.as_secs_f64() * 1e3, "ms", 0.0..=50.0);
}
