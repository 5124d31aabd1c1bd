//! Progress of a training run on standard error.
//!
//! On a terminal it is a bar with the figures of the last step; elsewhere, such as in a log file, a
//! line every half a minute. Evaluations are printed with the terms of the shown documents.

use std::time::{Duration, Instant};

use esparsa::Result;
use esparsa::train::{
    EvaluationRecord, Event, RunRecord, ShownText, SparsityRecord, StepRecord, Watcher,
};
use indicatif::ProgressBar;

use crate::progress::{Display, duration, style};
use crate::size::{counted, grouped};

use super::table::{aligned, cut};

const BAR: &str = "{bar:20} {percent}% {wide_msg}";
const BETWEEN_DRAWINGS: Duration = Duration::from_millis(200);
/// Time between two lines where there is no terminal: runs take hours.
const BETWEEN_LINES: Duration = Duration::from_secs(30);
/// Columns of the start of a shown text.
const TEXT_COLUMNS: usize = 32;
/// Terms of a shown text at most.
const MAX_TERMS: usize = 8;

/// Shows a run.
pub struct TrainProgress {
    display: Display,
    is_quiet: bool,
    metric: String,
    steps: u64,
    /// The last evaluation's value, and the best.
    latest: Option<f64>,
    best: Option<f64>,
    last_shown: Option<Instant>,
}

impl TrainProgress {
    /// Begins before the run; if `quiet`, only warnings are printed.
    pub fn new(quiet: bool) -> Self {
        Self {
            display: Display::new(quiet, || ProgressBar::new(0).with_style(style(BAR))),
            is_quiet: quiet,
            metric: String::new(),
            steps: 0,
            latest: None,
            best: None,
            last_shown: None,
        }
    }

    fn started(&mut self, run: &RunRecord) {
        self.metric.clone_from(&run.metric);
        self.steps = run.steps;
        if let Display::Bar(bar) = &self.display {
            bar.set_length(run.steps);
            bar.set_position(run.resumed_at);
        }
        self.print(run_lines(run));
    }

    fn step(&mut self, record: &StepRecord) {
        let between = match self.display {
            Display::Nothing => return,
            Display::Bar(_) => BETWEEN_DRAWINGS,
            Display::Lines => BETWEEN_LINES,
        };
        let is_early = |shown: Instant| shown.elapsed() < between;
        // The first step and the last are always shown.
        if self.last_shown.is_some_and(is_early) && record.step < self.steps {
            return;
        }
        self.last_shown = Some(Instant::now());
        let metric = self.latest.map(|value| (&*self.metric, value));
        let figures = step_figures(record, metric);
        match &self.display {
            Display::Bar(bar) => {
                bar.set_position(record.step);
                bar.set_message(figures);
            }
            display => display.message(&format!(
                "step {} of {}, {figures}",
                grouped(record.step),
                grouped(self.steps)
            )),
        }
    }

    fn evaluated(&mut self, record: &EvaluationRecord) {
        self.latest = Some(record.value);
        if record.is_best {
            self.best = Some(record.value);
        }
        let mut lines = vec![evaluation_line(record, &self.metric, self.best)];
        lines.extend(shown_lines(&record.shown));
        self.print(lines);
    }

    /// Prints lines unless the run is quiet.
    fn print(&self, lines: impl IntoIterator<Item = String>) {
        if !self.is_quiet {
            lines
                .into_iter()
                .for_each(|line| self.display.message(&line));
        }
    }
}

impl Watcher for TrainProgress {
    fn on(&mut self, event: &Event<'_>) -> Result<()> {
        match event {
            Event::Started(run) => self.started(run),
            Event::Step(record) => self.step(record),
            Event::Evaluated(record) => self.evaluated(record),
            Event::Warning(warning) => self.display.message(&format!("warning: {warning}")),
            Event::Finished { step, reason } => {
                if let Display::Bar(bar) = &self.display {
                    bar.finish_and_clear();
                }
                self.print([format!("ended after step {}: {reason}", grouped(*step))]);
            }
            // Checkpoints are many, and the folder says which there are.
            _ => {}
        }
        Ok(())
    }
}

fn run_lines(run: &RunRecord) -> Vec<String> {
    let from = match run.resumed_at {
        0 => String::new(),
        step => format!(", from step {}", grouped(step)),
    };
    vec![
        format!(
            "training {} from {} to {}, on {}",
            run.kind, run.base, run.output, run.device
        ),
        format!(
            "{}{from}, {} each, {} an epoch, {}",
            counted(run.steps, "step"),
            counted(run.queries as u64, "query"),
            counted(run.examples, "example"),
            counted(run.parameters, "parameter")
        ),
    ]
}

/// The figures of a step, the most important first: a narrow terminal cuts the end.
fn step_figures(record: &StepRecord, metric: Option<(&str, f64)>) -> String {
    let mut figures = vec![format!("{} left", duration(record.seconds_left))];
    figures.push(format!("loss {:.4}", record.loss));
    if let Some((name, value)) = metric {
        figures.push(format!("{name} {value:.4}"));
    }
    if let Some(terms) = terms(record.queries, record.documents) {
        figures.push(terms);
    }
    let rate = record.tokens_per_second.max(0.0) as u64;
    figures.push(format!("{} tokens/s", grouped(rate)));
    figures.push(format!("epoch {:.2}", record.epoch));
    figures.join(", ")
}

