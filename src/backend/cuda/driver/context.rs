//! The CUDA context of a GPU with its loaded kernels, and the errors of the driver.

use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::marker::PhantomData;
use std::ptr;
use std::sync::{Mutex, PoisonError, RwLock};

use cudarc::driver::sys::{
    self, CUcontext, CUdevice, CUfunction, CUfunction_attribute, CUmodule, CUresult,
};

use crate::backend::cuda::cache::Cache;
use crate::backend::cuda::compile;
use crate::backend::cuda::device::Kernel;
use crate::backend::cuda::driver::version_text;
use crate::error::{Error, Result};

/// `Ok` for success, otherwise an error with the name of the call and the driver's name and text.
pub(super) fn check(call: &str, result: CUresult) -> Result<()> {
    if result == CUresult::CUDA_SUCCESS {
        return Ok(());
    }
    let (mut name, mut text) = (ptr::null(), ptr::null());
    // SAFETY: both pointers are writable; they receive static strings, or null for an unknown
    // error.
    let (name, text) = unsafe {
        let _ = sys::cuGetErrorName(result, &mut name);
        let _ = sys::cuGetErrorString(result, &mut text);
        [name, text]
            .map(|string| (!string.is_null()).then(|| CStr::from_ptr(string).to_string_lossy()))
            .into()
    };
    let name = name.unwrap_or_else(|| format!("{result:?}").into());
    let text = text.unwrap_or_else(|| "an error that the driver has no text for".into());
    let lost = match result {
        CUresult::CUDA_ERROR_ILLEGAL_ADDRESS
        | CUresult::CUDA_ERROR_LAUNCH_FAILED
        | CUresult::CUDA_ERROR_LAUNCH_TIMEOUT
        | CUresult::CUDA_ERROR_MISALIGNED_ADDRESS
        | CUresult::CUDA_ERROR_ILLEGAL_INSTRUCTION
        | CUresult::CUDA_ERROR_HARDWARE_STACK_ERROR
        | CUresult::CUDA_ERROR_ECC_UNCORRECTABLE => "; this process can use the device no more",
        _ => "",
    };
    Err(Error::device(format!("{call}: {name} ({text}){lost}")))
}

/// CUDA 12.4, whose driver is the first to tell the sizes of kernel parameters.
const PARAMETER_INFO_DRIVER: i32 = 12040;

/// A loaded kernel.
#[derive(Clone, Copy)]
pub(super) struct Function {
    pub(super) handle: CUfunction,
}

// SAFETY: driver handles may be used from any thread.
unsafe impl Send for Function {}
// SAFETY: as above; a handle is a number that never changes.
unsafe impl Sync for Function {}

struct Module {
    handle: CUmodule,
}

// SAFETY: driver handles may be used from any thread.
unsafe impl Send for Module {}

/// The primary context of a GPU, with the kernels loaded so far.
pub(super) struct Context {
    device: CUdevice,
    handle: CUcontext,
    architecture: u32,
    /// The maximum number of bytes of shared memory per block.
    pub(super) shared_bytes: u32,
    /// The driver's version, such as 12040 for CUDA 12.4.
    driver: i32,
    cache: Cache,
    modules: Mutex<HashMap<&'static str, Module>>,
    functions: RwLock<HashMap<&'static str, Function>>,
}

// SAFETY: driver handles may be used from any thread; the rest is behind locks.
unsafe impl Send for Context {}
// SAFETY: as above.
unsafe impl Sync for Context {}

/// A context that is current on this thread.
#[must_use = "the context is current as long as this lives"]
pub(super) struct Current<'a> {
    _context: &'a Context,
    /// It must be dropped on its thread.
    _of_thread: PhantomData<*const ()>,
}

impl Drop for Current<'_> {
    fn drop(&mut self) {
        let mut popped = ptr::null_mut();
        // SAFETY: the pointer is writable. The context was pushed on this thread, because the guard
        // cannot leave it.
        let _ = unsafe { sys::cuCtxPopCurrent_v2(&mut popped) };
    }
}

impl Context {
    pub(super) fn new(
        device: CUdevice,
        architecture: u32,
        shared_bytes: u32,
        driver: i32,
        cache: Cache,
    ) -> Result<Self> {
        let mut handle = ptr::null_mut();
        // SAFETY: the driver returned the device, and the pointer is writable.
        check("cuDevicePrimaryCtxRetain", unsafe {
            sys::cuDevicePrimaryCtxRetain(&mut handle, device)
        })?;
        Ok(Self {
            device,
            handle,
            architecture,
            shared_bytes,
            driver,
            cache,
            modules: Mutex::default(),
            functions: RwLock::default(),
        })
    }

