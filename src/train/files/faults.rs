//! Failures that tests inject into the writing of folders.

#[cfg(not(test))]
use std::io;

/// Called before each operation on files; fails where a test asks for it.
#[cfg(not(test))]
pub(super) fn check() -> io::Result<()> {
    Ok(())
}

/// True if a test pretends that the process was killed: nothing is cleaned up then.
#[cfg(not(test))]
pub(super) fn is_killed() -> bool {
    false
}

#[cfg(test)]
pub(in crate::train) use injected::{Fault, with_fault};
#[cfg(test)]
pub(super) use injected::{check, is_killed};

#[cfg(test)]
mod injected {
    use std::cell::Cell;
    use std::io;

    /// A failure, and the operation at which it happens, counted from 0.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub(in crate::train) enum Fault {
        /// The disk is full from this operation on.
        Full(usize),
        /// The process is killed before this operation.
        Kill(usize),
    }

    thread_local! {
        static STATE: Cell<(Option<Fault>, usize)> = const { Cell::new((None, 0)) };
    }

    /// Runs `work` with a fault; returns its result and the number of operations.
    pub(in crate::train) fn with_fault<T>(
        fault: Option<Fault>,
        work: impl FnOnce() -> T,
    ) -> (T, usize) {
        STATE.set((fault, 0));
        let result = work();
        let (_, operations) = STATE.replace((None, 0));
        (result, operations)
    }

    pub(in crate::train::files) fn check() -> io::Result<()> {
        let (fault, operations) = STATE.get();
        STATE.set((fault, operations + 1));
        match fault {
            Some(Fault::Full(at)) if operations >= at => Err(io::ErrorKind::StorageFull.into()),
            Some(Fault::Kill(at)) if operations >= at => Err(io::Error::other("killed")),
            _ => Ok(()),
        }
    }

    pub(in crate::train::files) fn is_killed() -> bool {
        let (fault, operations) = STATE.get();
        matches!(fault, Some(Fault::Kill(at)) if operations > at)
    }
}
