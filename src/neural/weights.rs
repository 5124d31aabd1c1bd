//! The tensors of a model, read one at a time from `safetensors` files.
//!
//! A file is eight bytes with the length of a header, the header (JSON: the dtype, shape and
//! offsets of each tensor by name), then the bytes of all tensors without gaps. Everything in a
//! header is checked before it is used.

mod file;
mod names;
#[cfg(feature = "train")]
mod random;
#[cfg(feature = "train")]
mod stored;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use safetensors::Dtype;
use safetensors::tensor::TensorInfo;
use serde_json::Value;
use xxhash_rust::xxh3::Xxh3;

use crate::error::{Error, Result};

use super::settings::Settings;
use file::TensorFile;
#[cfg(feature = "train")]
pub(crate) use random::Random;

const ONE_FILE: &str = "model.safetensors";
const SHARD_LIST: &str = "model.safetensors.index.json";
/// The file names of weights in other formats.
const OTHER_FORMATS: [&str; 5] = [
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "tf_model.h5",
    "flax_model.msgpack",
    "model.onnx",
];

/// The weights in a model's folder: `model.safetensors`, or the shards that
/// `model.safetensors.index.json` lists.
///
/// Opening reads the headers only; a tensor is read when it is needed, in pieces. Published files
/// put different prefixes before the same names (`bert.`, `roberta.`, `transformer.`, none): names
/// here have no prefix, as in `embeddings.word_embeddings.weight`, and are found with any of them.
/// Tensors of heads have their full names, such as `cls.predictions.bias`.
#[derive(Debug)]
pub struct Weights {
    folder: PathBuf,
    files: Vec<TensorFile>,
    tensors: BTreeMap<String, Stored>,
    /// Tensors that are in no file: those of heads that training adds to an encoder.
    added: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
    #[cfg(feature = "train")]
    generated: Option<random::Generated>,
}

/// A tensor and where it is.
#[derive(Debug)]
struct Stored {
    /// The index of its file.
    file: usize,
    info: TensorInfo,
    /// The hash of its bytes, once they have been read.
    digest: OnceLock<u128>,
}

impl Weights {
    /// Opens the weights in `folder` and checks the headers of all files.
    ///
    /// # Errors
    ///
    /// [`Error::Model`] if there are none in `safetensors` format, if a shard is missing, or if a
    /// header is damaged or contradicts the file's length; [`Error::Io`] if a file cannot be read.
    pub fn open(folder: &Path) -> Result<Self> {
        let single = folder.join(ONE_FILE);
        if single.is_file() {
            return Self::open_files(folder, &[single]);
        }
        let list = folder.join(SHARD_LIST);
        if list.is_file() {
            return Self::open_shards(folder, &list);
        }
        Err(Error::model(folder, no_weights(folder)))
    }

    fn open_shards(folder: &Path, list: &Path) -> Result<Self> {
        let settings = Settings::read(list)?;
        let map = settings
            .object("weight_map")?
            .ok_or_else(|| settings.error("expected `weight_map`, the file of each tensor"))?;
        let mut shards: Vec<&str> = Vec::new();
        for (name, file) in map.keys() {
            let file = file
                .as_str()
                .filter(|file| file.ends_with(".safetensors") && !file.contains(['/', '\\']))
                .ok_or_else(|| {
                    settings.wrong(
                        name,
                        "the name of a .safetensors file beside this one",
                        file,
                    )
                })?;
            if !shards.contains(&file) {
                shards.push(file);
            }
        }
        shards.sort_unstable();
        let paths: Vec<PathBuf> = shards.iter().map(|shard| folder.join(shard)).collect();
        if let Some(missing) = paths.iter().find(|path| !path.is_file()) {
            return Err(settings.error(format!(
                "lists {}, which is missing; download the model again",
                missing.display()
            )));
        }
        let weights = Self::open_files(folder, &paths)?;
        match map
            .keys()
            .iter()
            .find(|(name, file)| !weights.is_in(name, file))
        {
            Some((name, file)) => Err(settings.error(format!(
                "says that {file} holds the tensor `{name}`, which it does not"
            ))),
            None => Ok(weights),
        }
    }

