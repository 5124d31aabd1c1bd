//! Many texts through a model: tokenized and batched on all streams of a backend, results in the
//! order of the texts.
//!
//! Comes in: texts, and a [`Work`] that says what to do with a batch. Goes out: for each text its
//! result or its own error. A text may be several sequences (the windows of a long document); their
//! results are joined.
//!
//! Texts are sorted by length and cut into batches of
//! [`Device::batch_tokens`](crate::backend::Device::batch_tokens), across all texts of a call (on a
//! GPU across a thousand, while the next thousand is tokenized), and each stream takes the next
//! batch when it is free. Sorting does not change results, because there is no padding; it balances
//! the streams: the longest batches come first, so that all streams finish at about the same time.
//! A single batch runs on the whole backend, which is the fastest way for one query.
//!
//! Invariant: a text's result does not depend on the other texts, nor on the number of streams.

mod windows;
mod workers;

use std::ops::Range;
use std::thread;

use crate::backend::Backend;
use crate::error::{Error, Result};

use super::packing::{Batch, plan_batches};
use super::tokenizer::Tokens;

pub use windows::{WindowSize, for_each_window};
use workers::on_workers;

/// Texts that a thread tokenizes before it takes more.
const TEXTS_PER_JOB: usize = 8;
/// Texts of a window per stream, with batches of [`USUAL_BATCH`] tokens: enough to make the wait for
/// the last batch at the end of a window negligible.
const WINDOW_TEXTS: usize = 256;
/// Bytes of a window per stream.
const WINDOW_BYTES: usize = 256 << 10;
const USUAL_BATCH: usize = 2048;
/// Texts of a part: an asynchronous backend works on one part while the CPU tokenizes the next.
const PART_TEXTS: usize = 1024;
/// Parts in progress at the same time.
const PARTS_AT_ONCE: usize = 2;

/// What a model does with batches of sequences.
pub(super) trait Work<B: Backend>: Sync {
    /// The output of a sequence, and of a text.
    type Output: Send;

    /// The output of each sequence; `None` where its values are not finite.
    fn run(&self, backend: &B, batch: &Batch) -> Result<Vec<Option<Self::Output>>>;

    /// The output of a text from those of its sequences, of which there is at least one.
    fn join(&self, parts: Vec<Self::Output>) -> Self::Output;
}

/// The results of some texts.
#[derive(Debug)]
pub struct Encoded<V> {
    /// For each text its vector or score, or its error.
    pub results: Vec<Result<V>>,
    /// Tokens that went through the model.
    pub tokens: u64,
    /// Sequences of the max length: texts that were truncated, or would be with one token more.
    pub full: u64,
}

impl<V> Encoded<V> {
    /// All results, or the first error, which names the text by its number from 1.
    ///
    /// # Errors
    ///
    /// The first error among the results.
    pub fn all(self) -> Result<Vec<V>> {
        let count = self.results.len();
        let numbered = self.results.into_iter().zip(1..);
        numbered
            .map(|(result, number)| match result {
                Err(Error::InvalidInput { message, .. }) if count > 1 => Err(Error::invalid(
                    format!("text {number} of {count}: {message}"),
                )),
                result => result,
            })
            .collect()
    }
}

/// A backend and its streams, which keep their memory from one call to the next.
pub(super) struct Streams<B: Backend> {
    whole: B,
    streams: Vec<B>,
}

impl<B: Backend> Streams<B> {
    pub(super) fn new(backend: B) -> Self {
        Self {
            streams: backend.streams(),
            whole: backend,
        }
    }

    /// The whole backend.
    pub(super) fn whole(&self) -> &B {
        &self.whole
    }

    /// True if texts are encoded on several threads.
    pub(super) fn are_several(&self) -> bool {
        self.streams.len() > 1
    }

    /// How many texts a call should have.
    pub(super) fn window_size(&self) -> WindowSize {
        let streams = self.streams.len().max(2);
        let batches = (self.whole.batch_tokens() / USUAL_BATCH).max(1);
        WindowSize {
            items: streams * batches * WINDOW_TEXTS,
            bytes: streams * batches * WINDOW_BYTES,
        }
    }

