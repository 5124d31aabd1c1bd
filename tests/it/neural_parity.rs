//! Hidden states and heads against PyTorch, transformers and sentence-transformers, on small models
//! with random weights.
//!
//! `tests/neural/make_fixtures.py` writes the models and what Python computes with them. Each check
//! runs on every folder that has the expected tensors, and is generic over the backend.

use std::fs;
use std::path::{Path, PathBuf};

use esparsa::backend::{
    Activation, Backend, Cpu, CpuOptions, Pooling, Precision, Reference, SparseVector,
    SpladeActivation, SpladePooling,
};
use esparsa::neural::{
    Batch, CrossHead, DenseWeights, Encoder, Family, LateHead, ModelConfig, PooledHead, SpladeHead,
    StaticWeights, Tokenizer, Tokens, Weights,
};
use safetensors::{Dtype, SafeTensors};

use crate::close::assert_close;

/// The families that must be among the fixtures of encoders, and the min number of folders of each.
const FAMILIES: [(Family, usize); 7] = [
    (Family::Bert, 6),
    (Family::DistilBert, 1),
    (Family::Roberta, 1),
    (Family::XlmRoberta, 1),
    (Family::Electra, 1),
    (Family::T5, 2),
    (Family::DebertaV2, 4),
];

fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/neural/models")
}

/// The names of all folders whose expected tensors have the name `name`, ascending.
fn folders_with(name: &str) -> Vec<String> {
    let mut folders: Vec<_> = fs::read_dir(models())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|folder| models().join(folder).is_dir())
        .filter(|folder| Expected::read(folder).has(name))
        .collect();
    folders.sort();
    folders
}

/// What Python computed with one model.
struct Expected {
    bytes: Vec<u8>,
}

impl Expected {
    fn read(folder: &str) -> Self {
        let bytes = fs::read(models().join(folder).join("expected.safetensors")).unwrap();
        Self { bytes }
    }

    fn has(&self, name: &str) -> bool {
        let tensors = SafeTensors::deserialize(&self.bytes).unwrap();
        tensors.names().contains(&name)
    }

    fn floats(&self, name: &str) -> Vec<f32> {
        let numbers = self.numbers(name, Dtype::F32);
        numbers.into_iter().map(f32::from_le_bytes).collect()
    }

    fn integers(&self, name: &str) -> Vec<u32> {
        let numbers = self.numbers(name, Dtype::I32);
        numbers.into_iter().map(u32::from_le_bytes).collect()
    }

    fn numbers(&self, name: &str, kind: Dtype) -> Vec<[u8; 4]> {
        let tensors = SafeTensors::deserialize(&self.bytes).unwrap();
        let tensor = tensors.tensor(name).unwrap();
        assert_eq!(tensor.dtype(), kind, "{name}");
        let (numbers, rest) = tensor.data().as_chunks::<4>();
        assert!(rest.is_empty() && !numbers.is_empty(), "{name}");
        numbers.to_vec()
    }
}

/// A fixture's model on a backend, for texts cut at `limit` tokens.
struct Model<B: Backend> {
    config: ModelConfig,
    weights: Weights,
    tokenizer: Tokenizer,
    encoder: Encoder<B>,
    limit: usize,
}

impl<B: Backend> Model<B> {
    fn load(backend: &B, folder: &Path, limit: usize) -> Self {
        let config = ModelConfig::open(folder).unwrap();
        let weights = Weights::open(folder).unwrap();
        Self {
            tokenizer: Tokenizer::open(folder, &config).unwrap(),
            encoder: Encoder::load(backend, &config, &weights).unwrap(),
            config,
            weights,
            limit,
        }
    }

    fn texts(&self, texts: &[String]) -> Batch {
        let tokens = texts
            .iter()
            .map(|text| self.tokenizer.truncated(text, self.limit));
        packed(tokens.map(Result::unwrap))
    }

    fn pairs(&self, pairs: &[Vec<String>]) -> Batch {
        let tokens = pairs.iter().map(|pair| {
            let [first, second] = &pair[..] else {
                panic!("expected two texts, found {}", pair.len());
            };
            self.tokenizer
                .encode_pair(first, second, self.limit)
                .unwrap()
        });
        packed(tokens)
    }
}

fn packed(tokens: impl Iterator<Item = Tokens>) -> Batch {
    let tokens: Vec<_> = tokens.collect();
    Batch::of(&tokens).unwrap()
}