fn terms(queries: Option<SparsityRecord>, documents: Option<SparsityRecord>) -> Option<String> {
    let of = |side: Option<SparsityRecord>| {
        side.map_or("-".to_owned(), |side| format!("{:.0}", side.active_terms))
    };
    let is_sparse = queries.is_some() || documents.is_some();
    is_sparse.then(|| format!("terms {} q {} d", of(queries), of(documents)))
}

fn evaluation_line(record: &EvaluationRecord, metric: &str, best: Option<f64>) -> String {
    let mut line = format!(
        "evaluation after step {}: {metric} {:.4}",
        grouped(record.step),
        record.value
    );
    match best {
        _ if record.is_best => line.push_str(", the best so far"),
        Some(best) => line.push_str(&format!(", best {best:.4}")),
        None => {}
    }
    for (name, value) in &record.metrics {
        if name != metric {
            line.push_str(&format!(", {name} {value:.4}"));
        }
    }
    if let Some((queries, documents)) = record.active_terms {
        line.push_str(&format!(", terms {queries:.1} q {documents:.1} d"));
    }
    line.push_str(&format!(", {}", duration(record.seconds)));
    line
}

/// A row for each text: its start, then terms with weights in columns.
fn shown_lines(shown: &[ShownText]) -> Vec<String> {
    let of_term = |(term, weight): &(String, f32)| format!("{} {weight:.2}", cut(term, 20));
    let row = |shown: &ShownText| {
        let terms = shown.terms.iter().take(MAX_TERMS).map(of_term);
        [cut(&shown.text, TEXT_COLUMNS)]
            .into_iter()
            .chain(terms)
            .collect::<Vec<String>>()
    };
    aligned(&shown.iter().map(row).collect::<Vec<Vec<String>>>())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use indicatif::ProgressStyle;

    use super::*;

    fn record() -> StepRecord {
        StepRecord {
            step: 1_200,
            epoch: 0.756,
            loss: 0.412_34,
            tokens_per_second: 15_200.7,
            seconds_left: 125.0,
            ..StepRecord::default()
        }
    }

    #[test]
    fn the_figures_of_a_step_are_those_of_its_kind() {
        assert_eq!(
            step_figures(&record(), None),
            "2 min 5 s left, loss 0.4123, 15,200 tokens/s, epoch 0.76"
        );
        let side = |active_terms| SparsityRecord {
            active_terms,
            ..SparsityRecord::default()
        };
        let sparse = StepRecord {
            queries: Some(side(22.6)),
            documents: Some(side(145.2)),
            ..record()
        };
        assert_eq!(
            step_figures(&sparse, Some(("ndcg@10", 0.74))),
            "2 min 5 s left, loss 0.4123, ndcg@10 0.7400, terms 23 q 145 d, 15,200 tokens/s, epoch 0.76"
        );
        assert_eq!(terms(None, Some(side(9.0))).unwrap(), "terms - q 9 d");
        let failed = StepRecord {
            loss: f64::NAN,
            tokens_per_second: f64::NAN,
            ..record()
        };
        assert!(step_figures(&failed, None).contains("loss NaN, 0 tokens/s"));
    }

    #[test]
    fn an_evaluation_says_what_is_best() {
        let mut record = EvaluationRecord {
            step: 500,
            value: 0.7412,
            metrics: BTreeMap::from([("mrr@10".into(), 0.69), ("ndcg@10".into(), 0.7412)]),
            is_best: true,
            active_terms: Some((21.3, 140.0)),
            shown: Vec::new(),
            seconds: 12.0,
        };
        assert_eq!(
            evaluation_line(&record, "ndcg@10", Some(0.7412)),
            "evaluation after step 500: ndcg@10 0.7412, the best so far, mrr@10 0.6900, terms 21.3 q 140.0 d, 12 s"
        );
        record.is_best = false;
        let line = evaluation_line(&record, "ndcg@10", Some(0.75));
        assert!(line.contains("ndcg@10 0.7412, best 0.7500, mrr"), "{line}");
    }

    #[test]
    fn terms_of_texts_stand_in_columns() {
        let shown = |text: &str, terms: &[(&str, f32)]| ShownText {
            text: text.into(),
            terms: terms
                .iter()
                .map(|(term, weight)| ((*term).into(), *weight))
                .collect(),
        };
        let lines = shown_lines(&[
            shown(
                "a text that is much longer than the column for it",
                &[("volcano", 2.5), ("lava", 1.0)],
            ),
            shown("한국어", &[("화산", 12.25)]),
        ]);
        assert_eq!(
            lines,
            [
                "  a text that is much longer than…  volcano 2.50  lava 1.00",
                "  한국어                            화산 12.25",
            ]
        );
        assert!(shown_lines(&[]).is_empty());
    }

    #[test]
    fn the_template_is_valid() {
        assert!(ProgressStyle::with_template(BAR).is_ok());
    }

    #[test]
    fn every_event_is_taken() {
        let mut progress = TrainProgress::new(true);
        let run = RunRecord {
            steps: 2,
            metric: "ndcg@10".into(),
            ..RunRecord::default()
        };
        let evaluation = EvaluationRecord {
            value: 0.5,
            is_best: true,
            ..EvaluationRecord::default()
        };
        let reason = "all steps are done";
        for event in [
            Event::Started(&run),
            Event::Step(&record()),
            Event::Evaluated(&evaluation),
            Event::Finished { step: 2, reason },
        ] {
            progress.on(&event).unwrap();
        }
        assert_eq!((progress.steps, progress.best), (2, Some(0.5)));
    }
}
