//! The sentences of the architecture, as tables, and what breaks them.

use super::source::{Crate, Sighting, Source};

const ALL: &[&str] = &[
    "cli",
    "server",
    "operation",
    "queue",
    "heat_stack",
    "lock",
    "controller",
    "api",
    "telemetry",
    "runbook",
    "hot",
    "openstack",
    "remote",
];

/// Who may import whom. Itself everyone may import.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("main", ALL),
    ("lib", ALL),
    ("cli", ALL),
    ("server", &["controller", "api", "telemetry", "runbook", "hot"]),
    ("operation", &["controller", "api", "telemetry", "runbook", "remote"]),
    ("queue", &["controller", "api", "telemetry"]),
    ("heat_stack", &["controller", "api", "telemetry", "hot", "openstack", "remote"]),
    ("lock", &["controller", "api", "telemetry"]),
    ("controller", &["api", "telemetry"]),
    ("api", &[]),
    ("runbook", &[]),
    ("hot", &[]),
    ("openstack", &[]),
    ("remote", &[]),
    ("telemetry", &[]),
];

const PURE_FOLDERS: &[&str] = &["api", "runbook", "hot"];
/// Files or folders of this name are pure wherever they stand, but for steps: those act, whatever they are called.
const PURE_NAMES: &[&str] = &["validate", "decide", "report", "state", "rollback", "retry", "plan"];

/// What a pure file must not name: async, clients, the clock, files, the environment, and chance.
const IMPURE: &[&str] = &[
    "tokio",
    "tokio_util",
    "futures",
    "reqwest",
    "hyper",
    "axum",
    "kube::Client",
    "kube::client",
    "kube::Api",
    "kube::api::Api",
    "kube::Config",
    "kube::config",
    "kube::Discovery",
    "kube::discovery",
    "kube::runtime",
    "std::fs",
    "std::env",
    "std::net",
    "std::os",
    "std::process",
    "std::thread",
    "std::io::stdin",
    "std::io::stdout",
    "std::io::stderr",
    "std::time::Instant",
    "std::time::SystemTime",
    "jiff::tz::TimeZone::system",
    "jiff::tz::TimeZone::try_system",
    "rand::rng",
    "rand::random",
    "rand::random_range",
    "rand::random_bool",
    "rand::rngs::ThreadRng",
    "rand::rngs::SysRng",
];

/// Values that stand in a folder of effects.
const PURE_AFTER_ALL: &[&str] = &[
    "std::net::IpAddr",
    "std::net::Ipv4Addr",
    "std::net::Ipv6Addr",
    "std::net::SocketAddr",
    "std::net::AddrParseError",
];

const MOST_LINES: usize = 600;
const LEFT_FOR_LATER: &[&str] = &["TODO", "FIXME"];

/// Everything that breaks a rule in these files (path from the package's root, text), as `path:line: what`.
pub fn violations(files: &[(String, String)]) -> Vec<String> {
    let (read, mut found) = Crate::read(files);
    for (name, text) in files {
        found.extend(broken_habits_of_text(name, text));
    }
    for source in read.sources() {
        found.extend(imports(&read, source));
        found.extend(impurities(&read, source));
        found.extend(
            source
                .allows
                .iter()
                .map(|line| told(source, *line, "uses #[allow]: write #[expect] with a reason instead of #[allow]")),
        );
    }
    found.sort();
    found.dedup();
    found
}

fn told(source: &Source, line: usize, what: &str) -> String {
    format!("{}:{line}: {what}", source.name)
}

fn broken_habits_of_text(name: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let lines = text.lines().count();
    if lines > MOST_LINES {
        found.push(format!("{name}:{lines}: has {lines} lines, more than {MOST_LINES}: split it"));
    }
    for (index, line) in text.lines().enumerate() {
        let mut words = line.split(|character: char| !character.is_alphanumeric());
        if let Some(word) = words.find(|word| LEFT_FOR_LATER.contains(word)) {
            found.push(format!("{name}:{}: something is left for later ({word})", index + 1));
        }
    }
    found
}

fn imports(read: &Crate, source: &Source) -> Vec<String> {
    let module = source.module.as_str();
    let Some((_, allowed)) = MAY_IMPORT.iter().find(|(name, _)| *name == module) else {
        return vec![told(source, 1, &format!("{module} is not in the map of who may import whom"))];
    };
    let mut found: Vec<_> = source
        .hidden
        .iter()
        .map(|(line, what)| told(source, *line, &format!("{module} {what}")))
        .collect();
    for Sighting { path, line, .. } in read.resolved(source) {
        let mut segments = path.iter().map(String::as_str);
        if segments.next() != Some("crate") {
            continue;
        }
        match segments.next() {
            None => found.push(told(source, line, &format!("{module} gives the crate another name"))),
            Some("*") => found.push(told(source, line, &format!("{module} imports the whole crate"))),
            Some(imported) if imported == module || allowed.contains(&imported) => {}
            Some(imported) if ALL.contains(&imported) => found.push(told(source, line, &format!("{module} must not import {imported}"))),
            // What a library's root re-exports is looked through; what it defines is nobody's.
            Some(_) if matches!(module, "main" | "lib") => {}
            Some(imported) => found.push(told(
                source,
                line,
                &format!("crate::{imported} is not in the map of who may import whom"),
            )),
        }
    }
    found
}

fn is_pure(source: &Source) -> bool {
    let named = |names: &[&str]| source.place.iter().any(|part| names.contains(&part.as_str()));
    PURE_FOLDERS.contains(&source.module.as_str()) || (named(PURE_NAMES) && !named(&["step"]))
}

fn impurities(read: &Crate, source: &Source) -> Vec<String> {
    if !is_pure(source) {
        return Vec::new();
    }
    let mut found: Vec<_> = source
        .asyncs
        .iter()
        .map(|line| told(source, *line, "is pure, but uses async"))
        .collect();
    for sighting in read.resolved(source).into_iter().filter(|sighting| !sighting.test) {
        if let Some(what) = impurity(&sighting.path) {
            found.push(told(source, sighting.line, &format!("is pure, but {what}")));
        }
    }
    found
}

fn impurity(path: &[String]) -> Option<String> {
    let mut name = path.join("::");
    if let Some(rest) = name.strip_prefix("core::") {
        name = format!("std::{rest}");
    }
    let within = |folder: &str| name == folder || name.strip_prefix(folder).is_some_and(|rest| rest.starts_with("::"));
    if PURE_AFTER_ALL.iter().any(|value| within(value)) {
        return None;
    }
    if let Some(impure) = IMPURE.iter().find(|impure| within(impure)) {
        return Some(format!("uses {}", if *impure == "std::net" { &name } else { *impure }));
    }
    match path {
        [.., clock, last] if last == "now" => Some(format!("asks the clock by {clock}::now")),
        // Of a type one sees by its capital that the names behind the glob are its variants.
        [.., last, glob] if glob == "*" && !last.starts_with(char::is_uppercase) => Some(format!("hides names behind a glob ({name})")),
        _ => None,
    }
}
