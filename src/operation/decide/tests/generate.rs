//! Small runbooks at random, and what their steps answer.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::operation::walk::{Answer, End, Fault, Start};
use crate::runbook::{Runbook, StepType};

/// A runbook and how its steps behave.
#[derive(Debug, Clone)]
pub struct Plan {
    steps: Vec<Part>,
    undo: Vec<Part>,
    /// From which every answer follows, so that a step that runs again answers the same.
    seed: u64,
    /// How many of a hundred attempts fail.
    failing: u64,
}

#[derive(Debug, Clone)]
enum Part {
    Act {
        kind: Act,
        manner: Manner,
    },
    Choose {
        manner: Manner,
        variable: usize,
        then: Vec<Part>,
        otherwise: Vec<Part>,
    },
    Each {
        manner: Manner,
        items: Items,
        parallel: bool,
        width: usize,
        steps: Vec<Part>,
    },
}

impl Part {
    fn is_parallel(&self) -> bool {
        match self {
            Self::Act { .. } => false,
            Self::Choose { then, otherwise, .. } => then.iter().chain(otherwise).any(Self::is_parallel),
            Self::Each { parallel, steps, .. } => *parallel || steps.iter().any(Self::is_parallel),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Get,
    Post,
    PostIdempotent,
    Read,
    Set,
    Probe,
    Wait,
    Tell,
    Filter,
}

#[derive(Debug, Clone, Copy)]
enum Items {
    Fixed(usize),
    Variable(usize),
    Clock,
}

#[derive(Debug, Clone)]
struct Manner {
    output: Option<usize>,
    outcome: Option<usize>,
    when: Option<usize>,
    continue_on_failure: bool,
    retries: Option<u32>,
    until: bool,
    exit: bool,
}

const VARIABLES: usize = 4;

fn manner() -> impl Strategy<Value = Manner> {
    let variable = || prop::option::weighted(0.5, 0..VARIABLES);
    let rare = |weight: f64| prop::bool::weighted(weight);
    (
        variable(),
        prop::option::weighted(0.2, 0..VARIABLES),
        prop::option::weighted(0.2, 0..VARIABLES),
        rare(0.3),
        prop::option::weighted(0.3, 1..4_u32),
        rare(0.15),
        rare(0.05),
    )
        .prop_map(|(output, outcome, when, continue_on_failure, retries, until, exit)| Manner {
            output,
            outcome,
            when,
            continue_on_failure,
            retries,
            until,
            exit,
        })
}

fn act(unrepeatable: bool) -> BoxedStrategy<Act> {
    let repeatable = prop::sample::select(vec![
        Act::Get,
        Act::Read,
        Act::Set,
        Act::Probe,
        Act::Wait,
        Act::Tell,
        Act::Filter,
        Act::PostIdempotent,
    ]);
    if unrepeatable {
        prop_oneof![3 => repeatable, 2 => Just(Act::Post)].boxed()
    } else {
        repeatable.boxed()
    }
}

fn part(unrepeatable: bool) -> impl Strategy<Value = Part> {
    let leaf = (act(unrepeatable), manner()).prop_map(|(kind, manner)| Part::Act { kind, manner });
    leaf.prop_recursive(3, 24, 4, |inner| {
        let list = |least: usize| prop::collection::vec(inner.clone(), least..4);
        let items =
            prop_oneof![3 => (0..5_usize).prop_map(Items::Fixed), 1 => (0..VARIABLES).prop_map(Items::Variable), 1 => Just(Items::Clock)];
        prop_oneof![
            (manner(), 0..VARIABLES, list(1), list(0)).prop_map(|(manner, variable, then, otherwise)| Part::Choose {
                manner,
                variable,
                then,
                otherwise
            }),
            (manner(), items, any::<bool>(), 1..4_usize, list(1)).prop_map(|(manner, items, parallel, width, steps)| Part::Each {
                manner,
                items,
                parallel,
                width,
                steps
            }),
        ]
    })
}

impl Plan {
    pub fn any(unrepeatable: bool) -> impl Strategy<Value = Self> {
        let steps = prop::collection::vec(part(unrepeatable), 1..5);
        let undo = prop::collection::vec(part(unrepeatable), 0..3);
        (steps, undo, any::<u64>(), prop::sample::select(vec![0, 5, 20, 40])).prop_map(|(steps, undo, seed, failing)| Self {
            steps,
            undo,
            seed,
            failing,
        })
    }

    pub fn is_parallel(&self) -> bool {
        self.steps.iter().any(Part::is_parallel)
    }

    fn number(&self, path: &str, attempt: i32, what: &str) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.seed, path, attempt, what).hash(&mut hasher);
        hasher.finish()
    }

    pub fn takes(&self, path: &str, attempt: i32) -> u64 {
        self.number(path, attempt, "takes") % 5
    }

