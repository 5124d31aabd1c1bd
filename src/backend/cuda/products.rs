//! Products with weights, and the choice of their kernel.

use super::device::{Kernel, TensorMap};
use super::parameters::{ABSENT, Epilogue, Product, ProductHopper, activation as number_of};
use super::tensor::{DType, Matrix, Tensor, Vector};
use super::{Cuda, sources, to_i32};
use crate::backend::{Activation, Linear};
use crate::error::Result;

/// The operands of a product.
pub(super) struct Factors<'a> {
    pub(super) x: &'a Tensor,
    pub(super) weight: &'a Matrix,
    pub(super) bias: Option<&'a Vector>,
    pub(super) activation: Activation,
    /// The other operand of the epilogue.
    pub(super) other: Option<(Epilogue, &'a Tensor)>,
}

impl Factors<'_> {
    /// The parameters of the product of this m, n and k; x, other and out must be bf16, or out f32.
    pub(super) fn parameters(&self, out: &Tensor, [m, n, k]: [usize; 3]) -> Result<Product> {
        let Self {
            x, weight, other, ..
        } = self;
        let absent = || Ok(0);
        Ok(Product {
            a: x.address(),
            b: weight.memory.address(),
            out: out.address(),
            bias: self.bias.map_or(ABSENT, |bias| bias.memory.address()),
            other: other.map_or(ABSENT, |(_, tensor)| tensor.address()),
            m: to_i32(m)?,
            n: to_i32(n)?,
            k: to_i32(k)?,
            a_stride: to_i32(x.stride())?,
            b_stride: to_i32(weight.stride())?,
            out_stride: to_i32(out.stride())?,
            other_stride: other.map_or_else(absent, |(_, tensor)| to_i32(tensor.stride()))?,
            epilogue: other.map_or(Epilogue::Nothing, |(epilogue, _)| epilogue) as i32,
            activation: number_of(self.activation),
            ..Product::NONE
        })
    }
}

impl Cuda {
    /// epilogue(activation(x · weightᵀ + bias), other): bf16, or f32 if `x` is f32.
    pub(super) fn product(
        &self,
        x: &Tensor,
        layer: &Linear<'_, Self>,
        activation: Activation,
        other: Option<(Epilogue, &Tensor)>,
    ) -> Result<Tensor> {
        let dtype = x.dtype;
        let x = self.as_bf16(x)?;
        let other = match other {
            Some((epilogue, tensor)) => Some((epilogue, self.as_bf16(tensor)?)),
            None => None,
        };
        let weight = layer.weight;
        let out = self.empty(x.rows, weight.rows, dtype)?;
        let factors = Factors {
            x: &x,
            weight,
            bias: layer.bias,
            activation,
            other: other
                .as_ref()
                .map(|(epilogue, tensor)| (*epilogue, &**tensor)),
        };
        let shape = [x.rows, weight.rows, weight.columns];
        let parameters = factors.parameters(&out, shape)?;
        let other = other.as_ref().map(|(_, tensor)| &**tensor);
        match self.hopper_tile(&parameters, other, dtype) {
            Some(tile) => self.launch_on_hopper(tile, &parameters, &x, weight, other, &out)?,
            None => match self.part_of(&parameters, dtype) {
                Some(part) => self.launch_split(part, &parameters, &x, weight)?,
                None => self.launch_product(&parameters, dtype, 1)?,
            },
        }
        Ok(out)
    }

    /// The tile of the Hopper kernel for a product, if the GPU is a Hopper and the tiles fill at
    /// least half of it.
    fn hopper_tile(
        &self,
        parameters: &Product,
        other: Option<&Tensor>,
        dtype: DType,
    ) -> Option<(usize, usize)> {
        if !self.gpu.is_hopper || dtype == DType::F32 {
            return None;
        }
        let shape = [parameters.m, parameters.n, parameters.k].map(|size| size as usize);
        let finish = epilogue_cycles(parameters.activation, other.is_some());
        let multiprocessors = self.gpu.multiprocessors;
        let tile = hopper_tile(shape, finish, multiprocessors);
        let tiles = shape[0].div_ceil(HOPPER_ROWS) * shape[1].div_ceil(tile.0);
        (2 * tiles >= multiprocessors).then_some(tile)
    }
}

