//! NVRTC, NVIDIA's run-time compiler library, through handles of our own.
//!
//! The functions are looked up in the library that was opened, not by the loader in whichever
//! library of that name it finds: `ESPARSA_NVRTC` therefore decides which one compiles, and one
//! process can use several versions.

use std::env;
use std::ffi::{CStr, CString, OsStr, OsString, c_char, c_int, c_void};
use std::fs;
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::OnceLock;

use libloading::Library;

use crate::error::{Error, Result};

const ADVICE: &str = "install the CUDA toolkit, or the Python package nvidia-cuda-nvrtc, and name the folder of libnvrtc \
                      in LD_LIBRARY_PATH or ESPARSA_NVRTC";

/// The names by which the loader is asked: first that of the toolkit which is the machine's default.
const NAMES: &[&str] = match cfg!(windows) {
    true => &["nvrtc64_130_0.dll", "nvrtc64_120_0.dll"],
    false => &["libnvrtc.so", "libnvrtc.so.13", "libnvrtc.so.12"],
};

/// A program as NVRTC sees it.
type Handle = *mut c_void;
/// The functions that give the size of a result, and that write it.
type GetSize = unsafe extern "C" fn(Handle, *mut usize) -> c_int;
type GetBytes = unsafe extern "C" fn(Handle, *mut c_char) -> c_int;

/// An opened NVRTC. Its functions may be called from any thread.
pub(super) struct Nvrtc {
    version: (i32, i32),
    create: unsafe extern "C" fn(
        *mut Handle,
        *const c_char,
        *const c_char,
        c_int,
        *const *const c_char,
        *const *const c_char,
    ) -> c_int,
    destroy: unsafe extern "C" fn(*mut Handle) -> c_int,
    compile: unsafe extern "C" fn(Handle, c_int, *const *const c_char) -> c_int,
    error_string: unsafe extern "C" fn(c_int) -> *const c_char,
    log: (GetSize, GetBytes),
    cubin: (GetSize, GetBytes),
    #[cfg(test)]
    ptx: (GetSize, GetBytes),
    /// What the functions are part of.
    _library: Library,
}

/// The NVRTC of this process: the one that `$ESPARSA_NVRTC` names, otherwise the one that the
/// loader finds. It is opened on the first call.
///
/// # Errors
///
/// [`Error::Device`], saying what to install if it is missing.
pub(super) fn nvrtc() -> Result<&'static Nvrtc> {
    static FOUND: OnceLock<std::result::Result<Nvrtc, String>> = OnceLock::new();
    let found = FOUND.get_or_init(|| {
        match env::var_os("ESPARSA_NVRTC").filter(|place| !place.is_empty()) {
            Some(place) => Nvrtc::open(Path::new(&place)),
            None => Nvrtc::of_loader(),
        }
    });
    found
        .as_ref()
        .map_err(|message| Error::device(message.clone()))
}

impl Nvrtc {
    /// Opens the library in a folder, or this file.
    pub(super) fn open(place: &Path) -> std::result::Result<Self, String> {
        let file = match place.is_dir() {
            true => library_in(place),
            false => Some(place.to_path_buf()),
        };
        let Some(file) = file else {
            return Err(format!(
                "{}: expected a folder with libnvrtc, as ESPARSA_NVRTC says, found none in it; {ADVICE}",
                place.display()
            ));
        };
        let failed = |error: String| {
            format!(
                "{}: cannot load NVRTC from ESPARSA_NVRTC: {error}",
                file.display()
            )
        };
        // SAFETY: loading a library runs its initializers; whoever sets the variable vouches that
        // it is NVRTC, whose initializers only set up its own data.
        let library = unsafe { Library::new(&file) }.map_err(|error| failed(error.to_string()))?;
        let nvrtc = Self::from(library).map_err(failed)?;
        nvrtc.open_builtins(file.parent().unwrap_or(Path::new("")));
        Ok(nvrtc)
    }

