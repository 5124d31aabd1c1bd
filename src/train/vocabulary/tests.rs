use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::*;
use crate::backend::Reference;
use crate::error::Result;
use crate::neural::{
    CrossEncoder, DenseEncoder, ModelFolder, ModelKind, PairScorer, SparseEncoder,
};

fn model(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/neural/models")
        .join(name)
}

fn texts(name: &str) -> Vec<String> {
    serde_json::from_slice(&fs::read(model(name).join("texts.json")).unwrap()).unwrap()
}

fn cut(base: &Path, texts: &[&str], output: &Path) -> Result<CutReport> {
    let cut = VocabularyCut { base, min_count: 1 };
    cut.write(texts.iter().map(Ok), output)
}

/// A cut of a fixture to its first texts, with the others.
struct Cutting {
    base: PathBuf,
    used: Vec<String>,
    others: Vec<String>,
    report: CutReport,
    place: tempfile::TempDir,
}

impl Cutting {
    fn of(name: &str) -> Self {
        let (base, mut used) = (model(name), texts(name));
        let others = used.split_off(4);
        let place = tempfile::tempdir().unwrap();
        let borrowed: Vec<&str> = used.iter().map(String::as_str).collect();
        let report = cut(&base, &borrowed, &place.path().join("cut")).unwrap();
        assert!(report.after < report.before, "{name}: {report:?}");
        assert_eq!((report.texts, report.respelled), (4, 0), "{name}");
        assert!(report.tokens > 20, "{name}: {report:?}");
        Self {
            base,
            used,
            others,
            report,
            place,
        }
    }

    fn output(&self) -> PathBuf {
        self.place.path().join("cut")
    }

    /// The tokens of both models are the same pieces, and the config fits.
    fn check_tokens(&self) {
        let open = |path: &Path| ModelFolder::open(path).unwrap();
        let (before, after) = (open(&self.base), open(&self.output()));
        assert_eq!(after.config.vocabulary, self.report.after);
        let names = |folder: &ModelFolder, text: &str| {
            let ids = folder.tokenizer.encode(text).unwrap().ids;
            let names = ids.iter().map(|id| folder.tokenizer.token(*id).unwrap());
            names.collect::<Vec<_>>()
        };
        for text in &self.used {
            assert_eq!(names(&before, text), names(&after, text));
        }
        // Other texts are spelled with the pieces that there are.
        for text in &self.others {
            let ids = after.tokenizer.encode(text).unwrap().ids;
            assert!(ids.iter().all(|id| (*id as usize) < self.report.after));
        }
        let special = [before.tokenizer.mask(), before.tokenizer.unknown()];
        for id in special.into_iter().flatten() {
            let token = before.tokenizer.token(id).unwrap();
            assert!(after.tokenizer.id(&token).is_some(), "{token}");
        }
    }
}

