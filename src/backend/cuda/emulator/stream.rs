//! Streams of the emulated GPU: they work at once, or as late as they may.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::super::device::{Address, GpuGraph, GpuStream, Kernel};
use super::Emulator;
use crate::error::{Error, Result};

/// Work of a stream.
#[derive(Clone)]
enum Work {
    Launch(&'static Kernel, [u32; 3], u32, Vec<u8>),
    Fill(Address, u8, usize),
    Upload(Address, Vec<u8>),
}

impl Work {
    fn run(&self, gpu: &Emulator) -> Result<()> {
        match self {
            Self::Launch(_, grid, ..) if grid.contains(&0) => Ok(()),
            Self::Launch(kernel, grid, shared_bytes, parameters) => {
                gpu.launch(kernel, *grid, *shared_bytes, parameters)
            }
            Self::Fill(to, byte, bytes) => {
                gpu.check_live(*to, *bytes)?;
                // SAFETY: the bytes are allocated.
                unsafe { std::ptr::write_bytes(*to as *mut u8, *byte, *bytes) };
                Ok(())
            }
            Self::Upload(to, bytes) => {
                gpu.check_live(*to, bytes.len())?;
                // SAFETY: the bytes are allocated.
                unsafe {
                    std::ptr::copy_nonoverlapping(bytes.as_ptr(), *to as *mut u8, bytes.len());
                }
                Ok(())
            }
        }
    }
}

/// The work that a stream has not done yet, in order.
#[derive(Default)]
pub(super) struct WorkList {
    waiting: Mutex<VecDeque<Work>>,
    /// Held by the thread that does the work.
    working: Mutex<()>,
    /// The first failure of work that another stream's turn has done.
    failure: Mutex<Option<Error>>,
}

impl WorkList {
    fn waiting(&self) -> MutexGuard<'_, VecDeque<Work>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does the first piece of work; `None` if there is none.
    fn run_one(&self, gpu: &Emulator) -> Option<Result<()>> {
        let work = self.waiting().pop_front()?;
        Some(work.run(gpu))
    }
}

pub(super) struct EmulatedStream {
    gpu: Emulator,
    captured: Mutex<Option<Vec<Work>>>,
    list: Arc<WorkList>,
}

impl EmulatedStream {
    pub(super) fn new(gpu: &Emulator) -> Self {
        Self {
            gpu: gpu.clone(),
            captured: Mutex::default(),
            list: Arc::default(),
        }
    }

    pub(super) fn list(&self) -> Weak<WorkList> {
        Arc::downgrade(&self.list)
    }

    fn captured(&self) -> MutexGuard<'_, Option<Vec<Work>>> {
        self.captured.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Captures the work, does it, or lets it wait.
    fn add(&self, work: Work) -> Result<()> {
        if let Some(captured) = self.captured().as_mut() {
            captured.push(work);
            return Ok(());
        }
        if !self.gpu.is_late {
            return work.run(&self.gpu);
        }
        self.list.waiting().push_back(work);
        Ok(())
    }

    fn refuse_while_capturing(&self, what: &str) -> Result<()> {
        match self.captured().is_some() {
            true => Err(Error::device(format!("{what} during graph capture"))),
            false => Ok(()),
        }
    }

    /// Does all work of the stream, and, as the schedule says, some of others before each piece.
    fn finish(&self) -> Result<()> {
        let _working = self
            .list
            .working
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let others: Vec<_> = {
            let streams = self.gpu.streams.lock();
            let streams = streams.unwrap_or_else(PoisonError::into_inner);
            let lists = streams.iter().filter_map(Weak::upgrade);
            lists
                .filter(|list| !Arc::ptr_eq(list, &self.list))
                .collect()
        };
        let mut draw = self.gpu.schedule;
        loop {
            for other in &others {
                draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                // Schedule 0 and every fourth leave the others behind.
                let is_turn = !self.gpu.schedule.is_multiple_of(4) && draw >> 62 == 0;
                if is_turn && let Ok(_working) = other.working.try_lock() {
                    let failed = other.run_one(&self.gpu).and_then(Result::err);
                    let mut failure = other.failure.lock().unwrap_or_else(PoisonError::into_inner);
                    *failure = failure.take().or(failed);
                }
            }
            match self.list.run_one(&self.gpu) {
                Some(result) => result?,
                None => break,
            }
        }
        let mut failure = self.list.failure.lock();
        let failure = failure.as_mut().map_or(None, |failure| failure.take());
        failure.map_or(Ok(()), Err)
    }
}

impl GpuStream for EmulatedStream {
    fn finishes_at_once(&self) -> bool {
        !self.gpu.is_late
    }

    fn launch(
        &self,
        kernel: &'static Kernel,
        grid: [u32; 3],
        shared_bytes: u32,
        parameters: &[u8],
    ) -> Result<()> {
        self.add(Work::Launch(
            kernel,
            grid,
            shared_bytes,
            parameters.to_vec(),
        ))
    }

    fn upload(&self, to: Address, bytes: &[u8]) -> Result<()> {
        self.refuse_while_capturing("an upload")?;
        self.add(Work::Upload(to, bytes.to_vec()))
    }

    fn download(&self, from: Address, bytes: &mut [u8]) -> Result<()> {
        self.refuse_while_capturing("a download")?;
        self.finish()?;
        self.gpu.check_live(from, bytes.len())?;
        // SAFETY: the bytes are allocated.
        unsafe {
            std::ptr::copy_nonoverlapping(from as *const u8, bytes.as_mut_ptr(), bytes.len());
        }
        Ok(())
    }

    fn fill(&self, to: Address, byte: u8, bytes: usize) -> Result<()> {
        self.add(Work::Fill(to, byte, bytes))
    }

    fn synchronize(&self) -> Result<()> {
        self.refuse_while_capturing("synchronization")?;
        self.finish()
    }

    fn begin_capture(&self) -> Result<()> {
        *self.captured() = Some(Vec::new());
        Ok(())
    }

    fn end_capture(&self) -> Result<Box<dyn GpuGraph>> {
        let work = self.captured().take();
        Ok(Box::new(EmulatedGraph {
            gpu: self.gpu.clone(),
            list: Arc::clone(&self.list),
            work: work.ok_or_else(|| Error::device("a graph capture ended that was not begun"))?,
        }))
    }
}

struct EmulatedGraph {
    gpu: Emulator,
    list: Arc<WorkList>,
    work: Vec<Work>,
}

impl GpuGraph for EmulatedGraph {
    fn launch(&self) -> Result<()> {
        if self.gpu.is_late {
            self.list.waiting().extend(self.work.iter().cloned());
            return Ok(());
        }
        self.work.iter().try_for_each(|work| work.run(&self.gpu))
    }
}

impl Drop for EmulatedStream {
    /// A GPU does all work that was added.
    fn drop(&mut self) {
        let _ = self.finish();
    }
}