    /// Opens the library that the loader finds by name.
    fn of_loader() -> std::result::Result<Self, String> {
        // SAFETY: loading a library runs its initializers; NVRTC's only set up its own data.
        let library = NAMES
            .iter()
            .find_map(|name| unsafe { Library::new(*name) }.ok());
        let library = library.ok_or_else(|| {
            format!("kernels cannot be compiled: the library NVRTC is not found; {ADVICE}")
        })?;
        Self::from(library)
    }

    fn from(library: Library) -> std::result::Result<Self, String> {
        let version: unsafe extern "C" fn(*mut c_int, *mut c_int) -> c_int =
            symbol(&library, "nvrtcVersion")?;
        let (mut major, mut minor) = (0, 0);
        // SAFETY: the library is loaded, and both pointers are writable.
        let result = unsafe { version(&mut major, &mut minor) };
        let sized = |size: &str, bytes: &str| {
            Ok::<_, String>((symbol(&library, size)?, symbol(&library, bytes)?))
        };
        let nvrtc = Self {
            version: (major, minor),
            create: symbol(&library, "nvrtcCreateProgram")?,
            destroy: symbol(&library, "nvrtcDestroyProgram")?,
            compile: symbol(&library, "nvrtcCompileProgram")?,
            error_string: symbol(&library, "nvrtcGetErrorString")?,
            log: sized("nvrtcGetProgramLogSize", "nvrtcGetProgramLog")?,
            cubin: sized("nvrtcGetCUBINSize", "nvrtcGetCUBIN")?,
            #[cfg(test)]
            ptx: sized("nvrtcGetPTXSize", "nvrtcGetPTX")?,
            _library: library,
        };
        nvrtc.check("nvrtcVersion", result)?;
        Ok(nvrtc)
    }

    /// Opens the headers that NVRTC loads by name from the folder that NVRTC lies in. Some versions
    /// look there themselves, others (13.0) only where the loader looks.
    fn open_builtins(&self, folder: &Path) {
        let (major, minor) = self.version;
        let file = folder.join(format!("libnvrtc-builtins.so.{major}.{minor}"));
        if !file.is_file() {
            return;
        }
        // SAFETY: as for NVRTC, whose part it is.
        if let Ok(library) = unsafe { Library::new(file) } {
            // Dropping the handle would unload the library.
            std::mem::forget(library);
        }
    }

    /// Major and minor version.
    pub(super) fn version(&self) -> (i32, i32) {
        self.version
    }

    fn check(&self, call: &str, result: c_int) -> std::result::Result<(), String> {
        if result == 0 {
            return Ok(());
        }
        // SAFETY: the function takes any number and returns a static string.
        let text = unsafe { CStr::from_ptr((self.error_string)(result)) };
        Err(format!("{call}: {}", text.to_string_lossy()))
    }

    /// Compiles a source, which messages call `file`, to a cubin or to PTX, as the options say.
    pub(super) fn compile(
        &self,
        file: &str,
        text: &str,
        options: &[String],
    ) -> Result<Program<'_>> {
        let (major, minor) = self.version;
        let failed = |error: String| {
            Error::device(format!(
                "NVRTC {major}.{minor}, {file}, {}: {error}",
                options[0]
            ))
        };
        let c_string = |text: &str| {
            CString::new(text).map_err(|_| Error::device(format!("{file}: a source has a byte 0")))
        };
        let (name, text) = (c_string(file)?, c_string(text)?);
        let arguments = options.iter().map(|option| c_string(option));
        let arguments = arguments.collect::<Result<Vec<_>>>()?;

        let program = Program::new(self, &name, &text).map_err(failed)?;
        match program.compile(&arguments) {
            Ok(()) => Ok(program),
            Err(error) => {
                let log = program.log().map_err(failed)?;
                Err(failed(format!("{error}\n{log}")))
            }
        }
    }
}