/// A file of strings or lists of strings.
fn strings<T: serde::de::DeserializeOwned>(folder: &str, file: &str) -> Vec<T> {
    let bytes = fs::read(models().join(folder).join(file)).unwrap();
    let strings: Vec<T> = serde_json::from_slice(&bytes).unwrap();
    assert!(!strings.is_empty());
    strings
}

// --- Encoders
// ------------------------------------------------------------------------------------------------------------

/// The batch of one sequence of another batch.
fn alone(batch: &Batch, sequence: usize) -> Batch {
    let rows = batch.starts[sequence] as usize..batch.starts[sequence + 1] as usize;
    Batch {
        ids: batch.ids[rows.clone()].to_vec(),
        types: batch.types[rows.clone()].to_vec(),
        starts: vec![0, rows.len() as u32],
    }
}

/// Hidden states of all sequences in one batch, and of each sequence alone.
fn hidden_states_equal_pytorch<B: Backend>(backend: &B) {
    let mut seen = Vec::new();
    for folder in folders_with("hidden") {
        let path = models().join(&folder);
        let expected = Expected::read(&folder);
        let config = ModelConfig::open(&path).unwrap();
        let weights = Weights::open(&path).unwrap();
        let encoder = Encoder::load(backend, &config, &weights).unwrap();
        let batch = Batch {
            ids: expected.integers("ids"),
            types: expected.integers("types"),
            starts: expected.integers("starts"),
        };
        let values = expected.floats("hidden");
        let hidden = encoder.forward(backend, &batch).unwrap();
        assert_close(&folder, &backend.values(&hidden).unwrap(), &values);

        for sequence in 0..batch.starts.len() - 1 {
            let hidden = encoder.forward(backend, &alone(&batch, sequence)).unwrap();
            let hidden = backend.values(&hidden).unwrap();
            let first = batch.starts[sequence] as usize * encoder.hidden();
            let what = format!("{folder}, sequence {sequence} alone");
            assert_close(&what, &hidden, &values[first..first + hidden.len()]);
        }
        seen.push(config.family);
    }
    for (family, least) in FAMILIES {
        let count = seen.iter().filter(|&&found| found == family).count();
        assert!(
            count >= least,
            "{family:?}: {count} folders, expected {least} at least"
        );
    }
}

// --- Sparse vectors
// ------------------------------------------------------------------------------------------------------

/// Folder, where the transformer is in it, max tokens of a text, and how logits become weights.
const SPLADE: [(&str, &str, usize, SpladeActivation, SpladePooling); 6] = {
    use SpladeActivation::{Log1pLog1pRelu, Log1pRelu};
    use SpladePooling::{Max, Sum};
    [
        (
            "splade-inference-free",
            "document_0_Transformer",
            48,
            Log1pLog1pRelu,
            Max,
        ),
        (
            "splade-inference-free-published",
            "",
            48,
            Log1pLog1pRelu,
            Max,
        ),
        ("splade-log1p", "", 60, Log1pLog1pRelu, Max),
        ("splade-max", "", 48, Log1pRelu, Max),
        ("splade-separate", "", 60, Log1pLog1pRelu, Sum),
        ("splade-sum", "", 40, Log1pRelu, Sum),
    ]
};

/// Sparse vectors as rows with a number for each term.
fn dense_rows(vectors: &[SparseVector], vocabulary: usize) -> Vec<f32> {
    let mut rows = vec![0.0; vectors.len() * vocabulary];
    for (vector, row) in vectors.iter().zip(rows.chunks_mut(vocabulary)) {
        assert!(vector.is_sorted_by(|a, b| a.0 < b.0));
        for &(term, weight) in vector {
            assert!(weight > 0.0);
            row[term as usize] = weight;
        }
    }
    rows
}

fn sparse_vectors_equal_sentence_transformers<B: Backend>(backend: &B) {
    assert_eq!(folders_with("sparse"), SPLADE.map(|case| case.0));
    for (folder, transformer, limit, activation, pooling) in SPLADE {
        let path = models().join(folder).join(transformer);
        let model = Model::load(backend, &path, limit);
        let (config, weights) = (&model.config, &model.weights);
        let head = SpladeHead::load(backend, config, weights, activation, pooling).unwrap();
        let batch = model.texts(&strings(folder, "texts.json"));
        let hidden = model.encoder.forward(backend, &batch).unwrap();
        let vectors = head.forward(backend, &hidden, &batch.starts).unwrap();
        let rows = dense_rows(&vectors, head.vocabulary());
        assert_close(folder, &rows, &Expected::read(folder).floats("sparse"));
    }
}

