//! A model in parts, so that prepared batches can be timed without text.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use esparsa::backend::{Cuda, Device};
use esparsa::neural::{
    Batch, Encoder, ModelConfig, ModelFolder, Module, PooledHead, SpladeHead, Tokenizer, Tokens,
    plan_batches,
};

use crate::Result;

/// Texts that a thread tokenizes at once.
const TEXTS_A_JOB: usize = 64;

#[allow(
    clippy::large_enum_variant,
    reason = "there is one of them in a process"
)]
pub enum Head {
    Sparse(SpladeHead<Cuda>),
    Dense(PooledHead<Cuda>),
}

/// A transformer and its head on a GPU, and its tokenizer.
pub struct Parts {
    pub encoder: Encoder<Cuda>,
    pub head: Head,
    pub config: ModelConfig,
    pub tokenizer: Tokenizer,
    pub max_tokens: usize,
}

impl Parts {
    pub fn open(path: &Path, cuda: &Cuda) -> Result<Self> {
        let folder = ModelFolder::open(path)?;
        let (config, weights) = (&folder.config, &folder.weights);
        let encoder = Encoder::load(cuda, config, weights)?;
        let head = match &folder.modules[..] {
            [
                Module::SpladePooling {
                    pooling,
                    activation,
                },
            ] => Head::Sparse(SpladeHead::load(
                cuda,
                config,
                weights,
                *activation,
                *pooling,
            )?),
            [Module::Pooling { poolings, .. }] => {
                Head::Dense(PooledHead::new(poolings, config.hidden)?)
            }
            [Module::Pooling { poolings, .. }, Module::Normalize { .. }] => {
                Head::Dense(PooledHead::new(poolings, config.hidden)?.normalized())
            }
            _ => {
                let path = path.display();
                return Err(format!("{path}: expected SPLADE's pooling, or pooling and nothing but normalization behind it").into());
            }
        };
        Ok(Self {
            encoder,
            head,
            config: folder.config,
            tokenizer: folder.tokenizer,
            max_tokens: folder.max_tokens,
        })
    }

    /// From a batch to what leaves the GPU; returns the number of values.
    pub fn finish(&self, cuda: &Cuda, batch: &Batch) -> Result<usize> {
        let hidden = self.encoder.forward(cuda, batch)?;
        match &self.head {
            Head::Sparse(head) => {
                let vectors = head.forward(cuda, &hidden, &batch.starts)?;
                Ok(vectors.iter().map(Vec::len).sum())
            }
            Head::Dense(head) => {
                let vectors = head.forward(cuda, &hidden, &batch.starts)?;
                Ok(cuda.values(&vectors)?.len())
            }
        }
    }

    /// The tokens of texts, on this many threads.
    pub fn tokenize(&self, texts: &[String], threads: usize) -> Result<Vec<Tokens>> {
        let next = AtomicUsize::new(0);
        let work = || {
            let mut found = Vec::new();
            loop {
                let first = next.fetch_add(TEXTS_A_JOB, Ordering::Relaxed);
                if first >= texts.len() {
                    return Ok::<_, esparsa::Error>(found);
                }
                let last = texts.len().min(first + TEXTS_A_JOB);
                for (number, text) in (first..last).zip(&texts[first..last]) {
                    found.push((number, self.tokenizer.truncated(text, self.max_tokens)?));
                }
            }
        };
        let mut found = thread::scope(|scope| {
            let handles: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(work)).collect();
            let mut all = Vec::with_capacity(texts.len());
            for handle in handles {
                let part = handle.join();
                all.extend(part.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
            }
            Ok::<_, esparsa::Error>(all)
        })?;
        found.sort_by_key(|(number, _)| *number);
        Ok(found.into_iter().map(|(_, tokens)| tokens).collect())
    }

    /// Operations of the encoder alone for all sequences, two per multiply-add: matrices, and
    /// attention scores and sums.
    pub fn operations(&self, sequences: &[Tokens]) -> f64 {
        let config = &self.config;
        let matrices = 4 * config.hidden * config.hidden + 2 * config.hidden * config.intermediate;
        let tokens: usize = sequences.iter().map(Tokens::len).sum();
        let squares: usize = sequences.iter().map(|one| one.len() * one.len()).sum();
        let layers = config.layers as f64;
        layers
            * (2.0 * matrices as f64 * tokens as f64 + 4.0 * config.hidden as f64 * squares as f64)
    }
}

/// Batches of all sequences, as an encoder forms them.
pub fn batches(sequences: &[Tokens], cuda: &Cuda) -> Result<Vec<Batch>> {
    let lengths: Vec<usize> = sequences.iter().map(Tokens::len).collect();
    let plan = plan_batches(&lengths, cuda.batch_tokens());
    let batches = plan
        .iter()
        .map(|places| Batch::of(places.iter().map(|place| &sequences[*place])));
    Ok(batches.collect::<esparsa::Result<_>>()?)
}

/// Runs `work` with every batch on all streams concurrently, and waits until all is done.
pub fn on_streams(
    streams: &[Cuda],
    batches: &[Batch],
    work: impl Fn(&Cuda, &Batch) -> Result<()> + Sync,
) -> Result<()> {
    let next = AtomicUsize::new(0);
    let stream = |cuda: &Cuda| -> std::result::Result<(), String> {
        while let Some(batch) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
            work(cuda, batch).map_err(|error| error.to_string())?;
        }
        cuda.synchronize().map_err(|error| error.to_string())
    };
    thread::scope(|scope| {
        let handles: Vec<_> = streams
            .iter()
            .map(|cuda| scope.spawn(|| stream(cuda)))
            .collect();
        let mut done = Ok(());
        for handle in handles {
            let ended = handle.join();
            done = done.and(ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        Ok(done?)
    })
}
