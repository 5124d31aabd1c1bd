//! Work without the interpreter lock, and work that Ctrl-C ends.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use esparsa::Result;
use esparsa::executor::CancelToken;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::error::raise;

/// How often signals are looked at.
const POLL: Duration = Duration::from_millis(50);

/// Runs short work while other threads of Python run.
pub fn detached<T: Send>(py: Python<'_>, work: impl FnOnce() -> Result<T> + Send) -> PyResult<T> {
    py.detach(work).map_err(raise)
}

/// Runs long work on a thread of its own, while other threads of Python run. A signal such as
/// Ctrl-C cancels it, and what its handler raises is raised when the work has ended.
pub fn interruptible<T: Send>(
    py: Python<'_>,
    work: impl FnOnce(&CancelToken) -> Result<T> + Send,
) -> PyResult<T> {
    py.detach(|| {
        let cancel = CancelToken::new();
        let (sender, receiver) = mpsc::sync_channel(1);
        thread::scope(|scope| {
            let of_work = &cancel;
            scope.spawn(move || sender.send(work(of_work)));
            let mut interrupt = None;
            loop {
                match receiver.recv_timeout(POLL) {
                    Ok(result) => return interrupt.map_or(result.map_err(raise), Err),
                    Err(RecvTimeoutError::Disconnected) => {
                        return Err(PyRuntimeError::new_err("the work ended without a result"));
                    }
                    Err(RecvTimeoutError::Timeout) if interrupt.is_none() => {
                        interrupt = Python::attach(|py| py.check_signals()).err();
                        if interrupt.is_some() {
                            cancel.cancel();
                        }
                    }
                    Err(RecvTimeoutError::Timeout) => {}
                }
            }
        })
    })
}