#[test]
fn inference_free_queries_equal_sentence_transformers() {
    let folders = folders_with("sparse_queries");
    assert_eq!(folders.len(), 2);
    for folder in folders {
        let path = models().join(&folder);
        let module = path.join("query_0_SparseStaticEmbedding");
        let transformer = path.join("document_0_Transformer");
        let transformer = if transformer.exists() {
            transformer
        } else {
            path.clone()
        };
        let config = ModelConfig::open(&transformer).unwrap();
        let tokenizer = Tokenizer::open(&module, &config).unwrap();
        let weights = Weights::open(&module).unwrap();
        let table = StaticWeights::load(&weights, config.vocabulary).unwrap();

        let queries: Vec<String> = strings(&folder, "queries.json");
        let vectors: Vec<_> = queries
            .iter()
            .map(|query| {
                table
                    .encode(&tokenizer.encode_without_special_tokens(query).unwrap())
                    .unwrap()
            })
            .collect();
        let rows = dense_rows(&vectors, table.vocabulary());
        let expected = Expected::read(&folder).floats("sparse_queries");
        assert_close(&folder, &rows, &expected);

        let json = path.join("idf.json");
        if json.exists() {
            let text = fs::read_to_string(&json).unwrap();
            let id = |token: &str| tokenizer.id(token);
            let read = StaticWeights::from_json(&text, &json, config.vocabulary, id);
            assert_eq!(read.unwrap(), table);
        }
    }
}

// --- Dense vectors
// -------------------------------------------------------------------------------------------------------

/// Folder, max tokens of a text, pooling, Dense module, and whether vectors are normalized.
const POOLED: [(&str, usize, Pooling, Option<DenseWeights>, bool); 5] = {
    let linear = DenseWeights {
        inputs: 24,
        outputs: 18,
        has_bias: false,
        activation: Activation::Identity,
    };
    let tanh = DenseWeights {
        inputs: 24,
        outputs: 20,
        has_bias: true,
        activation: Activation::Tanh,
    };
    [
        ("st-cls", 24, Pooling::First, None, true),
        ("st-dense", 50, Pooling::Mean, Some(linear), true),
        ("st-max", 60, Pooling::Max, None, false),
        ("st-mean", 40, Pooling::Mean, None, true),
        ("st-prompts", 64, Pooling::Mean, Some(tanh), false),
    ]
};

fn embeddings_equal_sentence_transformers<B: Backend>(backend: &B) {
    assert_eq!(folders_with("embeddings"), POOLED.map(|case| case.0));
    for (folder, limit, pooling, dense, is_normalized) in POOLED {
        let path = models().join(folder);
        let model = Model::load(backend, &path, limit);
        let mut head = PooledHead::new(&[pooling], model.config.hidden).unwrap();
        if let Some(dense) = dense {
            let weights = Weights::open(&path.join("2_Dense")).unwrap();
            head = head.with_dense(backend, &weights, dense).unwrap();
        }
        if is_normalized {
            head = head.normalized();
        }
        let texts: Vec<String> = strings(folder, "texts.json");
        let vectors = |prompt: &str| {
            let texts: Vec<_> = texts.iter().map(|text| format!("{prompt}{text}")).collect();
            let batch = model.texts(&texts);
            let hidden = model.encoder.forward(backend, &batch).unwrap();
            let vectors = head.forward(backend, &hidden, &batch.starts).unwrap();
            assert_eq!(backend.shape(&vectors), (texts.len(), head.dimensions()));
            backend.values(&vectors).unwrap()
        };
        let expected = Expected::read(folder);
        assert_close(folder, &vectors(""), &expected.floats("embeddings"));
        for (prompt, name) in [
            ("query: ", "query_embeddings"),
            ("passage: ", "document_embeddings"),
        ] {
            if expected.has(name) {
                let what = format!("{folder}, {name}");
                assert_close(&what, &vectors(prompt), &expected.floats(name));
            }
        }
    }
}

