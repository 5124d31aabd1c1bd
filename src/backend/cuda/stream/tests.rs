//! Memory and waiting of streams, on a device that does nothing but keep a record: work finishes
//! when it is waited for.

use std::collections::HashMap;
use std::sync::atomic::AtomicUsize;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

use super::*;
use crate::backend::cuda::device::{GpuFence, GpuGraph, TensorMap};

/// Long enough for what must happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// A device with a limited amount of memory.
#[derive(Clone, Default)]
struct Recorder {
    state: Arc<Mutex<Record>>,
}

#[derive(Default)]
struct Record {
    limit: usize,
    next: Address,
    allocated: HashMap<Address, usize>,
    /// Streams that were waited for, in order.
    waited_for: Vec<usize>,
    streams: usize,
    pinned_limit: usize,
    pinned: usize,
    /// Downloads wait for a message.
    gate: Option<Receiver<()>>,
}

impl Recorder {
    fn with_memory(limit: usize) -> Self {
        let recorder = Self::default();
        let mut record = recorder.record();
        (record.limit, record.pinned_limit, record.next) = (limit, usize::MAX, 1 << 20);
        drop(record);
        recorder
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.state.lock().unwrap()
    }

    fn is_allocated(&self, address: Address) -> bool {
        self.record().allocated.contains_key(&address)
    }

    /// A heap with this number of streams.
    fn streams(&self, count: usize) -> (Arc<Heap>, Vec<Arc<Stream>>) {
        let device: Arc<dyn GpuDevice> = Arc::new(self.clone());
        let heap = Heap::new(&device);
        let streams = (0..count).map(|_| Stream::new(&device, &heap).unwrap());
        let streams = streams.collect();
        (heap, streams)
    }
}

impl GpuDevice for Recorder {
    fn name(&self) -> String {
        "recorder".into()
    }
    fn architecture(&self) -> u32 {
        80
    }
    fn multiprocessors(&self) -> u32 {
        1
    }
    fn shared_bytes(&self) -> u32 {
        1 << 20
    }
    fn granularity(&self) -> usize {
        1
    }
    fn reuses_buffers(&self) -> bool {
        true
    }

    fn allocate(&self, bytes: usize) -> Result<Address> {
        let mut record = self.record();
        let free = record.limit - record.allocated.values().sum::<usize>();
        if bytes > free {
            return Err(Error::device_memory(bytes as u64, free as u64));
        }
        record.next += 1 << 20;
        let address = record.next;
        record.allocated.insert(address, bytes);
        Ok(address)
    }

    fn free(&self, address: Address) {
        assert!(
            self.record().allocated.remove(&address).is_some(),
            "freed twice"
        );
    }

    fn memory(&self) -> Result<(usize, usize)> {
        Ok((0, 0))
    }

    fn stream(&self) -> Result<Box<dyn GpuStream>> {
        let mut record = self.record();
        record.streams += 1;
        Ok(Box::new(RecorderStream {
            device: self.clone(),
            number: record.streams - 1,
            pinned: AtomicUsize::new(0),
        }))
    }

    fn tensor_map(&self, _: Address, _: usize, _: usize, _: usize, _: usize) -> Result<TensorMap> {
        Ok(TensorMap::ABSENT)
    }
}

struct RecorderStream {
    device: Recorder,
    number: usize,
    pinned: AtomicUsize,
}

struct RecorderFence {
    device: Recorder,
    number: usize,
}

impl GpuFence for RecorderFence {
    fn wait(&self) -> Result<()> {
        self.device.record().waited_for.push(self.number);
        Ok(())
    }
}

impl GpuDownload for RecorderFence {
    fn finish(self: Box<Self>, bytes: &mut [u8]) -> Result<()> {
        let gate = self.device.record().gate.take();
        if let Some(gate) = gate {
            gate.recv_timeout(PATIENCE).unwrap();
        }
        bytes.fill(7);
        self.wait()
    }
}

impl RecorderStream {
    fn fence(&self) -> RecorderFence {
        RecorderFence {
            device: self.device.clone(),
            number: self.number,
        }
    }
}

impl GpuStream for RecorderStream {
    fn launch(&self, _: &'static Kernel, _: [u32; 3], _: u32, _: &[u8]) -> Result<()> {
        Ok(())
    }

