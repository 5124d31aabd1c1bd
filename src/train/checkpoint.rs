//! Checkpoints: all that a run needs to go on with the same bits.
//!
//! A checkpoint is a folder `checkpoints/step-0000000123` of the output with three files: the values
//! of all tensors, both moments of the optimizer, and `state.json` with the state of the run and the
//! CRC32C of all three. It appears complete or not at all. A damaged one is an error that names it,
//! not a reason to go on from an older one in silence.

use std::fs;
use std::path::{Path, PathBuf};

use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::files::{NewFolder, TensorSource, write_tensors};
use crate::error::{Error, Result};

const FOLDER: &str = "checkpoints";
const PREFIX: &str = "step-";
const TENSORS: &str = "tensors.safetensors";
const MOMENTS: &str = "moments.safetensors";
const STATE: &str = "state.json";
/// The names of the two moments of a tensor begin with this.
const MOMENT_NAMES: [&str; 2] = ["mean.", "square."];

/// A run after some steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// Steps that were done.
    pub step: u64,
    /// Values of all tensors by name, in the order of the model.
    pub tensors: Vec<(String, Vec<f32>)>,
    /// Mean and mean square of the gradient of each tensor.
    pub moments: Vec<[Vec<f32>; 2]>,
    /// What else the run needs.
    pub state: Value,
}

/// `state.json`.
#[derive(Serialize, Deserialize)]
struct State {
    step: u64,
    /// Names of the tensors in order.
    tensors: Vec<String>,
    tensors_crc32c: u32,
    moments_crc32c: u32,
    /// Of step, names and run, as [`State::crc32c`] has it.
    state_crc32c: u32,
    /// JSON as text: numbers that were read and written again need not have the same digits.
    run: String,
}

impl State {
    fn crc32c(&self) -> u32 {
        let text = format!("{} {:?} {}", self.step, self.tensors, self.run);
        crc32c::crc32c(text.as_bytes())
    }
}

impl Checkpoint {
    /// Writes the checkpoint below `output`, then removes older ones but for the newest `keep`.
    ///
    /// # Errors
    ///
    /// [`Error::Io`]; the checkpoints that were there then stay.
    pub fn write(&self, output: &Path, keep: usize) -> Result<PathBuf> {
        let path = output
            .join(FOLDER)
            .join(format!("{PREFIX}{:010}", self.step));
        let folder = NewFolder::create(&path)?;
        let tensors = self
            .tensors
            .iter()
            .map(|(name, values)| TensorSource::of_values(name, vec![values.len()], values));
        let tensors_crc32c = write_tensors(folder.file(TENSORS)?, tensors.collect())?;
        let named = self.tensors.iter().zip(&self.moments);
        let moments = named.flat_map(|((name, _), moments)| {
            let each = MOMENT_NAMES.iter().zip(moments);
            each.map(move |(prefix, values)| {
                TensorSource::of_values(format!("{prefix}{name}"), vec![values.len()], values)
            })
        });
        let moments_crc32c = write_tensors(folder.file(MOMENTS)?, moments.collect())?;
        let state = State {
            step: self.step,
            tensors: self.tensors.iter().map(|(name, _)| name.clone()).collect(),
            tensors_crc32c,
            moments_crc32c,
            state_crc32c: 0,
            run: self.state.to_string(),
        };
        let state = State {
            state_crc32c: state.crc32c(),
            ..state
        };
        let json = serde_json::to_vec_pretty(&state)
            .map_err(|error| Error::invalid(format!("a checkpoint cannot be written: {error}")))?;
        folder.write(STATE, &json)?;
        folder.publish()?;
        // The new one is durable: what cannot be removed is not its failure.
        let mut all = list(output)?;
        all.retain(|(step, _)| *step <= self.step);
        let surplus = all.len().saturating_sub(keep.max(1));
        for (_, old) in &all[..surplus] {
            let _ = fs::remove_dir_all(old);
        }
        Ok(path)
    }

