//! Hand-made histories, and what must hold for any.

use proptest::prelude::*;

use super::*;
use crate::train::SparsityRecord;

const SPREAD: ScoreSpread = ScoreSpread {
    within: 2.0,
    max: 5.0,
};
const SPARSE: HealthKind = HealthKind::Sparse { vocabulary: 1_000 };

fn sparse(active_terms: f64) -> Option<SparsityRecord> {
    Some(SparsityRecord {
        active_terms,
        ..SparsityRecord::default()
    })
}

fn record(step: u64, loss: f64, gradient_norm: f64) -> StepRecord {
    StepRecord {
        step,
        loss,
        ranking_loss: loss,
        gradient_norm,
        queries: sparse(20.0),
        documents: sparse(100.0),
        ..StepRecord::default()
    }
}

/// The verdicts that are not fine, with the places of their records.
fn verdicts(
    health: &mut Health,
    records: impl IntoIterator<Item = (StepRecord, ScoreSpread)>,
) -> Vec<(u64, Verdict)> {
    let seen = records
        .into_iter()
        .map(|(record, spread)| (record.step, health.observe(&record, &spread)));
    seen.filter(|(_, verdict)| *verdict != Verdict::Fine)
        .collect()
}

/// What happens when, after 100 healthy records, each further one is changed so.
fn after_healthy(
    options: HealthOptions,
    change: impl Fn(&mut StepRecord, &mut ScoreSpread),
) -> Vec<(u64, Verdict)> {
    let healthy = |step: u64| record(step, 2.0 + (step % 5) as f64 / 5.0, 3.0 + (step % 4) as f64);
    let mut health = Health::new(options);
    let records = (1..=125).map(|step| {
        let (mut record, mut spread) = (healthy(step), SPREAD);
        if step > 100 {
            change(&mut record, &mut spread);
        }
        (record, spread)
    });
    verdicts(&mut health, records)
}