    /// Takes one unit of pinned memory on the first call.
    fn upload(&self, _: Address, _: &[u8]) -> Result<()> {
        if self.pinned.load(Ordering::Relaxed) == 0 {
            let mut record = self.device.record();
            if record.pinned >= record.pinned_limit {
                return Err(Error::pinned_memory(1));
            }
            record.pinned += 1;
            self.pinned.store(1, Ordering::Relaxed);
        }
        Ok(())
    }

    fn download(&self, _: Address, _: &mut [u8]) -> Result<()> {
        panic!("downloads are started, then finished");
    }

    fn start_download(&self, _: Address, bytes: usize) -> Result<Box<dyn GpuDownload>> {
        assert!(bytes <= MAX_DOWNLOAD_BYTES);
        Ok(Box::new(self.fence()))
    }

    fn fence(&self) -> Result<Box<dyn GpuFence>> {
        Ok(Box::new(self.fence()))
    }

    fn release_pinned(&self) {
        self.device.record().pinned -= self.pinned.swap(0, Ordering::Relaxed);
    }

    fn fill(&self, _: Address, _: u8, _: usize) -> Result<()> {
        Ok(())
    }

    fn synchronize(&self) -> Result<()> {
        self.fence().wait()
    }

    fn begin_capture(&self) -> Result<()> {
        Ok(())
    }

    fn end_capture(&self) -> Result<Box<dyn GpuGraph>> {
        Ok(Box::new(RecorderGraph))
    }
}

struct RecorderGraph;

impl GpuGraph for RecorderGraph {
    fn launch(&self) -> Result<()> {
        Ok(())
    }
}

#[test]
fn memory_is_freed_after_the_work_of_all_streams() {
    let device = Recorder::with_memory(1_000);
    let (heap, streams) = device.streams(2);
    let weight = streams[0].load(&[1; 100]).unwrap();
    let address = weight.address();

    // Both streams have work that may read it.
    let buffers = [&streams[0], &streams[1]].map(|stream| stream.allocate(10).unwrap());
    streams[0].zero(&buffers[0], 10).unwrap();
    streams[1].zero(&buffers[1], 10).unwrap();
    drop(weight);
    assert!(device.is_allocated(address));
    streams[0].synchronize().unwrap();
    assert!(device.is_allocated(address), "the other stream has work");
    streams[1].download(&buffers[1], 10).unwrap();
    assert!(!device.is_allocated(address));
    assert_eq!(heap.usage().0, 20);

    // Without work it is freed at once.
    let weight = streams[0].load(&[1; 100]).unwrap();
    let address = weight.address();
    drop(weight);
    assert!(!device.is_allocated(address));
}

#[test]
fn freeing_waits_until_no_stream_would_have_to() {
    let device = Recorder::with_memory(1_000);
    let (_, streams) = device.streams(2);
    let weight = streams[0].load(&[1; 100]).unwrap();
    let address = weight.address();
    let buffers = [&streams[0], &streams[1]].map(|stream| stream.allocate(10).unwrap());
    streams[0].zero(&buffers[0], 10).unwrap();
    drop(weight);
    // The work that may read it finishes, but the other stream now has some: the driver would wait.
    streams[1].zero(&buffers[1], 10).unwrap();
    streams[0].synchronize().unwrap();
    assert!(device.is_allocated(address));
    // Unless the memory is needed.
    let _large = streams[0].allocate(950).unwrap();
    assert!(!device.is_allocated(address));
}

#[test]
fn a_dropped_stream_has_finished_its_work() {
    let device = Recorder::with_memory(1_000);
    let (heap, mut streams) = device.streams(2);
    let buffer = streams[1].allocate(10).unwrap();
    streams[1].zero(&buffer, 10).unwrap();
    drop(streams.pop());
    assert_eq!(device.record().waited_for, [1]);
    drop(buffer);
    assert_eq!(heap.usage().0, 0);
}

#[test]
fn when_memory_runs_out_all_streams_give_up_theirs() {
    let device = Recorder::with_memory(1_000);
    let (_, streams) = device.streams(3);
    for stream in &streams[1..] {
        let buffer = stream.allocate(400).unwrap();
        stream.zero(&buffer, 400).unwrap();
    }
    // The pools of the others have 800 bytes.
    let buffer = streams[0].allocate(900).unwrap();
    let waited_for = device.record().waited_for.clone();
    assert_eq!(waited_for, [0, 1, 2], "before their memory was freed");
    // One retry, then the caller has to do with less.
    let error = streams[1].allocate(200).err().unwrap();
    assert!(error.is_device_memory());
    drop(buffer);
    streams[1].allocate(200).unwrap();
    // Weights are worth as much as batches.
    drop(streams[1].allocate(900).unwrap());
    streams[2].load(&[1; 900]).unwrap();
}