/// Rows and columns of a tile of the sm_80 kernels and of their small variants, and the shared
/// memory per block.
const TILE: usize = 128;
const TILE_BYTES: usize = 49_152;
const SMALL_TILE: usize = 32;
const SMALL_TILE_BYTES: usize = 65_536;

/// Rows of a Hopper tile.
pub(super) const HOPPER_ROWS: usize = 128;
/// Columns of a Hopper tile, with the shared memory per block.
pub(super) const HOPPER_TILES: [(usize, usize); 3] =
    [(128, 225_520), (192, 227_552), (256, 229_584)];
/// Rows of the boxes that store results.
const HOPPER_OUT_ROWS: usize = 8;

impl Cuda {
    /// Launches the TN product of `batch` pairs, with the kernel that suits its size.
    pub(super) fn launch_product(
        &self,
        parameters: &Product,
        dtype: DType,
        batch: usize,
    ) -> Result<()> {
        let (m, n) = (parameters.m as usize, parameters.n as usize);
        if m == 0 || n == 0 || batch == 0 {
            return Ok(());
        }
        let tiles = |size: usize| m.div_ceil(size) * n.div_ceil(size);
        // With fewer large tiles than multiprocessors some would idle; small tiles occupy all.
        let is_small = tiles(TILE) * batch < self.gpu.multiprocessors;
        let kernel = match (dtype, is_small) {
            (DType::Bf16, false) => const { sources::kernel("product_tn") },
            (DType::Bf16, true) => const { sources::kernel("product_tn_small") },
            (DType::F32, false) => const { sources::kernel("product_tn_f32") },
            (DType::F32, true) => const { sources::kernel("product_tn_f32_small") },
        };
        self.launch_tiles(kernel, is_small, parameters, batch)
    }

    /// Launches a kernel of `product.cu`, which `is_small` if it has small tiles.
    pub(super) fn launch_tiles(
        &self,
        kernel: &'static Kernel,
        is_small: bool,
        parameters: &Product,
        batch: usize,
    ) -> Result<()> {
        let (tile, bytes) = match is_small {
            true => (SMALL_TILE, SMALL_TILE_BYTES),
            false => (TILE, TILE_BYTES),
        };
        let (m, n) = (parameters.m as usize, parameters.n as usize);
        let grid = [m.div_ceil(tile) * n.div_ceil(tile), 1, batch];
        self.stream.launch(kernel, grid, bytes, parameters)
    }

    /// Launches one product with bf16 outputs by wgmma, with tiles of this width and shared memory.
    pub(super) fn launch_on_hopper(
        &self,
        (width, bytes): (usize, usize),
        parameters: &Product,
        x: &Tensor,
        weight: &Matrix,
        other: Option<&Tensor>,
        out: &Tensor,
    ) -> Result<()> {
        let parameters = ProductHopper {
            a: self.activation_map(x, HOPPER_ROWS)?,
            b: self.weight_map(weight, width)?,
            other: match other {
                Some(other) => self.activation_map(other, HOPPER_ROWS)?,
                None => TensorMap::ABSENT,
            },
            out: self.activation_map(out, HOPPER_OUT_ROWS)?,
            product: *parameters,
            taken: self.stream.tiles_taken()?,
            padding: [0; 16],
        };
        let kernel = match width {
            128 => const { sources::kernel("product_hopper_128") },
            192 => const { sources::kernel("product_hopper_192") },
            _ => const { sources::kernel("product_hopper_256") },
        };
        let tiles = x.rows.div_ceil(HOPPER_ROWS) * weight.rows.div_ceil(width);
        let grid = [self.gpu.multiprocessors.min(tiles), 1, 1];
        self.stream.launch(kernel, grid, bytes, &parameters)
    }

    /// The tensor map of activations with boxes of `rows` rows.
    pub(super) fn activation_map(&self, tensor: &Tensor, rows: usize) -> Result<TensorMap> {
        let (all, columns) = tensor.shape();
        let shape = [all, columns, tensor.stride()];
        self.stream.tensor_map(tensor.address(), shape, rows)
    }

