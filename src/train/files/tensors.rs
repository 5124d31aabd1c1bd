//! The bytes of a `safetensors` file, written tensor after tensor in bounded memory.

use safetensors::Dtype;
use serde_json::{Map, Value, json};

use crate::error::{Error, Result};
use crate::neural::Weights;

use super::NewFile;

/// Values that are converted to bytes at a time.
const PIECE_VALUES: usize = 1 << 16;

/// Where the values of a tensor are.
#[derive(Clone, Copy, Debug)]
pub(in crate::train) enum TensorBytes<'a> {
    /// In memory.
    Values(&'a [f32]),
    /// In the files of a model, under this name; they are copied byte for byte.
    Stored(&'a Weights, &'a str),
    /// The same, but these rows alone, ascending.
    Rows(&'a Weights, &'a str, &'a [u32]),
}

/// A tensor that is to be written.
#[derive(Clone, Debug)]
pub(in crate::train) struct TensorSource<'a> {
    pub(in crate::train) name: String,
    pub(in crate::train) dtype: Dtype,
    pub(in crate::train) shape: Vec<usize>,
    pub(in crate::train) bytes: TensorBytes<'a>,
}

impl<'a> TensorSource<'a> {
    /// A tensor of values in memory.
    pub(in crate::train) fn of_values(
        name: impl Into<String>,
        shape: Vec<usize>,
        values: &'a [f32],
    ) -> Self {
        Self {
            name: name.into(),
            dtype: Dtype::F32,
            shape,
            bytes: TensorBytes::Values(values),
        }
    }

    fn len(&self) -> usize {
        let bits = self.shape.iter().product::<usize>() * self.dtype.bitsize();
        bits / 8
    }
}

/// Writes a whole file; tensors of wide elements come first, so that all are aligned.
pub(in crate::train) fn write_tensors(
    mut file: NewFile,
    mut tensors: Vec<TensorSource<'_>>,
) -> Result<u32> {
    tensors.sort_by(|a, b| {
        let width = |tensor: &TensorSource<'_>| std::cmp::Reverse(tensor.dtype.bitsize());
        (width(a), &a.name).cmp(&(width(b), &b.name))
    });
    let mut header = header(&tensors);
    // The bytes of tensors begin at a multiple of eight.
    header.resize(header.len().next_multiple_of(8), b' ');
    file.write(&(header.len() as u64).to_le_bytes())?;
    file.write(&header)?;
    for tensor in &tensors {
        match tensor.bytes {
            TensorBytes::Values(values) => write_values(&mut file, tensor, values)?,
            TensorBytes::Stored(weights, name) => {
                weights.copy_bytes(name, |piece| file.write(piece))?;
            }
            TensorBytes::Rows(weights, name, rows) => {
                write_rows(&mut file, tensor, (weights, name), rows)?;
            }
        }
    }
    file.finish()
}

fn header(tensors: &[TensorSource<'_>]) -> Vec<u8> {
    let mut entries = Map::new();
    entries.insert("__metadata__".to_owned(), json!({"format": "pt"}));
    let mut start = 0;
    for tensor in tensors {
        let end = start + tensor.len();
        let entry = json!({
            "dtype": tensor.dtype.to_string(), "shape": tensor.shape, "data_offsets": [start, end]
        });
        entries.insert(tensor.name.clone(), entry);
        start = end;
    }
    Value::Object(entries).to_string().into_bytes()
}

fn write_values(file: &mut NewFile, tensor: &TensorSource<'_>, values: &[f32]) -> Result<()> {
    let expected: usize = tensor.shape.iter().product();
    if values.len() != expected {
        return Err(Error::invalid(format!(
            "tensor `{}`: expected {expected} values for the shape {:?}, found {}",
            tensor.name,
            tensor.shape,
            values.len()
        )));
    }
    let mut bytes = Vec::with_capacity(4 * PIECE_VALUES.min(values.len()));
    for piece in values.chunks(PIECE_VALUES) {
        bytes.clear();
        bytes.extend(piece.iter().flat_map(|value| value.to_le_bytes()));
        file.write(&bytes)?;
    }
    Ok(())
}

/// Copies rows of a stored tensor, which is read once, in pieces.
fn write_rows(
    file: &mut NewFile,
    tensor: &TensorSource<'_>,
    (weights, name): (&Weights, &str),
    rows: &[u32],
) -> Result<()> {
    let row_bytes = tensor.len() / rows.len().max(1);
    let mut rows = rows.iter().map(|row| *row as usize * row_bytes).peekable();
    let mut offset = 0;
    weights.copy_bytes(name, |piece| {
        let end = offset + piece.len();
        while let Some(&row) = rows.peek() {
            if row >= end {
                break;
            }
            let from = row.max(offset) - offset;
            let to = (row + row_bytes).min(end) - offset;
            file.write(&piece[from..to])?;
            // The rest of the row is in the next piece.
            if row + row_bytes > end {
                break;
            }
            rows.next();
        }
        offset = end;
        Ok(())
    })
}