    fn is_in(&self, name: &str, file: &Value) -> bool {
        self.tensors.get(name).is_some_and(|stored| {
            let path = self.files[stored.file].path();
            path.file_name().and_then(|name| name.to_str()) == file.as_str()
        })
    }

    fn open_files(folder: &Path, paths: &[PathBuf]) -> Result<Self> {
        let mut weights = Self {
            folder: folder.to_path_buf(),
            files: Vec::new(),
            tensors: BTreeMap::new(),
            added: BTreeMap::new(),
            #[cfg(feature = "train")]
            generated: None,
        };
        for path in paths {
            let (file, tensors) = TensorFile::open(path)?;
            for (name, info) in tensors {
                let stored = Stored {
                    file: weights.files.len(),
                    info,
                    digest: OnceLock::new(),
                };
                if weights.tensors.insert(name.clone(), stored).is_some() {
                    return Err(Error::model(
                        path,
                        format!("tensor `{name}` is in another shard as well"),
                    ));
                }
            }
            weights.files.push(file);
        }
        Ok(weights)
    }

    /// True if there is a tensor of this name.
    pub fn has(&self, name: &str) -> bool {
        self.added.contains_key(name) || self.find(name).is_some()
    }

    /// Adds a tensor that is in no file, or takes the place of one that is: a head that an encoder
    /// lacks. Fingerprints do not know it.
    #[cfg(feature = "train")]
    pub(crate) fn add(&mut self, name: &str, shape: &[usize], values: Vec<f32>) {
        debug_assert_eq!(shape.iter().product::<usize>(), values.len());
        self.added.insert(name.to_owned(), (shape.to_vec(), values));
    }

    /// The shape of a tensor, if there is one of this name.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        if let Some((shape, _)) = self.added.get(name) {
            return Some(shape);
        }
        self.find(name)
            .map(|(_, stored)| stored.info.shape.as_slice())
    }

    /// The values of a tensor in f32, row after row.
    ///
    /// # Errors
    ///
    /// [`Error::Model`] if there is no tensor of this name (the message names the nearest ones), if
    /// its shape is not `shape`, if its dtype is not f32, f16 or bf16, and if a value is infinite
    /// or NaN. [`Error::Io`] if the file cannot be read.
    pub fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        if let Some((found, values)) = self.added.get(name) {
            if found == shape {
                return Ok(values.clone());
            }
            return Err(Error::model(
                &self.folder,
                format!("tensor `{name}`: expected the shape {shape:?}, found {found:?}"),
            ));
        }
        #[cfg(feature = "train")]
        if let Some(generated) = &self.generated {
            return Ok(generated.tensor(name, shape));
        }
        let Some((published, stored)) = self.find(name) else {
            return Err(self.missing(name, shape));
        };
        let (file, info) = (&self.files[stored.file], &stored.info);
        if info.shape != shape {
            return Err(Error::model(
                file.path(),
                format!(
                    "tensor `{published}`: expected the shape {shape:?}, found {:?}; do config.json and the weights belong together?",
                    info.shape
                ),
            ));
        }
        let Some(decode) = decoder(info.dtype) else {
            return Err(Error::model(
                file.path(),
                format!(
                    "tensor `{published}`: expected the dtype F32, F16 or BF16, found {}",
                    info.dtype
                ),
            ));
        };
        let mut values = Vec::with_capacity(info.shape.iter().product());
        let mut hash = Xxh3::new();
        // Hashing a piece while it is in the cache costs less than reading the tensor a second
        // time.
        file.for_each_piece(info, |piece| {
            hash.update(piece);
            decode(piece, &mut values);
        })?;
        // Another thread may have been first; the bytes are the same.
        let _ = stored.digest.set(hash.digest128());
        match values.iter().position(|value| !value.is_finite()) {
            None => Ok(values),
            Some(index) => Err(Error::model(
                file.path(),
                format!(
                    "tensor `{published}`: expected finite values, found {} at {:?}; the file is damaged, or training diverged",
                    values[index],
                    place(index, shape)
                ),
            )),
        }
    }

    /// A hash (XXH3, 128 bits) of the names, dtypes, shapes and bytes of all tensors.
    ///
    /// It does not depend on shards and on the order of tensors in them. Tensors that
    /// [`Weights::tensor`] has read are not read again, so that it costs next to nothing after a
    /// model was loaded; the others are read once, in pieces.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if a file cannot be read.
    pub fn fingerprint(&self) -> Result<u128> {
        let mut hash = Xxh3::new();
        for (name, stored) in &self.tensors {
            hash.update(&(name.len() as u64).to_le_bytes());
            hash.update(name.as_bytes());
            hash.update(stored.info.dtype.to_string().as_bytes());
            hash.update(&(stored.info.shape.len() as u64).to_le_bytes());
            for size in &stored.info.shape {
                hash.update(&(*size as u64).to_le_bytes());
            }
            hash.update(&self.digest(stored)?.to_le_bytes());
        }
        Ok(hash.digest128())
    }

    fn digest(&self, stored: &Stored) -> Result<u128> {
        if let Some(digest) = stored.digest.get() {
            return Ok(*digest);
        }
        let mut hash = Xxh3::new();
        self.files[stored.file].for_each_piece(&stored.info, |piece| hash.update(piece))?;
        Ok(*stored.digest.get_or_init(|| hash.digest128()))
    }

    /// Forgets a tensor, such as a stored copy of one that another name has.
    #[cfg(feature = "train")]
    pub(crate) fn remove(&mut self, name: &str) {
        let published = self.find(name).map(|(published, _)| published.to_owned());
        if let Some(published) = published {
            self.tensors.remove(&published);
        }
    }

    /// The folder that was opened.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The names of all tensors as they are in the files, ascending.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    fn find(&self, name: &str) -> Option<(&str, &Stored)> {
        names::spellings(name).find_map(|spelling| {
            self.tensors
                .get_key_value(&spelling)
                .map(|(name, stored)| (name.as_str(), stored))
        })
    }

    fn missing(&self, name: &str, shape: &[usize]) -> Error {
        let near = names::near(name, self.tensors.keys());
        let path = match self.files.as_slice() {
            [file] => file.path(),
            _ => &self.folder,
        };
        let near = match near.is_empty() {
            true => "there are no tensors at all".to_owned(),
            false => format!("the nearest names are {}", near.join(", ")),
        };
        let message = format!("expected a tensor `{name}` of shape {shape:?}, found none; {near}");
        Error::model(path, message)
    }
}

