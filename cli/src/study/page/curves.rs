//! The training of models: the development metric, the loss and the active terms over steps.

use std::path::Path;

use esparsa::Result;
use esparsa::train::{Entry, LOG_FILE, read_log};

use super::Study;
use super::html::{push, text};
use super::plot::{self, Series};

/// Points of a curve, beyond which neighbours are merged into their mean.
const MAX_POINTS: usize = 180;

/// What a log says of a model's training.
#[derive(Default)]
struct Training {
    metric: String,
    evaluations: Vec<(f64, f64)>,
    best: Option<(f64, f64)>,
    loss: Vec<(f64, f64)>,
    documents: Vec<(f64, f64)>,
    queries: Vec<(f64, f64)>,
}

/// The curves of all models that the study has trained; empty without any.
pub fn section(study: &Study<'_>) -> Result<String> {
    let mut html = String::new();
    for step in &study.plan.steps {
        let log = study.folder.output(step).join(LOG_FILE);
        if !step.is_training() || !log.is_file() {
            continue;
        }
        if html.is_empty() {
            html.push_str("<section id=\"training\">\n<h2>Training</h2>\n");
        }
        let training = Training::read(&log)?;
        push(
            &mut html,
            format_args!("<h3>{}</h3>\n<div class=\"plots\">\n", text(&step.name)),
        );
        training.push_to(&mut html, &step.name);
        html.push_str("</div>\n");
    }
    if !html.is_empty() {
        html.push_str("</section>\n");
    }
    Ok(html)
}

impl Training {
    fn read(log: &Path) -> Result<Self> {
        let mut training = Self::default();
        read_log(log, |entry| training.add(&entry))?;
        Ok(training)
    }

    fn add(&mut self, entry: &Entry) {
        let step = entry.step() as f64;
        match entry {
            Entry::Started(run) => self.metric.clone_from(&run.metric),
            Entry::Step(record) => {
                self.loss.push((step, record.loss));
                let sides = [
                    (&mut self.documents, &record.documents),
                    (&mut self.queries, &record.queries),
                ];
                for (points, side) in sides {
                    points.extend(side.as_ref().map(|side| (step, side.active_terms)));
                }
            }
            Entry::Evaluated(record) => {
                // A run that was resumed at an evaluation may have done it again.
                self.evaluations.retain(|(before, _)| *before != step);
                self.evaluations.push((step, record.value));
                if record.is_best {
                    self.best = Some((step, record.value));
                }
            }
            _ => {}
        }
    }

    fn push_to(&self, html: &mut String, name: &str) {
        let series = |name, points: &[(f64, f64)]| Series {
            name,
            points: merged(points),
            is_marked: false,
        };
        let metric = match self.metric.as_str() {
            "" => "Development metric".to_owned(),
            metric => format!("Development {metric}"),
        };
        let evaluations = Series {
            name: "evaluations",
            points: self.evaluations.clone(),
            is_marked: self.evaluations.len() <= 60,
        };
        let sides = [
            series("documents", &self.documents),
            series("queries", &self.queries),
        ];
        let plots = [
            (metric, "metric", vec![evaluations], self.best),
            (
                "Loss".to_owned(),
                "loss",
                vec![series("loss", &self.loss)],
                None,
            ),
            (
                "Active terms of a vector".to_owned(),
                "terms",
                sides.to_vec(),
                None,
            ),
        ];
        for (title, unit, mut series, best) in plots {
            series.retain(|series| series.points.iter().any(|(_, value)| value.is_finite()));
            if series.is_empty() {
                continue;
            }
            let legend = match &series[..] {
                [one, other] => format!(
                    "<span class=\"legend\"><i></i>{}<i class=\"second\"></i>{}</span>",
                    one.name, other.name
                ),
                _ => String::new(),
            };
            let svg = plot::curves(&format!("{name}: {title} over steps"), unit, &series, best);
            let title = text(&title);
            push(
                html,
                format_args!("<figure><figcaption>{title}{legend}</figcaption>\n{svg}</figure>\n"),
            );
        }
    }
}

/// The same curve with at most [`MAX_POINTS`] points, each the mean of neighbours.
fn merged(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let finite: Vec<(f64, f64)> = points
        .iter()
        .copied()
        .filter(|(_, value)| value.is_finite())
        .collect();
    let width = finite.len().div_ceil(MAX_POINTS).max(1);
    let mean = |part: &[(f64, f64)]| {
        let sum: f64 = part.iter().map(|(_, value)| value).sum();
        let step = part.last().map_or(0.0, |(step, _)| *step);
        (step, sum / part.len() as f64)
    };
    finite.chunks(width).map(mean).collect()
}

#[cfg(test)]
mod tests {
    use esparsa::train::{EvaluationRecord, StepRecord};

    use super::*;

    #[test]
    fn long_curves_are_merged_and_short_ones_stay() {
        let short = [(1.0, 2.0), (2.0, f64::NAN), (3.0, 4.0)];
        assert_eq!(merged(&short), [(1.0, 2.0), (3.0, 4.0)]);
        let long: Vec<(f64, f64)> = (1..=1_000).map(|step| (f64::from(step), 0.5)).collect();
        let found = merged(&long);
        assert!(found.len() <= MAX_POINTS);
        assert_eq!(found.last(), Some(&(1_000.0, 0.5)));
        assert!(merged(&[]).is_empty());
    }

    #[test]
    fn an_evaluation_that_was_done_again_counts_once() {
        let mut training = Training::default();
        let step = StepRecord {
            step: 4,
            loss: 1.5,
            ..StepRecord::default()
        };
        training.add(&Entry::Step(step));
        for (step, value, is_best) in [
            (0, 0.2, true),
            (4, 0.3, true),
            (4, 0.35, true),
            (8, 0.1, false),
        ] {
            training.add(&Entry::Evaluated(EvaluationRecord {
                step,
                value,
                is_best,
                ..EvaluationRecord::default()
            }));
        }
        assert_eq!(training.evaluations, [(0.0, 0.2), (4.0, 0.35), (8.0, 0.1)]);
        assert_eq!(training.best, Some((4.0, 0.35)));
        let mut html = String::new();
        training.push_to(&mut html, "train <splade>");
        assert_eq!(html.matches("<svg").count(), 2);
        assert!(html.contains("train &lt;splade&gt;") && !html.contains("NaN"));
    }
}
