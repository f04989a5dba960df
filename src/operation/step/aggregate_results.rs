//! `aggregate_results`: the report of the last foreach.

use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::walk::{Answer, Fault};
use crate::runbook::substitute::text;

#[derive(Deserialize)]
pub struct Fields {
    #[serde(default)]
    format: Option<String>,
    /// The results of the last foreach.
    results: Vec<Value>,
}

pub fn run(fields: &Fields) -> Result<Answer, Fault> {
    let (healthy, unhealthy): (Vec<&Value>, Vec<&Value>) = fields.results.iter().partition(|result| is_healthy(result));
    let details = match fields.format.as_deref() {
        None | Some("markdown") => Value::String(table(&fields.results)),
        Some("json") => json!(fields.results),
        Some(other) => return Err(Fault::permanent(format!("format: {other:?} is not known; write markdown or json"))),
    };
    let (total, healthy, unhealthy) = (fields.results.len(), healthy.len(), unhealthy.len());
    let report = match &details {
        Value::String(table) => json!(format!("{healthy} of {total} healthy\n\n{table}")),
        details => json!({"total": total, "healthy": healthy, "unhealthy": unhealthy, "services": details}),
    };
    let variables = [
        ("total_services", json!(total)),
        ("healthy_count", json!(healthy)),
        ("unhealthy_count", json!(unhealthy)),
        ("service_details", details),
    ];
    let variables = variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Ok(Answer {
        output: report,
        variables,
        ..Answer::default()
    })
}

/// A result is unhealthy if its `health_status`, or whatever else its body set, is the word `failed`.
fn is_healthy(result: &Value) -> bool {
    match result.get("health_status") {
        Some(status) => status != "failed",
        None => result
            .as_object()
            .is_some_and(|fields| fields.values().all(|value| value != "failed")),
    }
}

/// A Markdown table with a row for each result: the loop value first, then the plain values that its body set.
fn table(results: &[Value]) -> String {
    let mut columns: Vec<&str> = Vec::new();
    for (name, value) in results.iter().filter_map(Value::as_object).flatten() {
        if !value.is_object() && !value.is_array() && !columns.contains(&name.as_str()) {
            columns.push(name);
        }
    }
    let mut table = format!("| {} |\n|{}\n", columns.join(" | "), "---|".repeat(columns.len()));
    for result in results {
        let cell = |name: &&str| {
            result
                .get(*name)
                .map(text)
                .unwrap_or_default()
                .replace('|', "\\|")
                .replace('\n', " ")
        };
        let cells: Vec<String> = columns.iter().map(cell).collect();
        // writing to a String cannot fail
        let _ = writeln!(table, "| {} |", cells.join(" | "));
    }
    table
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]
    use super::*;

    #[test]
    fn healthy_and_unhealthy_services_are_counted_and_shown() {
        let results = vec![
            json!({"service": "a", "health_status": "ok"}),
            json!({"service": "b", "health_status": "failed"}),
        ];
        let answer = run(&Fields { format: None, results }).unwrap();
        assert_eq!(answer.variables["healthy_count"], 1);
        assert_eq!(answer.variables["unhealthy_count"], 1);
        assert_eq!(
            answer.output,
            "1 of 2 healthy\n\n| service | health_status |\n|---|---|\n| a | ok |\n| b | failed |\n"
        );
    }

    #[test]
    fn the_report_can_be_a_value() {
        let answer = run(&Fields {
            format: Some("json".to_owned()),
            results: vec![json!({"service": "a"})],
        })
        .unwrap();
        assert_eq!(
            answer.output,
            json!({"total": 1, "healthy": 1, "unhealthy": 0, "services": [{"service": "a"}]})
        );
    }

    #[test]
    fn no_results_make_an_empty_report() {
        let answer = run(&Fields {
            format: None,
            results: Vec::new(),
        })
        .unwrap();
        assert_eq!(answer.variables["total_services"], json!(0));
    }
}
