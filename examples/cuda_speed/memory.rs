//! The memory of the SPLADE head: what a batch needs besides the weights, and what its logits would
//! need if they were materialized.

use esparsa::backend::{Cuda, Device};
use esparsa::neural::{ModelFolder, Module, SpladeHead};
use serde_json::json;

use crate::{Options, Result, print, random_values};

/// Tokens per batch.
const BATCHES: [usize; 6] = [1_024, 2_048, 4_096, 8_192, 16_384, 32_768];
/// Bytes of a logit in bf16.
const LOGIT_BYTES: usize = 2;

pub fn measure(options: &Options) -> Result<()> {
    let folder = ModelFolder::open(&options.model)?;
    let [
        Module::SpladePooling {
            pooling,
            activation,
        },
    ] = folder.modules[..]
    else {
        let path = options.model.display();
        return Err(format!("{path}: expected a SPLADE model").into());
    };
    let hidden = folder.config.hidden;
    let values = random_values(BATCHES[BATCHES.len() - 1] * hidden);
    for tokens in BATCHES {
        // A backend of its own, whose pool has no buffers of other batches.
        let cuda = Cuda::new(0)?;
        let head = SpladeHead::load(&cuda, &folder.config, &folder.weights, activation, pooling)?;
        let x = cuda.tensor(tokens, hidden, &values[..tokens * hidden])?;
        let starts: Vec<u32> = (0..tokens)
            .step_by(options.length)
            .chain([tokens])
            .map(|start| start as u32)
            .collect();
        let (before, _) = cuda.memory_in_use();
        head.forward(&cuda, &x, &starts)?;
        let (_, peak) = cuda.memory_in_use();
        print(json!({
            "what": "memory",
            "model": options.model,
            "tokens": tokens,
            "sequences": starts.len() - 1,
            "before_bytes": before,
            "head_bytes": peak - before,
            "logits_bytes": tokens * head.vocabulary() * LOGIT_BYTES,
        }));
    }
    Ok(())
}
