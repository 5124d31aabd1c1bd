use super::*;
use crate::neural::Weights;

/// Masters with every value a little smaller.
fn trained(base: &Path, kind: &ExportKind) -> Vec<ExportedTensor<'static>> {
    let mut tensors = masters(&ModelFolder::open(base).unwrap(), kind);
    for tensor in &mut tensors {
        for value in tensor.values.to_mut() {
            *value *= 0.75;
        }
    }
    tensors
}

#[test]
fn changed_values_are_what_is_loaded() {
    for name in ["splade-max", "splade-separate", "bert-old", "bert-bf16"] {
        let base = model(name);
        let kind = match name {
            "bert-bf16" => DENSE,
            _ => SPLADE,
        };
        let tensors = trained(&base, &kind);
        let place = tempfile::tempdir().unwrap();
        let output = place.path().join("model");
        export(&base, kind, &tensors).write(&output).unwrap();
        let weights = Weights::open(&output).unwrap();
        for tensor in &tensors {
            let shape = weights.shape(&tensor.name).unwrap().to_vec();
            let found = weights.tensor(&tensor.name, &shape).unwrap();
            assert_eq!(found, tensor.values.as_ref(), "{name}, {}", tensor.name);
        }
        assert_eq!(json(&output.join("config.json"))["dtype"], "float32");
    }
}

#[test]
fn tensors_without_training_keep_their_bytes() {
    let base = model("bert-bf16");
    let all = trained(&base, &DENSE);
    let place = tempfile::tempdir().unwrap();
    let output = place.path().join("model");
    export(&base, DENSE, &all[..1]).write(&output).unwrap();
    let before = Weights::open(&base).unwrap();
    let after = Weights::open(&output).unwrap();
    let mut kept = 0;
    for name in before.names() {
        let bytes = |weights: &Weights| {
            let mut bytes = Vec::new();
            let info = weights.info(name).unwrap();
            let copied = weights.copy_bytes(name, |piece| {
                bytes.extend_from_slice(piece);
                Ok(())
            });
            copied.unwrap();
            (info.dtype, info.shape.clone(), bytes)
        };
        if all[0].name != name {
            assert_eq!(bytes(&before), bytes(&after), "{name}");
            kept += 1;
        }
    }
    assert_eq!(kept, 36);
}

type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// A copy of a model's folder whose file of tensors is made anew by `change`.
fn with_tensors(name: &str, change: impl FnOnce(&mut Tensors)) -> TempDir {
    let place = tempfile::tempdir().unwrap();
    let source = model(name);
    for file in ["config.json", "tokenizer.json", "tokenizer_config.json"] {
        fs::copy(source.join(file), place.path().join(file)).unwrap();
    }
    let weights = Weights::open(&source).unwrap();
    let mut tensors = Tensors::new();
    for name in weights.names() {
        let shape = weights.info(name).unwrap().shape.clone();
        let values = weights.tensor(name, &shape).unwrap();
        tensors.insert(name.to_owned(), (shape, values));
    }
    change(&mut tensors);
    let bytes: Vec<(String, Vec<usize>, Vec<u8>)> = tensors
        .into_iter()
        .map(|(name, (shape, values))| {
            let bytes = values.iter().flat_map(|value| value.to_le_bytes());
            (name, shape, bytes.collect())
        })
        .collect();
    let views = bytes.iter().map(|(name, shape, bytes)| {
        let (dtype, shape) = (safetensors::Dtype::F32, shape.clone());
        let view = safetensors::tensor::TensorView::new(dtype, shape, bytes);
        (name.clone(), view.unwrap())
    });
    let file = safetensors::serialize(views, None).unwrap();
    fs::write(place.path().join("model.safetensors"), file).unwrap();
    place
}

const WORDS: &str = "embeddings.word_embeddings.weight";
const DECODER: &str = "cls.predictions.decoder.weight";

/// A BERT whose file has a copy of the word embeddings as decoder.
fn with_stored_decoder() -> TempDir {
    with_tensors("bert-masked", |tensors| {
        let words = tensors[&format!("bert.{WORDS}")].clone();
        tensors.insert(DECODER.to_owned(), words);
    })
}

