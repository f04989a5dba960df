#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use super::*;
use crate::api::OperationQueueSpec;

fn slot(name: &str) -> Slot {
    Slot {
        name: name.to_owned(),
        uid: name.to_owned(),
    }
}

fn told(waiting: usize, running: &[&str], admitted: usize, suspend: bool) -> OperationQueueStatus {
    let mut index = Index::default();
    for number in 0..waiting {
        let name = format!("w{number:03}");
        index.insert(&name, &name, 5, Timestamp::UNIX_EPOCH);
    }
    let mut queue = OperationQueue::new(
        "q",
        OperationQueueSpec {
            suspend,
            ..OperationQueueSpec::default()
        },
    );
    queue.metadata.generation = Some(4);
    status(
        &queue,
        running.iter().map(|name| slot(name)).collect(),
        &index,
        admitted,
        Timestamp::from_second(1).unwrap(),
    )
}

#[test]
fn those_who_are_let_in_no_longer_wait() {
    let status = told(5, &["r", "w000", "w001"], 2, false);
    assert_eq!((status.queued, status.running_count, status.observed_generation), (3, 3, Some(4)));
    assert_eq!(status.running, ["r", "w000", "w001"].map(slot));
    assert_eq!(status.head, ["w002", "w003", "w004"]);
    assert_eq!(status.conditions[0].reason, "Admitting");
}

#[test]
fn only_the_next_twenty_are_named() {
    let status = told(50, &[], 0, false);
    assert_eq!((status.queued, status.head.len()), (50, 20));
    assert_eq!(status.head.first().map(String::as_str), Some("w000"));
}

#[test]
fn a_suspended_queue_says_how_to_let_it_go_on() {
    let status = told(1, &[], 0, true);
    assert_eq!(status.conditions[0].reason, "Suspended");
    assert!(status.conditions[0].message.contains("spec.suspend"));
}
