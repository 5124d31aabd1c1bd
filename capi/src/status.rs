//! What functions return, and the message of the last error.

use std::cell::RefCell;
use std::ffi::{CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

use esparsa::{Error, Result};

/// What a function returns: 0, or what kind of error there was. `esparsa_error_message` says more.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EsparsaStatus {
    /// Done.
    Ok = 0,
    /// An argument, a document or a query is wrong, or above a limit.
    InvalidInput = 1,
    /// There is no such index or document.
    NotFound = 2,
    /// Another writer, of this or another process, holds the lock of the index.
    Locked = 3,
    /// An operation of the operating system failed.
    Io = 4,
    /// Bytes on disk differ from what was written.
    Corrupt = 5,
    /// A version of the format that this library does not support.
    Unsupported = 6,
    /// The work was cancelled.
    Cancelled = 7,
    /// The writer had an error after which the state on disk is unknown: free it and open another.
    Poisoned = 8,
    /// A defect of this library.
    Internal = 9,
}

/// Bytes of a message.
const MAX_MESSAGE_BYTES: usize = 2_000;

thread_local! {
    static MESSAGE: RefCell<CString> = RefCell::default();
}

/// The message of the last error of a function of this library on this thread, and an empty string
/// before any: what was expected, what was found, and what to do. It is valid until the next call that
/// fails on this thread.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_error_message() -> *const c_char {
    let message = MESSAGE.try_with(|message| message.borrow().as_ptr());
    // A thread that ends has no message any more when destructors of other libraries run.
    message.unwrap_or(c"expected a thread that is running, found one that ends".as_ptr())
}

/// The version of this library, such as `0.1.0`.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

impl EsparsaStatus {
    fn of(error: &Error) -> Self {
        match error {
            Error::InvalidInput { .. } | Error::Limit { .. } => Self::InvalidInput,
            Error::NoIndex { .. } => Self::NotFound,
            Error::Locked { .. } => Self::Locked,
            Error::Io { .. } => Self::Io,
            Error::Corrupt { .. } => Self::Corrupt,
            Error::TooNew { .. } | Error::TooOld { .. } => Self::Unsupported,
            Error::Cancelled { .. } => Self::Cancelled,
            Error::Poisoned { .. } => Self::Poisoned,
            _ => Self::Internal,
        }
    }
}

/// Runs the body of a function: an error becomes a status and a message, and so does a panic, which
/// must not reach C code.
pub fn run(body: impl FnOnce() -> Result<()>) -> EsparsaStatus {
    status_of(|| body().map(|()| EsparsaStatus::Ok))
}

/// As `run`, for a body that says itself that something is not there.
pub fn status_of(body: impl FnOnce() -> Result<EsparsaStatus>) -> EsparsaStatus {
    // What a panic leaves behind is only freed: a writer refuses work after one.
    let (status, message) = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(status)) => return status,
        Ok(Err(error)) => (EsparsaStatus::of(&error), error.to_string()),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            let text = text.unwrap_or("no message");
            let message = format!("expected no panic, found one: {text}; please report it");
            (EsparsaStatus::Internal, message)
        }
    };
    keep(&message);
    status
}

/// Keeps a message for `esparsa_error_message`. A quoted argument may be long: the beginning is kept.
pub fn keep(message: &str) {
    let mut kept = String::with_capacity(message.len().min(MAX_MESSAGE_BYTES));
    for letter in message.chars() {
        if kept.len() >= MAX_MESSAGE_BYTES {
            kept.push('…');
            break;
        }
        kept.push(if letter == '\0' { '\u{fffd}' } else { letter });
    }
    let _ = MESSAGE.try_with(|message| message.replace(CString::new(kept).unwrap_or_default()));
}

/// Drops an object. A panic must not reach C code, and nobody waits for an answer.
pub fn free<T>(object: Option<Box<T>>) {
    let _ = catch_unwind(AssertUnwindSafe(|| drop(object)));
}
