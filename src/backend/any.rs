//! A backend that is chosen at run time: the processor or a card.

use super::cpu::{Cpu, Matrix as CpuMatrix, Tensor as CpuTensor};
use super::cuda::{Cuda, Matrix as CudaMatrix, Tensor as CudaTensor, Vector as CudaVector};
use super::{
    Activation, Attention, Device, ForwardOps, Linear, Norm, Pooling, Positions, SparseVector,
    SpladeActivation, SpladePooling,
};
use crate::error::{Error, Result};

/// The processor or a card.
///
/// ```
/// use esparsa::backend::{AnyBackend, Backend, Cpu, CpuOptions, Cuda};
///
/// let backend = match Cuda::new(0) {
///     Ok(card) => AnyBackend::Cuda(card),
///     // No driver, no card, or no NVRTC: the error says which.
///     Err(_) => AnyBackend::Cpu(Cpu::new(CpuOptions::default())?),
/// };
/// assert!(!backend.name().is_empty());
/// # Ok::<(), esparsa::Error>(())
/// ```
#[derive(Clone, Debug)]
pub enum AnyBackend {
    /// The processor.
    Cpu(Cpu),
    /// A card.
    Cuda(Cuda),
}

/// What one of the backends made.
pub enum Of<C, G> {
    /// On the processor.
    Cpu(C),
    /// On a card.
    Cuda(G),
}

impl<C, G> Of<C, G> {
    fn cpu(&self) -> Result<&C> {
        match self {
            Self::Cpu(it) => Ok(it),
            Self::Cuda(_) => Err(mixed("a card", "the processor")),
        }
    }

    fn cuda(&self) -> Result<&G> {
        match self {
            Self::Cuda(it) => Ok(it),
            Self::Cpu(_) => Err(mixed("the processor", "a card")),
        }
    }
}

fn mixed(made: &str, needed: &str) -> Error {
    Error::device(format!(
        "expected what was made on {needed}, found what was made on {made}"
    ))
}

/// What the operations take, in the words of one of the backends: a module for each.
macro_rules! side {
    ($module:ident, $backend:ty, $pick:ident) => {
        mod $module {
            use super::*;

    pub(super) fn pick<C, G>(it: &Of<C, G>) -> Result<&side!(@which $pick C G)> {
                it.$pick()
            }

            pub(super) fn norm<'a>(
                norm: Option<&Norm<'a, AnyBackend>>,
            ) -> Result<Option<Norm<'a, $backend>>> {
                Ok(match norm {
                    None => None,
                    Some(Norm::Layer {
                        weight,
                        bias,
                        epsilon,
                    }) => Some(Norm::Layer {
                        weight: pick(weight)?,
                        bias: pick(bias)?,
                        epsilon: *epsilon,
                    }),
                    Some(Norm::RootMeanSquare { weight, epsilon }) => Some(Norm::RootMeanSquare {
                        weight: pick(weight)?,
                        epsilon: *epsilon,
                    }),
                })
            }

            pub(super) fn linear<'a>(
                layer: &Linear<'a, AnyBackend>,
            ) -> Result<Linear<'a, $backend>> {
                Ok(Linear {
                    weight: pick(layer.weight)?,
                    bias: layer.bias.map(pick).transpose()?,
                })
            }

            pub(super) fn attention<'a>(
                attention: &Attention<'a, AnyBackend>,
            ) -> Result<Attention<'a, $backend>> {
                let positions = match &attention.positions {
                    Positions::Absolute => Positions::Absolute,
                    Positions::Bias { table, distances } => Positions::Bias {
                        table: pick(table)?,
                        distances,
                    },
                    Positions::Disentangled {
                        keys,
                        queries,
                        distances,
                    } => Positions::Disentangled {
                        keys: keys.map(pick).transpose()?,
                        queries: queries.map(pick).transpose()?,
                        distances,
                    },
                };
                Ok(Attention {
                    projections: pick(attention.projections)?,
                    starts: attention.starts,
                    heads: attention.heads,
                    head_size: attention.head_size,
                    scale: attention.scale,
                    positions,
                })
            }
        }
    };
    (@which cpu $C:ident $G:ident) => {
        $C
    };
    (@which cuda $C:ident $G:ident) => {
        $G
    };
}

side!(cpu_side, Cpu, cpu);
side!(cuda_side, Cuda, cuda);

