//! Training of the models that [`neural`](crate::neural) runs.
//!
//! Comes in: a published encoder and pairs of texts. Goes out: the same files with other weights.
//! Models are defined once, over a [`Backend`](crate::neural::Backend): training runs that definition
//! on a [`Recorder`], which notes every operation and then goes through them backward.
//!
//! | file | concept |
//! | --- | --- |
//! | `parameters` | master weights and gradients by the names of a model's tensors, and their packed forms |
//! | `recorder` | a backend that notes what it computes |
//! | `tape` | the operations that were noted, forward and backward |

mod parameters;
mod recorder;
mod tape;

pub use parameters::{Master, Parameters};
pub use recorder::{Recorder, Seed};
