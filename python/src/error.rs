//! Errors of the library as exceptions of Python, which `esparsa/_errors.py` defines.

use esparsa::Error;
use pyo3::PyErr;

/// The exceptions, which are looked up in the Python package when they are first raised.
mod exceptions {
    use pyo3::import_exception;

    import_exception!(esparsa._errors, CancelledError);
    import_exception!(esparsa._errors, CorruptError);
    import_exception!(esparsa._errors, DeviceError);
    import_exception!(esparsa._errors, Error);
    import_exception!(esparsa._errors, InvalidInputError);
    import_exception!(esparsa._errors, LimitError);
    import_exception!(esparsa._errors, LockedError);
    import_exception!(esparsa._errors, ModelError);
    import_exception!(esparsa._errors, NoIndexError);
    import_exception!(esparsa._errors, PoisonedError);
    import_exception!(esparsa._errors, StorageError);
    import_exception!(esparsa._errors, VersionError);
}

/// The exception for an error.
pub fn raise(error: Error) -> PyErr {
    let message = error.to_string();
    match error {
        Error::Cancelled { .. } => exceptions::CancelledError::new_err(message),
        Error::Corrupt { .. } => exceptions::CorruptError::new_err(message),
        Error::Device { .. } => exceptions::DeviceError::new_err(message),
        Error::InvalidInput { .. } => exceptions::InvalidInputError::new_err(message),
        Error::Io { .. } => exceptions::StorageError::new_err(message),
        Error::Limit { .. } => exceptions::LimitError::new_err(message),
        Error::Locked { .. } => exceptions::LockedError::new_err(message),
        Error::Model { .. } => exceptions::ModelError::new_err(message),
        Error::NoIndex { .. } => exceptions::NoIndexError::new_err(message),
        Error::Poisoned { .. } => exceptions::PoisonedError::new_err(message),
        Error::TooNew { .. } | Error::TooOld { .. } => exceptions::VersionError::new_err(message),
        _ => exceptions::Error::new_err(message),
    }
}

/// The exception for an argument that is not what was expected.
pub fn invalid(message: impl Into<String>) -> PyErr {
    exceptions::InvalidInputError::new_err(message.into())
}

/// The exception for a file that cannot be read.
pub fn storage(message: String) -> PyErr {
    exceptions::StorageError::new_err(message)
}
