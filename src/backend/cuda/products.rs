//! Products with weights, and which kernel makes them.

use super::device::TensorMap;
use super::parameters::{ABSENT, Product, ProductHopper, Then, activation as number_of};
use super::tensor::{Matrix, Numbers, Tensor};
use super::{Cuda, sources, whole};
use crate::backend::{Activation, Linear};
use crate::error::Result;

impl Cuda {
    /// then(activation(x · weightᵀ + bias), other): bf16, or f32 for x in f32.
    pub(super) fn product(
        &self,
        x: &Tensor,
        layer: &Linear<'_, Self>,
        activation: Activation,
        other: Option<(Then, &Tensor)>,
    ) -> Result<Tensor> {
        let numbers = x.numbers;
        let x = self.narrowed(x)?;
        let other = match other {
            Some((then, tensor)) => Some((then, self.narrowed(tensor)?)),
            None => None,
        };
        let weight = layer.weight;
        let out = self.empty(x.rows, weight.rows, numbers)?;
        let parameters = Product {
            a: x.address(),
            b: weight.memory.address(),
            out: out.address(),
            bias: layer.bias.map_or(ABSENT, |bias| bias.memory.address()),
            other: other
                .as_ref()
                .map_or(ABSENT, |(_, tensor)| tensor.address()),
            m: whole(x.rows)?,
            n: whole(weight.rows)?,
            k: whole(weight.columns)?,
            a_stride: whole(x.stride())?,
            b_stride: whole(weight.stride())?,
            out_stride: whole(out.stride())?,
            other_stride: other
                .as_ref()
                .map_or(Ok(0), |(_, tensor)| whole(tensor.stride()))?,
            then: other.as_ref().map_or(Then::Nothing, |(then, _)| *then) as i32,
            activation: number_of(activation),
            ..Product::NONE
        };
        let other = other.as_ref().map(|(_, tensor)| &**tensor);
        match self.hopper_tile(&parameters, other, numbers) {
            Some(tile) => self.launch_on_hopper(tile, &parameters, &x, weight, other, &out)?,
            None => self.launch_product(&parameters, numbers, 1)?,
        }
        Ok(out)
    }

    /// The tile with which the kernels for Hopper make a product, if the card is one and there are tiles for half of it at least.
    fn hopper_tile(
        &self,
        parameters: &Product,
        other: Option<&Tensor>,
        numbers: Numbers,
    ) -> Option<(usize, usize)> {
        if !self.card.is_hopper || numbers == Numbers::Wide {
            return None;
        }
        let shape = [parameters.m, parameters.n, parameters.k].map(|size| size as usize);
        let finish = finishing_cycles(parameters.activation, other.is_some());
        let multiprocessors = self.card.multiprocessors;
        let tile = hopper_tile(shape, finish, multiprocessors);
        let tiles = shape[0].div_ceil(HOPPER_ROWS) * shape[1].div_ceil(tile.0);
        (2 * tiles >= multiprocessors).then_some(tile)
    }
}

/// Rows and columns of a tile of the kernels for tensor cores of 8.0 and of their small forms, and the shared memory of a block.
const TILE: usize = 128;
const TILE_BYTES: usize = 49_152;
const SMALL_TILE: usize = 32;
const SMALL_TILE_BYTES: usize = 65_536;

/// Rows of a tile on Hopper.
const HOPPER_ROWS: usize = 128;
/// Columns of a tile on Hopper, with the shared memory of a block.
pub(super) const HOPPER_TILES: [(usize, usize); 3] =
    [(128, 217_200), (192, 227_424), (256, 221_264)];
/// Rows of the boxes in which results are written.
const HOPPER_OUT_ROWS: usize = 16;

impl Cuda {
    /// The product TN of `batch` pairs, by the kernel that suits its size.
    pub(super) fn launch_product(
        &self,
        parameters: &Product,
        numbers: Numbers,
        batch: usize,
    ) -> Result<()> {
        let (m, n) = (parameters.m as usize, parameters.n as usize);
        if m == 0 || n == 0 || batch == 0 {
            return Ok(());
        }
        let tiles = |size: usize| m.div_ceil(size) * n.div_ceil(size);
        let is_small = tiles(TILE) * batch < self.card.multiprocessors;
        let kernel = match (numbers, is_small) {
            (Numbers::Narrow, false) => const { sources::kernel("product_tn") },
            (Numbers::Narrow, true) => const { sources::kernel("product_tn_small") },
            (Numbers::Wide, false) => const { sources::kernel("product_tn_f32") },
            (Numbers::Wide, true) => const { sources::kernel("product_tn_f32_small") },
        };
        let (tile, bytes) = match is_small {
            true => (SMALL_TILE, SMALL_TILE_BYTES),
            false => (TILE, TILE_BYTES),
        };
        let grid = [tiles(tile), 1, batch];
        self.lane.launch(kernel, grid, bytes, parameters)
    }