fn borrowed(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

#[test]
fn a_cut_splade_gives_the_same_weights_to_the_terms_that_stay() {
    for name in [
        "splade-max",
        "splade-sum",
        "splade-log1p",
        "splade-separate",
        "deberta-v3",
    ] {
        let cutting = Cutting::of(name);
        cutting.check_tokens();
        let sparse = |path: &Path| {
            let folder = ModelFolder::open_as(path, None).unwrap();
            let folder = match folder.kind {
                ModelKind::SparseEncoder => folder,
                _ => ModelFolder::open_as(path, Some(ModelKind::SparseEncoder)).unwrap(),
            };
            SparseEncoder::load(folder, Reference).unwrap()
        };
        let (before, after) = (sparse(&cutting.base), sparse(&cutting.output()));
        let texts = borrowed(&cutting.used);
        let of = |encoder: &SparseEncoder<Reference>| encoder.encode_documents(&texts).unwrap();
        let kept = |term: &str| (0..cutting.report.after as u32).any(|id| after.term(id) == term);
        let mut terms = 0;
        for (before_text, after_text) in of(&before).into_iter().zip(of(&after)) {
            let named = before_text
                .into_iter()
                .map(|(id, weight)| (before.term(id), weight));
            let mut expected: Vec<_> = named.filter(|(term, _)| kept(term)).collect();
            let named = after_text
                .into_iter()
                .map(|(id, weight)| (after.term(id), weight));
            let mut found: Vec<_> = named.collect();
            expected.sort_by(|a, b| a.0.cmp(&b.0));
            found.sort_by(|a, b| a.0.cmp(&b.0));
            terms += found.len();
            assert_eq!(found, expected, "{name}");
        }
        assert!(terms > 0, "{name}");
    }
}

#[test]
fn a_cut_encoder_gives_the_same_vectors() {
    for name in [
        "st-prompts",
        "st-dense",
        "st-max",
        "mt5",
        "roberta",
        "electra",
        "bert-sharded",
    ] {
        let cutting = Cutting::of(name);
        cutting.check_tokens();
        let dense = |path: &Path| {
            let folder = ModelFolder::open(path).unwrap();
            let folder = match folder.kind {
                ModelKind::BiEncoder => folder,
                _ => ModelFolder::open_as(path, Some(ModelKind::BiEncoder)).unwrap(),
            };
            DenseEncoder::load(folder, Reference).unwrap()
        };
        let texts = borrowed(&cutting.used);
        let of = |path: &Path| {
            let encoder = dense(path);
            let documents = encoder.encode_documents(&texts).unwrap();
            (documents, encoder.encode_queries(&texts).unwrap())
        };
        assert_eq!(of(&cutting.output()), of(&cutting.base), "{name}");
    }
}

#[test]
fn a_cut_re_ranker_keeps_its_answers_and_gives_the_same_scores() {
    for name in ["mono-t5", "mono-mt5"] {
        let base = model(name);
        let pairs = fs::read(base.join("pairs.json")).unwrap();
        let pairs: Vec<(String, String)> = serde_json::from_slice(&pairs).unwrap();
        let pairs: Vec<(&str, &str)> = pairs[..3].iter().map(|(a, b)| (&**a, &**b)).collect();
        let texts: Vec<&str> = pairs.iter().flat_map(|(a, b)| [*a, *b]).collect();
        let place = tempfile::tempdir().unwrap();
        let output = place.path().join("cut");
        let report = cut(&base, &texts, &output).unwrap();
        assert!(report.after < report.before, "{name}: {report:?}");
        let scores = |path: &Path| {
            let encoder = CrossEncoder::open(path, Reference).unwrap();
            encoder.score_pairs(&pairs).unwrap().all().unwrap()
        };
        assert_eq!(scores(&output), scores(&base), "{name}");
    }
}

#[test]
fn a_min_count_removes_rare_pieces_and_spells_them_with_others() {
    let base = model("splade-log1p");
    let texts = texts("splade-log1p");
    let place = tempfile::tempdir().unwrap();
    let report = |min_count: u64| {
        let cut = VocabularyCut {
            base: &base,
            min_count,
        };
        cut.write(texts.iter().map(Ok), place.path().join("cut").as_path())
            .unwrap()
    };
    let (all, often) = (report(1), report(3));
    assert_eq!(all.respelled, 0);
    assert!(
        often.respelled > 0 && often.after < all.after,
        "{all:?} {often:?}"
    );
    let encoder = SparseEncoder::open(place.path().join("cut"), Reference).unwrap();
    let vectors = encoder.encode_documents(&borrowed(&texts)).unwrap();
    assert_eq!(vectors.len(), texts.len());
}

#[test]
fn settings_by_id_follow() {
    let cutting = Cutting::of("st-dense");
    let json =
        |path: PathBuf| -> Value { serde_json::from_slice(&fs::read(path).unwrap()).unwrap() };
    let config = json(cutting.output().join("config.json"));
    assert_eq!(config["vocab_size"], cutting.report.after);
    assert_eq!(config["pad_token_id"], 0);
    assert_eq!(config["eos_token_id"], 1);
    let tokenizer = json(cutting.output().join("tokenizer.json"));
    let added = tokenizer["added_tokens"].as_array().unwrap();
    let last = &added[added.len() - 1];
    assert_eq!(last["id"], cutting.report.after - 1, "{last}");
}

#[test]
fn bases_that_cannot_be_cut_are_refused() {
    let place = tempfile::tempdir().unwrap();
    let output = place.path().join("cut");
    let refused =
        |name: &str, texts: &[&str]| cut(&model(name), texts, &output).unwrap_err().to_string();
    assert!(refused("splade-max", &[]).contains("expected texts"));
    assert!(refused("splade-inference-free", &["a"]).contains("table for queries"));
    assert!(refused("bert-old", &["a"]).contains("tokenizer.json"));
    let cut = VocabularyCut {
        base: &model("splade-max"),
        min_count: 1,
    };
    let broken = [Ok("a"), Err(crate::error::Error::invalid("line 7"))];
    let error = cut.write(broken, &output).unwrap_err().to_string();
    assert!(error.contains("line 7"), "{error}");
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
}