#[test]
fn a_stream_in_use_by_another_thread_is_not_waited_for() {
    let device = Recorder::with_memory(1_000);
    let (_, streams) = device.streams(2);
    drop(streams[1].allocate(400).unwrap());
    let (held, release) = (mpsc::channel::<()>(), mpsc::channel::<()>());
    thread::scope(|scope| {
        let other = &streams[1];
        let (begun, released) = (held.0, release.1);
        scope.spawn(move || {
            let _state = other.state();
            begun.send(()).unwrap();
            released.recv_timeout(PATIENCE).unwrap();
        });
        held.1.recv_timeout(PATIENCE).unwrap();
        let error = streams[0].allocate(900).err().unwrap();
        assert!(error.is_device_memory());
        release.0.send(()).unwrap();
    });
    streams[0].allocate(900).unwrap();
}

#[test]
fn when_pinned_memory_runs_out_all_streams_give_up_theirs() {
    let device = Recorder::with_memory(1_000);
    device.record().pinned_limit = 1;
    let (_, streams) = device.streams(2);
    streams[0].upload(&[1; 10]).unwrap();
    streams[1].upload(&[1; 10]).unwrap();
    assert_eq!(device.record().pinned, 1);
    device.record().pinned_limit = 0;
    let error = streams[0].upload(&[1; 10]).err().unwrap();
    assert!(error.is_device_memory(), "{error}");
    assert!(error.to_string().contains("pinned"), "{error}");
}

/// Runs a batch that is a zeroed buffer.
fn graphed(stream: &Arc<Stream>) -> crate::backend::cuda::Tensor {
    let run = || {
        let buffer = stream.allocate(8)?;
        stream.zero(&buffer, 8)?;
        Ok(crate::backend::cuda::Tensor {
            buffer,
            rows: 1,
            columns: 1,
            dtype: crate::backend::cuda::tensor::DType::Bf16,
        })
    };
    stream.run_graphed(vec![1], run).unwrap()
}

#[test]
fn results_are_dropped_after_those_who_read_them() {
    let device = Recorder::with_memory(1_000);
    let (_, streams) = device.streams(2);
    // The first is run, the second captured, the third a launch of the graph.
    for number in 0..3 {
        let result = graphed(&streams[0]);
        streams[1].wait_for_writer(&result.buffer).unwrap();
        device.record().waited_for.clear();
        drop(result);
        assert_eq!(device.record().waited_for, [1], "result {number}");
    }
}

#[test]
fn the_memory_of_an_evicted_graph_is_used_again() {
    let device = Recorder::with_memory(1_000);
    let (heap, streams) = device.streams(1);
    for _ in 0..3 {
        drop(graphed(&streams[0]));
    }
    let allocated = device.record().next;
    drop(std::mem::take(&mut streams[0].state().graphs));
    let _buffer = streams[0].allocate(8).unwrap();
    assert_eq!(device.record().next, allocated, "nothing new is allocated");
    assert_eq!(heap.usage().0, 8);
}

#[test]
fn work_is_added_while_a_download_is_waited_for() {
    let device = Recorder::with_memory(1 << 30);
    let (_, streams) = device.streams(1);
    let stream = &streams[0];
    let bytes = 2 * MAX_DOWNLOAD_BYTES + 3;
    let buffer = stream.allocate(bytes).unwrap();
    let (open, gate) = mpsc::channel();
    device.record().gate = Some(gate);
    let (done, is_done): (Sender<()>, _) = mpsc::channel();
    thread::scope(|scope| {
        let download = scope.spawn(|| stream.download(&buffer, bytes).unwrap());
        while device.record().gate.is_some() {
            thread::yield_now();
        }
        scope.spawn(|| {
            stream.zero(&buffer, 8).unwrap();
            stream.synchronize().unwrap();
            done.send(()).unwrap();
        });
        is_done
            .recv_timeout(PATIENCE)
            .expect("the download keeps others from adding work");
        open.send(()).unwrap();
        assert!(download.join().unwrap().iter().all(|byte| *byte == 7));
    });
}
