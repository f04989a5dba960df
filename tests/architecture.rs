//! Proves from the source text who imports whom, which files are pure, and a few habits; and plants violations to
//! prove that it would notice each.
//!
//! What would hide an import from a reader of the text (`#[path]`, `include!`, a glob of the whole crate, another name
//! for the crate) is refused, so that the proof is one.

#[path = "architecture/reader.rs"]
mod reader;
#[path = "architecture/rules.rs"]
mod rules;
#[path = "architecture/source.rs"]
mod source;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use rules::violations;

#[test]
fn the_source_keeps_to_the_architecture() -> io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for path in rust_files(&root.join("src"))? {
        let name = path
            .strip_prefix(root)
            .map_err(io::Error::other)?
            .to_string_lossy()
            .replace('\\', "/");
        files.push((name, fs::read_to_string(&path)?));
    }
    assert!(files.iter().any(|(name, _)| name == "src/lib.rs"), "there is no source to judge");
    let found = violations(&files);
    assert!(found.is_empty(), "the source breaks what it promises:\n{}", found.join("\n"));
    Ok(())
}

fn rust_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(rust_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// What is found in one planted file.
fn planted(name: &str, text: &str) -> Vec<String> {
    violations(&[(name.to_owned(), text.to_owned())])
}

/// File, text, and what is found in it.
const IMPORTS_THAT_ARE_NOT_ALLOWED: &[(&str, &str, &str)] = &[
    (
        "src/operation/mod.rs",
        "use crate::queue::Queue;",
        "operation must not import queue",
    ),
    ("src/queue/apply.rs", "use crate::operation;", "queue must not import operation"),
    (
        "src/queue/apply.rs",
        "use crate::{api::Operation, heat_stack::{engine, report as told}};",
        "queue must not import heat_stack",
    ),
    ("src/lock/apply.rs", "use crate::queue::*;", "lock must not import queue"),
    ("src/lock/apply.rs", "use super::super::queue::Queue;", "lock must not import queue"),
    (
        "src/lock/mod.rs",
        "fn f() -> super::queue::Queue { loop {} }",
        "lock must not import queue",
    ),
    (
        "src/lock/mod.rs",
        "mod inner { use super::super::queue::Queue; }",
        "lock must not import queue",
    ),
    ("src/lock/mod.rs", "pub(in crate::queue) fn f() {}", "lock must not import queue"),
    (
        "src/queue/mod.rs",
        "fn f() { crate::remote::http::get(); }",
        "queue must not import remote",
    ),
    (
        "src/queue/mod.rs",
        "fn f() { let x: Vec<crate::runbook::Runbook> = vec![]; }",
        "queue must not import runbook",
    ),
    (
        "src/queue/mod.rs",
        "impl crate::openstack::Cloud for u8 {}",
        "queue must not import openstack",
    ),
    (
        "src/queue/mod.rs",
        "fn f() { tracing::info!(x = crate::hot::name(), \"\"); }",
        "queue must not import hot",
    ),
    (
        "src/queue/mod.rs",
        "macro_rules! m { () => { $crate::lock::claim() } }",
        "queue must not import lock",
    ),
    (
        "src/queue/mod.rs",
        "#[serde(default = \"crate::lock::claim\")] struct S;",
        "queue must not import lock",
    ),
    (
        "src/queue/mod.rs",
        "use crate as thermostat; use thermostat::lock::Claim;",
        "queue gives the crate another name",
    ),
    ("src/queue/mod.rs", "use crate::*;", "queue imports the whole crate"),
    ("src/queue/mod.rs", "use super::*;", "queue imports the whole crate"),
    (
        "src/queue/mod.rs",
        "extern crate self as ours;",
        "queue gives the crate another name",
    ),
    ("src/queue/mod.rs", "use thermostat::lock::Claim;", "queue must not import lock"),
    (
        "src/queue/mod.rs",
        "#[path = \"../lock/mod.rs\"] mod borrowed;",
        "queue takes a file from elsewhere",
    ),
    (
        "src/queue/mod.rs",
        "include!(\"../lock/mod.rs\");",
        "queue takes a file from elsewhere",
    ),
    (
        "src/queue/mod.rs",
        "#[cfg(test)] mod tests { use crate::lock::Claim; }",
        "queue must not import lock",
    ),
    ("src/queue/mod.rs", "use crate::cli::output;", "queue must not import cli"),
    (
        "src/server/probe.rs",
        "use crate::operation::decide;",
        "server must not import operation",
    ),
    ("src/server/page.rs", "use crate::remote::http;", "server must not import remote"),
    (
        "src/controller/leader.rs",
        "use crate::operation::journal;",
        "controller must not import operation",
    ),
    (
        "src/controller/leader.rs",
        "use crate::runbook::Runbook;",
        "controller must not import runbook",
    ),
    (
        "src/api/operation.rs",
        "use crate::runbook::Runbook;",
        "api must not import runbook",
    ),
    ("src/runbook/step.rs", "use crate::api::Duration;", "runbook must not import api"),
    ("src/hot/resolve.rs", "use crate::runbook::Runbook;", "hot must not import runbook"),
    (
        "src/openstack/cloud.rs",
        "use crate::remote::http;",
        "openstack must not import remote",
    ),
    (
        "src/remote/http.rs",
        "use crate::telemetry::metrics;",
        "remote must not import telemetry",
    ),
    (
        "src/telemetry/logging.rs",
        "use crate::api::Operation;",
        "telemetry must not import api",
    ),
    ("src/utils/strings.rs", "", "utils is not in the map"),
    ("src/queue/mod.rs", "use crate::VERSION;", "crate::VERSION is not in the map"),
];

#[test]
fn every_way_to_import_what_is_not_allowed_is_noticed() {
    for (name, text, found) in IMPORTS_THAT_ARE_NOT_ALLOWED {
        let violations = planted(name, text);
        assert!(
            violations.iter().any(|violation| violation.contains(found)),
            "{name}: {text}\nfound {violations:?} instead of {found}"
        );
    }
}

#[test]
fn every_way_to_be_impure_is_noticed() {
    for (text, found) in [
        ("pub async fn decide() {}", "async"),
        ("fn f() { let _ = async { 1 }; }", "async"),
        ("fn f() { let _ = async || 1; }", "async"),
        ("fn f() { m!(x.await); }", "async"),
        ("use tokio::time::sleep;", "tokio"),
        ("fn f() { ::tokio::spawn(g()); }", "tokio"),
        ("use {reqwest::Client as Asker, serde::Serialize};", "reqwest"),
        ("fn f(client: &kube::Client) {}", "kube::Client"),
        ("use kube::{Api, ResourceExt};", "kube::Api"),
        ("use kube::api::{Api, ObjectMeta};", "kube::api::Api"),
        ("use kube as k; fn f(client: k::Client) {}", "kube::Client"),
        ("use kube::*;", "hides names behind a glob"),
        ("use kube::runtime::watcher;", "kube::runtime"),
        ("fn f() { std::fs::read(\"x\"); }", "std::fs"),
        ("use std::{collections::HashMap, env};", "std::env"),
        ("use std::net::TcpStream;", "std::net::TcpStream"),
        ("use std::net;", "std::net"),
        ("fn f() { std::process::exit(1) }", "std::process"),
        ("fn f() { std::thread::sleep(d) }", "std::thread"),
        ("use std::time::SystemTime;", "std::time::SystemTime"),
        ("fn f() { use std::time; time::Instant::now(); }", "std::time::Instant"),
        ("use super::*;", "hides names behind a glob"),
        ("use std::time; fn f() { time::Instant::now(); }", "std::time::Instant"),
        ("use core::time::Duration; use std::time::Instant as Moment;", "std::time::Instant"),
        ("fn f() { jiff::Timestamp::now(); }", "Timestamp::now"),
        ("use jiff::Timestamp as T; fn f() { T::now(); }", "Timestamp::now"),
        ("use jiff::Zoned; fn f() { let clock = Zoned::now; }", "Zoned::now"),
        ("fn f() { <jiff::Timestamp>::now(); }", "::now"),
        ("fn f() { rand::rng(); }", "rand::rng"),
        ("fn f() { format!(\"{}\", std::env::var(\"X\")); }", "std::env"),
        ("fn f() { std::io::stdin(); }", "std::io::stdin"),
        ("#[cfg(not(test))] fn f() { std::fs::read(\"x\"); }", "std::fs"),
        ("#[cfg(any(test, unix))] fn f() { std::fs::read(\"x\"); }", "std::fs"),
    ] {
        for name in [
            "src/queue/decide.rs",
            "src/runbook/check.rs",
            "src/heat_stack/engine/native/plan.rs",
            "src/operation/decide/queue.rs",
        ] {
            let violations = planted(name, text);
            let noticed = violations
                .iter()
                .any(|violation| violation.contains("is pure") && violation.contains(found));
            assert!(noticed, "{name}: {text}\nfound {violations:?} instead of {found}");
        }
        let name = "src/queue/apply.rs";
        assert_eq!(planted(name, text), Vec::<String>::new(), "{name} may: {text}");
    }
}

#[test]
fn an_impure_name_is_noticed_behind_another_files_import() {
    let found = violations(&[
        (
            "src/queue/mod.rs".to_owned(),
            "mod decide; pub use crate::controller::Caller;".to_owned(),
        ),
        ("src/queue/decide.rs".to_owned(), "use super::Caller;".to_owned()),
        ("src/controller/mod.rs".to_owned(), "pub use kube::Client as Caller;".to_owned()),
    ]);
    assert_eq!(found, ["src/queue/decide.rs:1: is pure, but uses kube::Client"]);
}

#[test]
fn habits_that_are_broken_are_noticed() {
    let todo = ["TO", "DO"].concat();
    let fixme = ["FIX", "ME"].concat();
    for (text, found) in [
        (
            "#[allow(dead_code)] fn f() {}".to_owned(),
            "#[expect] with a reason instead of #[allow]",
        ),
        ("#![allow(dead_code)]".to_owned(), "#[expect] with a reason instead of #[allow]"),
        (
            "fn f() { #[allow(unused)] let x = 1; }".to_owned(),
            "#[expect] with a reason instead of #[allow]",
        ),
        (
            "#[cfg_attr(test, allow(dead_code))] fn f() {}".to_owned(),
            "#[expect] with a reason instead of #[allow]",
        ),
        (
            "macro_rules! m { () => { #[allow(dead_code)] fn f() {} } }".to_owned(),
            "#[expect] with a reason instead of #[allow]",
        ),
        (format!("// {todo}: later"), "is left for later"),
        (format!("fn f() {{ g(\"{fixme}\") }}"), "is left for later"),
        ("//\n".repeat(601), "has 601 lines"),
        ("fn {".to_owned(), "cannot be read"),
    ] {
        let violations = planted("src/queue/apply.rs", &text);
        assert!(
            violations.iter().any(|violation| violation.contains(found)),
            "{text:.80}\nfound {violations:?} instead of {found}"
        );
    }
}

#[test]
fn what_is_allowed_is_not_complained_of() {
    for (name, text) in [
        (
            "src/operation/step/state.rs",
            "pub(crate) async fn run() { tokio::fs::read(\"x\").await; }",
        ),
        (
            "src/operation/supervise.rs",
            "fn f() { tracing::info!(target: \"thermostat::notification\", \"\"); }",
        ),
        ("src/main.rs", "fn main() -> std::process::ExitCode { thermostat::cli::run() }"),
        ("src/lib.rs", "pub mod api; pub mod queue; pub use api::Operation;"),
        (
            "src/cli/run.rs",
            "use crate::{api, controller, heat_stack, hot, lock, openstack, operation, queue, remote, runbook, server, telemetry};",
        ),
        ("src/server/page.rs", "use crate::{api, controller, hot, runbook, telemetry};"),
        (
            "src/operation/apply.rs",
            "use crate::{api, controller, remote::http, runbook, telemetry}; use super::decide; use crate::operation::step;",
        ),
        (
            "src/heat_stack/engine/mod.rs",
            "use crate::{api, controller, hot, openstack, remote}; use super::decide; pub async fn f() {}",
        ),
        (
            "src/queue/mod.rs",
            "use crate::{api, controller, telemetry}; fn f() { self::decide::g(); }",
        ),
        (
            "src/controller/leader.rs",
            "use crate::{api::Operation, telemetry}; use std::time::Instant;",
        ),
        (
            "src/queue/decide.rs",
            "use std::{collections::HashMap, net::IpAddr, time::Duration}; use kube::api::ObjectMeta; use jiff::Timestamp;",
        ),
        (
            "src/queue/decide.rs",
            "fn f(observed: &Observed) -> Timestamp { observed.now + later(observed.now()) }",
        ),
        (
            "src/queue/decide.rs",
            "enum Turn { Now, Later } use Turn::*; fn f() -> Turn { Now }",
        ),
        (
            "src/api/operation.rs",
            "use kube::{CustomResource, KubeSchema, core::ObjectMeta}; #[derive(CustomResource, KubeSchema)] struct S;",
        ),
        (
            "src/runbook/check.rs",
            "#[cfg(test)] mod tests { use super::*; use std::time::Instant; #[tokio::test] async fn t() { Instant::now(); } }",
        ),
        (
            "src/runbook/check.rs",
            "#[cfg(all(test, unix))] use std::fs; #[cfg(test)] impl X { fn f() { fs::read(\"x\"); } }",
        ),
        (
            "src/runbook/check.rs",
            "/// See [`crate::queue`].\n#[expect(dead_code, reason = \"allow\")] fn r#async_name() -> &'static str { \"crate::queue\" }",
        ),
        ("src/telemetry/metrics.rs", "fn f() { method(); autodoc(); }"),
    ] {
        assert_eq!(planted(name, text), Vec::<String>::new(), "{name}: {text}");
    }
    let with_tests_beside = [
        ("src/runbook/check.rs".to_owned(), "#[cfg(test)] mod tests;".to_owned()),
        (
            "src/runbook/check/tests.rs".to_owned(),
            "use super::*; fn f() { std::fs::read(\"x\"); }".to_owned(),
        ),
    ];
    assert_eq!(violations(&with_tests_beside), Vec::<String>::new());
}
