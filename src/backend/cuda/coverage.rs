//! What of the kernel table a set of launches has reached.
//!
//! Some kernels choose among template instances or loops by their parameters. Such a choice is a
//! property of the launch, computed here from the parameters, as the kernel does. Conformance must
//! reach every kernel with every one of its properties.

use std::mem::offset_of;

#[cfg(feature = "train")]
use super::backward::parameters::{
    ColumnSums, Elements, Gather, Im2colBackward, NormBackward, PoolBackward, SpladeSlopes,
    WeightGradient,
};
use super::device::Kernel;
use super::parameters::{
    Embed, Im2col, Late, Nearest, NormParameters, Pool, Product, ProductHopper, ProductSplit,
    RowsOf, Sparsify, Splade, SpladeHopper, TopK,
};
use super::sources::KERNELS;

const ACTIVATIONS: [&str; 6] = ["identity", "GELU", "GELU by tanh", "ReLU", "SiLU", "tanh"];
const EPILOGUES: [&str; 3] = ["no epilogue", "add", "multiply"];
const SPLADE_ACTIVATIONS: [&str; 2] = ["log1p", "log1p twice"];
const POOLINGS: [&str; 6] = ["first", "last", "mean", "mean sqrt", "max", "weighted mean"];
const NORMS: [&str; 3] = ["no norm", "layer norm", "root mean square"];
/// Instances by chunks of 256 columns, and the loop for longer rows.
const CHUNKS: [&str; 5] = [
    "1 chunk of columns",
    "2 chunks of columns",
    "3 chunks of columns",
    "4 chunks of columns",
    "a loop over columns",
];
const TABLES: [&str; 3] = ["1 table", "2 tables", "3 tables"];
const CELLS: [&str; 3] = ["maxima", "maxima with rows", "sums"];
/// Whether a Hopper product visits a stage of its ring twice within a tile.
const RING: [&str; 2] = ["stages used once", "stages reused"];
const TILES: [&str; 2] = ["one tile per block", "several tiles per block"];
const COPIES: [&str; 2] = ["eight columns at a time", "column by column"];
const ROWS: [&str; 2] = ["rows of whole 16 bytes", "rows of odd length"];
const ROUNDS: [&str; 2] = ["one round of sequences", "several rounds of sequences"];
const KEPT: [&str; 2] = ["no term kept", "terms kept"];
const MERGES: [&str; 3] = ["first tile", "later tile", "selection"];

#[cfg(feature = "train")]
const ELEMENTS: [&str; 4] = [
    "activation",
    "slope of an activation",
    "product of values",
    "dropout",
];
#[cfg(feature = "train")]
const DTYPES: [&str; 2] = ["bf16", "f32"];
#[cfg(feature = "train")]
const TRAINED_NORMS: [&str; 2] = ["layer norm", "root mean square"];
#[cfg(feature = "train")]
const COLUMNS: [&str; 2] = ["columns of a gradient", "columns of a norm"];
#[cfg(feature = "train")]
const PARTS: [&str; 2] = ["all rows at once", "parts of the rows"];
#[cfg(feature = "train")]
const GATHERED: [&str; 2] = ["rows of bf16", "rows of f32"];

/// The keys that nearest_merge has room for, with those of the list.
const NEAREST_KEYS: i32 = 2_048;
/// Sequences that sparse_offsets takes at once.
const OFFSETS_AT_ONCE: i32 = 1_024;
/// Columns of k per stage, and rows of a per tile, of a Hopper product.
const HOPPER_DEPTH: i32 = 64;
const HOPPER_ROWS: i32 = 128;

/// The sets of properties of a kernel: each launch has some of each set.
fn sets(kernel: &str) -> Vec<&'static [&'static str]> {
    match kernel {
        "add_norm" => vec![&CHUNKS, &NORMS],
        "embed" => vec![&CHUNKS, &NORMS, &TABLES],
        "im2col" => vec![&COPIES],
        "pool" => vec![&POOLINGS],
        "max_sim" => vec![&ROWS],
        "nearest_merge" => vec![&MERGES],
        "sparse_offsets" => vec![&ROUNDS],
        "sparse_count" | "sparse_write" => vec![&CELLS],
        "sparse_top_k" => vec![&KEPT],
        "product_split_hopper" => vec![&TILES],
        #[cfg(feature = "train")]
        "elements" => vec![&ELEMENTS, &DTYPES, &ACTIVATIONS],
        #[cfg(feature = "train")]
        "norm_backward" => vec![&TRAINED_NORMS],
        #[cfg(feature = "train")]
        "column_sums" => vec![&COLUMNS],
        #[cfg(feature = "train")]
        "pool_backward" => vec![&POOLINGS],
        #[cfg(feature = "train")]
        "im2col_backward" => vec![&COPIES],
        #[cfg(feature = "train")]
        "gather_rows" | "gather_rows_f32" => vec![&GATHERED],
        #[cfg(feature = "train")]
        "splade_slopes" => vec![&SPLADE_ACTIVATIONS],
        #[cfg(feature = "train")]
        "weight_gradient" => vec![&PARTS],
        _ if kernel.starts_with("product_hopper_") => vec![&ACTIVATIONS, &EPILOGUES, &RING, &TILES],
        _ if kernel.starts_with("product_") => vec![&ACTIVATIONS, &EPILOGUES],
        _ if kernel.starts_with("splade_hopper_") => vec![&SPLADE_ACTIVATIONS, &RING, &TILES],
        _ if kernel.starts_with("splade_") => vec![&SPLADE_ACTIVATIONS],
        _ => Vec::new(),
    }
}