    /// The folder of the newest checkpoint below `output`, if there is one.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn newest(output: &Path) -> Result<Option<PathBuf>> {
        Ok(list(output)?.pop().map(|(_, path)| path))
    }

    /// Reads a checkpoint and checks every byte of it.
    ///
    /// # Errors
    ///
    /// [`Error::Model`] for one that is damaged, with what to do; [`Error::Io`].
    pub fn read(path: &Path) -> Result<Self> {
        let damaged = |what: &str| {
            Error::model(
                path,
                format!(
                    "the checkpoint is damaged: {what}; remove its folder to go on from the one before"
                ),
            )
        };
        let read = |name: &str| {
            let file = path.join(name);
            fs::read(&file).map_err(|source| Error::io(file, "read", source))
        };
        let state: State = serde_json::from_slice(&read(STATE)?)
            .map_err(|error| damaged(&format!("{STATE} is no state: {error}")))?;
        if state.crc32c() != state.state_crc32c {
            return Err(damaged("the checksum of the run's state differs"));
        }
        let checked = |name: &str, crc: u32| {
            let bytes = read(name)?;
            match crc32c::crc32c(&bytes) == crc {
                true => Ok(bytes),
                false => Err(damaged(&format!("the checksum of {name} differs"))),
            }
        };
        let (tensors, moments) = (
            checked(TENSORS, state.tensors_crc32c)?,
            checked(MOMENTS, state.moments_crc32c)?,
        );
        let parsed =
            |bytes| SafeTensors::deserialize(bytes).map_err(|error| damaged(&error.to_string()));
        let (tensors, moments) = (parsed(&tensors)?, parsed(&moments)?);
        let values = |file: &SafeTensors<'_>, name: &str| {
            let tensor = file
                .tensor(name)
                .map_err(|error| damaged(&error.to_string()))?;
            if tensor.dtype() != Dtype::F32 {
                return Err(damaged(&format!("`{name}` is not of f32")));
            }
            let (elements, _) = tensor.data().as_chunks::<4>();
            let floats = elements.iter().map(|bytes| f32::from_le_bytes(*bytes));
            Ok(floats.collect::<Vec<f32>>())
        };
        let mut checkpoint = Self {
            step: state.step,
            tensors: Vec::new(),
            moments: Vec::new(),
            state: serde_json::from_str(&state.run)
                .map_err(|error| damaged(&format!("{STATE} is no state: {error}")))?,
        };
        for name in state.tensors {
            let [mean, square] = MOMENT_NAMES.map(|prefix| format!("{prefix}{name}"));
            let of_tensor = [values(&moments, &mean)?, values(&moments, &square)?];
            checkpoint.moments.push(of_tensor);
            let of_tensor = values(&tensors, &name)?;
            checkpoint.tensors.push((name, of_tensor));
        }
        Ok(checkpoint)
    }
}

/// All checkpoints, by ascending step.
fn list(output: &Path) -> Result<Vec<(u64, PathBuf)>> {
    let folder = output.join(FOLDER);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::io(folder, "list", error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|source| Error::io(&folder, "list", source))?;
        let name = entry.file_name();
        let step = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        if let Some(step) = step.and_then(|step| step.parse().ok()) {
            found.push((step, entry.path()));
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::train::files::{Fault, with_fault};

    fn checkpoint(step: u64) -> Checkpoint {
        let values = |first: u64| {
            let each = (first..first + 5).map(|value| (step * 10 + value) as f32 / 7.0);
            each.collect::<Vec<f32>>()
        };
        Checkpoint {
            step,
            tensors: vec![("b.weight".into(), values(0)), ("a".into(), values(5))],
            moments: vec![[values(10), values(15)], [values(20), values(25)]],
            state: json!({"seed": u64::MAX, "loss": 0.1}),
        }
    }

    fn newest(output: &Path) -> Checkpoint {
        Checkpoint::read(&Checkpoint::newest(output).unwrap().unwrap()).unwrap()
    }

    #[test]
    fn every_bit_comes_back_and_old_ones_go() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path();
        assert_eq!(Checkpoint::newest(output).unwrap(), None);
        for step in [3, 12, 7, 100] {
            checkpoint(step).write(output, 2).unwrap();
        }
        assert_eq!(newest(output), checkpoint(100));
        let steps: Vec<u64> = list(output)
            .unwrap()
            .into_iter()
            .map(|(step, _)| step)
            .collect();
        assert_eq!(steps, [12, 100]);
        // Written again: the same step of a run that was resumed.
        checkpoint(100).write(output, 2).unwrap();
        assert_eq!(newest(output), checkpoint(100));
    }

    #[test]
    fn damage_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = checkpoint(5).write(folder.path(), 1).unwrap();
        for name in [TENSORS, MOMENTS, STATE] {
            let file = path.join(name);
            let good = fs::read(&file).unwrap();
            for damage in 0..3 {
                let mut bad = good.clone();
                match damage {
                    0 => bad.truncate(good.len() / 2),
                    1 => bad.clear(),
                    _ => {
                        let place = good.len() / 2;
                        bad[place] ^= 1;
                    }
                }
                fs::write(&file, &bad).unwrap();
                let found = Checkpoint::read(&path);
                match found {
                    Err(error) => {
                        assert!(error.to_string().contains("step-0000000005"), "{error}");
                    }
                    // White space, or a letter of a key that is written as it is read.
                    Ok(found) => assert_eq!(found, checkpoint(5), "{name} {damage}"),
                }
            }
            fs::write(&file, &good).unwrap();
        }
        fs::remove_file(path.join(MOMENTS)).unwrap();
        assert!(Checkpoint::read(&path).is_err());
    }

    #[test]
    fn a_killed_writer_and_a_full_disk_leave_the_checkpoint_before() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path();
        checkpoint(1).write(output, 1).unwrap();
        let (written, operations) = with_fault(None, || checkpoint(2).write(output, 5));
        written.unwrap();
        assert!(operations > 8);
        fs::remove_dir_all(output.join(FOLDER).join("step-0000000002")).unwrap();
        for at in 0..operations {
            for fault in [Fault::Full(at), Fault::Kill(at)] {
                let (written, _) = with_fault(Some(fault), || checkpoint(2).write(output, 5));
                let found = newest(output);
                match found.step {
                    1 => assert!(written.is_err(), "{fault:?}"),
                    _ => assert_eq!(found, checkpoint(2), "{fault:?}"),
                }
                let _ = fs::remove_dir_all(output.join(FOLDER).join("step-0000000002"));
            }
        }
    }
}
