//! The operations that transformers are made of, on the CPU or on a GPU.
//!
//! Comes in: weights and token ids. Goes out: hidden states, vectors, scores. A [`Backend`] knows
//! tensors and fused operations on them; it knows no model, no tokenizer and no file. [`Reference`]
//! defines each operation in scalar Rust, [`Cpu`] is the fast backend for CPUs, and every backend
//! is tested against the reference.
//!
//! # Traits
//!
//! | trait | contains |
//! | --- | --- |
//! | [`Device`] | memory and transfers: tensors and parameters, to the device and back |
//! | [`ForwardOps`] | forward operations, each as one or a few fused kernels |
//! | [`Backend`] | both: the bound that models are generic over |
//!
//! A model is generic over one `Backend`, chosen once when the model is loaded, so that operations
//! are static calls.
//!
//! Training adds a third trait beside `ForwardOps`: backward operations and the optimizer step, for
//! the backends that train. These traits leave room for it. The parameter types of [`Device`]
//! ([`Matrix`](Device::Matrix), [`Table`](Device::Table), [`Vector`](Device::Vector)) are opaque
//! packed forms that operations only borrow, so a trainable parameter can own its f32 master next
//! to the packed forms, read the master back for a checkpoint, and pack it again after each
//! optimizer step through `&mut`; one master can serve two forms, such as an embedding table tied
//! to the decoder of a SPLADE head. Operations return new tensors and overwrite none, so
//! activations can be kept for the backward pass.
//!
//! # Packed sequences
//!
//! There is no padding: a batch is one tensor with a row for each token, sequence after sequence,
//! and `starts` (often called `cu_seqlens`), the row at which each sequence starts, followed by the
//! total number of rows. A batch of 3 sequences of 5, 2 and 4 tokens has the starts `[0, 5, 7,
//! 11]`.
//!
//! Invariant: the result for a sequence does not depend on the other sequences of its batch.

#[cfg(feature = "train")]
mod backward;
#[cfg(any(test, feature = "internals"))]
pub mod conformance;
mod cpu;
#[cfg(feature = "cuda")]
mod cuda;
mod device;
#[cfg(feature = "train")]
mod dropout;
mod forward;
mod hardware;
mod nearest;
mod ops;
#[cfg(any(test, feature = "internals"))]
mod reference;
mod shapes;

#[cfg(feature = "train")]
pub use backward::{
    AdamW, AttentionGradients, BackwardOps, LinearPart, NormGradients, Orientation,
    PositionGradients, TermWeight, TrainedLinear,
};
pub use cpu::{Cpu, CpuOptions, Precision};
#[cfg(all(feature = "cuda", any(test, feature = "internals")))]
pub use cuda::LaunchLog;
#[cfg(feature = "cuda")]
pub use cuda::{CompiledModule, Cuda, KernelUsage};
pub use device::Device;
pub use forward::ForwardOps;
pub use hardware::{Hardware, OnBackend};
pub(crate) use ops::top_terms;
pub use ops::{
    Activation, Attention, CrossAttention, Distances, Linear, Norm, Pooling, Positions,
    SparseVector, SpladeActivation, SpladePooling,
};
#[cfg(any(test, feature = "internals"))]
pub use reference::{Reference, Rows, Scalar, Value};

/// What models run on, such as [`Cpu`]. It is an alias for `Device` and `ForwardOps` together, which
/// are private: applications choose a backend and do not implement one.
///
/// It is implemented for every type that implements both.
pub trait Backend: Device + ForwardOps {}

impl<B: Device + ForwardOps> Backend for B {}
