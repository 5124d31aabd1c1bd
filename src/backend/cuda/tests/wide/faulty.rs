//! A GPU one of whose kernels is wrong: it runs with other parameters than those it was given.

use std::mem::offset_of;

use super::super::*;
use super::Group;
#[cfg(feature = "train")]
use crate::backend::cuda::backward::parameters::{
    AttentionBackward, BucketSlopes, ColumnSums, Gather, WeightGradient,
};
use crate::backend::cuda::device::{Address, GpuGraph, GpuStream, Kernel, TensorMap};
use crate::backend::cuda::parameters::{
    Nearest, Product, ProductHopper, RowsOf, Splade, SpladeHopper, TopK,
};

/// A kernel that computes something else, and the cases that must report it.
pub(super) struct Fault {
    pub(super) kernel: &'static str,
    pub(super) group: Group,
    change: fn(&mut [u8], &mut [u32; 3]),
}

fn add(parameters: &mut [u8], offset: usize, number: i32) {
    let word = parameters[offset..offset + 4].try_into().unwrap();
    let changed = i32::from_le_bytes(word) + number;
    parameters[offset..offset + 4].copy_from_slice(&changed.to_le_bytes());
}

pub(super) static FAULTS: &[Fault] = &[
    // The offset of every tile of b is eight columns too large: the matrix begins 16 bytes later,
    // and has eight columns less.
    Fault {
        kernel: "product_hopper_256",
        group: Group::Products,
        change: |parameters, _| {
            add(parameters, offset_of!(ProductHopper, b), 16);
            add(parameters, offset_of!(ProductHopper, b) + 8, -8);
        },
    },
    // The last column of k is left out.
    Fault {
        kernel: "product_hopper_192",
        group: Group::Rings,
        change: |parameters, _| {
            if i32::from_le_bytes(
                parameters[offset_of!(ProductHopper, product.k)..][..4]
                    .try_into()
                    .unwrap(),
            ) % 64
                == 1
            {
                add(parameters, offset_of!(ProductHopper, product.k), -1);
            }
        },
    },
    // The epilogue does nothing.
    Fault {
        kernel: "product_hopper_128",
        group: Group::Epilogues,
        change: |parameters, _| {
            let place = offset_of!(ProductHopper, product.epilogue);
            parameters[place..place + 4].fill(0);
        },
    },
    // The last tile is not written.
    Fault {
        kernel: "product_tn_small",
        group: Group::Products,
        change: |_, grid| grid[0] -= 1,
    },
    // The rows of a are too close together.
    Fault {
        kernel: "product_nt",
        group: Group::Layouts,
        change: |parameters, _| add(parameters, offset_of!(Product, a_stride), -8),
    },
    // The last eight inputs are left out.
    Fault {
        kernel: "splade_sum",
        group: Group::Splade,
        change: |parameters, _| add(parameters, offset_of!(Splade, columns), -8),
    },
    // The bias is left out.
    Fault {
        kernel: "splade_hopper_argmax",
        group: Group::Splade,
        change: |parameters, _| {
            let place = offset_of!(SpladeHopper, splade.bias);
            parameters[place..place + 8].fill(0);
        },
    },
    // One term too many is kept.
    Fault {
        kernel: "sparse_top_k",
        group: Group::Sparse,
        change: |parameters, _| add(parameters, offset_of!(TopK, k), 1),
    },
    // The last block of queries is left out.
    Fault {
        kernel: "attention_256",
        group: Group::Attention,
        change: |_, grid| grid[0] -= 1,
    },
    // The last column counts neither for the mean nor for the variance.
    Fault {
        kernel: "add_norm",
        group: Group::Norms,
        change: |parameters, _| add(parameters, offset_of!(RowsOf, columns), -1),
    },
    // Vectors of later tiles get the numbers of the first.
    Fault {
        kernel: "nearest_merge",
        group: Group::Nearest,
        change: |parameters, _| {
            let place = offset_of!(Nearest, first);
            parameters[place..place + 4].fill(0);
        },
    },
    // The last row of a batch has no share of the columns' sums.
    #[cfg(feature = "train")]
    Fault {
        kernel: "column_sums",
        group: Group::Training,
        change: |parameters, _| add(parameters, offset_of!(ColumnSums, rows), -1),
    },
    // The last target with parts is left out.
    #[cfg(feature = "train")]
    Fault {
        kernel: "gather_rows_f32",
        group: Group::Training,
        change: |parameters, _| add(parameters, offset_of!(Gather, count), -1),
    },
    // The last row has no share of a weight's gradient.
    #[cfg(feature = "train")]
    Fault {
        kernel: "weight_gradient",
        group: Group::Layers,
        change: |parameters, _| add(parameters, offset_of!(WeightGradient, rows), -1),
    },
    // The scale of the scores that are computed again is twice too large.
    #[cfg(feature = "train")]
    Fault {
        kernel: "attention_backward_64_keys",
        group: Group::Layers,
        change: |parameters, _| add(parameters, offset_of!(AttentionBackward, scale), 1 << 23),
    },
    // The slopes of the last bucket are not summed.
    #[cfg(feature = "train")]
    Fault {
        kernel: "bucket_slopes",
        group: Group::Layers,
        change: |parameters, _| add(parameters, offset_of!(BucketSlopes, buckets), -1),
    },
];

