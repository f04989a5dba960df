#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn recorder() -> Recorder {
    Recorder::new(Redactor::new([("key", "hunter22")]).unwrap(), BTreeMap::new(), ROOM_OF_AN_OBJECT)
}

fn put(recorder: &mut Recorder, path: &str, output: Value) -> StepStatus {
    let mut record = StepStatus {
        path: path.to_owned(),
        ..StepStatus::default()
    };
    recorder.record(
        &mut record,
        Ending {
            output,
            ..Ending::default()
        },
    );
    record
}

#[test]
fn what_is_masked_is_kept_apart_and_can_be_restored() {
    let mut recorder = recorder();
    let mut record = StepStatus {
        path: "a".to_owned(),
        ..StepStatus::default()
    };
    let ending = Ending {
        failed: true,
        output: json!(["hunter22"]),
        variables: Map::from_iter([("v".to_owned(), json!("x hunter22"))]),
        message: Some("no hunter22".to_owned()),
        registry_entry: Some(json!({"k": "hunter22"})),
        derived: false,
    };
    recorder.record(&mut record, ending);
    assert!(!serde_json::to_string(&record).unwrap().contains("hunter22"));
    assert_eq!((record.phase, record.message.as_deref()), (StepPhase::Failed, Some("no ***")));
    let restored = recorder.restored(&record).into_owned();
    assert_eq!(
        (restored.output, restored.variables["v"].clone()),
        (Some(json!(["hunter22"])), json!("x hunter22"))
    );
    assert_eq!(
        (restored.registry_entry, restored.message.as_deref()),
        (Some(json!({"k": "hunter22"})), Some("no ***"))
    );
}

#[test]
fn what_is_not_masked_is_not_kept_apart() {
    let mut recorder = recorder();
    let record = put(&mut recorder, "a", json!({"n": 1}));
    assert_eq!(
        (record.output.clone(), recorder.take_new_originals()),
        (Some(json!({"n": 1})), None)
    );
    assert!(matches!(recorder.restored(&record), Cow::Borrowed(_)));
}

#[test]
fn the_journal_hears_of_every_change_once() {
    let mut recorder = recorder();
    put(&mut recorder, "a", json!("hunter22 1"));
    assert_eq!(recorder.take_new_originals().unwrap().len(), 1);
    assert_eq!(recorder.take_new_originals(), None);
    // what was written of an attempt that is lost gives way to what is found now
    let record = put(&mut recorder, "a", json!("hunter22 2"));
    assert_eq!(recorder.restored(&record).output, Some(json!("hunter22 2")));
    assert!(recorder.take_new_originals().is_some());
    let record = put(&mut recorder, "a", json!("plain"));
    assert_eq!(recorder.restored(&record).output, Some(json!("plain")));
    assert_eq!(recorder.take_new_originals().unwrap().len(), 0);
}

#[test]
fn a_long_text_is_cut_for_everybody() {
    let mut recorder = recorder();
    let record = put(&mut recorder, "a", json!("x".repeat(100_000)));
    let text = record.output.unwrap();
    assert!(text.as_str().unwrap().len() <= 64 * 1024 && text.as_str().unwrap().ends_with("... [cut: 100000 bytes]"));
    assert_eq!(recorder.take_new_originals(), None);
}

#[test]
fn a_large_structure_goes_whole_to_the_journal_until_that_is_full() {
    let mut recorder = recorder();
    let large = json!(vec!["x".repeat(1000); 100]);
    for number in 0..3 {
        let record = put(&mut recorder, &number.to_string(), large.clone());
        assert_eq!(record.phase, StepPhase::Succeeded);
        assert!(serde_json::to_string(&record).unwrap().len() < 1000);
        assert_eq!(recorder.restored(&record).output, Some(large.clone()));
    }
    let record = put(&mut recorder, "3", large.clone());
    assert_eq!((record.phase, record.output), (StepPhase::Failed, None));
    assert!(record.message.unwrap().starts_with("OutputTooLarge: "));
    recorder.forget("0");
    assert_eq!(put(&mut recorder, "3", large).phase, StepPhase::Succeeded);
}

#[test]
fn a_large_output_that_follows_from_other_records_needs_no_room_in_the_journal() {
    let mut recorder = recorder();
    let mut record = StepStatus {
        path: "each".to_owned(),
        ..StepStatus::default()
    };
    let output = json!(vec!["x".repeat(1000); 2000]);
    recorder.record(
        &mut record,
        Ending {
            output,
            derived: true,
            ..Ending::default()
        },
    );
    assert_eq!((record.phase, recorder.take_new_originals()), (StepPhase::Succeeded, None));
    assert!(serde_json::to_string(&record).unwrap().len() < 1000);
}

proptest! {
    #[test]
    fn a_cut_text_is_never_longer_than_the_limit_and_cutting_again_changes_nothing(text in ".{0,80}", limit in 24_usize..60) {
        let once = cut(&text, limit);
        prop_assert!(once.len() <= limit);
        prop_assert_eq!(cut(&once, limit), once.clone());
        prop_assert!(once == text || once.contains("[cut: "));
    }

    #[test]
    fn cutting_never_panics(text in ".{0,80}", limit in 0_usize..100) {
        let _ = cut(&text, limit);
    }
}