/// A function of the library.
fn symbol<T: Copy>(library: &Library, name: &str) -> std::result::Result<T, String> {
    // SAFETY: callers give the functions of NVRTC the types that its header gives them; those used
    // here have had them since CUDA 11. The library outlives the pointer: both are in `Nvrtc`.
    let symbol = unsafe { library.get::<T>(name.as_bytes()) };
    symbol
        .map(|symbol| *symbol)
        .map_err(|error| format!("expected NVRTC of CUDA 12 or later: {error}"))
}

/// The NVRTC library in a folder: `libnvrtc.so.12`, `nvrtc64_120_0.dll`, but not its parts
/// (`libnvrtc-builtins.so.12.9`) or variants. Of several, the last in name order.
pub(super) fn library_in(folder: &Path) -> Option<PathBuf> {
    let names = fs::read_dir(folder).ok()?;
    let names = names.filter_map(|entry| Some(entry.ok()?.file_name()));
    let library = names.filter(is_library).max();
    Some(folder.join(library?))
}

fn is_library(name: &OsString) -> bool {
    let name = OsStr::to_string_lossy(name);
    name.starts_with("libnvrtc.so") || name.starts_with("nvrtc64_") && name.ends_with("_0.dll")
}

/// A compiled program.
pub(super) struct Program<'a> {
    nvrtc: &'a Nvrtc,
    handle: Handle,
}

impl Drop for Program<'_> {
    fn drop(&mut self) {
        // SAFETY: the program was created and is destroyed only here.
        let _ = unsafe { (self.nvrtc.destroy)(&mut self.handle) };
    }
}

impl<'a> Program<'a> {
    fn new(nvrtc: &'a Nvrtc, name: &CStr, text: &CStr) -> std::result::Result<Self, String> {
        let mut handle = ptr::null_mut();
        // SAFETY: both strings are null-terminated and copied; there are no headers.
        let result = unsafe {
            let (text, name, none) = (text.as_ptr(), name.as_ptr(), ptr::null());
            (nvrtc.create)(&mut handle, text, name, 0, none, none)
        };
        nvrtc.check("nvrtcCreateProgram", result)?;
        Ok(Self { nvrtc, handle })
    }

    fn compile(&self, options: &[CString]) -> std::result::Result<(), String> {
        let options: Vec<*const c_char> = options.iter().map(|option| option.as_ptr()).collect();
        let count = options.len() as c_int;
        // SAFETY: the program is alive, and `options` has `count` pointers to null-terminated
        // strings.
        let result = unsafe { (self.nvrtc.compile)(self.handle, count, options.as_ptr()) };
        self.nvrtc.check("nvrtcCompileProgram", result)
    }

    /// A result of the compilation.
    fn read(
        &self,
        name: &str,
        (size, write): (GetSize, GetBytes),
    ) -> std::result::Result<Vec<u8>, String> {
        let mut bytes = 0;
        // SAFETY: the program is alive, and the pointer is writable.
        self.nvrtc
            .check(name, unsafe { size(self.handle, &mut bytes) })?;
        let mut out = vec![0_u8; bytes];
        // SAFETY: the program is alive, and the buffer has the size that NVRTC returned.
        self.nvrtc
            .check(name, unsafe { write(self.handle, out.as_mut_ptr().cast()) })?;
        Ok(out)
    }

    /// The messages of the compiler and of ptxas.
    pub(super) fn log(&self) -> std::result::Result<String, String> {
        let log = self.read("nvrtcGetProgramLog", self.nvrtc.log)?;
        let text = String::from_utf8_lossy(&log);
        Ok(text.trim_end_matches('\0').trim_end().to_owned())
    }

    /// The machine code.
    pub(super) fn cubin(&self) -> std::result::Result<Vec<u8>, String> {
        self.read("nvrtcGetCUBIN", self.nvrtc.cubin)
    }

    #[cfg(test)]
    pub(super) fn ptx(&self) -> std::result::Result<Vec<u8>, String> {
        self.read("nvrtcGetPTX", self.nvrtc.ptx)
    }
}
