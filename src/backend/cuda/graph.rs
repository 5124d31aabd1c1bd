//! CUDA graphs of short batches.
//!
//! A short batch consists of a hundred small kernels whose launches take longer than they run. The
//! launches of a batch shape are therefore captured once as a CUDA graph. Later batches of this
//! shape run the same code, but their buffers are those of the graph, uploads go there, launches do
//! nothing, and in the end the graph is launched as a whole. This is correct as long as launches
//! depend on the shape alone, which the caller promises by the key.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Weak};

use super::device::{Address, GpuGraph};
use super::memory::Memory;
use super::stream::Stream;
use super::tensor::Tensor;
use crate::error::{Error, Result};

/// The maximum number of graphs per stream; each keeps its buffers.
const MAX_GRAPHS: usize = 48;
/// The maximum number of keys that a stream remembers.
const MAX_KEYS: usize = 512;

/// How a stream treats work.
#[derive(Default)]
pub(super) enum Mode {
    #[default]
    Direct,
    /// Captures it: the buffers, and what was uploaded to them.
    Capturing(Vec<Memory>, Vec<(Address, Vec<u8>)>),
    /// Launches a graph: the addresses of its buffers, the next one last.
    Launching(Vec<Address>),
}

/// What is known of each key; the least recently used entry is evicted.
#[derive(Default)]
pub(super) struct GraphCache {
    entries: HashMap<Vec<u32>, (u64, Entry)>,
    /// Counts lookups, as the time of the LRU order.
    clock: u64,
}

#[derive(Clone)]
enum Entry {
    /// It ran once: its kernels are loaded.
    Warm,
    /// There was not enough memory to capture it.
    Uncapturable,
    Captured(CapturedGraph),
}

#[derive(Clone)]
struct CapturedGraph {
    /// The holder of a result also holds these, so that no other launch overwrites it.
    memory: Arc<GraphMemory>,
    graph: Arc<dyn GpuGraph>,
}

/// The buffers of a graph. Afterwards they go to the pool of its stream, whose later work runs
/// after the last launch.
pub(super) struct GraphMemory {
    buffers: Vec<Memory>,
    stream: Weak<Stream>,
}

impl Drop for GraphMemory {
    fn drop(&mut self) {
        if let Some(stream) = self.stream.upgrade() {
            stream.put_back(std::mem::take(&mut self.buffers));
        }
    }
}

impl GraphCache {
    fn get(&mut self, key: &[u32]) -> Option<Entry> {
        self.clock += 1;
        let (last, entry) = self.entries.get_mut(key)?;
        *last = self.clock;
        Some(entry.clone())
    }

    fn put(&mut self, key: Vec<u32>, entry: Entry) {
        self.clock += 1;
        self.entries.insert(key, (self.clock, entry));
        self.evict(MAX_KEYS, |_| true);
        self.evict(MAX_GRAPHS, |entry| matches!(entry, Entry::Captured(_)));
    }

    /// Evicts the least recently used of the counted entries if there are more than `max`.
    fn evict(&mut self, max: usize, is_counted: impl Fn(&Entry) -> bool) {
        let counted = || {
            self.entries
                .iter()
                .filter(|(_, (_, entry))| is_counted(entry))
        };
        if counted().count() <= max {
            return;
        }
        let oldest = counted().min_by_key(|(_, (last, _))| *last);
        if let Some(key) = oldest.map(|(key, _)| key.clone()) {
            self.entries.remove(&key);
        }
    }
}

