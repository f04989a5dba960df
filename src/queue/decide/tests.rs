#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use proptest::prelude::*;

use super::*;

fn index(waiting: &[(&str, i32, i64)]) -> Index {
    let mut index = Index::default();
    for (name, priority, second) in waiting {
        index.insert(name, name, *priority, Timestamp::from_second(*second).unwrap());
    }
    index
}

fn names(index: &Index) -> Vec<String> {
    index.head().map(|slot| slot.name).collect()
}

fn queue<'a>(key: &'a str, index: &'a Index, running: usize, max_concurrent: usize) -> Observed<'a, &'a str> {
    Observed {
        key,
        index,
        running,
        max_concurrent,
        suspended: false,
    }
}

#[test]
fn higher_priority_goes_first_then_older_then_by_name() {
    let index = index(&[("late", 5, 9), ("b", 5, 1), ("a", 5, 1), ("urgent", 9, 20), ("low", 0, 0)]);
    assert_eq!(names(&index), ["urgent", "a", "b", "late", "low"]);
}

#[test]
fn a_new_priority_moves_one_who_waits() {
    let mut index = index(&[("a", 5, 1), ("b", 5, 2)]);
    assert!(index.reprioritize("b", 6));
    assert!(!index.reprioritize("gone", 6));
    assert_eq!(names(&index), ["b", "a"]);
    assert_eq!(index.len(), 2);
}

#[test]
fn no_queue_runs_more_than_its_own() {
    let (full, roomy) = (index(&[("a", 5, 1), ("b", 5, 2)]), index(&[("c", 5, 1), ("d", 5, 2), ("e", 5, 3)]));
    let queues = [queue("full", &full, 3, 3), queue("roomy", &roomy, 1, 3)];
    assert_eq!(admissions(&queues, 200), HashMap::from([("roomy", 2)]));
}

#[test]
fn a_queue_over_its_own_admits_none() {
    let waiting = index(&[("a", 5, 1)]);
    assert_eq!(admissions(&[queue("q", &waiting, 5, 3)], 200), HashMap::new());
}

#[test]
fn a_suspended_queue_admits_none() {
    let waiting = index(&[("a", 5, 1)]);
    let queues = [Observed {
        suspended: true,
        ..queue("q", &waiting, 0, 3)
    }];
    assert_eq!(admissions(&queues, 200), HashMap::new());
}

#[test]
fn where_the_cap_binds_the_heads_compete_in_one_order() {
    let (one, two) = (index(&[("a", 5, 1), ("b", 1, 1)]), index(&[("c", 7, 9), ("d", 3, 9)]));
    let queues = [queue("one", &one, 0, 5), queue("two", &two, 0, 5)];
    assert_eq!(admissions(&queues, 1), HashMap::from([("two", 1)]));
    assert_eq!(admissions(&queues, 2), HashMap::from([("two", 1), ("one", 1)]));
    assert_eq!(admissions(&queues, 3), HashMap::from([("two", 2), ("one", 1)]));
    assert_eq!(admissions(&queues, 0), HashMap::new());
}

#[test]
fn those_who_are_alike_in_all_else_are_told_apart_by_uid() {
    let mut index = Index::default();
    for uid in ["b", "a"] {
        index.insert(uid, "same", 5, Timestamp::UNIX_EPOCH);
    }
    assert_eq!(index.head().map(|slot| slot.uid).collect::<Vec<_>>(), ["a", "b"]);
    assert!(index.remove("a") && !index.remove("a") && !index.contains("a") && index.contains("b"));
}

#[test]
fn more_that_run_than_there_is_room_for_let_nobody_in() {
    let waiting = index(&[("a", 5, 1)]);
    let queues = [queue("one", &waiting, 7, 10), queue("two", &waiting, usize::MAX - 7, 10)];
    assert_eq!(admissions(&queues, 5), HashMap::new());
}

/// Everybody who waits, sorted, and let in one after the other while there is room.
fn naive(queues: &[Observed<'_, usize>], waiting: &[Vec<(i32, i64)>], cap: usize) -> HashMap<usize, usize> {
    let mut all: Vec<(Reverse<i32>, i64, String, usize)> = Vec::new();
    for (queue, waiting) in waiting.iter().enumerate() {
        all.extend(
            waiting
                .iter()
                .enumerate()
                .map(|(number, (priority, second))| (Reverse(*priority), *second, format!("{number:03}"), queue)),
        );
    }
    all.sort();
    let mut admitted = HashMap::new();
    let mut total: usize = queues.iter().map(|queue| queue.running).sum();
    for (.., number) in all {
        let count = admitted.get(&number).copied().unwrap_or(0);
        let queue = &queues[number];
        if total < cap && !queue.suspended && queue.running + count < queue.max_concurrent {
            admitted.insert(number, count + 1);
            total += 1;
        }
    }
    admitted
}

proptest! {
    #[test]
    fn admissions_are_those_of_sorting_everybody_and_letting_them_in(
        queues in prop::collection::vec(
            (prop::collection::vec((0..4_i32, 0..6_i64), 0..12), 0..6_usize, 0..8_usize, prop::bool::weighted(0.1)),
            0..6,
        ),
        cap in 0..40_usize,
    ) {
        let waiting: Vec<Vec<(i32, i64)>> = queues.iter().map(|(waiting, ..)| waiting.clone()).collect();
        let indexes: Vec<Index> = waiting
            .iter()
            .enumerate()
            .map(|(queue, waiting)| {
                let mut index = Index::default();
                for (number, (priority, second)) in waiting.iter().enumerate() {
                    index.insert(&format!("{queue}-{number}"), &format!("{number:03}"), *priority, Timestamp::from_second(*second).unwrap());
                }
                index
            })
            .collect();
        let observed: Vec<Observed<'_, usize>> = queues
            .iter()
            .zip(&indexes)
            .enumerate()
            .map(|(key, ((_, running, max_concurrent, suspended), index))| Observed {
                key,
                index,
                running: *running,
                max_concurrent: *max_concurrent,
                suspended: *suspended,
            })
            .collect();
        prop_assert_eq!(admissions(&observed, cap), naive(&observed, &waiting, cap));
    }

    #[test]
    fn an_index_is_the_sorted_list_of_those_who_wait(
        changes in prop::collection::vec((0..8_usize, 0..3_i32, 0..4_i64, 0..3_u8), 0..60)
    ) {
        let mut index = Index::default();
        let mut model: HashMap<String, (Reverse<i32>, i64, String)> = HashMap::new();
        for (who, priority, second, change) in changes {
            let uid = who.to_string();
            match change {
                0 => {
                    index.insert(&uid, &uid, priority, Timestamp::from_second(second).unwrap());
                    model.insert(uid.clone(), (Reverse(priority), second, uid));
                }
                1 => prop_assert_eq!(index.remove(&uid), model.remove(&uid).is_some()),
                _ => {
                    prop_assert_eq!(index.reprioritize(&uid, priority), model.contains_key(&uid));
                    model.entry(uid).and_modify(|known| known.0 = Reverse(priority));
                }
            }
        }
        let mut expected: Vec<_> = model.into_values().collect();
        expected.sort();
        prop_assert_eq!((index.len(), index.is_empty()), (expected.len(), expected.is_empty()));
        prop_assert_eq!(index.head().map(|slot| slot.name).collect::<Vec<_>>(), expected.into_iter().map(|(.., name)| name).collect::<Vec<_>>());
    }
}