/// The same on whichever backend it is: `side` is its module, `made`, where there is one, its
/// variant of [`Of`].
macro_rules! on {
    ($any:expr, |$backend:ident, $side:ident| $body:expr) => {
        match $any {
            AnyBackend::Cpu($backend) => {
                use cpu_side as $side;
                $body
            }
            AnyBackend::Cuda($backend) => {
                use cuda_side as $side;
                $body
            }
        }
    };
    ($any:expr, |$backend:ident| $body:expr) => {
        match $any {
            AnyBackend::Cpu($backend) => $body.map(Of::Cpu),
            AnyBackend::Cuda($backend) => $body.map(Of::Cuda),
        }
    };
    ($any:expr, |$backend:ident, $side:ident, $made:ident| $body:expr) => {
        match $any {
            AnyBackend::Cpu($backend) => {
                use cpu_side as $side;
                let $made = Of::Cpu;
                $body
            }
            AnyBackend::Cuda($backend) => {
                use cuda_side as $side;
                let $made = Of::Cuda;
                $body
            }
        }
    };
}

impl Device for AnyBackend {
    type Tensor = Of<CpuTensor, CudaTensor>;
    type Matrix = Of<CpuMatrix, CudaMatrix>;
    type Table = Of<CpuTensor, CudaMatrix>;
    type Vector = Of<Vec<f32>, CudaVector>;

    fn name(&self) -> String {
        match self {
            Self::Cpu(backend) => backend.name(),
            Self::Cuda(backend) => backend.name(),
        }
    }

    fn streams(&self) -> Vec<Self> {
        match self {
            Self::Cpu(backend) => backend.streams().into_iter().map(Self::Cpu).collect(),
            Self::Cuda(backend) => backend.streams().into_iter().map(Self::Cuda).collect(),
        }
    }

    fn batch_tokens(&self) -> usize {
        match self {
            Self::Cpu(backend) => backend.batch_tokens(),
            Self::Cuda(backend) => backend.batch_tokens(),
        }
    }

    fn is_async(&self) -> bool {
        match self {
            Self::Cpu(backend) => backend.is_async(),
            Self::Cuda(backend) => backend.is_async(),
        }
    }

    fn matrix(&self, outputs: usize, inputs: usize, values: &[f32]) -> Result<Self::Matrix> {
        on!(self, |b| b.matrix(outputs, inputs, values))
    }

    fn table(&self, rows: usize, columns: usize, values: &[f32]) -> Result<Self::Table> {
        on!(self, |b| b.table(rows, columns, values))
    }

    fn vector(&self, values: &[f32]) -> Result<Self::Vector> {
        on!(self, |b| b.vector(values))
    }

    fn tensor(&self, rows: usize, columns: usize, values: &[f32]) -> Result<Self::Tensor> {
        on!(self, |b| b.tensor(rows, columns, values))
    }

    fn values(&self, tensor: &Self::Tensor) -> Result<Vec<f32>> {
        on!(self, |b, side| b.values(side::pick(tensor)?))
    }

    fn shape(&self, tensor: &Self::Tensor) -> (usize, usize) {
        match tensor {
            Of::Cpu(tensor) => tensor.shape(),
            Of::Cuda(tensor) => tensor.shape(),
        }
    }
}

impl ForwardOps for AnyBackend {
    fn run_graphed(
        &self,
        key: &[u32],
        tokens: usize,
        run: impl Fn() -> Result<Self::Tensor>,
    ) -> Result<Self::Tensor> {
        match self {
            Self::Cpu(_) => run(),
            Self::Cuda(backend) => {
                let run = || match run()? {
                    Of::Cuda(tensor) => Ok(tensor),
                    Of::Cpu(_) => Err(mixed("the processor", "a card")),
                };
                backend.run_graphed(key, tokens, run).map(Of::Cuda)
            }
        }
    }

    fn embed(
        &self,
        parts: &[(&Self::Table, &[u32])],
        norm: Option<&Norm<'_, Self>>,
    ) -> Result<Self::Tensor> {
        on!(self, |b, side, made| {
            let parts = parts
                .iter()
                .map(|(table, ids)| Ok((side::pick(table)?, *ids)));
            let parts = parts.collect::<Result<Vec<_>>>()?;
            b.embed(&parts, side::norm(norm)?.as_ref()).map(made)
        })
    }