/// Appends the values of the bytes of whole elements.
type Decode = fn(&[u8], &mut Vec<f32>);

/// The decoder of a dtype; `None` unless it is a float of 16 or 32 bits.
fn decoder(dtype: Dtype) -> Option<Decode> {
    match dtype {
        Dtype::F32 => Some(|piece, values| {
            let (elements, _) = piece.as_chunks::<4>();
            values.extend(elements.iter().map(|bytes| f32::from_le_bytes(*bytes)));
        }),
        Dtype::F16 => Some(|piece, values| {
            let (elements, _) = piece.as_chunks::<2>();
            let elements = elements
                .iter()
                .map(|bytes| half::f16::from_le_bytes(*bytes));
            values.extend(elements.map(half::f16::to_f32));
        }),
        Dtype::BF16 => Some(|piece, values| {
            let (elements, _) = piece.as_chunks::<2>();
            let elements = elements
                .iter()
                .map(|bytes| half::bf16::from_le_bytes(*bytes));
            values.extend(elements.map(half::bf16::to_f32));
        }),
        _ => None,
    }
}

/// The coordinates (row, column and so on) of the value at `index`.
fn place(mut index: usize, shape: &[usize]) -> Vec<usize> {
    let mut place: Vec<usize> = shape
        .iter()
        .rev()
        .map(|size| {
            let here = index % size;
            index /= size;
            here
        })
        .collect();
    place.reverse();
    place
}

fn no_weights(folder: &Path) -> String {
    let found = OTHER_FORMATS
        .iter()
        .find(|name| folder.join(name).is_file());
    match found {
        Some(name) => format!(
            "expected weights in {ONE_FILE}, found {name}; convert them: load the model in Python with the class it was saved \
             from and call `save_pretrained` with this folder"
        ),
        None => format!("expected weights in {ONE_FILE} or {SHARD_LIST}, found neither"),
    }
}
