//! An NVIDIA GPU, through the CUDA driver API.
//!
//! The driver library is loaded at run time; a machine without one gets an ordinary error. Of the
//! CUDA toolkit only NVRTC is needed, and only until all kernels are in the cache
//! ([`compile`](super::compile)).
#![allow(unsafe_code)]

mod context;
mod stream;

use std::ffi::CStr;
use std::sync::{Arc, OnceLock};

use cudarc::driver::sys::{self, CUdevice, CUdevice_attribute, CUresult};

use self::context::{Context, check};
use self::stream::DriverStream;
use super::cache::Cache;
use super::compile;
use super::device::{Address, GpuDevice, GpuStream, TensorMap};
use crate::error::{Error, Result};

/// The first architecture whose tensor cores multiply bf16, times ten.
const MIN_ARCHITECTURE: u32 = 80;
/// CUDA 12.0, whose driver is the first with tensor maps.
const MIN_DRIVER: i32 = 12000;
/// Columns of a tensor map's box: 128 bytes, the width of the swizzle.
const BOX_COLUMNS: u32 = 64;

/// A GPU.
pub(super) struct Driver {
    context: Arc<Context>,
    name: String,
    architecture: u32,
    multiprocessors: u32,
}

impl Driver {
    /// The number of GPUs.
    ///
    /// # Errors
    ///
    /// [`Error::Device`], saying what to install if there is no driver.
    pub(super) fn count() -> Result<usize> {
        match initialize()? {
            CUresult::CUDA_ERROR_NO_DEVICE => return Ok(0),
            result => check("cuInit", result)?,
        }
        let mut count = 0;
        // SAFETY: the driver is initialized, and the pointer is writable.
        check("cuDeviceGetCount", unsafe {
            sys::cuDeviceGetCount(&mut count)
        })?;
        Ok(usize::try_from(count).unwrap_or(0))
    }

