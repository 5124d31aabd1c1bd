//! f32 values in GPU memory: masters, gradients, moments.

use super::super::Cuda;
use super::super::device::Address;
use super::super::stream::Buffer;
use super::super::tensor::decode_f32;
use crate::backend::shapes::expect;
use crate::error::{Error, Result};

/// f32 values in GPU memory, in use by the CUDA stream of the backend that made them.
pub struct TrainingBuffer {
    pub(super) memory: Buffer,
    pub(super) len: usize,
}

fn bytes_of(values: &[f32]) -> &[u8] {
    zerocopy::IntoBytes::as_bytes(values)
}

impl Cuda {
    pub(super) fn buffer_of(&self, values: &[f32]) -> Result<TrainingBuffer> {
        Ok(TrainingBuffer {
            memory: self.stream.upload(bytes_of(values))?,
            len: values.len(),
        })
    }

    pub(super) fn zeroed(&self, len: usize) -> Result<TrainingBuffer> {
        let bytes = len * size_of::<f32>();
        let memory = self.stream.allocate(bytes)?;
        self.stream.zero(&memory, bytes)?;
        Ok(TrainingBuffer { memory, len })
    }

    pub(super) fn values_of(&self, buffer: &TrainingBuffer) -> Result<Vec<f32>> {
        self.address_of(buffer)?;
        let bytes = buffer.len * size_of::<f32>();
        Ok(decode_f32(&self.stream.download(&buffer.memory, bytes)?))
    }

    pub(super) fn overwrite(&self, buffer: &mut TrainingBuffer, values: &[f32]) -> Result<()> {
        expect("values of a buffer", values.len(), buffer.len)?;
        self.address_of(buffer)?;
        self.stream.write(&buffer.memory, bytes_of(values))
    }

    pub(super) fn zero(&self, buffer: &mut TrainingBuffer) -> Result<()> {
        self.address_of(buffer)?;
        let bytes = buffer.len * size_of::<f32>();
        self.stream.zero(&buffer.memory, bytes)
    }

    /// Where the values are; an error unless this stream reads and writes them, in order.
    pub(super) fn address_of(&self, buffer: &TrainingBuffer) -> Result<Address> {
        match self.stream.owns(&buffer.memory) {
            true => Ok(buffer.memory.address()),
            false => Err(Error::device(
                "expected a buffer of this stream, found one of another; train on the stream that made it",
            )),
        }
    }
}
