//! The kernel sources, and the table of all kernels.
//!
//! Sources are part of the binary. Before a source goes to NVRTC, its `#include` lines are replaced
//! by the files they name, so that NVRTC needs no files. [`KERNELS`] has a row for each kernel; a
//! test compares the rows with what the compiler finds in the sources.

#[cfg(feature = "train")]
use super::backward::parameters as training;
use super::device::{Kernel, MAX_PARAMETER_BYTES};
use super::guard;
use super::parameters::{
    AttentionOf, Convert, CrossAttentionOf, Embed, Heads, Im2col, L2Normalize, Late, Nearest,
    Parameters, Pool, Product, ProductHopper, ProductSplit, ProductSum, RowsOf, Sparsify, Splade,
    SpladeHopper, TopK,
};

macro_rules! texts {
    ($($(#[$only:meta])* $file:literal),* $(,)?) => {
        &[$($(#[$only])* ($file, include_str!(concat!("../../../kernels/", $file)))),*]
    };
}

/// Sources that are compiled separately. Those for sm_90 only end in `_hopper.cu`.
pub(super) const FILES: &[(&str, &str)] = texts![
    "rows.cu",
    "pool.cu",
    "attention_16.cu",
    "attention_32.cu",
    "attention_64.cu",
    "attention_96.cu",
    "attention_128.cu",
    "attention_256.cu",
    "cross.cu",
    "late.cu",
    "product.cu",
    "splade.cu",
    "sparsify.cu",
    "nearest.cu",
    "product_hopper.cu",
    "product_split_hopper.cu",
    "splade_hopper.cu",
    #[cfg(feature = "train")]
    "backward_rows.cu",
    #[cfg(feature = "train")]
    "optimizer.cu",
    #[cfg(feature = "train")]
    "splade_backward.cu",
    #[cfg(feature = "train")]
    "weights.cu",
    #[cfg(feature = "train")]
    "bucket_slopes.cu",
    #[cfg(feature = "train")]
    "attention_backward_16.cu",
    #[cfg(feature = "train")]
    "attention_backward_32.cu",
    #[cfg(feature = "train")]
    "attention_backward_64.cu",
    #[cfg(feature = "train")]
    "attention_backward_96.cu",
    #[cfg(feature = "train")]
    "attention_backward_128.cu",
    #[cfg(feature = "train")]
    "attention_backward_256.cu",
];

/// The headers.
pub(super) const HEADERS: &[(&str, &str)] = texts![
    "prelude.cuh",
    "guard.cuh",
    "parameters.cuh",
    "activation.cuh",
    "attention.cuh",
    #[cfg(feature = "train")]
    "attention_backward.cuh",
    "head_rows.cuh",
    "vec8.cuh",
    "rows.cuh",
    "hopper.cuh",
    "hopper_product.cuh",
    "product.cuh",
    "select.cuh",
    "splade.cuh",
];

/// Every kernel: its parameters, its name, its source and its threads per block.
pub(super) const KERNELS: &[Kernel] = &[
    row::<RowsOf>("add_norm", "rows.cu", 256),
    row::<Embed>("embed", "rows.cu", 256),
    row::<Heads>("split_heads", "rows.cu", 256),
    row::<Convert>("f32_to_bf16", "rows.cu", 256),
    row::<Im2col>("im2col", "rows.cu", 256),
    row::<L2Normalize>("l2_normalize", "rows.cu", 256),
    row::<Convert>("bf16_to_f32", "rows.cu", 256),
    row::<Pool>("pool", "pool.cu", 32),
    row::<AttentionOf>("attention_16", "attention_16.cu", 128),
    row::<AttentionOf>("attention_16_bias", "attention_16.cu", 128),
    row::<AttentionOf>("attention_16_disentangled", "attention_16.cu", 128),
    row::<AttentionOf>("attention_32", "attention_32.cu", 128),
    row::<AttentionOf>("attention_32_bias", "attention_32.cu", 128),
    row::<AttentionOf>("attention_32_disentangled", "attention_32.cu", 128),
    row::<AttentionOf>("attention_64", "attention_64.cu", 128),
    row::<AttentionOf>("attention_64_bias", "attention_64.cu", 128),
    row::<AttentionOf>("attention_64_disentangled", "attention_64.cu", 128),
    row::<AttentionOf>("attention_96", "attention_96.cu", 128),
    row::<AttentionOf>("attention_96_bias", "attention_96.cu", 128),
    row::<AttentionOf>("attention_96_disentangled", "attention_96.cu", 128),
    row::<AttentionOf>("attention_128", "attention_128.cu", 128),
    row::<AttentionOf>("attention_128_bias", "attention_128.cu", 128),
    row::<AttentionOf>("attention_128_disentangled", "attention_128.cu", 128),
    row::<AttentionOf>("attention_256", "attention_256.cu", 128),
    row::<AttentionOf>("attention_256_bias", "attention_256.cu", 128),
    row::<AttentionOf>("attention_256_disentangled", "attention_256.cu", 128),
    row::<CrossAttentionOf>("cross_attention", "cross.cu", 32),
    row::<Late>("max_sim", "late.cu", 128),
    row::<Product>("product_nn", "product.cu", 128),
    row::<Product>("product_nn_f32", "product.cu", 128),
    row::<Product>("product_nt", "product.cu", 128),
    row::<Product>("product_nt_f32", "product.cu", 128),
    row::<ProductSum>("product_sum", "product.cu", 256),
    row::<Product>("product_tn", "product.cu", 128),
    row::<Product>("product_tn_f32", "product.cu", 128),
    row::<Product>("product_tn_f32_small", "product.cu", 128),
    row::<Product>("product_tn_small", "product.cu", 128),
    row::<Splade>("splade_max", "splade.cu", 128),
    row::<Splade>("splade_argmax", "splade.cu", 128),
    row::<Splade>("splade_sum", "splade.cu", 128),
    row::<Sparsify>("sparse_count", "sparsify.cu", 1024),
    row::<TopK>("sparse_top_k", "sparsify.cu", 1024),
    row::<Sparsify>("sparse_offsets", "sparsify.cu", 1024),
    row::<Sparsify>("sparse_write", "sparsify.cu", 1024),
    row::<Nearest>("nearest_merge", "nearest.cu", 512),
    row::<ProductHopper>("product_hopper_128", "product_hopper.cu", 384),
    row::<ProductHopper>("product_hopper_192", "product_hopper.cu", 384),
    row::<ProductHopper>("product_hopper_256", "product_hopper.cu", 384),
    row::<ProductSplit>("product_split_hopper", "product_split_hopper.cu", 384),
    row::<SpladeHopper>("splade_hopper_max", "splade_hopper.cu", 384),
    row::<SpladeHopper>("splade_hopper_argmax", "splade_hopper.cu", 384),
    row::<SpladeHopper>("splade_hopper_sum", "splade_hopper.cu", 384),
    #[cfg(feature = "train")]
    row::<training::Elements>("elements", "backward_rows.cu", 256),
    #[cfg(feature = "train")]
    row::<training::NormBackward>("norm_backward", "backward_rows.cu", 256),
    #[cfg(feature = "train")]
    row::<training::ColumnSums>("column_sums", "backward_rows.cu", 32),
    #[cfg(feature = "train")]
    row::<training::SumParts>("sum_parts", "backward_rows.cu", 256),
    #[cfg(feature = "train")]
    row::<training::L2NormalizeBackward>("l2_normalize_backward", "backward_rows.cu", 256),
    #[cfg(feature = "train")]
    row::<training::PoolBackward>("pool_backward", "backward_rows.cu", 32),
    #[cfg(feature = "train")]
    row::<training::Im2colBackward>("im2col_backward", "backward_rows.cu", 256),
    #[cfg(feature = "train")]
    row::<training::Gather>("gather_rows", "backward_rows.cu", 256),
    #[cfg(feature = "train")]
    row::<training::Gather>("gather_rows_f32", "backward_rows.cu", 256),
    #[cfg(feature = "train")]
    row::<training::AdamWStep>("adamw", "optimizer.cu", 256),
    #[cfg(feature = "train")]
    row::<training::SumOfSquares>("sum_of_squares", "optimizer.cu", 256),
    #[cfg(feature = "train")]
    row::<training::CopyValues>("copy_values", "optimizer.cu", 256),
    #[cfg(feature = "train")]
    row::<training::Transpose>("transpose_to_bf16", "optimizer.cu", 256),
    #[cfg(feature = "train")]
    row::<training::SpladeSlopes>("splade_slopes", "splade_backward.cu", 256),
    #[cfg(feature = "train")]
    row::<training::WeightGradient>("weight_gradient", "weights.cu", 128),
    #[cfg(feature = "train")]
    row::<training::BucketSlopes>("bucket_slopes", "bucket_slopes.cu", 128),
    #[cfg(feature = "train")]
    row::<training::AddToRows>("add_to_rows", "bucket_slopes.cu", 256),
    #[cfg(feature = "train")]
    row::<training::AttentionBackward>(
        "attention_backward_16_queries",
        "attention_backward_16.cu",
        128,
    ),
    #[cfg(feature = "train")]
    row::<training::AttentionBackward>(
        "attention_backward_16_queries_bias",
        "attention_backward_16.cu",
        128,
    ),
    #[cfg(feature = "train")]
    row::<training::AttentionBackward>(
        "attention_backward_16_queries_disentangled",
        "attention_backward_16.cu",
        128,
    ),
    #[cfg(feature = "train")]
    row::<training::AttentionBackward>(
        "attention_backward_16_keys",
        "attention_backward_16.cu",
        128,
    ),
    #[cfg(feature = "train")]
    row::<training::AttentionBackward>(
        "attention_backward_16_keys_bias",
        "attention_backward_16.cu",
        128,
    ),
    #[cfg(feature = "train")]
    row::<training::AttentionBackward>(
        "attention_backward_16_keys_disentangled",
        "attention_backward_16.cu",
        128,
    ),
    #[cfg(feature = "train")]
    row::<training::AttentionBackward>(
        "attention_backward_32_queries",
        "attention_backward_32.cu",
        128,
    ),
    #[cfg(feature = "train")]
    row::<training::AttentionBackward>(
        "attention_backward_32_queries_bias",
        "attention_backward_32.cu",
        128,
    ),
    #[cfg(feature = "train")]
    row::<training::AttentionBackward>(
        "attention_backward_32_queries_disentangled",
        "attention_backward_32.cu",
        128,
    ),
    #[cfg(feature = "train")]
    row::<training::AttentionBackward>(
        "attention_backward_32_keys",
        "attention_backward_32.cu",
        128,
    ),
    #[cfg(feature = "train")]
    row::<training::AttentionBackward>(
        "attention_backward_32_keys_bias",
        "attention_backward_32.cu",
        128,
    ),
    #[cfg(feature = "train")]
    row::<training::AttentionBackward>(
        "attention_backward_32_keys_disentangled",
        "attention_backward_32.cu",
        128,
    ),
    #[cfg(feature = "train")]
    row::<training::AttentionBackward>(
        "attention_backward_64_queries",
        "attention_backward_64.cu",
        128,
    ),
    #[cfg(feature = "train")]
    row::<training::AttentionBackward>(
        "attention_backward_64_queries_bias",
        "attention_backward_64.cu",
        128,
    ),
    #[cfg(feature = "train")]
    row::<training::AttentionBackward>(
        "attention_backward_64_queries_disentangled",
        "attention_backward_64.cu",
        128,
    ),
    #[cfg(feature = "train")]
    row::<training::AttentionBackward>(
        "attention_backward_64_keys",
        "attention_backward_64.cu",
        128,
    ),
    #[cfg(feature = "train")]
    row::<training::AttentionBackward>(
        "attention_backward_64_keys_bias",
        "attention_backward_64.cu",
        128,
    ),
    #[cfg(feature = "train")]
    row::<training::AttentionBackward>(
        "attention_backward_64_keys_disentangled",
        "attention_backward_64.cu",
        128,
    ),
    #[cfg(feature = "train")]
    row::<training::AttentionBackward>(
        "attention_backward_96_queries",
        "attention_backward_96.cu",
        128,
    ),
    #[cfg(feature = "train")]
    row::<training::AttentionBackward>(
        "attention_backward_96_queries_bias",
        "attention_backward_96.cu",
        128,
    ),
    #[cfg(feature = "train")]
    row::<training::AttentionBackward>(
        "attention_backward_96_queries_disentangled",
        "attention_backward_96.cu",
        128,
    ),
    #[cfg(feature = "train")]
    row::<training::AttentionBackward>(
        "attention_backward_96_keys",
        "attention_backward_96.cu",
        128,
    ),
    #[cfg(feature = "train")]
    row::<training::AttentionBackward>(
        "attention_backward_96_keys_bias",
        "attention_backward_96.cu",
        128,
    ),
    #[cfg(feature = "train")]
    row::<training::AttentionBackward>(
        "attention_backward_96_keys_disentangled",
        "attention_backward_96.cu",
        128,
    ),
    #[cfg(feature = "train")]
    row::<training::AttentionBackward>(
        "attention_backward_128_queries",
        "attention_backward_128.cu",
        128,
    ),
    #[cfg(feature = "train")]
    row::<training::AttentionBackward>(
        "attention_backward_128_queries_bias",
        "attention_backward_128.cu",
        128,
    ),
    #[cfg(feature = "train")]
    row::<training::AttentionBackward>(
        "attention_backward_128_queries_disentangled",
        "attention_backward_128.cu",
        128,
    ),
    #[cfg(feature = "train")]
    row::<training::AttentionBackward>(
        "attention_backward_128_keys",
        "attention_backward_128.cu",
        128,
    ),
    #[cfg(feature = "train")]
    row::<training::AttentionBackward>(
        "attention_backward_128_keys_bias",
        "attention_backward_128.cu",
        128,
    ),
    #[cfg(feature = "train")]
    row::<training::AttentionBackward>(
        "attention_backward_128_keys_disentangled",
        "attention_backward_128.cu",
        128,
    ),
    #[cfg(feature = "train")]
    row::<training::AttentionBackward>(
        "attention_backward_256_queries",
        "attention_backward_256.cu",
        128,
    ),
    #[cfg(feature = "train")]
    row::<training::AttentionBackward>(
        "attention_backward_256_queries_bias",
        "attention_backward_256.cu",
        128,
    ),
    #[cfg(feature = "train")]
    row::<training::AttentionBackward>(
        "attention_backward_256_queries_disentangled",
        "attention_backward_256.cu",
        128,
    ),
    #[cfg(feature = "train")]
    row::<training::AttentionBackward>(
        "attention_backward_256_keys",
        "attention_backward_256.cu",
        128,
    ),
    #[cfg(feature = "train")]
    row::<training::AttentionBackward>(
        "attention_backward_256_keys_bias",
        "attention_backward_256.cu",
        128,
    ),
    #[cfg(feature = "train")]
    row::<training::AttentionBackward>(
        "attention_backward_256_keys_disentangled",
        "attention_backward_256.cu",
        128,
    ),
];

const fn row<P: Parameters>(name: &'static str, file: &'static str, threads: u32) -> Kernel {
    assert!(size_of::<P>() <= MAX_PARAMETER_BYTES);
    Kernel {
        name,
        file,
        threads,
        parameter_bytes: size_of::<P>(),
        hopper: is_hopper(file),
    }
}

/// The kernel of this name. Meant for constants, where a wrong name does not compile: `const POOL:
/// &Kernel = sources::kernel("pool");`
///
/// # Panics
///
/// If there is no such kernel.
pub(super) const fn kernel(name: &str) -> &'static Kernel {
    let mut i = 0;
    while i < KERNELS.len() {
        if equal(KERNELS[i].name.as_bytes(), name.as_bytes()) {
            return &KERNELS[i];
        }
        i += 1;
    }
    panic!("no kernel of this name: see sources::KERNELS")
}

/// True for sources for sm_90 only.
pub(super) const fn is_hopper(file: &str) -> bool {
    const END: &[u8] = b"_hopper.cu";
    match file.as_bytes().split_last_chunk::<{ END.len() }>() {
        Some((_, end)) => equal(end, END),
        None => false,
    }
}

const fn equal(a: &[u8], b: &[u8]) -> bool {
    let mut i = 0;
    while i < a.len() && i < b.len() && a[i] == b[i] {
        i += 1;
    }
    i == a.len() && i == b.len()
}

/// The text of a source for a real GPU, with guards if `$ESPARSA_CUDA_GUARD` says so.
///
/// # Panics
///
/// As [`expanded`].
pub(super) fn text(file: &str) -> String {
    match guard::is_on() {
        true => guard::guarded(&expanded(file)),
        false => expanded(file),
    }
}

/// The text of a source with its includes expanded, each once. `#line` tells the compiler where
/// lines come from, so that its messages name the files of `kernels/`.
///
/// # Panics
///
/// If `file` is not in [`FILES`].
pub(super) fn expanded(file: &str) -> String {
    let (name, source) = FILES
        .iter()
        .find(|(name, _)| *name == file)
        .unwrap_or_else(|| panic!("no source {file}: see sources::FILES"));
    let mut out = String::new();
    put(&mut out, name, source, &mut Vec::new());
    out
}

fn put(out: &mut String, name: &str, source: &'static str, there: &mut Vec<&'static str>) {
    out.push_str(&format!("#line 1 \"{name}\"\n"));
    for (number, line) in source.lines().enumerate() {
        let header =
            included(line).and_then(|wanted| HEADERS.iter().find(|(header, _)| *header == wanted));
        match header {
            Some((header, _)) if there.contains(header) => out.push('\n'),
            Some((header, text)) => {
                there.push(header);
                put(out, header, text, there);
                out.push_str(&format!("#line {} \"{name}\"\n", number + 2));
            }
            // Each header is expanded once; outside a header the compiler would warn of the pragma.
            None if line.trim() == "#pragma once" => out.push('\n'),
            None => {
                out.push_str(line);
                out.push('\n');
            }
        }
    }
}

/// The `x.cuh` of a line `#include "x.cuh"`.
fn included(line: &str) -> Option<&str> {
    let rest = line.trim_start().strip_prefix("#include")?.trim_start();
    rest.strip_prefix('"')?.split('"').next()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn includes_are_put_in_place_once() {
        for (file, _) in FILES {
            let text = expanded(file);
            // What is left are the emulator's includes, behind an #ifdef.
            for line in text.lines() {
                if let Some(left) = included(line) {
                    assert!(
                        left.starts_with("emulate/"),
                        "{file}: {left} is not in HEADERS"
                    );
                }
            }
            assert!(text.contains("#line 1 \"prelude.cuh\"\n"), "{file}");
            assert_eq!(
                text.matches("struct EmbedParameters {").count(),
                1,
                "{file}"
            );
            assert!(!text.contains("#pragma once"), "{file}");
        }
    }

    #[test]
    fn every_header_is_included_by_a_source() {
        for (header, _) in HEADERS {
            let mark = format!("#line 1 \"{header}\"\n");
            assert!(
                FILES.iter().any(|(file, _)| expanded(file).contains(&mark)),
                "nothing includes {header}"
            );
        }
    }

    #[test]
    fn lines_keep_their_files_and_numbers() {
        let original = |name: &str| {
            let mut all = FILES.iter().chain(HEADERS);
            let (_, text) = all.find(|(file, _)| *file == name).unwrap();
            text.lines().collect::<Vec<_>>()
        };
        for (file, _) in FILES {
            let (mut lines, mut at) = (Vec::new(), 0);
            for line in expanded(file).lines() {
                if let Some(place) = line.strip_prefix("#line ") {
                    let (number, name) = place.split_once(' ').unwrap();
                    lines = original(name.trim_matches('"'));
                    at = number.parse::<usize>().unwrap();
                } else {
                    assert!(line.is_empty() || line == lines[at - 1], "{file}: {line}");
                    at += 1;
                }
            }
            assert_eq!(at - 1, lines.len(), "{file}");
        }
    }

    /// The kernels that a source declares with `KERNEL(name, threads, blocks)` outside macros. A
    /// test in `compile` checks the compiler's list against the table.
    fn declared(source: &str) -> Vec<(&str, &str)> {
        source
            .lines()
            .filter_map(|line| line.strip_prefix("KERNEL("))
            .filter_map(|line| {
                let mut parts = line.split([',', ')']).map(str::trim);
                Some((parts.next()?, parts.next()?))
            })
            .collect()
    }

    #[test]
    fn kernels_of_the_sources_are_in_the_table() {
        for (file, source) in FILES {
            for (name, threads) in declared(source) {
                let Some(kernel) = KERNELS.iter().find(|kernel| kernel.name == name) else {
                    panic!("{file} has the kernel {name}, sources::KERNELS has not");
                };
                assert_eq!(kernel.file, *file, "{name}");
                if let Ok(threads) = threads.parse::<u32>() {
                    assert_eq!(kernel.threads, threads, "{name}");
                }
            }
        }
    }

    #[test]
    fn names_of_kernels_are_unique() {
        let names: HashSet<_> = KERNELS.iter().map(|kernel| kernel.name).collect();
        assert_eq!(names.len(), KERNELS.len());
        for row in KERNELS {
            assert_eq!(kernel(row.name), row);
            assert!(
                FILES.iter().any(|(file, _)| *file == row.file),
                "{}",
                row.file
            );
            assert_eq!(row.hopper, row.file.ends_with("_hopper.cu"));
        }
    }
}
