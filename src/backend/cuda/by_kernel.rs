//! Operations by a kernel of the caller's choice, for the wide cases of conformance: they compare
//! kernels that compute the same, whatever the GPU and the shape.

use super::device::Kernel;
use super::parameters::Epilogue;
use super::products::{Factors, HOPPER_TILES};
use super::sparse::{
    ARGMAX_TABLE, MAX_TABLE, SUM_TABLE, decode_u32, sequence_of_rows, splade_parameters,
};
use super::stream::CachedTable;
use super::tensor::{DType, Matrix, Tensor, Vector};
use super::{Cuda, sources};
use crate::backend::{Activation, Linear, SparseVector, SpladeActivation};
use crate::error::{Error, Result};

/// The operands of a product: activation(a · b + bias), then the epilogue.
#[derive(Clone, Copy)]
pub(in crate::backend) struct ProductOperands<'a> {
    /// m × k, for NT k × m.
    pub(in crate::backend) a: &'a Tensor,
    /// n × k, for NN and NT k × n.
    pub(in crate::backend) b: &'a Matrix,
    pub(in crate::backend) bias: Option<&'a Vector>,
    pub(in crate::backend) activation: Activation,
    /// Added to the result, or multiplied by it.
    pub(in crate::backend) other: Option<(Combination, &'a Tensor)>,
}

/// The parts into which the depth of a product is cut here.
const PARTS: usize = 3;

/// How an epilogue combines a product with another tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::backend) enum Combination {
    Add,
    Multiply,
}

/// A kind of SPLADE table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::backend) enum TableKind {
    /// The bits of maxima.
    Max,
    /// The bits of maxima in the upper half, the complement of their row in the lower.
    Argmax,
    /// Sums in units of 2^-32.
    Sum,
}

impl TableKind {
    fn code(self) -> i32 {
        match self {
            Self::Max => MAX_TABLE,
            Self::Argmax => ARGMAX_TABLE,
            Self::Sum => SUM_TABLE,
        }
    }

    fn cell_bytes(self) -> usize {
        match self {
            Self::Max => 4,
            Self::Argmax | Self::Sum => 8,
        }
    }
}

fn kernel(name: &str) -> Result<&'static Kernel> {
    let found = sources::KERNELS.iter().find(|kernel| kernel.name == name);
    found.ok_or_else(|| Error::device(format!("expected the name of a kernel, found {name}")))
}

impl Cuda {
    /// Whether kernels for sm_90 are used.
    #[doc(hidden)]
    pub fn uses_wgmma(&self) -> bool {
        self.gpu.is_hopper
    }

    /// A product by this kernel; f32 if its name says so, otherwise bf16.
    pub(in crate::backend) fn product_by(
        &self,
        name: &str,
        operands: &ProductOperands<'_>,
    ) -> Result<Tensor> {
        let kernel = kernel(name)?;
        let ProductOperands { a, b, .. } = operands;
        let [m, n, k] = match name {
            _ if name.starts_with("product_nn") => [a.rows, b.columns, b.rows],
            _ if name.starts_with("product_nt") => [a.columns, b.columns, b.rows],
            _ => [a.rows, b.rows, b.columns],
        };
        let dtype = match name.contains("_f32") {
            true => DType::F32,
            false => DType::Bf16,
        };
        let out = self.empty(m, n, dtype)?;
        let other = operands.other.map(|(combination, tensor)| {
            let epilogue = match combination {
                Combination::Add => Epilogue::Add,
                Combination::Multiply => Epilogue::Multiply,
            };
            (epilogue, tensor)
        });
        let factors = Factors {
            x: a,
            weight: b,
            bias: operands.bias,
            activation: operands.activation,
            other,
        };
        let parameters = factors.parameters(&out, [m, n, k])?;
        let other = other.map(|(_, tensor)| tensor);
        if name == "product_split_hopper" {
            let part = k.div_ceil(PARTS).next_multiple_of(64);
            self.launch_split(part, &parameters, a, b)?;
            return Ok(out);
        }
        let tiles = HOPPER_TILES.into_iter();
        let mut tiles =
            tiles.filter(|(width, _)| kernel.hopper && name.ends_with(&width.to_string()));
        match tiles.next() {
            Some(tile) => self.launch_on_hopper(tile, &parameters, a, b, other, &out)?,
            None => self.launch_tiles(kernel, name.ends_with("_small"), &parameters, 1)?,
        }
        Ok(out)
    }

    /// The table of the SPLADE head by this kernel: sequences × terms.
    pub(in crate::backend) fn splade_table_by(
        &self,
        name: &str,
        kind: TableKind,
        x: &Tensor,
        starts: &[u32],
        decoder: &Linear<'_, Self>,
        activation: SpladeActivation,
    ) -> Result<Vec<u64>> {
        let kernel = kernel(name)?;
        let sequence_of = self
            .stream
            .cached(CachedTable::SequenceOfRow, &sequence_of_rows(starts))?;
        let bytes = (starts.len() - 1) * decoder.weight.rows * kind.cell_bytes();
        let table = self.stream.allocate(bytes)?;
        self.stream.zero(&table, bytes)?;
        let parameters = splade_parameters(x, decoder, &sequence_of, activation, &table)?;
        self.launch_splade(kernel, x, decoder.weight, parameters)?;
        let words = decode_u32(&self.stream.download(&table, bytes)?);
        Ok(match kind {
            TableKind::Max => words.into_iter().map(u64::from).collect(),
            TableKind::Argmax | TableKind::Sum => {
                let pairs = words.chunks_exact(2);
                pairs
                    .map(|pair| u64::from(pair[0]) | u64::from(pair[1]) << 32)
                    .collect()
            }
        })
    }

    /// The sparse vectors of a table of sequences × terms, of which the `max_terms` largest cells
    /// are kept (of tables of maxima only), and for argmax tables the rows of all weights.
    pub(in crate::backend) fn sparse_vectors_of_table(
        &self,
        kind: TableKind,
        cells: &[u64],
        sequences: usize,
        activation: SpladeActivation,
        max_terms: Option<usize>,
    ) -> Result<(Vec<SparseVector>, Vec<u32>)> {
        let terms = cells.len() / sequences.max(1);
        let bytes = cells
            .iter()
            .flat_map(|cell| cell.to_le_bytes().into_iter().take(kind.cell_bytes()));
        let table = self.stream.upload(&bytes.collect::<Vec<_>>())?;
        if let Some(max_terms) = max_terms {
            self.keep_top_k(&table, sequences, terms, max_terms)?;
        }
        self.compact(&table, sequences, terms, kind.code(), activation)
    }
}
