//! Work without the interpreter lock, and work that Ctrl-C ends.

use std::panic::resume_unwind;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use esparsa::Result;
use esparsa::executor::CancelToken;
use pyo3::prelude::*;

use crate::error::raise;

/// How often signals are looked at.
const POLL: Duration = Duration::from_millis(50);

/// Runs short work while other threads of Python run.
pub fn detached<T: Send>(py: Python<'_>, work: impl FnOnce() -> Result<T> + Send) -> PyResult<T> {
    py.detach(work).map_err(raise)
}

/// Runs long work on a thread of its own, while other threads of Python run. A signal such as
/// Ctrl-C cancels the work. When it has ended, the exception of the signal's handler is raised.
pub fn interruptible<T: Send>(
    py: Python<'_>,
    work: impl FnOnce(&CancelToken) -> Result<T> + Send,
) -> PyResult<T> {
    py.detach(|| {
        let cancel = CancelToken::new();
        let (sender, receiver) = mpsc::sync_channel::<()>(0);
        thread::scope(|scope| {
            let of_work = &cancel;
            let thread = scope.spawn(move || {
                // Dropped at the end of the work, also when it panics: the receiver learns of it.
                let _sender = sender;
                work(of_work)
            });
            let mut interrupt = None;
            while receiver.recv_timeout(POLL) == Err(RecvTimeoutError::Timeout) {
                if interrupt.is_none() {
                    interrupt = Python::attach(|py| py.check_signals()).err();
                    if interrupt.is_some() {
                        cancel.cancel();
                    }
                }
            }
            let result = thread.join().unwrap_or_else(|panic| resume_unwind(panic));
            interrupt.map_or(result.map_err(raise), Err)
        })
    })
}
