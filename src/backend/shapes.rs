//! Shape checks that all backends share.

use super::{Attention, CrossAttention, Device, Positions};
#[cfg(feature = "train")]
use super::{BackwardOps, PositionGradients};
use crate::error::{Error, Result};

/// An error unless the sizes are equal.
pub(super) fn expect(what: &str, found: usize, expected: usize) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(unfit(format!("{what}: expected {expected}, found {found}")))
}

/// An error unless rows and columns are equal.
pub(super) fn same(what: &str, found: (usize, usize), expected: (usize, usize)) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    let ((rows, columns), (expected_rows, expected_columns)) = (found, expected);
    Err(unfit(format!(
        "{what}: expected {expected_rows} × {expected_columns} values, found {rows} × {columns}"
    )))
}

/// An error unless `found` values fill rows × columns.
pub(super) fn count(what: &str, rows: usize, columns: usize, found: usize) -> Result<()> {
    if rows.checked_mul(columns) == Some(found) {
        return Ok(());
    }
    Err(unfit(format!(
        "{what}: expected {rows} × {columns} values, found {found}"
    )))
}

/// An error unless a width is odd.
pub(super) fn odd(width: usize) -> Result<()> {
    if width % 2 == 1 {
        return Ok(());
    }
    Err(unfit(format!("expected an odd width, found {width}")))
}

/// An error unless `starts` begins with 0, never decreases and ends with the number of rows.
pub(super) fn starts(starts: &[u32], rows: usize) -> Result<()> {
    let is_whole = starts.first() == Some(&0)
        && starts.is_sorted()
        && starts.last().is_some_and(|last| *last as usize == rows);
    if is_whole {
        return Ok(());
    }
    Err(unfit(format!(
        "starts of sequences: expected non-decreasing values from 0 to {rows}, found {} from {:?} to {:?}",
        starts.len(),
        starts.first(),
        starts.last()
    )))
}

/// The shape of a sum of table rows; an error unless all tables have the same number of columns,
/// all lists of ids the same length, and every id is below the number of rows of its table.
pub(super) fn embed(parts: &[((usize, usize), &[u32])]) -> Result<(usize, usize)> {
    let Some(((_, columns), ids)) = parts.first() else {
        return Err(unfit("expected at least one table, found none".to_owned()));
    };
    for ((rows, found), ids_of_part) in parts {
        expect("columns of a table", *found, *columns)?;
        expect("ids of a table", ids_of_part.len(), ids.len())?;
        if let Some(id) = ids_of_part.iter().find(|id| **id as usize >= *rows) {
            return Err(unfit(format!(
                "id of a table: expected less than {rows}, found {id}"
            )));
        }
    }
    Ok((ids.len(), *columns))
}

/// An error unless the shapes of all arguments of attention agree.
pub(super) fn attention<B: Device>(
    backend: &B,
    attention: &Attention<'_, B>,
    len: impl Fn(&B::Vector) -> usize,
) -> Result<()> {
    let inner = attention.heads * attention.head_size;
    let (rows, columns) = backend.shape(attention.projections);
    expect("columns of queries, keys and values", columns, 3 * inner)?;
    starts(attention.starts, rows)?;
    let pairs = attention.starts.windows(2);
    let longest = pairs.map(|pair| (pair[1] - pair[0]) as usize).max();
    let (distances, buckets) = match &attention.positions {
        Positions::Absolute => return Ok(()),
        Positions::Bias { table, distances } => {
            let buckets = len(table).checked_div(attention.heads).unwrap_or(0);
            expect(
                "values of position biases",
                len(table),
                buckets * attention.heads,
            )?;
            (distances, buckets)
        }
        Positions::Disentangled {
            keys,
            queries,
            distances,
        } => {
            let mut buckets = usize::MAX;
            for vectors in [keys, queries].into_iter().flatten() {
                let (rows, columns) = backend.shape(vectors);
                expect("columns of position vectors", columns, inner)?;
                buckets = buckets.min(rows);
            }
            (distances, buckets)
        }
    };
    let longest = longest.unwrap_or(0);
    if longest > distances.reach() + 1 {
        let max_length = distances.reach() + 1;
        let message =
            format!("tokens of a sequence: expected at most {max_length}, found {longest}");
        return Err(unfit(message));
    }
    let max_bucket = distances.max_bucket() as usize;
    if max_bucket >= buckets {
        let message = format!("position bucket: expected less than {buckets}, found {max_bucket}");
        return Err(unfit(message));
    }
    Ok(())
}

/// An error unless the shapes of queries, memory and starts agree.
pub(super) fn cross_attention<B: Device>(
    backend: &B,
    attention: &CrossAttention<'_, B>,
) -> Result<()> {
    let inner = attention.heads * attention.head_size;
    let (rows, columns) = backend.shape(attention.memory);
    expect("columns of keys and values", columns, 2 * inner)?;
    starts(attention.starts, rows)?;
    same(
        "queries of cross-attention",
        backend.shape(attention.queries),
        (attention.starts.len() - 1, inner),
    )
}

/// Checks that gradients of positions are of the kind that attention has.
#[cfg(feature = "train")]
pub(super) fn position_gradients<B: BackwardOps>(
    positions: &Positions<'_, B>,
    gradients: &PositionGradients<'_, B>,
    len: impl Fn(&B::Vector) -> usize,
    len_of_gradient: impl Fn(&B::Buffer) -> usize,
) -> Result<()> {
    match (positions, gradients) {
        (Positions::Absolute, PositionGradients::Absolute)
        | (Positions::Disentangled { .. }, PositionGradients::Disentangled) => Ok(()),
        (Positions::Bias { table, .. }, PositionGradients::Bias(bias)) => expect(
            "gradients of position biases",
            len_of_gradient(bias),
            len(table),
        ),
        _ => Err(unfit(
            "gradients of attention: expected the kind of positions that the attention has, found another"
                .into(),
        )),
    }
}

fn unfit(message: String) -> Error {
    Error::model("", message)
}