/// A wait that never ends: the boxes of a have fewer rows, so that fewer bytes arrive at a barrier
/// than it waits for.
pub(super) static ENDLESS_WAIT: Fault = Fault {
    kernel: "product_hopper_128",
    group: Group::Products,
    change: |parameters, _| add(parameters, offset_of!(ProductHopper, a) + 36, -64),
};

pub(super) struct Faulty {
    inner: Emulator,
    fault: &'static Fault,
}

impl Faulty {
    /// The GPU with this fault.
    pub(super) fn new(inner: Emulator, fault: &'static Fault) -> Self {
        Self { inner, fault }
    }
}

impl GpuDevice for Faulty {
    fn name(&self) -> String {
        self.inner.name()
    }

    fn architecture(&self) -> u32 {
        self.inner.architecture()
    }

    fn multiprocessors(&self) -> u32 {
        self.inner.multiprocessors()
    }

    fn shared_bytes(&self) -> u32 {
        self.inner.shared_bytes()
    }

    fn granularity(&self) -> usize {
        self.inner.granularity()
    }

    fn reuses_buffers(&self) -> bool {
        self.inner.reuses_buffers()
    }

    fn allocate(&self, bytes: usize) -> Result<Address> {
        self.inner.allocate(bytes)
    }

    fn free(&self, address: Address) {
        self.inner.free(address);
    }

    fn memory(&self) -> Result<(usize, usize)> {
        self.inner.memory()
    }

    fn stream(&self) -> Result<Box<dyn GpuStream>> {
        Ok(Box::new(FaultyStream {
            inner: self.inner.stream()?,
            fault: self.fault,
        }))
    }

    fn tensor_map(
        &self,
        address: Address,
        rows: usize,
        columns: usize,
        stride: usize,
        box_rows: usize,
    ) -> Result<TensorMap> {
        self.inner
            .tensor_map(address, rows, columns, stride, box_rows)
    }
}

struct FaultyStream {
    inner: Box<dyn GpuStream>,
    fault: &'static Fault,
}

impl GpuStream for FaultyStream {
    fn launch(
        &self,
        kernel: &'static Kernel,
        mut grid: [u32; 3],
        shared_bytes: u32,
        parameters: &[u8],
    ) -> Result<()> {
        let mut parameters = parameters.to_vec();
        if kernel.name == self.fault.kernel {
            (self.fault.change)(&mut parameters, &mut grid);
        }
        self.inner.launch(kernel, grid, shared_bytes, &parameters)
    }

    fn upload(&self, to: Address, bytes: &[u8]) -> Result<()> {
        self.inner.upload(to, bytes)
    }

    fn download(&self, from: Address, bytes: &mut [u8]) -> Result<()> {
        self.inner.download(from, bytes)
    }

    fn fill(&self, to: Address, byte: u8, bytes: usize) -> Result<()> {
        self.inner.fill(to, byte, bytes)
    }

    fn synchronize(&self) -> Result<()> {
        self.inner.synchronize()
    }

    fn begin_capture(&self) -> Result<()> {
        self.inner.begin_capture()
    }

    fn end_capture(&self) -> Result<Box<dyn GpuGraph>> {
        self.inner.end_capture()
    }
}