    /// Opens the GPU with this number, from 0.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] if there is no driver, no such GPU, one that is too old, or neither NVRTC
    /// nor a cache with the kernels.
    pub(super) fn open(ordinal: usize) -> Result<Self> {
        let count = Self::count()?;
        if ordinal >= count {
            return Err(Error::device(format!(
                "expected an NVIDIA GPU with number {ordinal} (from 0), found {count} GPUs; \
                 see nvidia-smi and CUDA_VISIBLE_DEVICES, or run models on the CPU"
            )));
        }
        let mut driver = 0;
        // SAFETY: the pointer is writable.
        check("cuDriverGetVersion", unsafe {
            sys::cuDriverGetVersion(&mut driver)
        })?;
        if driver < MIN_DRIVER {
            return Err(Error::device(format!(
                "expected an NVIDIA driver for CUDA {} or newer (525 or newer), found one for CUDA {}; install a newer driver",
                version_text(MIN_DRIVER),
                version_text(driver)
            )));
        }
        let mut device = 0;
        // SAFETY: the driver is initialized, and the pointer is writable.
        check("cuDeviceGet", unsafe {
            sys::cuDeviceGet(&mut device, ordinal as i32)
        })?;

        let [major, minor, multiprocessors, shared_bytes] = {
            use CUdevice_attribute as A;
            [
                attribute(device, A::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?,
                attribute(device, A::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?,
                attribute(device, A::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?,
                attribute(
                    device,
                    A::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN,
                )?,
            ]
        };
        let (gpu, architecture) = (gpu_name(device)?, major * 10 + minor);
        if architecture < MIN_ARCHITECTURE {
            return Err(Error::device(format!(
                "{gpu}: expected a GPU of compute capability 8.0 (Ampere) or newer, found {major}.{minor}; \
                 run models on the CPU"
            )));
        }
        let cache = Cache::of_user();
        compile::is_possible(&cache, architecture)?;
        Ok(Self {
            name: format!("{gpu}, sm_{architecture}, driver {}", version_text(driver)),
            architecture,
            multiprocessors,
            context: Arc::new(Context::new(
                device,
                architecture,
                shared_bytes,
                driver,
                cache,
            )?),
        })
    }
}

/// Loads and initializes the driver library, once per process.
fn initialize() -> Result<CUresult> {
    static RESULT: OnceLock<Option<CUresult>> = OnceLock::new();
    let result = RESULT.get_or_init(|| {
        // SAFETY: loading the library runs its initializers, which only set up its own data.
        if !unsafe { sys::is_culib_present() } {
            return None;
        }
        // SAFETY: the library is loaded; 0 is the only valid argument.
        Some(unsafe { sys::cuInit(0) })
    });
    match result {
        Some(CUresult::CUDA_ERROR_STUB_LIBRARY) => Err(Error::device(format!(
            "no NVIDIA driver: {} is the stub of the CUDA toolkit, for linking only; take its folder out of LD_LIBRARY_PATH, \
             install NVIDIA's driver (525 or newer) if there is none, or run models on the CPU",
            loaded("libcuda.so").unwrap_or_else(|| "the libcuda.so that was loaded".into())
        ))),
        Some(result) => Ok(*result),
        None => {
            let library = if cfg!(windows) {
                "nvcuda.dll"
            } else {
                "libcuda.so.1"
            };
            Err(Error::device(format!(
                "no NVIDIA driver: {library} cannot be loaded; install NVIDIA's driver (525 or newer), or run models on the CPU"
            )))
        }
    }
}

/// The path of a loaded library whose name begins like this, on Linux.
fn loaded(name: &str) -> Option<String> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let mut paths = maps
        .lines()
        .filter_map(|line| Some(&line[line.find('/')?..]));
    let is_it = |path: &&str| {
        path.rsplit('/')
            .next()
            .is_some_and(|file| file.starts_with(name))
    };
    paths.find(is_it).map(str::to_owned)
}

fn attribute(device: CUdevice, attribute: CUdevice_attribute) -> Result<u32> {
    let mut value = 0;
    // SAFETY: the driver returned the device, and the pointer is writable.
    check("cuDeviceGetAttribute", unsafe {
        sys::cuDeviceGetAttribute(&mut value, attribute, device)
    })?;
    Ok(u32::try_from(value).unwrap_or(0))
}

fn gpu_name(device: CUdevice) -> Result<String> {
    let mut name = [0u8; 256];
    // SAFETY: the driver returned the device, and the buffer has the given size.
    let result =
        unsafe { sys::cuDeviceGetName(name.as_mut_ptr().cast(), name.len() as i32, device) };
    check("cuDeviceGetName", result)?;
    let name = CStr::from_bytes_until_nul(&name).unwrap_or_default();
    Ok(name.to_string_lossy().into_owned())
}

/// 12080 is 12.8.
fn version_text(version: i32) -> String {
    format!("{}.{}", version / 1000, version % 1000 / 10)
}

impl GpuDevice for Driver {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn architecture(&self) -> u32 {
        self.architecture
    }

    fn multiprocessors(&self) -> u32 {
        self.multiprocessors
    }

    fn shared_bytes(&self) -> u32 {
        self.context.shared_bytes
    }

    fn granularity(&self) -> usize {
        512
    }

    fn reuses_buffers(&self) -> bool {
        true
    }

    fn allocate(&self, bytes: usize) -> Result<Address> {
        let _current = self.context.enter()?;
        let mut address = 0;
        // SAFETY: the context is current, and the pointer is writable.
        match unsafe { sys::cuMemAlloc_v2(&mut address, bytes.max(1)) } {
            CUresult::CUDA_ERROR_OUT_OF_MEMORY => {
                let (free, _) = self.memory()?;
                Err(Error::device_memory(bytes as u64, free as u64))
            }
            result => check("cuMemAlloc", result).map(|()| address),
        }
    }

    fn free(&self, address: Address) {
        let Ok(_current) = self.context.enter() else {
            return;
        };
        // SAFETY: the address came from `allocate`, and by its contract nothing uses it any more.
        // If an earlier error, reported then, broke the context, its memory is lost anyway.
        let _ = unsafe { sys::cuMemFree_v2(address) };
    }

    fn memory(&self) -> Result<(usize, usize)> {
        let _current = self.context.enter()?;
        let (mut free, mut total) = (0, 0);
        // SAFETY: the context is current, and both pointers are writable.
        check("cuMemGetInfo", unsafe {
            sys::cuMemGetInfo_v2(&mut free, &mut total)
        })?;
        Ok((free, total))
    }

    fn stream(&self) -> Result<Box<dyn GpuStream>> {
        let stream = DriverStream::new(Arc::clone(&self.context))?;
        Ok(Box::new(stream))
    }

    fn tensor_map(
        &self,
        address: Address,
        rows: usize,
        columns: usize,
        stride: usize,
        box_rows: usize,
    ) -> Result<TensorMap> {
        let _current = self.context.enter()?;
        let mut map = sys::CUtensorMap { opaque: [0; 16] };
        let sizes = [columns as u64, rows as u64];
        let row_bytes = [stride as u64 * 2];
        let box_sizes = [BOX_COLUMNS, u32::try_from(box_rows).unwrap_or(u32::MAX)];
        let every = [1, 1];
        // SAFETY: the map and the arrays live through the call and have as many elements as a
        // 2-dimensional tensor needs (one stride less); the address is only stored.
        let result = unsafe {
            sys::cuTensorMapEncodeTiled(
                &mut map,
                sys::CUtensorMapDataType::CU_TENSOR_MAP_DATA_TYPE_BFLOAT16,
                2,
                address as *mut _,
                sizes.as_ptr(),
                row_bytes.as_ptr(),
                box_sizes.as_ptr(),
                every.as_ptr(),
                sys::CUtensorMapInterleave::CU_TENSOR_MAP_INTERLEAVE_NONE,
                sys::CUtensorMapSwizzle::CU_TENSOR_MAP_SWIZZLE_128B,
                sys::CUtensorMapL2promotion::CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
                sys::CUtensorMapFloatOOBfill::CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE,
            )
        };
        check("cuTensorMapEncodeTiled", result).map_err(|error| {
            Error::device(format!("{rows} × {columns} values at {address:#x}, stride {stride}, boxes of {box_rows} rows: {error}"))
        })?;
        Ok(TensorMap(map.opaque))
    }
}

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;