    pub fn end(&self, start: &Start, attempt: i32) -> End {
        let number = |what: &str| self.number(&start.path, attempt, what);
        let output = match number("output") % 6 {
            _ if start.kind == StepType::HealthCheck => json!("ok"),
            _ if start.kind == StepType::Filter => start.input.fields.get("items").cloned().unwrap_or_default(),
            0 => json!(0),
            1 => json!(1),
            2 => Value::Null,
            3 => json!([1, 2]),
            4 => json!("hunter22"),
            _ => json!({"n": [1], "secret": "hunter22"}),
        };
        if number("fails") % 100 < self.failing {
            return End::Failed(Fault {
                message: "failed".to_owned(),
                output,
                permanent: number("permanent") % 4 == 0,
            });
        }
        let registry_entry = (number("entry") % 4 == 0).then(|| json!({"port": number("port") % 9}));
        let variables = if number("sets") % 4 == 0 {
            Map::from_iter([("v0".to_owned(), json!(number("v0") % 3))])
        } else {
            Map::new()
        };
        End::Done(Answer {
            output,
            variables,
            registry_entry,
            ..Answer::default()
        })
    }
}

/// The runbook of a plan.
pub fn runbook(plan: &Plan) -> Runbook {
    let parameters: Map<String, Value> = (0..VARIABLES).map(|number| (format!("v{number}"), json!(number))).collect();
    let outputs: Map<String, Value> = (0..VARIABLES)
        .map(|number| (number.to_string(), json!(format!("v{number}"))))
        .collect();
    let tell = |message: &str| json!([{"type": "notification", "channel": "log", "message": message}]);
    let document = json!({
        "operation": {"name": "random", "type": "maintain"},
        "parameters": parameters,
        "steps": list(&plan.steps, false),
        "rollback": {"on_failure": list(&plan.undo, false)},
        "notifications": {"on_success": tell("x${v0}"), "on_failure": tell("${error_message}"), "on_complete": tell("over")},
        "outputs": outputs,
    });
    Runbook::from_json(&document).unwrap_or_else(|problems| panic!("{}\n{document:#}", problems.render("random")))
}

fn list(parts: &[Part], inside: bool) -> Value {
    parts.iter().enumerate().map(|(index, part)| step(part, index, inside)).collect()
}

fn step(part: &Part, index: usize, inside: bool) -> Value {
    let (mut fields, manner, acts) = match part {
        Part::Act { kind, manner } => (action(*kind), manner, true),
        Part::Choose {
            manner,
            variable,
            then,
            otherwise,
        } => {
            let fields = json!({"type": "conditional", "condition": format!("v{variable} == 1"), "steps": list(then, inside), "else": list(otherwise, inside)});
            (fields, manner, false)
        }
        Part::Each {
            manner,
            items,
            parallel,
            width,
            steps,
        } => {
            let items = match items {
                Items::Fixed(count) => json!((0..*count).collect::<Vec<_>>()),
                Items::Variable(variable) => json!(format!("${{steps.s{index}.status == 'x' || v{variable} == 1 ? [1, 2, 3] : [4]}}")),
                Items::Clock => json!("${[size(current_timestamp), 'b']}"),
            };
            let fields =
                json!({"type": "foreach", "items": items, "parallel": parallel, "max_concurrent": width, "steps": list(steps, true)});
            (fields, manner, false)
        }
    };
    let mut set = |name: &str, value: Option<Value>| {
        if let (Some(fields), Some(value)) = (fields.as_object_mut(), value) {
            fields.insert(name.to_owned(), value);
        }
    };
    let variable = |number: Option<usize>| number.map(|number| json!(format!("v{number}")));
    set("name", Some(json!(format!("s{index}"))));
    set("output", variable(manner.output));
    set("outcome", variable(manner.outcome));
    set("when", manner.when.map(|number| json!(format!("v{number} != 2"))));
    set("continue_on_failure", manner.continue_on_failure.then_some(json!(true)));
    set("exit", (manner.exit && !inside).then_some(json!(true)));
    if acts {
        set("retries", manner.retries.map(|retries| json!(retries)));
        set("retry_delay", Some(json!(3)));
        set("until", manner.until.then_some(json!("result != 0")));
        set("timeout", manner.until.then_some(json!(100_000)));
    }
    fields
}

fn action(kind: Act) -> Value {
    match kind {
        Act::Get => json!({"type": "http_request", "url": "http://x/${v1}"}),
        Act::Post => json!({"type": "http_request", "method": "POST", "url": "http://x"}),
        Act::PostIdempotent => json!({"type": "http_request", "method": "POST", "url": "http://x", "idempotent": true}),
        Act::Read => json!({"type": "state_check", "file": "f.json", "path": ".a"}),
        Act::Set => json!({"type": "state_update", "file": "f.json", "updates": {".a": "${v2}"}}),
        Act::Probe => json!({"type": "health_check", "method": "tcp", "host": "h", "port": 1}),
        Act::Wait => json!({"type": "delay", "seconds": 1}),
        Act::Tell => json!({"type": "notification", "channel": "log", "message": "at ${current_timestamp}"}),
        Act::Filter => json!({"type": "filter", "items": [1, 2, 3], "condition": "item != 2"}),
    }
}