#[test]
fn a_stored_copy_of_the_word_embeddings_follows_them() {
    let base = with_stored_decoder();
    let mut tensors = trained(base.path(), &SPLADE);
    // The trainer may share one master where the file has equal copies.
    tensors.retain(|tensor| tensor.name != DECODER);
    let place = tempfile::tempdir().unwrap();
    let output = place.path().join("model");
    let written = export(base.path(), SPLADE, &tensors).write(&output);
    written.unwrap();
    let weights = Weights::open(&output).unwrap();
    let words = weights.tensor(WORDS, &[700, 32]).unwrap();
    assert_eq!(weights.tensor(DECODER, &[700, 32]).unwrap(), words);
    let trained = tensors.iter().find(|tensor| tensor.name == WORDS).unwrap();
    assert_eq!(trained.values.as_ref(), words);
    let config = json(&output.join("config.json"));
    assert_eq!(config["tie_word_embeddings"], true);
}

#[test]
fn a_decoder_that_was_trained_apart_is_not_tied() {
    let base = with_stored_decoder();
    let mut tensors = trained(base.path(), &SPLADE);
    let decoder = tensors.iter_mut().find(|tensor| tensor.name == DECODER);
    decoder.unwrap().values.to_mut()[0] += 1.0;
    let place = tempfile::tempdir().unwrap();
    let output = place.path().join("model");
    let written = export(base.path(), SPLADE, &tensors).write(&output);
    written.unwrap();
    let config = json(&output.join("config.json"));
    assert_eq!(config["tie_word_embeddings"], false);
    let weights = Weights::open(&output).unwrap();
    let words = weights.tensor(WORDS, &[700, 32]).unwrap();
    assert_ne!(weights.tensor(DECODER, &[700, 32]).unwrap(), words);
    let bias = |name: &str| weights.tensor(name, &[700]).unwrap();
    assert_eq!(
        bias("cls.predictions.bias"),
        bias("cls.predictions.decoder.bias")
    );
}

/// Values of a tensor that the base does not have.
fn added(name: &str, len: usize) -> ExportedTensor<'static> {
    let values = (0..len).map(|n| ((n * 7 + 3) % 19) as f32 / 19.0 - 0.4);
    ExportedTensor {
        name: name.to_owned().into(),
        values: values.collect(),
    }
}

#[test]
fn an_encoder_becomes_a_splade() {
    let of_bert = ["cls.predictions.transform", "dense", "LayerNorm"];
    let of_roberta = ["lm_head", "dense", "layer_norm"];
    let of_deberta = ["lm_predictions.lm_head", "dense", "LayerNorm"];
    for (name, prefix, [head, dense, norm]) in [
        ("st-mean", "bert", of_bert),
        ("st-max", "roberta", of_roberta),
        ("deberta", "deberta", of_deberta),
    ] {
        let base = model(name);
        let config = ModelFolder::open(&base).unwrap().config;
        let hidden = config.hidden;
        let bias = format!("{}.bias", head.trim_end_matches(".transform"));
        let tensors = [
            added(&format!("{head}.{dense}.weight"), hidden * hidden),
            added(&format!("{head}.{dense}.bias"), hidden),
            added(&format!("{head}.{norm}.weight"), hidden),
            added(&format!("{head}.{norm}.bias"), hidden),
            added(&bias, config.vocabulary),
        ];
        let place = tempfile::tempdir().unwrap();
        let output = place.path().join("model");
        export(&base, SPLADE, &tensors).write(&output).unwrap();
        let encoder = SparseEncoder::open(&output, Reference).unwrap();
        let vectors = encoder.encode_documents(&TEXTS).unwrap();
        assert!(vectors.iter().any(|vector| !vector.is_empty()), "{name}");
        let weights = Weights::open(&output).unwrap();
        let words = format!("{prefix}.{WORDS}");
        assert_eq!(weights.published(WORDS), Some(words.as_str()));
        assert_eq!(weights.published(&bias), Some(bias.as_str()));
        let config = json(&output.join("config.json"));
        let class = config["architectures"][0].as_str().unwrap();
        assert!(class.ends_with("ForMaskedLM"), "{class}");
        assert_eq!(config["legacy"] == false, name == "deberta");
    }
}

