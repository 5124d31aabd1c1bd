//! Strings, arrays and objects that C code passes.

use std::ffi::{CStr, c_char};
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr;

use esparsa::{Error, Result};

/// A string of C: UTF-8 that ends with a zero byte. In the header it is `const char *`.
///
/// Only C code makes values of this type, and vouches by that for what the pointer leads to, while
/// the function runs.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct Text<'a>(*const c_char, PhantomData<&'a c_char>);

impl<'a> Text<'a> {
    /// The string; `name` is that of the parameter.
    ///
    /// # Errors
    ///
    /// A null pointer, and bytes that are not UTF-8.
    pub fn get(self, name: &str) -> Result<&'a str> {
        self.get_if_any(name)?.ok_or_else(|| missing(name))
    }

    /// The string, or `None` for a null pointer.
    ///
    /// # Errors
    ///
    /// Bytes that are not UTF-8.
    pub fn get_if_any(self, name: &str) -> Result<Option<&'a str>> {
        if self.0.is_null() {
            return Ok(None);
        }
        // SAFETY: C code made this value, and says by it that a string is there, which does not
        // change while the function runs.
        let text = unsafe { CStr::from_ptr(self.0) };
        let text = text.to_str().map_err(|error| {
            let at = error.valid_up_to();
            Error::invalid(format!(
                "expected `{name}` in UTF-8, found other bytes at byte {at}"
            ))
        })?;
        Ok(Some(text))
    }
}

/// The elements of an array of C; `name` is that of the parameter.
///
/// # Errors
///
/// A null pointer for an array that is not empty.
///
/// # Safety
///
/// Where the pointer is not null, it leads to `length` elements, which do not change for `'a`.
pub unsafe fn array<'a, T>(pointer: *const T, length: usize, name: &str) -> Result<&'a [T]> {
    if length == 0 {
        return Ok(&[]);
    }
    if pointer.is_null() {
        return Err(missing(name));
    }
    if !pointer.is_aligned() {
        return Err(Error::invalid(format!(
            "expected an array in `{name}` at a multiple of {} bytes, found another address",
            align_of::<T>()
        )));
    }
    if length > isize::MAX as usize / size_of::<T>().max(1) {
        return Err(Error::invalid(format!(
            "expected an array that fits in memory for `{name}`, found one of {length} elements"
        )));
    }
    // SAFETY: the pointer is not null, and the caller vouches for the elements.
    Ok(unsafe { std::slice::from_raw_parts(pointer, length) })
}

/// An object, which must be there; `name` is that of the parameter.
///
/// # Errors
///
/// A null pointer.
pub fn object<T>(object: Option<T>, name: &str) -> Result<T> {
    object.ok_or_else(|| missing(name))
}

/// Leaves an object for the caller, who frees it, and null where none was made.
///
/// # Errors
///
/// A null pointer; what making the object gives.
pub fn leave<T>(
    out: Option<&mut MaybeUninit<*mut T>>,
    name: &str,
    make: impl FnOnce() -> Result<T>,
) -> Result<()> {
    let out = object(out, name)?;
    out.write(ptr::null_mut());
    out.write(Box::into_raw(Box::new(make()?)));
    Ok(())
}

fn missing(name: &str) -> Error {
    Error::invalid(format!(
        "expected a pointer in `{name}`, found a null pointer"
    ))
}
