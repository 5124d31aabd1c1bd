//! A device for tests and for first runs on a new GPU, around another one.
//!
//! It records which kernels are launched, waits for each launch, so that an error names the kernel
//! that caused it, and fills new memory with NaN and never reuses it, so that a value that no kernel
//! wrote is noticed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::coverage;
use super::device::{Address, GpuDevice, GpuGraph, GpuStream, Kernel, TensorMap};
use super::guard;
use crate::error::{Error, Result};

/// NaN as bf16 and as f32.
const POISON: u8 = 0xff;

/// The launches of a device.
#[derive(Clone, Debug, Default)]
pub struct LaunchLog(Arc<Mutex<Launches>>);

#[derive(Debug, Default)]
struct Launches {
    /// How often each kernel was launched with each property ([`coverage`]).
    counts: BTreeMap<(&'static str, &'static str), u64>,
    /// Kernels since the last call of [`LaunchLog::take_recent`].
    recent: Vec<&'static str>,
}

impl LaunchLog {
    fn launches(&self) -> MutexGuard<'_, Launches> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self, kernel: &'static Kernel, grid: [u32; 3], parameters: &[u8]) {
        let mut launches = self.launches();
        *launches.counts.entry((kernel.name, "")).or_default() += 1;
        for property in coverage::properties(kernel, grid, parameters) {
            *launches.counts.entry((kernel.name, property)).or_default() += 1;
        }
        if !launches.recent.contains(&kernel.name) {
            launches.recent.push(kernel.name);
        }
    }

    /// The kernels launched since the last call, each once.
    #[must_use]
    pub fn take_recent(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.launches().recent)
    }

    /// Adds the counts of another device.
    pub fn add(&self, other: &Self) {
        let others = other.counts();
        let mut launches = self.launches();
        for (kernel, property, count) in others {
            *launches.counts.entry((kernel, property)).or_default() += count;
        }
    }

    /// How often each kernel was launched, and how often with each of its properties; the
    /// property is empty for the kernel as a whole.
    #[must_use]
    pub fn counts(&self) -> Vec<(&'static str, &'static str, u64)> {
        let launches = self.launches();
        let counts = launches.counts.iter();
        counts
            .map(|((kernel, property), count)| (*kernel, *property, *count))
            .collect()
    }

    /// What of the kernel table was not launched: kernels, or properties of kernels as `kernel:
    /// property`. Kernels for sm_90 only count if `is_hopper`.
    #[must_use]
    pub fn missed(&self, is_hopper: bool) -> Vec<String> {
        let launches = self.launches();
        coverage::wanted(is_hopper)
            .into_iter()
            .filter(|wanted| !launches.counts.contains_key(wanted))
            .map(|(kernel, property)| match property {
                "" => kernel.to_owned(),
                _ => format!("{kernel}: {property}"),
            })
            .collect()
    }
}

/// The device.
pub(super) struct Inspector {
    inner: Arc<dyn GpuDevice>,
    log: LaunchLog,
    /// The stream on which new memory is filled.
    filling: Box<dyn GpuStream>,
}

impl Inspector {
    pub(super) fn new(inner: Arc<dyn GpuDevice>) -> Result<(Self, LaunchLog)> {
        let log = LaunchLog::default();
        let inspector = Self {
            filling: inner.stream()?,
            inner,
            log: log.clone(),
        };
        Ok((inspector, log))
    }
}

impl GpuDevice for Inspector {
    fn name(&self) -> String {
        self.inner.name()
    }

    fn architecture(&self) -> u32 {
        self.inner.architecture()
    }

    fn multiprocessors(&self) -> u32 {
        self.inner.multiprocessors()
    }

    fn shared_bytes(&self) -> u32 {
        self.inner.shared_bytes()
    }

    fn granularity(&self) -> usize {
        self.inner.granularity()
    }

    fn reuses_buffers(&self) -> bool {
        false
    }

    fn allocate(&self, bytes: usize) -> Result<Address> {
        let address = self.inner.allocate(bytes)?;
        let filled = self
            .filling
            .fill(address, POISON, bytes)
            .and_then(|()| self.filling.synchronize());
        filled
            .map(|()| address)
            .inspect_err(|_| self.inner.free(address))
    }

    fn free(&self, address: Address) {
        self.inner.free(address);
    }

    fn memory(&self) -> Result<(usize, usize)> {
        self.inner.memory()
    }

    fn stream(&self) -> Result<Box<dyn GpuStream>> {
        Ok(Box::new(InspectedStream {
            inner: self.inner.stream()?,
            log: self.log.clone(),
            is_capturing: AtomicBool::new(false),
        }))
    }

    fn tensor_map(
        &self,
        address: Address,
        rows: usize,
        columns: usize,
        stride: usize,
        box_rows: usize,
    ) -> Result<TensorMap> {
        self.inner
            .tensor_map(address, rows, columns, stride, box_rows)
    }
}

struct InspectedStream {
    inner: Box<dyn GpuStream>,
    log: LaunchLog,
    is_capturing: AtomicBool,
}

impl GpuStream for InspectedStream {
    fn launch(
        &self,
        kernel: &'static Kernel,
        grid: [u32; 3],
        shared_bytes: u32,
        parameters: &[u8],
    ) -> Result<()> {
        self.log.record(kernel, grid, parameters);
        self.inner
            .launch(kernel, grid, shared_bytes, parameters)
            .map_err(|error| {
                // The driver names the kernel, and reports here what went wrong in it if it waits
                // for launches itself.
                Error::device(format!("{error}{}", guard::hint(&error.to_string())))
            })?;
        if self.is_capturing.load(Ordering::Acquire) {
            return Ok(());
        }
        self.inner.synchronize().map_err(|error| {
            let name = kernel.name;
            let hint = guard::hint(&error.to_string());
            Error::device(format!("kernel {name}, grid {grid:?}: {error}{hint}"))
        })
    }

    fn upload(&self, to: Address, bytes: &[u8]) -> Result<()> {
        self.inner.upload(to, bytes)
    }

    fn download(&self, from: Address, bytes: &mut [u8]) -> Result<()> {
        self.inner.download(from, bytes)
    }

    fn fill(&self, to: Address, byte: u8, bytes: usize) -> Result<()> {
        self.inner.fill(to, byte, bytes)
    }

    fn synchronize(&self) -> Result<()> {
        self.inner.synchronize()
    }

    fn begin_capture(&self) -> Result<()> {
        self.is_capturing.store(true, Ordering::Release);
        self.inner.begin_capture()
    }

    fn end_capture(&self) -> Result<Box<dyn GpuGraph>> {
        self.is_capturing.store(false, Ordering::Release);
        self.inner.end_capture()
    }
}