#[test]
fn an_encoder_becomes_a_cross_encoder() {
    let base = model("st-mean");
    let tensors = [
        added("pooler.dense.weight", 24 * 24),
        added("pooler.dense.bias", 24),
        added("classifier.weight", 24),
        added("classifier.bias", 1),
    ];
    let kind = ExportKind::CrossEncoder {
        labels: vec!["LABEL_0".to_owned()],
        activation: ScoreActivation::Identity,
    };
    let place = tempfile::tempdir().unwrap();
    let output = place.path().join("model");
    export(&base, kind, &tensors).write(&output).unwrap();
    let encoder = CrossEncoder::open(&output, Reference).unwrap();
    let pairs = [(TEXTS[0], TEXTS[2]), (TEXTS[2], TEXTS[0])];
    let logits = encoder.logits(&pairs).unwrap();
    assert_eq!(logits[0].len(), 1);
    assert_ne!(logits[0], logits[1]);
    let config = json(&output.join("config.json"));
    assert_eq!(config["architectures"][0], "BertForSequenceClassification");
    assert_eq!(config["id2label"]["0"], "LABEL_0");
    let activation = &config["sentence_transformers"]["activation_fn"];
    assert_eq!(activation, "torch.nn.modules.linear.Identity");
    let weights = Weights::open(&output).unwrap();
    let pooler = "bert.pooler.dense.weight";
    assert_eq!(weights.published("pooler.dense.weight"), Some(pooler));
}

#[test]
fn options_replace_what_the_base_has() {
    let base = model("st-prompts");
    let mut prompts = Prompts::default();
    prompts.named.insert("query".to_owned(), "q: ".to_owned());
    let place = tempfile::tempdir().unwrap();
    let output = place.path().join("model");
    let kind = ExportKind::BiEncoder {
        pooling: Some(Pooling::First),
        is_normalized: Some(true),
        similarity: Some(Similarity::Dot),
    };
    let evaluations = [EvaluationRecord {
        step: 20,
        metrics: [("ndcg@10".to_owned(), 0.5)].into(),
        is_best: true,
        active_terms: Some((3.0, 40.25)),
        ..EvaluationRecord::default()
    }];
    let options = [("rate".to_owned(), "2e-5 | linear".to_owned())];
    let export = Export {
        max_tokens: Some(20),
        prompts: Some(prompts),
        card: Card {
            evaluations: &evaluations,
            options: &options,
            ..Card::default()
        },
        ..export(&base, kind, &[])
    };
    export.write(&output).unwrap();
    let folder = ModelFolder::open(&output).unwrap();
    let prompts = (folder.prompts.query(), folder.prompts.document());
    assert_eq!(prompts, ("q: ", ""));
    assert_eq!(folder.max_tokens, 20);
    assert_eq!(folder.similarity, Some(Similarity::Dot));
    let names: Vec<_> = folder.modules.iter().map(Module::name).collect();
    assert_eq!(names, ["Pooling", "Dense", "Normalize"]);
    let card = fs::read_to_string(output.join("README.md")).unwrap();
    for line in [
        "# Bi-encoder from st-prompts",
        "| step | ndcg@10 | terms of a query | terms of a document |",
        "| **20** | 0.5000 | 3.0 | 40.2 |",
        "| rate | 2e-5 \\| linear |",
    ] {
        assert!(card.contains(line), "{line}\n{card}");
    }
}

#[test]
fn a_trained_table_is_that_of_queries() {
    let base = model("splade-max");
    let place = tempfile::tempdir().unwrap();
    let output = place.path().join("model");
    let table: Vec<f32> = (0..400).map(|term| term as f32 / 100.0).collect();
    let kind = ExportKind::InferenceFree {
        pooling: SpladePooling::Max,
        activation: SpladeActivation::Log1pRelu,
    };
    let export = Export {
        query_table: Some(&table),
        ..export(&base, kind, &[])
    };
    export.write(&output).unwrap();
    let encoder = SparseEncoder::open(&output, Reference).unwrap();
    let query = encoder.encode_queries(&TEXTS[..1]).unwrap().remove(0);
    assert!(!query.is_empty());
    for (term, weight) in query {
        assert_eq!(weight, table[term as usize]);
    }
    let before = SparseEncoder::open(&base, Reference).unwrap();
    let of = |encoder: &SparseEncoder<Reference>| encoder.encode_documents(&TEXTS).unwrap();
    assert_eq!(of(&encoder), of(&before));
}
