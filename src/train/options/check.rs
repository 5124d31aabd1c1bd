//! Which options are refused before any file is read.

use crate::error::{Error, Result};
use crate::train::run::TrainKind;

use super::TrainOptions;

/// Max grades of a cross-encoder.
const MAX_LABELS: usize = 100;

/// The error of an option.
fn refuse<T>(message: impl Into<String>) -> Result<T> {
    Err(Error::invalid(message))
}

impl TrainOptions {
    /// Checks the options of a run that do not need any file.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] for a value out of its range, or options that exclude one another.
    pub fn check(&self, kind: TrainKind) -> Result<()> {
        self.ranking_losses()?;
        if self.base.as_os_str().is_empty() {
            return refuse("base: expected the folder of a model, found none");
        }
        if self.output.as_os_str().is_empty() {
            return refuse("output: expected a folder, found none");
        }
        match kind {
            TrainKind::Align => self.check_alignment()?,
            _ => self.check_source(kind)?,
        }
        self.check_echo(kind)?;
        self.check_labels(kind)?;
        self.check_mining(kind)?;
        if self.late_interaction && kind != TrainKind::Bi {
            return refuse(format!(
                "late-interaction: expected it for a bi-encoder, found it in a run of the kind {}",
                kind.name()
            ));
        }
        self.check_numbers()
    }

    /// What a run that is no alignment learns from.
    fn check_source(&self, kind: TrainKind) -> Result<()> {
        if let (Some(_), Some(_)) | (None, None) = (&self.collection, &self.triplets) {
            return refuse(
                "expected either a collection or triplets to train on, found both or none",
            );
        }
        for (name, option) in [
            ("teacher", &self.teacher),
            ("parallel", &self.parallel),
            ("parallel-documents", &self.parallel_documents),
            ("parallel-ids", &self.parallel_ids),
        ] {
            if option.is_some() {
                return refuse(format!(
                    "{name}: expected it in an alignment only, found it in a run of the kind {}",
                    kind.name()
                ));
            }
        }
        Ok(())
    }

    /// What an alignment learns from.
    fn check_alignment(&self) -> Result<()> {
        if self.teacher.is_none() {
            return refuse("teacher: expected the folder of a sparse model, found none");
        }
        if self.triplets.is_some() || self.queries.is_some() || self.inference_free {
            return refuse(
                "an alignment: expected parallel texts alone, found triplets, queries or inference-free",
            );
        }
        match (&self.parallel, &self.documents, &self.parallel_documents) {
            (Some(_), None, None) if self.parallel_ids.is_some() => {
                refuse("parallel-ids: expected documents with ids, found pairs, which have none")
            }
            (Some(_), None, None) | (None, Some(_), Some(_)) => Ok(()),
            _ => refuse(
                "an alignment: expected either `parallel` or both `documents` and `parallel-documents`, found other parallel texts",
            ),
        }
    }

    fn check_echo(&self, kind: TrainKind) -> Result<()> {
        for (name, initial) in [("echo", self.echo), ("query-echo", self.query_echo)] {
            let Some(initial) = initial else { continue };
            if !(initial > 0.0 && initial.is_finite()) {
                return refuse(format!(
                    "{name}: expected a weight above 0, found {initial}"
                ));
            }
            if !matches!(kind, TrainKind::Splade | TrainKind::Align) {
                return refuse(format!(
                    "{name}: expected it for sparse vectors only, found it in a run of the kind {}",
                    kind.name()
                ));
            }
        }
        if self.query_echo.is_some() && (self.inference_free || kind == TrainKind::Align) {
            return refuse(
                "query-echo: expected queries that the transformer encodes in training, found an alignment or inference-free",
            );
        }
        Ok(())
    }