    /// The same for one pair with bf16 outputs, on Hopper's matrix units, by tiles of this width and shared memory.
    pub(super) fn launch_on_hopper(
        &self,
        (width, bytes): (usize, usize),
        parameters: &Product,
        x: &Tensor,
        weight: &Matrix,
        other: Option<&Tensor>,
        out: &Tensor,
    ) -> Result<()> {
        let map = |tensor: &Tensor, rows| {
            let (all, columns) = tensor.shape();
            let device = &self.card.device;
            device.tensor_map(tensor.address(), all, columns, tensor.stride(), rows)
        };
        let parameters = ProductHopper {
            a: map(x, HOPPER_ROWS)?,
            b: self.weight_map(weight, width)?,
            other: other.map_or(Ok(TensorMap::ABSENT), |other| map(other, HOPPER_ROWS))?,
            out: map(out, HOPPER_OUT_ROWS)?,
            product: *parameters,
            unused: [0; 24],
        };
        let kernel = match width {
            128 => const { sources::kernel("product_hopper_128") },
            192 => const { sources::kernel("product_hopper_192") },
            _ => const { sources::kernel("product_hopper_256") },
        };
        let tiles = x.rows.div_ceil(HOPPER_ROWS) * weight.rows.div_ceil(width);
        let grid = [self.card.multiprocessors.min(tiles), 1, 1];
        self.lane.launch(kernel, grid, bytes, &parameters)
    }

    /// The weight in boxes of so many rows.
    pub(super) fn weight_map(&self, weight: &Matrix, rows: usize) -> Result<TensorMap> {
        let place = HOPPER_TILES.iter().position(|(width, _)| *width == rows);
        let place = &weight.maps[place.unwrap_or(0)];
        if let Some(map) = place.get() {
            return Ok(*map);
        }
        let map = self.card.device.tensor_map(
            weight.memory.address(),
            weight.rows,
            weight.columns,
            weight.stride(),
            rows,
        )?;
        Ok(*place.get_or_init(|| map))
    }
}

/// About how many cycles a warpgroup takes to finish 64 columns of a tile.
fn finishing_cycles(activation: i32, has_other: bool) -> usize {
    match (activation, has_other) {
        (0 | 3, false) => 350,
        (0 | 3, true) => 500,
        _ => 1_900,
    }
}

/// The width of tiles with which a product of rows × columns over a depth takes the fewest cycles by estimate, and its shared memory. Kernels of 192 and 256 columns multiply and finish in turns; that of
/// 128 finishes a tile while it multiplies the next, but waits more for the L2 cache. (Estimated from the machine code; to be measured.)
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
            128 => rounds * (590 * slices).max((512 * slices + 2 * finish) / 2) + 2 * finish,
            _ => rounds * (4 * width * slices + finish * width / 64),
        }
    };
    let best = HOPPER_TILES
        .into_iter()
        .rev()
        .min_by_key(|(width, _)| cycles(*width));
    best.unwrap_or(HOPPER_TILES[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_are_as_wide_as_leaves_the_fewest_multiprocessors_idle() {
        // 128 rows of tiles: 3 columns of 256 make 384 tiles, 3 rounds of 132.
        assert_eq!(hopper_tile([16_384, 768, 3_072], 350, 132).0, 256);
        // Costly activations are hidden by the tiles of 128 columns.
        assert_eq!(hopper_tile([16_384, 3_072, 768], 1_900, 132).0, 128);
        assert_eq!(hopper_tile([1_000, 128, 768], 350, 132).0, 128);
        // 4,096 rows of 768 columns: 128 tiles of 192 columns, one round.
        assert_eq!(hopper_tile([4_096, 768, 768], 350, 132).0, 192);
    }
}
