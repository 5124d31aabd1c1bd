//! Folders of tensors and settings, which appear complete under their name or not at all.
//!
//! | file | concept |
//! | --- | --- |
//! | `folder` | a folder that is written beside its final place and renamed |
//! | `tensors` | the bytes of a `safetensors` file |
//! | `faults` | failures that tests inject |

mod faults;
mod folder;
mod tensors;

pub(super) use folder::{NewFile, NewFolder};
pub(super) use tensors::{TensorBytes, TensorSource, write_tensors};

#[cfg(test)]
pub(super) use faults::{Fault, with_fault};