    /// Makes it current on this thread, as all other calls require, until the guard is dropped:
    /// then the context of the program that called is current again.
    pub(super) fn enter(&self) -> Result<Current<'_>> {
        // SAFETY: the context is retained as long as `self` lives, which outlives the guard.
        check("cuCtxPushCurrent", unsafe {
            sys::cuCtxPushCurrent_v2(self.handle)
        })?;
        Ok(Current {
            _context: self,
            _of_thread: PhantomData,
        })
    }

    /// A kernel, compiled and loaded on first use. The context must be current.
    pub(super) fn function(&self, kernel: &Kernel) -> Result<Function> {
        let functions = self
            .functions
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(function) = functions.get(kernel.name) {
            return Ok(*function);
        }
        drop(functions);
        let function = self.load(kernel)?;
        let mut functions = self
            .functions
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        functions.insert(kernel.name, function);
        Ok(function)
    }

    fn load(&self, kernel: &Kernel) -> Result<Function> {
        let mut modules = self.modules.lock().unwrap_or_else(PoisonError::into_inner);
        let module = match modules.get(kernel.file) {
            Some(module) => module,
            None => {
                let module = self.load_module(kernel.file)?;
                modules.entry(kernel.file).or_insert(module)
            }
        };
        let name = CString::new(kernel.name).map_err(|_| {
            Error::device(format!("{}: expected the name of a kernel", kernel.name))
        })?;
        let mut handle = ptr::null_mut();
        // SAFETY: the module is loaded in the current context, the name is null-terminated, and the
        // pointer is writable.
        check("cuModuleGetFunction", unsafe {
            sys::cuModuleGetFunction(&mut handle, module.handle, name.as_ptr())
        })
        .map_err(|error| Error::device(format!("{}, {}: {error}", kernel.file, kernel.name)))?;
        let function = Function { handle };
        self.prepare(kernel, function)?;
        Ok(function)
    }

    fn load_module(&self, file: &str) -> Result<Module> {
        let code = compile::module(&self.cache, file, self.architecture)?;
        let mut handle = ptr::null_mut();
        // SAFETY: the context is current; the code is a complete ELF file from NVRTC, verified by
        // the cache if it comes from there.
        check("cuModuleLoadData", unsafe { sys::cuModuleLoadData(&mut handle, code.as_ptr().cast()) }).map_err(|error| {
            Error::device(format!(
                "{file}: {error}; the driver is for CUDA {}: NVRTC must not be of a later one (ESPARSA_NVRTC names the folder of another)",
                version_text(self.driver)
            ))
        })?;
        Ok(Module { handle })
    }

    /// Checks the kernel against its row in the table, and raises its limit of dynamic shared
    /// memory to the maximum: the default is 48 KB per block.
    fn prepare(&self, kernel: &Kernel, function: Function) -> Result<()> {
        use CUfunction_attribute as A;
        let threads = attribute(function, A::CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK)?;
        if threads < kernel.threads {
            return Err(Error::device(format!(
                "{}, {}: expected a kernel for {} threads per block, found at most {threads}",
                kernel.file, kernel.name, kernel.threads
            )));
        }
        // The library is loaded at run time: calling a function that it lacks would panic.
        if self.driver >= PARAMETER_INFO_DRIVER {
            let (mut offset, mut bytes) = (0, 0);
            // SAFETY: the function is loaded in the current context, and both pointers are
            // writable.
            let result =
                unsafe { sys::cuFuncGetParamInfo(function.handle, 0, &mut offset, &mut bytes) };
            check("cuFuncGetParamInfo", result)?;
            if bytes != kernel.parameter_bytes {
                return Err(Error::device(format!(
                    "{}, {}: expected {} bytes of parameters, found {bytes}",
                    kernel.file, kernel.name, kernel.parameter_bytes
                )));
            }
        }
        let fixed = attribute(function, A::CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES)?;
        let max = self.shared_bytes.saturating_sub(fixed);
        let attribute = A::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
        // SAFETY: the function is loaded in the current context.
        let result = unsafe { sys::cuFuncSetAttribute(function.handle, attribute, max as i32) };
        check("cuFuncSetAttribute", result)
    }
}

fn attribute(function: Function, attribute: CUfunction_attribute) -> Result<u32> {
    let mut value = 0;
    // SAFETY: the function is loaded in the current context, and the pointer is writable.
    let result = unsafe { sys::cuFuncGetAttribute(&mut value, attribute, function.handle) };
    check("cuFuncGetAttribute", result)?;
    Ok(u32::try_from(value).unwrap_or(0))
}

impl Drop for Context {
    fn drop(&mut self) {
        let modules = std::mem::take(
            self.modules
                .get_mut()
                .unwrap_or_else(PoisonError::into_inner),
        );
        if let Ok(_current) = self.enter() {
            for module in modules.values() {
                // SAFETY: the module was loaded in this context; streams and graphs hold the
                // context, so none is left that could run its kernels.
                let _ = unsafe { sys::cuModuleUnload(module.handle) };
            }
        }
        // SAFETY: it was retained in `new` and is released once.
        let _ = unsafe { sys::cuDevicePrimaryCtxRelease_v2(self.device) };
    }
}