    fn check_labels(&self, kind: TrainKind) -> Result<()> {
        if !(1..=MAX_LABELS).contains(&self.labels) {
            return refuse(format!(
                "labels: expected 1 to {MAX_LABELS}, found {}",
                self.labels
            ));
        }
        if self.labels == 1 {
            return Ok(());
        }
        if kind != TrainKind::Cross {
            return refuse(format!(
                "labels: expected several for a cross-encoder only, found {} in a run of the kind {}",
                self.labels,
                kind.name()
            ));
        }
        if self.losses != TrainOptions::default().losses || self.teacher_run.is_some() {
            return refuse(
                "labels: expected grades alone as targets of several labels, found losses or a teacher's run beside them",
            );
        }
        Ok(())
    }

    fn check_mining(&self, kind: TrainKind) -> Result<()> {
        if self.mine_every == 0 {
            return Ok(());
        }
        let makes_vectors = match kind {
            TrainKind::Splade => true,
            TrainKind::Bi => !self.late_interaction,
            _ => false,
        };
        if !makes_vectors || self.collection.is_none() || self.negatives == 0 {
            return refuse(
                "mine-every: expected a model with one vector of a text, a collection and negatives, found a run without one of \
                 these",
            );
        }
        Ok(())
    }

    fn check_numbers(&self) -> Result<()> {
        for (name, value) in [
            ("learning-rate", self.learning_rate),
            ("table-learning-rate", self.table_learning_rate),
            ("layer-decay", self.layer_decay),
            ("max-norm", self.max_norm),
            ("epochs", self.epochs),
        ] {
            if value.is_nan() || value <= 0.0 {
                return refuse(format!("{name}: expected a value above 0, found {value}"));
            }
        }
        for (name, value) in [
            ("lambda-queries", self.lambda_queries),
            ("lambda-documents", self.lambda_documents),
            ("weight-decay", f64::from(self.weight_decay)),
        ] {
            if !(value >= 0.0 && value.is_finite()) {
                return refuse(format!(
                    "{name}: expected a finite value of at least 0, found {value}"
                ));
            }
        }
        if !(self.mask_share > 0.0 && self.mask_share < 1.0) {
            return refuse(format!(
                "mask-share: expected a value above 0 and below 1, found {}",
                self.mask_share
            ));
        }
        for (name, value) in [
            ("warm-up", self.warm_up),
            ("dropout", f64::from(self.dropout)),
        ] {
            if !(0.0..1.0).contains(&value) {
                return refuse(format!(
                    "{name}: expected a value of at least 0 and less than 1, found {value}"
                ));
            }
        }
        for (name, value) in [
            ("batch", self.batch),
            ("max-tokens", self.max_tokens),
            ("max-query-tokens", self.max_query_tokens),
            ("tape-tokens", self.tape_tokens),
            ("negatives-from", self.negatives_from),
            ("dimensions", self.dimensions),
        ] {
            if value == 0 {
                return refuse(format!("{name}: expected at least 1, found 0"));
            }
        }
        if self.accumulate == 0 {
            return refuse("accumulate: expected at least 1, found 0".to_owned());
        }
        if self.negatives_to < self.negatives_from {
            return refuse(format!(
                "negatives-to: expected at least negatives-from ({}), found {}",
                self.negatives_from, self.negatives_to
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn valid() -> TrainOptions {
        TrainOptions {
            base: "model".into(),
            output: "out".into(),
            collection: Some("collection".into()),
            ..TrainOptions::default()
        }
    }

    #[test]
    fn values_out_of_range_are_refused_by_name() {
        valid().check(TrainKind::Splade).unwrap();
        let refused = |change: &dyn Fn(&mut TrainOptions), named: &str| {
            let mut options = valid();
            change(&mut options);
            let error = options.check(TrainKind::Splade).unwrap_err().to_string();
            assert!(error.contains(named), "{named}: {error}");
        };
        refused(&|o| o.base = PathBuf::new(), "base");
        refused(&|o| o.output = PathBuf::new(), "output");
        refused(&|o| o.collection = None, "collection");
        refused(&|o| o.triplets = Some("t".into()), "both");
        refused(&|o| o.losses = vec!["soft".into()], "soft");
        refused(&|o| o.losses = vec!["kl*x".into()], "kl*x");
        refused(&|o| o.losses.clear(), "losses");
        refused(&|o| o.learning_rate = f64::NAN, "learning-rate");
        refused(&|o| o.dropout = 1.0, "dropout");
        refused(&|o| o.lambda_queries = -1.0, "lambda-queries");
        refused(&|o| o.batch = 0, "batch");
        refused(&|o| o.accumulate = 0, "accumulate");
        refused(&|o| o.negatives_to = 0, "negatives-to");
    }

    #[test]
    fn an_alignment_has_a_teacher_and_parallel_texts() {
        let aligned = TrainOptions {
            collection: None,
            teacher: Some("teacher".into()),
            parallel: Some("pairs.tsv".into()),
            ..valid()
        };
        aligned.check(TrainKind::Align).unwrap();
        assert!(aligned.check(TrainKind::Splade).is_err());
        let refused = |change: &dyn Fn(&mut TrainOptions), named: &str| {
            let mut options = aligned.clone();
            change(&mut options);
            let error = options.check(TrainKind::Align).unwrap_err().to_string();
            assert!(error.contains(named), "{named}: {error}");
        };
        refused(&|o| o.teacher = None, "teacher");
        refused(&|o| o.parallel = None, "parallel");
        refused(&|o| o.documents = Some("d".into()), "parallel");
        refused(&|o| o.parallel_ids = Some("i".into()), "parallel-ids");
        refused(&|o| o.triplets = Some("t".into()), "triplets");
        refused(&|o| o.query_echo = Some(1.0), "query-echo");
        let joined = TrainOptions {
            parallel: None,
            documents: Some("pt".into()),
            parallel_documents: Some("en".into()),
            parallel_ids: Some("ids".into()),
            ..aligned
        };
        joined.check(TrainKind::Align).unwrap();
        let ranking = TrainOptions {
            teacher: Some("teacher".into()),
            ..valid()
        };
        let error = ranking.check(TrainKind::Splade).unwrap_err().to_string();
        assert!(error.contains("teacher"), "{error}");
    }

    #[test]
    fn several_labels_are_grades_of_a_cross_encoder() {
        let labels = |kind, labels, loss: &str| {
            let options = TrainOptions {
                labels,
                losses: vec![loss.to_owned()],
                ..valid()
            };
            options.check(kind).is_ok()
        };
        assert!(labels(TrainKind::Cross, 4, "softmax"));
        assert!(labels(TrainKind::Cross, 1, "bce"));
        assert!(!labels(TrainKind::Cross, 4, "bce"));
        assert!(!labels(TrainKind::Cross, 0, "softmax"));
        assert!(!labels(TrainKind::Splade, 4, "softmax"));
    }

    #[test]
    fn mining_needs_vectors_and_a_collection() {
        let mining = |kind, change: &dyn Fn(&mut TrainOptions)| {
            let mut options = TrainOptions {
                mine_every: 100,
                ..valid()
            };
            change(&mut options);
            options.check(kind).is_ok()
        };
        assert!(mining(TrainKind::Splade, &|_| {}));
        assert!(mining(TrainKind::Bi, &|_| {}));
        assert!(!mining(TrainKind::Cross, &|_| {}));
        assert!(!mining(TrainKind::Bi, &|o| o.late_interaction = true));
        assert!(!mining(TrainKind::Splade, &|o| o.negatives = 0));
        assert!(!mining(TrainKind::Splade, &|o| {
            (o.collection, o.triplets) = (None, Some("t".into()));
        }));
    }

    #[test]
    fn an_echo_is_for_sparse_vectors() {
        let echo = |kind, echo, query_echo, inference_free| {
            let options = TrainOptions {
                echo,
                query_echo,
                inference_free,
                ..valid()
            };
            options.check(kind).is_ok()
        };
        assert!(echo(TrainKind::Splade, Some(0.5), Some(0.5), false));
        assert!(echo(TrainKind::Splade, Some(0.5), None, true));
        assert!(!echo(TrainKind::Splade, None, Some(0.5), true));
        assert!(!echo(TrainKind::Splade, Some(-0.5), None, false));
        assert!(!echo(TrainKind::Bi, Some(0.5), None, false));
    }
}