/// A warning at the fifth record, stops from the twentieth on; the text of the first stop.
fn warned_then_stopped(found: &[(u64, Verdict)]) -> &str {
    let steps: Vec<u64> = found.iter().map(|(step, _)| *step).collect();
    assert_eq!(steps, [105, 120, 121, 122, 123, 124, 125], "{found:?}");
    assert!(matches!(found[0].1, Verdict::Warning(_)));
    match &found[1].1 {
        Verdict::Stop(text) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_healthy_run_is_fine() {
    assert_eq!(
        after_healthy(HealthOptions::new(SPARSE), |_, _| {}),
        Vec::new()
    );
}

#[test]
fn nan_and_infinity_stop_at_once() {
    for change in [
        (|record| record.loss = f64::NAN) as fn(&mut StepRecord),
        |record| record.gradient_norm = f64::INFINITY,
        |record| record.ranking_loss = f64::NAN,
    ] {
        let found = after_healthy(HealthOptions::new(SPARSE), |record, _| change(record));
        assert_eq!(found[0].0, 101);
        let Verdict::Stop(text) = &found[0].1 else {
            panic!("{found:?}");
        };
        assert!(text.contains("at step 101") && text.contains("lower the learning rate"));
    }
}

#[test]
fn an_explosion_warns_and_then_stops() {
    let options = HealthOptions::new(SPARSE);
    let found = after_healthy(options, |record, _| record.gradient_norm = 60.0);
    let text = warned_then_stopped(&found);
    assert!(
        text.contains("gradient norm is 6.000e1") && text.contains("5.000e0"),
        "{text}"
    );
    let found = after_healthy(options, |record, _| record.loss = 30.0);
    let text = warned_then_stopped(&found);
    assert!(text.contains("the loss is 30.0000"), "{text}");
}

#[test]
fn outliers_and_what_rises_from_nothing_are_fine() {
    let options = HealthOptions::new(SPARSE);
    // One outlier in four records.
    let found = after_healthy(options, |record, _| {
        if record.step % 4 == 0 {
            record.gradient_norm = 1e6;
            record.loss = 1e6;
        }
    });
    assert_eq!(found, []);
    // A run that has learned its batch: the loss rises a hundred times, to less than at the start.
    let mut health = Health::new(options);
    let records = (1..=400).map(|step| match step {
        0..100 => (record(step, 3.0, 5.0), SPREAD),
        100..300 => (record(step, 1e-4, 1e-4), SPREAD),
        _ => (record(step, 1e-2, 0.9), SPREAD),
    });
    assert_eq!(verdicts(&mut health, records), []);
    // A norm that rises slowly is a different schedule, not an explosion.
    let mut health = Health::new(options);
    let rising = (1..=3_000).map(|step| (record(step, 3.0, 1.01f64.powi(step as i32 / 3)), SPREAD));
    assert_eq!(verdicts(&mut health, rising), []);
}

#[test]
fn dense_vectors_stop_after_the_ramp_only() {
    let mut options = HealthOptions::new(SPARSE);
    let found = after_healthy(options, |record, _| record.documents = sparse(601.0));
    let text = warned_then_stopped(&found);
    assert!(
        text.contains("601 active terms of a vocabulary of 1000"),
        "{text}"
    );
    assert!(text.contains("raise lambda"), "{text}");
    options.ramp = 125;
    let found = after_healthy(options, |record, _| record.documents = sparse(601.0));
    assert_eq!(found, []);
}

#[test]
fn empty_vectors_stop() {
    let options = HealthOptions::new(SPARSE);
    let found = after_healthy(options, |record, _| record.documents = sparse(0.4));
    assert!(warned_then_stopped(&found).contains("a document's vector has 0.40 active terms"));
    let found = after_healthy(options, |record, _| record.queries = sparse(0.0));
    assert!(warned_then_stopped(&found).contains("a query's vector has 0.00 active terms"));
}

#[test]
fn constant_scores_stop_after_warm_up() {
    for (kind, within) in [
        (SPARSE, 0.0),
        (HealthKind::Dense, 1e-7),
        (HealthKind::Cross, 4e-4),
    ] {
        let mut options = HealthOptions::new(kind);
        let constant = |_: &mut StepRecord, spread: &mut ScoreSpread| spread.within = within;
        let found = after_healthy(options, constant);
        assert!(warned_then_stopped(&found).contains("the same score"));
        options.warm_up = 125;
        assert_eq!(after_healthy(options, constant), []);
    }
}

#[test]
fn the_spread_is_within_a_query_where_it_has_several_documents() {
    let of = |scores: &[&[f64]]| {
        ScoreSpread::of(
            &scores
                .iter()
                .map(|list| list.to_vec())
                .collect::<Vec<Vec<f64>>>(),
        )
    };
    // A score that depends on the query alone is constant.
    let spread = of(&[&[1.0, 1.0], &[-7.0, -7.0]]);
    assert_eq!((spread.within, spread.max), (0.0, 7.0));
    assert_eq!(of(&[&[1.0, 3.5], &[2.0]]).within, 2.5);
    assert_eq!(of(&[&[1.0], &[3.0]]).within, 2.0);
    assert_eq!(of(&[]), ScoreSpread::default());
}

fn records() -> impl Strategy<Value = Vec<(StepRecord, ScoreSpread)>> {
    let value = prop_oneof![8 => 0.1..5.0, 2 => 50.0..1e9, 1 => Just(0.0)];
    let one = (
        value.clone(),
        value,
        prop_oneof![4 => 1.0..500.0, 1 => 0.0..1.0, 1 => 600.0..1e3],
        0.0..1.0,
    );
    prop::collection::vec(one, 1..300).prop_map(|values| {
        let of_step = |(place, (loss, norm, active, within)): (usize, (f64, f64, f64, f64))| {
            let mut record = record(place as u64 + 1, loss, norm);
            record.documents = sparse(active);
            let within = if within < 0.2 { 0.0 } else { within };
            (record, ScoreSpread { within, max: 1.0 })
        };
        values.into_iter().enumerate().map(of_step).collect()
    })
}

proptest! {
    #[test]
    fn a_resumed_run_decides_the_same(records in records(), at in 0usize..300) {
        let mut options = HealthOptions::new(SPARSE);
        (options.warn_after, options.stop_after, options.window) = (2, 3, 30);
        let mut whole = Health::new(options);
        let mut resumed = whole.clone();
        for (place, (record, spread)) in records.iter().enumerate() {
            if place == at {
                let saved = serde_json::to_string(resumed.state()).unwrap();
                resumed = Health::resume(options, serde_json::from_str(&saved).unwrap());
            }
            prop_assert_eq!(whole.observe(record, spread), resumed.observe(record, spread));
        }
        prop_assert_eq!(whole, resumed);
    }

    #[test]
    fn no_stop_comes_before_its_records(records in records()) {
        let mut options = HealthOptions::new(SPARSE);
        options.stop_after = records.len() as u64 + 1;
        let mut health = Health::new(options);
        for (record, spread) in &records {
            let is_stop = matches!(health.observe(record, spread), Verdict::Stop(_));
            prop_assert!(!is_stop);
        }
    }

    #[test]
    fn values_within_a_factor_of_ten_never_explode(
        values in prop::collection::vec((1.0..10.0, 1.0..10.0), 1..400),
    ) {
        let mut health = Health::new(HealthOptions::new(SPARSE));
        for (place, (loss, norm)) in values.into_iter().enumerate() {
            let record = record(place as u64 + 1, loss, norm);
            prop_assert_eq!(health.observe(&record, &SPREAD), Verdict::Fine);
        }
    }
}