fn poolings_equal_sentence_transformers<B: Backend>(backend: &B) {
    let folder = "st-mean";
    let model = Model::load(backend, &models().join(folder), 40);
    let batch = model.texts(&strings(folder, "texts.json"));
    let hidden = model.encoder.forward(backend, &batch).unwrap();
    let expected = Expected::read(folder);
    for (pooling, name) in [
        (Pooling::First, "pooling_cls"),
        (Pooling::Max, "pooling_max"),
        (Pooling::Mean, "pooling_mean"),
        (Pooling::MeanSqrt, "pooling_mean_sqrt_len_tokens"),
        (Pooling::WeightedMean, "pooling_weightedmean"),
        (Pooling::Last, "pooling_lasttoken"),
    ] {
        let pooled = backend.pool(&hidden, &batch.starts, pooling).unwrap();
        assert_close(
            name,
            &backend.values(&pooled).unwrap(),
            &expected.floats(name),
        );
    }
}

// --- Scores of pairs
// -----------------------------------------------------------------------------------------------------

/// Folder, max tokens of a pair, and labels.
const CROSS: [(&str, usize, usize); 6] = [
    ("ce-bert", 64, 1),
    ("ce-bert-old", 48, 1),
    ("ce-deberta", 60, 1),
    ("ce-distilbert", 64, 3),
    ("ce-electra", 64, 1),
    ("ce-roberta", 60, 2),
];

fn logits_equal_sentence_transformers<B: Backend>(backend: &B) {
    assert_eq!(folders_with("logits"), CROSS.map(|case| case.0));
    for (folder, limit, labels) in CROSS {
        let model = Model::load(backend, &models().join(folder), limit);
        let head = CrossHead::load(backend, &model.config, &model.weights).unwrap();
        assert_eq!(head.labels(), labels);
        let batch = model.pairs(&strings(folder, "pairs.json"));
        let hidden = model.encoder.forward(backend, &batch).unwrap();
        let logits = head.forward(backend, &hidden, &batch.starts).unwrap();
        assert_close(folder, &logits, &Expected::read(folder).floats("logits"));
    }
}

// --- Late interaction
// ----------------------------------------------------------------------------------------------------

fn token_vectors_and_max_sim_equal_sentence_transformers<B: Backend>(backend: &B) {
    // The other, `colbert-pylate`, differs by what goes in, not by the head: prefixes, query
    // expansion, skipped words.
    let folder = "colbert";
    assert_eq!(folders_with("max_sim"), [folder, "colbert-pylate"]);
    let path = models().join(folder);
    let model = Model::load(backend, &path, 48);
    let weights = Weights::open(&path.join("1_Dense")).unwrap();
    let head = LateHead::load(backend, &weights, model.config.hidden).unwrap();
    let expected = Expected::read(folder);

    let encoded = |file: &str, vectors: &str, starts: &str| {
        let batch = model.texts(&strings(folder, file));
        assert_eq!(batch.starts, expected.integers(starts));
        let hidden = model.encoder.forward(backend, &batch).unwrap();
        let found = head.token_vectors(backend, &hidden).unwrap();
        let found = backend.values(&found).unwrap();
        assert_close(vectors, &found, &expected.floats(vectors));
        (found, batch.starts)
    };
    let (documents, starts) = encoded("texts.json", "token_vectors", "starts");
    let (queries, query_starts) = encoded("queries.json", "query_vectors", "query_starts");

    let size = head.dimensions();
    let documents = backend
        .tensor(documents.len() / size, size, &documents)
        .unwrap();
    let mut scores = Vec::new();
    for pair in query_starts.windows(2) {
        let (first, end) = (pair[0] as usize, pair[1] as usize);
        let query = &queries[first * size..end * size];
        let query = backend.tensor(end - first, size, query).unwrap();
        scores.extend(backend.max_sim(&query, &documents, &starts).unwrap());
    }
    assert_close("max_sim", &scores, &expected.floats("max_sim"));
}

/// Everything that depends on the backend.
fn all<B: Backend>(backend: &B) {
    hidden_states_equal_pytorch(backend);
    sparse_vectors_equal_sentence_transformers(backend);
    embeddings_equal_sentence_transformers(backend);
    poolings_equal_sentence_transformers(backend);
    logits_equal_sentence_transformers(backend);
    token_vectors_and_max_sim_equal_sentence_transformers(backend);
}

#[test]
fn the_reference_backend_equals_python() {
    all(&Reference);
}

#[test]
fn the_fast_backend_equals_python_on_one_thread_and_on_several() {
    for threads in [1, 3] {
        let options = CpuOptions {
            threads,
            precision: Precision::F32,
        };
        all(&Cpu::new(options).unwrap());
    }
}