impl Stream {
    /// Runs `run`, or launches the graph captured under the same key. The first call runs directly,
    /// so that kernels are loaded; the second is captured; later ones launch the graph, unless the
    /// result of the last launch is still in use.
    pub(super) fn run_graphed(
        self: &Arc<Self>,
        key: Vec<u32>,
        run: impl Fn() -> Result<Tensor>,
    ) -> Result<Tensor> {
        let mut state = self.state();
        if !matches!(state.mode, Mode::Direct) {
            drop(state);
            return run();
        }
        let entry = state.graphs.get(&key);
        if entry.is_none() {
            state.graphs.put(key.clone(), Entry::Warm);
        }
        drop(state);
        match entry {
            Some(Entry::Warm) => self.capture(key, run),
            // Two references are the one in the map and `captured`.
            Some(Entry::Captured(captured)) if Arc::strong_count(&captured.memory) <= 2 => {
                self.launch_graph(&captured, run)
            }
            _ => run(),
        }
    }

    fn capture(
        self: &Arc<Self>,
        key: Vec<u32>,
        run: impl Fn() -> Result<Tensor>,
    ) -> Result<Tensor> {
        let before = self.begin_exclusive(Mode::Capturing(Vec::new(), Vec::new()));
        let begun = self.raw.begin_capture();
        // A panic must not leave the stream in capture mode, so it is caught and resumed below.
        let result = begun.map(|()| catch_unwind(AssertUnwindSafe(&run)));
        let graph = self.raw.end_capture();
        let mode = self.end_exclusive(before);
        let result = result?.unwrap_or_else(|panic| resume_unwind(panic));
        let Mode::Capturing(memories, uploads) = mode else {
            return Err(graph_mismatch());
        };
        if let Err(error) = &result
            && error.is_device_memory()
        {
            self.put_back(memories);
            self.state().graphs.put(key, Entry::Uncapturable);
            return run();
        }
        let (mut result, captured) = (
            result?,
            CapturedGraph {
                memory: Arc::new(GraphMemory {
                    buffers: memories,
                    stream: Arc::downgrade(self),
                }),
                graph: graph?.into(),
            },
        );
        // The lock keeps work of other threads from between the uploads and the graph that reads
        // them.
        let mut state = self.state();
        for (address, bytes) in &uploads {
            self.add(|raw| raw.upload(*address, bytes))?;
        }
        self.launch_captured(&*captured.graph)?;
        result.buffer.keep_alive(&captured.memory);
        state.graphs.put(key, Entry::Captured(captured));
        Ok(result)
    }

    fn launch_graph(
        self: &Arc<Self>,
        captured: &CapturedGraph,
        run: impl Fn() -> Result<Tensor>,
    ) -> Result<Tensor> {
        let addresses = captured.memory.buffers.iter().map(Memory::address);
        let before = self.begin_exclusive(Mode::Launching(addresses.rev().collect()));
        // Another thread may have launched it since the lookup, and may hold the result.
        let result = match Arc::strong_count(&captured.memory) <= 2 {
            true => catch_unwind(AssertUnwindSafe(|| {
                let mut result = run()?;
                let Mode::Launching(left) = &self.state().mode else {
                    return Err(graph_mismatch());
                };
                if !left.is_empty() {
                    return Err(graph_mismatch());
                }
                self.launch_captured(&*captured.graph)?;
                result.buffer.keep_alive(&captured.memory);
                Ok(Some(result))
            })),
            false => Ok(Ok(None)),
        };
        self.end_exclusive(before);
        match result.unwrap_or_else(|panic| resume_unwind(panic))? {
            Some(result) => Ok(result),
            None => run(),
        }
    }
}

pub(super) fn graph_mismatch() -> Error {
    Error::device(
        "a batch launched other work than the CUDA graph of its shape; this is a bug in esparsa, please report it",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn least_recently_used_entries_are_evicted() {
        let mut graphs = GraphCache::default();
        for key in 0..MAX_KEYS as u32 {
            graphs.put(vec![key], Entry::Warm);
        }
        assert!(graphs.get(&[0]).is_some());
        graphs.put(vec![9_999], Entry::Uncapturable);
        assert!(graphs.get(&[0]).is_some() && graphs.get(&[9_999]).is_some());
        assert!(graphs.get(&[1]).is_none());
    }
}