    fn linear(
        &self,
        x: &Self::Tensor,
        layer: &Linear<'_, Self>,
        activation: Activation,
    ) -> Result<Self::Tensor> {
        on!(self, |b, side, made| b
            .linear(side::pick(x)?, &side::linear(layer)?, activation)
            .map(made))
    }

    fn gated(
        &self,
        x: &Self::Tensor,
        gate: &Linear<'_, Self>,
        up: &Linear<'_, Self>,
        activation: Activation,
    ) -> Result<Self::Tensor> {
        on!(self, |b, side, made| {
            let (gate, up) = (side::linear(gate)?, side::linear(up)?);
            b.gated(side::pick(x)?, &gate, &up, activation).map(made)
        })
    }

    fn linear_add(
        &self,
        x: &Self::Tensor,
        layer: &Linear<'_, Self>,
        residual: &Self::Tensor,
        norm: Option<&Norm<'_, Self>>,
    ) -> Result<Self::Tensor> {
        on!(self, |b, side, made| {
            let (x, residual) = (side::pick(x)?, side::pick(residual)?);
            let (layer, norm) = (side::linear(layer)?, side::norm(norm)?);
            b.linear_add(x, &layer, residual, norm.as_ref()).map(made)
        })
    }

    fn add(
        &self,
        x: &Self::Tensor,
        y: &Self::Tensor,
        norm: Option<&Norm<'_, Self>>,
    ) -> Result<Self::Tensor> {
        on!(self, |b, side, made| {
            let norm = side::norm(norm)?;
            b.add(side::pick(x)?, side::pick(y)?, norm.as_ref())
                .map(made)
        })
    }

    fn norm(&self, x: &Self::Tensor, norm: &Norm<'_, Self>) -> Result<Self::Tensor> {
        on!(self, |b, side, made| match side::norm(Some(norm))? {
            Some(norm) => b.norm(side::pick(x)?, &norm).map(made),
            None => Err(Error::device("expected a norm, found none")),
        })
    }

    fn attention(&self, attention: &Attention<'_, Self>) -> Result<Self::Tensor> {
        on!(self, |b, side, made| b
            .attention(&side::attention(attention)?)
            .map(made))
    }

    fn im2col(&self, x: &Self::Tensor, starts: &[u32], width: usize) -> Result<Self::Tensor> {
        on!(self, |b, side, made| b
            .im2col(side::pick(x)?, starts, width)
            .map(made))
    }

    fn pool(&self, x: &Self::Tensor, starts: &[u32], pooling: Pooling) -> Result<Self::Tensor> {
        on!(self, |b, side, made| b
            .pool(side::pick(x)?, starts, pooling)
            .map(made))
    }

    fn l2_normalize(&self, x: &Self::Tensor) -> Result<Self::Tensor> {
        on!(self, |b, side, made| b
            .l2_normalize(side::pick(x)?)
            .map(made))
    }

    fn splade(
        &self,
        x: &Self::Tensor,
        starts: &[u32],
        decoder: &Linear<'_, Self>,
        activation: SpladeActivation,
        pooling: SpladePooling,
        max_terms: usize,
    ) -> Result<Vec<SparseVector>> {
        on!(self, |b, side| {
            let decoder = side::linear(decoder)?;
            b.splade(
                side::pick(x)?,
                starts,
                &decoder,
                activation,
                pooling,
                max_terms,
            )
        })
    }

    fn max_sim(
        &self,
        query: &Self::Tensor,
        documents: &Self::Tensor,
        starts: &[u32],
    ) -> Result<Vec<f32>> {
        on!(self, |b, side| b.max_sim(
            side::pick(query)?,
            side::pick(documents)?,
            starts
        ))
    }

    fn nearest(
        &self,
        queries: &Self::Tensor,
        vectors: &Self::Tensor,
        k: usize,
    ) -> Result<Vec<Vec<(u32, f32)>>> {
        on!(self, |b, side| b.nearest(
            side::pick(queries)?,
            side::pick(vectors)?,
            k
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::CpuOptions;
    use crate::backend::conformance::{Tolerance, check};

    #[test]
    fn whatever_it_is_equals_the_reference() {
        let any = AnyBackend::Cpu(Cpu::new(CpuOptions::default()).unwrap());
        let tolerance = Tolerance {
            max_error: 1e-5,
            rounds_products: false,
            rounds_storage: false,
        };
        check(&any, tolerance, 5, 3).unwrap();
        assert_eq!(any.streams().len(), 1);
        assert!(any.name().starts_with("cpu"));
    }
}