    /// The outputs of the texts `0..count`, whose sequences `tokenize` makes; `limit` is the length
    /// of a full sequence.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] if the backend's device fails. Any other error is the result of one text.
    pub(super) fn encode<W: Work<B>>(
        &self,
        work: &W,
        count: usize,
        limit: usize,
        tokenize: impl Fn(usize) -> Result<Vec<Tokens>> + Sync,
    ) -> Result<Encoded<W::Output>> {
        if !self.whole.is_async() || count <= PART_TEXTS {
            let texts = self.tokenize(0..count, &tokenize)?;
            return self.run(work, texts, limit);
        }
        // While the backend works on one part, the next is tokenized.
        let parts = on_workers(
            &[(); PARTS_AT_ONCE],
            count.div_ceil(PART_TEXTS),
            |(), part| {
                let first = part * PART_TEXTS;
                let texts = first..count.min(first + PART_TEXTS);
                self.run(work, self.tokenize(texts, &tokenize)?, limit)
            },
        )?;
        let mut encoded = Encoded {
            results: Vec::with_capacity(count),
            tokens: 0,
            full: 0,
        };
        for part in parts {
            encoded.results.extend(part.results);
            encoded.tokens += part.tokens;
            encoded.full += part.full;
        }
        Ok(encoded)
    }

    /// The outputs of tokenized texts.
    fn run<W: Work<B>>(
        &self,
        work: &W,
        texts: Vec<Result<Vec<Tokens>>>,
        limit: usize,
    ) -> Result<Encoded<W::Output>> {
        let sequences = sequences(&texts);
        let lengths: Vec<usize> = sequences.iter().map(|(_, tokens)| tokens.len()).collect();
        let batches = plan_batches(&lengths, self.whole.batch_tokens());
        let job = |stream: &B, number: usize| {
            let picked = batches[number].iter().map(|index| sequences[*index].1);
            run_batch(work, stream, &picked.collect::<Vec<_>>())
        };
        let outputs = match batches.len() {
            0 | 1 => on_workers(std::slice::from_ref(&self.whole), batches.len(), job)?,
            count => on_workers(&self.streams, count, job)?,
        };

        let mut parts: Vec<Vec<Result<W::Output>>> = texts.iter().map(|_| Vec::new()).collect();
        let mut by_sequence: Vec<_> = batches
            .iter()
            .flatten()
            .zip(outputs.into_iter().flatten())
            .collect();
        by_sequence.sort_unstable_by_key(|(index, _)| **index);
        for (index, output) in by_sequence {
            parts[sequences[*index].0].push(output);
        }
        let tokens = lengths.iter().sum::<usize>() as u64;
        let full = lengths.iter().filter(|length| **length >= limit).count() as u64;
        drop(sequences);
        let results = texts.into_iter().zip(parts);
        let results = results.map(|(text, parts)| {
            text?;
            Ok(work.join(parts.into_iter().collect::<Result<_>>()?))
        });
        Ok(Encoded {
            results: results.collect(),
            tokens,
            full,
        })
    }

    fn tokenize(
        &self,
        texts: Range<usize>,
        tokenize: &(impl Fn(usize) -> Result<Vec<Tokens>> + Sync),
    ) -> Result<Vec<Result<Vec<Tokens>>>> {
        let threads = match self.whole.is_async() {
            true => thread::available_parallelism().map_or(1, usize::from),
            false => self.streams.len(),
        };
        let jobs = texts.len().div_ceil(TEXTS_PER_JOB);
        let tokens = on_workers(&vec![(); threads], jobs, |(), job| {
            let first = texts.start + job * TEXTS_PER_JOB;
            let last = texts.end.min(first + TEXTS_PER_JOB);
            Ok((first..last).map(tokenize).collect::<Vec<_>>())
        })?;
        Ok(tokens.into_iter().flatten().collect())
    }
}

/// All sequences of all texts, each with the number of its text.
fn sequences(texts: &[Result<Vec<Tokens>>]) -> Vec<(usize, &Tokens)> {
    let good = texts.iter().enumerate().filter_map(|(number, text)| {
        let tokens = text.as_ref().ok()?;
        Some(tokens.iter().map(move |tokens| (number, tokens)))
    });
    good.flatten().collect()
}

/// Runs a batch. If the device has not enough memory for it, runs its halves; if it fails
/// otherwise, runs each sequence alone, so that only the text that causes the error gets it.
fn run_batch<B: Backend, W: Work<B>>(
    work: &W,
    backend: &B,
    sequences: &[&Tokens],
) -> Result<Vec<Result<W::Output>>> {
    let batch = Batch::of(sequences.iter().copied());
    match batch.and_then(|batch| work.run(backend, &batch)) {
        Ok(outputs) if outputs.len() == sequences.len() => {
            let outputs = outputs.into_iter();
            Ok(outputs
                .map(|output| output.ok_or_else(not_finite))
                .collect())
        }
        Ok(outputs) => Err(Error::model(
            "",
            format!(
                "expected a result for each of {} sequences, found {}",
                sequences.len(),
                outputs.len()
            ),
        )),
        Err(error) if error.is_device_memory() && sequences.len() > 1 => {
            let (first, second) = sequences.split_at(sequences.len() / 2);
            let mut outputs = run_batch(work, backend, first)?;
            outputs.extend(run_batch(work, backend, second)?);
            Ok(outputs)
        }
        Err(error @ Error::Device { .. }) => Err(error),
        Err(error) if sequences.len() == 1 => Ok(vec![Err(error)]),
        Err(_) => {
            let alone = sequences.iter().map(|one| run_batch(work, backend, &[one]));
            alone
                .collect::<Result<Vec<_>>>()
                .map(|all| all.into_iter().flatten().collect())
        }
    }
}

