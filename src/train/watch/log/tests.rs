//! What is written is read back; what is torn or later than the checkpoint is cut.

use std::collections::BTreeMap;
use std::fs;

use super::*;
use crate::train::{ShownText, SparsityRecord};

fn run(resumed_at: u64) -> RunRecord {
    RunRecord {
        kind: "splade".into(),
        base: "a \"quoted\" <base>".into(),
        steps: 100,
        resumed_at,
        ..RunRecord::default()
    }
}

fn step(step: u64) -> StepRecord {
    StepRecord {
        step,
        loss: 1.5,
        documents: Some(SparsityRecord {
            active_terms: 120.0,
            ..SparsityRecord::default()
        }),
        ..StepRecord::default()
    }
}

fn evaluation(step: u64) -> EvaluationRecord {
    EvaluationRecord {
        step,
        value: 0.75,
        metrics: BTreeMap::from([("ndcg@10".into(), 0.75)]),
        is_best: true,
        active_terms: Some((20.5, 120.25)),
        shown: vec![ShownText {
            text: "vulcão\nlinha".into(),
            terms: vec![("vulcão".into(), 2.5)],
        }],
        seconds: 2.0,
    }
}

fn read(path: &Path) -> Vec<Entry> {
    let mut entries = Vec::new();
    read_log(path, |entry| entries.push(entry)).unwrap();
    entries
}

/// Steps 1 to 6, an evaluation and a checkpoint after the fourth.
fn write(path: &Path) {
    let mut log = Log::create(path).unwrap();
    log.on(&Event::Started(&run(0))).unwrap();
    for number in 1..=6 {
        log.on(&Event::Step(&step(number))).unwrap();
        if number == 4 {
            log.on(&Event::Evaluated(&evaluation(4))).unwrap();
            let path = Path::new("checkpoint-4");
            log.on(&Event::Saved { step: 4, path }).unwrap();
        }
        if number == 5 {
            log.on(&Event::Warning("slow")).unwrap();
        }
    }
}

#[test]
fn every_event_is_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("train.jsonl");
    write(&path);
    let reason = "all steps are done";
    let mut log = Log::resume(&path, 6).unwrap();
    log.on(&Event::Finished { step: 6, reason }).unwrap();
    let entries = read(&path);
    assert_eq!(entries.len(), 11);
    assert_eq!(entries[0], Entry::Started(run(0)));
    assert_eq!(entries[4], Entry::Step(step(4)));
    assert_eq!(entries[5], Entry::Evaluated(evaluation(4)));
    let warning = Entry::Warning {
        step: 5,
        message: "slow".into(),
    };
    assert_eq!(entries[8], warning);
    assert_eq!(entries[10].step(), 6);
    // Each entry is the event that it was.
    for entry in &entries {
        assert_eq!(Entry::new(&entry.event(), entry.step()), *entry);
    }
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.starts_with(r#"{"event":"started","kind":"splade""#));
    assert_eq!(text.lines().count(), 11);
}

#[test]
fn a_resumed_log_has_nothing_after_the_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("train.jsonl");
    write(&path);
    let mut log = Log::resume(&path, 4).unwrap();
    log.on(&Event::Started(&run(4))).unwrap();
    log.on(&Event::Step(&step(5))).unwrap();
    let steps: Vec<u64> = read(&path).iter().map(Entry::step).collect();
    assert_eq!(steps, [0, 1, 2, 3, 4, 4, 4, 4, 5]);
    // Back to an earlier checkpoint still: the first resumption is cut too.
    Log::resume(&path, 2).unwrap();
    let steps: Vec<u64> = read(&path).iter().map(Entry::step).collect();
    assert_eq!(steps, [0, 1, 2]);
}

#[test]
fn a_torn_last_line_is_skipped_and_cut() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("train.jsonl");
    write(&path);
    let whole = fs::read(&path).unwrap();
    let before = read(&path);
    let last = whole[..whole.len() - 1]
        .iter()
        .rposition(|byte| *byte == b'\n')
        .unwrap()
        + 1;
    for torn in [last, last + 1, whole.len() - 1] {
        fs::write(&path, &whole[..torn]).unwrap();
        assert_eq!(read(&path), before[..before.len() - 1], "{torn} bytes");
        let mut log = Log::resume(&path, 6).unwrap();
        log.on(&Event::Step(&step(6))).unwrap();
        assert_eq!(fs::read(&path).unwrap(), whole);
    }
}

#[test]
fn a_broken_line_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("train.jsonl");
    write(&path);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(
        &path,
        text.replacen("{\"event\":\"step\"", "{\"event\":\"x\"", 1),
    )
    .unwrap();
    let error = read_log(&path, |_| {}).unwrap_err().to_string();
    assert!(
        error.contains("train.jsonl:2: expected an entry"),
        "{error}"
    );
    assert!(Log::resume(&path, 6).is_err());
    let missing = folder.path().join("none.jsonl");
    assert!(read_log(&missing, |_| {}).is_err());
    Log::resume(&missing, 6).unwrap();
    assert_eq!(read(&missing), []);
}

#[test]
fn numbers_that_json_lacks_are_read_as_nan() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("train.jsonl");
    let mut bad = step(1);
    (bad.loss, bad.gradient_norm) = (f64::NAN, f64::INFINITY);
    bad.documents = Some(SparsityRecord {
        max_weight: f64::NAN,
        ..SparsityRecord::default()
    });
    let mut evaluated = evaluation(1);
    evaluated.metrics.insert("mrr".into(), f64::NAN);
    evaluated.active_terms = Some((f64::NAN, 1.0));
    evaluated.shown[0].terms[0].1 = f32::NAN;
    let mut log = Log::create(&path).unwrap();
    log.on(&Event::Step(&bad)).unwrap();
    log.on(&Event::Evaluated(&evaluated)).unwrap();
    let entries = read(&path);
    let [Entry::Step(record), Entry::Evaluated(found)] = &entries[..] else {
        panic!("{entries:?}");
    };
    assert!(record.loss.is_nan() && record.gradient_norm.is_nan());
    assert!(record.documents.unwrap().max_weight.is_nan());
    assert!(found.metrics["mrr"].is_nan() && found.shown[0].terms[0].1.is_nan());
    assert!(found.active_terms.unwrap().0.is_nan());
}
