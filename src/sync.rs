//! Mutexes and atomics; in a build for `tests/loom`, those of loom, which tries every interleaving
//! of the threads that use them.

#[cfg(esparsa_loom)]
pub(crate) use loom::sync::{Mutex, MutexGuard, atomic};
#[cfg(not(esparsa_loom))]
pub(crate) use std::sync::{Mutex, MutexGuard, atomic};