fn not_finite() -> Error {
    Error::invalid(
        "the output of the model for this text is infinite or NaN; skip the text, or run the model in f32",
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::backend::{Cpu, CpuOptions, Device};

    /// Adds the ids of a sequence and records the batches. Fails where a batch has the id 13; the
    /// id 17 gives no finite output.
    #[derive(Default)]
    struct Adding {
        batches: Mutex<Vec<usize>>,
    }

    impl<B: Backend> Work<B> for Adding {
        type Output = u32;

        fn run(&self, _: &B, batch: &Batch) -> Result<Vec<Option<u32>>> {
            self.batches.lock().unwrap().push(batch.tokens());
            if batch.ids.contains(&13) {
                return Err(Error::invalid("the number 13"));
            }
            let sums = batch.starts.windows(2).map(|pair| {
                let ids = &batch.ids[pair[0] as usize..pair[1] as usize];
                (!ids.contains(&17)).then(|| ids.iter().sum())
            });
            Ok(sums.collect())
        }

        fn join(&self, parts: Vec<u32>) -> u32 {
            parts.into_iter().max().unwrap()
        }
    }

    fn streams(threads: usize) -> Streams<Cpu> {
        let options = CpuOptions {
            threads,
            ..CpuOptions::default()
        };
        Streams::new(Cpu::new(options).unwrap())
    }

    fn tokens(ids: Vec<u32>) -> Tokens {
        Tokens {
            types: vec![0; ids.len()],
            ids,
        }
    }

    #[test]
    fn results_are_in_the_order_of_texts_and_every_batch_is_within_the_budget() {
        for threads in [1, 3] {
            let streams = streams(threads);
            let budget = streams.whole().batch_tokens();
            let work = Adding::default();
            let length = |number: usize| number * 31 % 97 + 1;
            let encoded = streams
                .encode(&work, 500, 97, |number| {
                    Ok(vec![tokens(vec![1; length(number)])])
                })
                .unwrap();
            assert_eq!(encoded.tokens as usize, (0..500).map(length).sum::<usize>());
            let full = (0..500).filter(|number| length(*number) == 97).count();
            assert_eq!(encoded.full as usize, full);
            for (number, sum) in encoded.all().unwrap().into_iter().enumerate() {
                assert_eq!(sum as usize, length(number));
            }
            assert!(
                work.batches
                    .into_inner()
                    .unwrap()
                    .iter()
                    .all(|tokens| *tokens <= budget)
            );
        }
    }

    #[test]
    fn the_windows_of_a_text_are_joined() {
        let windows = |number: usize| {
            let windows = (0..=number as u32).map(|last| tokens(vec![last, 20]));
            Ok(windows.collect())
        };
        let encoded = streams(2)
            .encode(&Adding::default(), 10, 9, windows)
            .unwrap();
        let expected: Vec<u32> = (0..10).map(|last| last + 20).collect();
        assert_eq!(encoded.all().unwrap(), expected);
    }

    #[test]
    fn an_error_belongs_to_its_text_and_the_rest_goes_on() {
        let tokenize = |number: usize| match number {
            5 => Err(Error::invalid("five")),
            _ => Ok(vec![tokens(vec![number as u32])]),
        };
        for threads in [1, 2] {
            let encoded = streams(threads)
                .encode(&Adding::default(), 30, 9, tokenize)
                .unwrap();
            for (number, result) in encoded.results.iter().enumerate() {
                match (number, result) {
                    (5, Err(error)) => assert_eq!(error.to_string(), "five"),
                    (13, Err(error)) => assert_eq!(error.to_string(), "the number 13"),
                    (17, Err(error)) => assert!(error.to_string().contains("infinite")),
                    (_, Ok(sum)) => assert_eq!(*sum as usize, number),
                    (_, Err(error)) => panic!("{number}: {error}"),
                }
            }
            let error = encoded.all().unwrap_err().to_string();
            assert_eq!(error, "text 6 of 30: five");
        }
    }

    #[test]
    fn no_texts_give_no_results() {
        let encoded = streams(2).encode(&Adding::default(), 0, 9, |_| Ok(Vec::new()));
        assert!(encoded.unwrap().results.is_empty());
    }
}