/// Every kernel, with an empty property and with each of its properties.
pub(super) fn wanted(is_hopper: bool) -> Vec<(&'static str, &'static str)> {
    let kernels = KERNELS.iter().filter(|kernel| is_hopper || !kernel.hopper);
    kernels
        .flat_map(|kernel| {
            let properties = sets(kernel.name).concat();
            let properties = [""].into_iter().chain(properties);
            properties.map(|property| (kernel.name, property))
        })
        .collect()
}

/// The stages of the ring of a Hopper product with tiles of this width: `Ring<N>::STAGES`.
pub(in crate::backend) fn hopper_stages(width: usize) -> usize {
    match width {
        256 => 4,
        192 => 5,
        _ => 6,
    }
}

/// The properties of a launch.
pub(super) fn properties(kernel: &Kernel, grid: [u32; 3], parameters: &[u8]) -> Vec<&'static str> {
    let word = |offset: usize| {
        let bytes = parameters.get(offset..offset + 4);
        bytes.map_or(0, |bytes| {
            i32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
        })
    };
    #[cfg(feature = "train")]
    let is_present = |address: usize| word(address) != 0 || word(address + 4) != 0;
    let of = |set: &[&'static str], place: i32| set[(place.max(0) as usize).min(set.len() - 1)];
    let chunks = |columns: i32| of(&CHUNKS, (columns - 1) / 256);
    let norm = |offset: usize| of(&NORMS, word(offset + offset_of!(NormParameters, kind)));
    let ring = |width: usize, depth: i32| {
        let stages = (depth - 1) / HOPPER_DEPTH + 1;
        of(&RING, i32::from(stages > hopper_stages(width) as i32))
    };
    let tiles = |width: usize, rows: i32, columns: i32| {
        let width = width as i32;
        let tiles = ((rows - 1) / HOPPER_ROWS + 1) * ((columns - 1) / width + 1);
        of(&TILES, i32::from(tiles > grid[0] as i32))
    };
    match kernel.name {
        "add_norm" => vec![
            chunks(word(offset_of!(RowsOf, columns))),
            norm(offset_of!(RowsOf, norm)),
        ],
        "embed" => vec![
            chunks(word(offset_of!(Embed, columns))),
            norm(offset_of!(Embed, norm)),
            of(&TABLES, word(offset_of!(Embed, parts)) - 1),
        ],
        "im2col" => vec![of(
            &COPIES,
            i32::from(word(offset_of!(Im2col, columns)) % 8 != 0),
        )],
        "pool" => vec![of(&POOLINGS, word(offset_of!(Pool, pooling)))],
        "max_sim" => vec![of(
            &ROWS,
            i32::from(word(offset_of!(Late, columns)) % 4 != 0),
        )],
        "nearest_merge" => {
            let is_first = word(offset_of!(Nearest, is_empty)) != 0;
            let room = NEAREST_KEYS - word(offset_of!(Nearest, k));
            // Every score is above that of an empty list.
            let parts = grid[1].max(1) as i32;
            let selects = is_first && word(offset_of!(Nearest, count)) / parts > room;
            let merge = of(&MERGES, i32::from(!is_first));
            [merge]
                .into_iter()
                .chain(selects.then_some(MERGES[2]))
                .collect()
        }
        "sparse_offsets" => {
            let sequences = word(offset_of!(Sparsify, sequences));
            vec![of(&ROUNDS, i32::from(sequences > OFFSETS_AT_ONCE))]
        }
        "sparse_count" | "sparse_write" => vec![of(&CELLS, word(offset_of!(Sparsify, kind)))],
        "sparse_top_k" => vec![of(&KEPT, i32::from(word(offset_of!(TopK, k)) > 0))],
        #[cfg(feature = "train")]
        "elements" => vec![
            of(&ELEMENTS, word(offset_of!(Elements, operation))),
            of(&DTYPES, word(offset_of!(Elements, is_f32))),
            of(&ACTIVATIONS, word(offset_of!(Elements, activation))),
        ],
        #[cfg(feature = "train")]
        "norm_backward" => {
            let kind = word(offset_of!(NormBackward, norm) + offset_of!(NormParameters, kind));
            vec![of(&TRAINED_NORMS, kind - NormParameters::LAYER)]
        }
        #[cfg(feature = "train")]
        "column_sums" => vec![of(
            &COLUMNS,
            i32::from(is_present(offset_of!(ColumnSums, x))),
        )],
        #[cfg(feature = "train")]
        "pool_backward" => vec![of(&POOLINGS, word(offset_of!(PoolBackward, pooling)))],
        #[cfg(feature = "train")]
        "im2col_backward" => vec![of(
            &COPIES,
            i32::from(word(offset_of!(Im2colBackward, columns)) % 8 != 0),
        )],
        #[cfg(feature = "train")]
        "gather_rows" | "gather_rows_f32" => vec![of(
            &GATHERED,
            i32::from(is_present(offset_of!(Gather, sums))),
        )],
        #[cfg(feature = "train")]
        "splade_slopes" => vec![of(
            &SPLADE_ACTIVATIONS,
            word(offset_of!(SpladeSlopes, activation)),
        )],
        #[cfg(feature = "train")]
        "weight_gradient" => vec![of(
            &PARTS,
            i32::from(word(offset_of!(WeightGradient, parts)) > 1),
        )],
        "product_split_hopper" => {
            let (k, part) = (
                word(offset_of!(ProductSplit, k)),
                word(offset_of!(ProductSplit, part)),
            );
            let parts = (k - 1) / part.max(1) + 1;
            let rows = word(offset_of!(ProductSplit, m));
            let columns = word(offset_of!(ProductSplit, n));
            let tiles = ((rows - 1) / HOPPER_ROWS + 1) * ((columns - 1) / 128 + 1);
            vec![of(&TILES, i32::from(tiles * parts > grid[0] as i32))]
        }
        name if name.starts_with("product_hopper_") => {
            let width = name["product_hopper_".len()..].parse().unwrap_or(0);
            vec![
                of(
                    &ACTIVATIONS,
                    word(offset_of!(ProductHopper, product.activation)),
                ),
                of(
                    &EPILOGUES,
                    word(offset_of!(ProductHopper, product.epilogue)),
                ),
                ring(width, word(offset_of!(ProductHopper, product.k))),
                tiles(
                    width,
                    word(offset_of!(ProductHopper, product.m)),
                    word(offset_of!(ProductHopper, product.n)),
                ),
            ]
        }
        name if name.starts_with("product_") => vec![
            of(&ACTIVATIONS, word(offset_of!(Product, activation))),
            of(&EPILOGUES, word(offset_of!(Product, epilogue))),
        ],
        name if name.starts_with("splade_hopper_") => vec![
            of(
                &SPLADE_ACTIVATIONS,
                word(offset_of!(SpladeHopper, splade.activation)),
            ),
            ring(256, word(offset_of!(SpladeHopper, splade.columns))),
            tiles(
                256,
                word(offset_of!(SpladeHopper, splade.rows)),
                word(offset_of!(SpladeHopper, splade.terms)),
            ),
        ],
        name if name.starts_with("splade_") => vec![of(
            &SPLADE_ACTIVATIONS,
            word(offset_of!(Splade, activation)),
        )],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use zerocopy::IntoBytes;

    use super::super::sources;
    use super::*;

    #[test]
    fn properties_follow_the_parameters() {
        let product = Product {
            activation: 1,
            epilogue: 2,
            ..Product::NONE
        };
        let kernel = sources::kernel("product_tn");
        let found = properties(kernel, [1, 1, 1], product.as_bytes());
        assert_eq!(found, ["GELU", "multiply"]);
        let nearest = |k, count, is_empty| Nearest {
            scores: 0,
            best_scores: 0,
            best_ids: 0,
            queries: 1,
            count,
            first: 0,
            k,
            is_empty,
            padding: 0,
        };
        let kernel = sources::kernel("nearest_merge");
        let of = |nearest: Nearest| properties(kernel, [1, 1, 1], nearest.as_bytes());
        assert_eq!(of(nearest(1_000, 1_048, 1)), ["first tile"]);
        assert_eq!(of(nearest(1_000, 1_049, 1)), ["first tile", "selection"]);
        assert_eq!(of(nearest(1_000, 1_049, 0)), ["later tile"]);
    }

    #[test]
    fn every_property_of_a_launch_is_wanted() {
        let wanted = wanted(true);
        for kernel in KERNELS {
            let zeros = vec![0; kernel.parameter_bytes];
            for property in properties(kernel, [1, 1, 1], &zeros) {
                assert!(wanted.contains(&(kernel.name, property)), "{property}");
            }
        }
        assert!(
            self::wanted(false)
                .iter()
                .all(|(kernel, _)| !kernel.contains("hopper"))
        );
    }
}