    /// The tensor map of the weight with boxes of `rows` rows.
    pub(super) fn weight_map(&self, weight: &Matrix, rows: usize) -> Result<TensorMap> {
        let place = HOPPER_TILES.iter().position(|(width, _)| *width == rows);
        let place = &weight.maps[place.unwrap_or(0)];
        if let Some(map) = place.get() {
            return Ok(*map);
        }
        let map = self.gpu.device.tensor_map(
            weight.memory.address(),
            weight.rows,
            weight.columns,
            weight.stride(),
            rows,
        )?;
        Ok(*place.get_or_init(|| map))
    }
}

/// The approximate number of cycles of the epilogue for 64 columns of a tile: instructions of the
/// machine code, one for each value of a warp and cycle.
fn epilogue_cycles(activation: i32, has_other: bool) -> usize {
    match (activation, has_other) {
        (0 | 3, false) => 350,
        (0 | 3, true) => 500,
        // TANH alone is not approximated.
        (5, _) => 1_900,
        _ => 1_000,
    }
}

/// The tile width with the lowest estimated number of cycles for a product of rows × columns over a
/// depth, and its shared memory. The kernel of 128 columns overlaps the epilogue of a tile with the
/// product of the next, but is bound by the bandwidth of shared memory; those of 192 and 256 overlap
/// it as far as one warpgroup is ahead of the other. (Estimated from the machine code, not
/// measured.)
fn hopper_tile(
    [rows, columns, depth]: [usize; 3],
    finish: usize,
    multiprocessors: usize,
) -> (usize, usize) {
    let slices = depth.div_ceil(64);
    let cycles = |width: usize| {
        let tiles = rows.div_ceil(HOPPER_ROWS) * columns.div_ceil(width);
        let rounds = tiles.div_ceil(multiprocessors.max(1));
        match width {
            128 => {
                let product = slice_cycles(128) * slices;
                rounds * product.max((product + 2 * finish) / 2) + 2 * finish
            }
            _ => {
                let ahead = slices
                    .saturating_sub(1)
                    .min(if width == 256 { 2 } else { 3 });
                // A stage takes a warpgroup 2 · width cycles alone, and it is ahead twice a tile:
                // when it ends, and when the other does.
                let left = (finish * width / 64).saturating_sub(ahead * 4 * width);
                rounds * (slice_cycles(width) * slices + left)
            }
        }
    };
    let best = HOPPER_TILES
        .into_iter()
        .rev()
        .min_by_key(|(width, _)| cycles(*width));
    best.unwrap_or(HOPPER_TILES[0])
}

/// Cycles for 64 columns of a and b: shared memory moves 128 bytes in each, the tensor copies write
/// both boxes, and the products read 64 rows of a and all of b for 16 columns at a time. The tensor
/// cores alone would take 4 · width, which is less for widths below 256.
fn slice_cycles(width: usize) -> usize {
    let written = 128 * (HOPPER_ROWS + width);
    let read = 8 * 32 * (64 + width);
    (written + read) / 128
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tile_width_minimizes_estimated_cycles() {
        // 128 row tiles: 3 columns of 256 give 384 tiles, 3 waves of 132.
        assert_eq!(hopper_tile([16_384, 768, 3_072], 350, 132).0, 256);
        // Tiles of 128 columns hide expensive epilogues, those of 256 most of GELU.
        assert_eq!(hopper_tile([16_384, 3_072, 768], 1_900, 132).0, 128);
        assert_eq!(hopper_tile([16_384, 3_072, 768], 1_000, 132).0, 256);
        assert_eq!(
            [128, 192, 256].map(slice_cycles),
            [640, 832, 1_024],
            "bytes of shared memory / 128"
        );
        assert_eq!(hopper_tile([1_000, 128, 768], 350, 132).0, 128);
        // 4,096 rows of 768 columns: 128 tiles of 192 columns, one wave.
        assert_eq!(hopper_tile([4_096, 768, 768], 350, 132).0, 192);
    }
}
