//! Pages of runs with much, little and odd in them.

use std::collections::BTreeMap;
use std::path::Path;

use super::*;
use crate::train::{Event, RunRecord, SparsityRecord, StepRecord};

fn run(metric: &str) -> RunRecord {
    RunRecord {
        kind: "splade".into(),
        base: "models/<script>alert(1)</script>".into(),
        output: "out & more".into(),
        device: "cpu".into(),
        steps: 1_000,
        metric: metric.into(),
        ..RunRecord::default()
    }
}

fn step(step: u64, value: f64) -> StepRecord {
    let side = SparsityRecord {
        active_terms: value * 100.0,
        regularizer: value,
        lambda: 1e-3,
        max_weight: value,
    };
    StepRecord {
        step,
        loss: value,
        ranking_loss: value / 2.0,
        accuracy: 0.5,
        queries: Some(side),
        documents: Some(side),
        learning_rate: 2e-5,
        gradient_norm: value,
        tokens_per_second: 9_000.0,
        seconds: step as f64,
        seconds_left: 1_000.0 - step as f64,
        ..StepRecord::default()
    }
}

fn evaluation(step: u64, value: f64) -> EvaluationRecord {
    EvaluationRecord {
        step,
        value,
        metrics: BTreeMap::from([("ndcg@10".into(), value), ("mrr<10".into(), f64::NAN)]),
        is_best: value == 0.75,
        active_terms: Some((20.0, f64::NAN)),
        shown: vec![ShownText {
            text: "</p><img src=x onerror=alert(1)>".into(),
            terms: vec![("<b>".into(), 2.5), ("nan".into(), f32::NAN)],
        }],
        seconds: 1.5,
    }
}

fn drawn(events: &[Event<'_>]) -> String {
    let mut history = History::default();
    events.iter().for_each(|event| history.on(event));
    page(&history).unwrap()
}

/// What must hold for every page.
fn check(html: &str) {
    let without_namespace = html.replace("http://www.w3.org/2000/svg", "");
    for forbidden in [
        "NaN", "inf\"", "inf,", "http:", "https:", "<script", "<img", "url(", "@import",
    ] {
        assert!(!without_namespace.contains(forbidden), "{forbidden}");
    }
    for element in [
        "figure", "svg", "section", "table", "div", "span", "p", "td", "bdi", "h2",
    ] {
        let opened = html.matches(&format!("<{element}>")).count()
            + html.matches(&format!("<{element} ")).count();
        assert_eq!(
            opened,
            html.matches(&format!("</{element}>")).count(),
            "{element}"
        );
    }
}

#[test]
fn a_page_without_steps_says_that_it_starts() {
    let html = drawn(&[Event::Started(&run("ndcg@10"))]);
    check(&html);
    assert!(html.contains("Starting") && html.contains("None yet"));
    assert!(html.contains("http-equiv=\"refresh\""));
    assert_eq!(html.matches("<figure>").count(), 0);
    check(&drawn(&[]));
}

#[test]
fn one_point_makes_all_charts() {
    let html = drawn(&[Event::Started(&run("")), Event::Step(&step(1, 2.0))]);
    check(&html);
    assert_eq!(html.matches("<figure>").count(), 8);
    assert!(!html.contains("Evaluations"));
    assert!(html.contains("<circle"));
}

#[test]
fn texts_and_odd_numbers_do_no_harm() {
    let run = run("ndcg@10");
    let steps: Vec<StepRecord> = (1..=9).map(|number| step(number, number as f64)).collect();
    let bad = step(10, f64::NAN);
    let (first, second) = (evaluation(4, 0.75), evaluation(8, f64::NAN));
    let mut events = vec![Event::Started(&run)];
    events.extend(steps.iter().map(Event::Step));
    let path = Path::new("out/checkpoint<4>");
    events.extend([
        Event::Evaluated(&first),
        Event::Saved { step: 4, path },
        Event::Evaluated(&second),
        Event::Step(&bad),
        Event::Warning("a <b>bold</b> warning"),
    ]);
    let html = drawn(&events);
    check(&html);
    assert_eq!(html.matches("<figure>").count(), 9);
    assert!(html.contains("a &lt;b&gt;bold&lt;/b&gt; warning"));
    assert!(html.contains("&lt;img src=x onerror=alert(1)&gt;"));
    assert!(html.contains("checkpoint&lt;4&gt;"));
    assert!(html.contains("best 0.75") && html.contains("0.75 at step 4"));
    let best = html
        .lines()
        .find(|line| line.contains("class=\"best\""))
        .unwrap();
    assert!(
        best.contains("<td>4</td><td>0.7500</td><td>–</td><td>20</td><td>–</td>"),
        "{best}"
    );
}

#[test]
fn a_long_run_has_a_small_page() {
    let mut history = History::default();
    history.on(&Event::Started(&run("")));
    for number in 1..=50_000 {
        history.on(&Event::Step(&step(number, 2.0 + (number as f64).sin())));
    }
    let html = page(&history).unwrap();
    check(&html);
    assert!(html.len() < 600_000, "{} bytes", html.len());
}

#[test]
fn models_without_sparse_vectors_have_fewer_charts() {
    let record = StepRecord {
        queries: None,
        documents: None,
        ranking_loss: 2.0,
        ..step(1, 2.0)
    };
    let html = drawn(&[Event::Started(&run("")), Event::Step(&record)]);
    check(&html);
    assert_eq!(html.matches("<figure>").count(), 5);
    assert!(!html.contains("ranking loss") && !html.contains("terms of a query"));
}

#[test]
fn a_run_that_ended_is_not_loaded_again() {
    let run = run("");
    let reason = "stopped early: no better <metric>";
    let html = drawn(&[Event::Started(&run), Event::Finished { step: 9, reason }]);
    check(&html);
    assert!(
        html.contains(
            "Ended</span> after step 9 of 1,000: stopped early: no better &lt;metric&gt;."
        )
    );
    assert!(!html.contains("http-equiv"));
}
