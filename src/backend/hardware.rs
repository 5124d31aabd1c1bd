//! Hardware chosen at run time, once per model.

#[cfg(feature = "cuda")]
use super::Cuda;
use super::{Backend, Cpu, CpuOptions, Device};
use crate::error::Result;

/// An opened CPU or GPU.
///
/// A model is generic over one [`Backend`], so that operations are static calls. Programs that
/// learn only at run time where models run keep a `Hardware`, and [`run`](Hardware::run) picks the
/// backend when a model is loaded. Clones share threads and memory.
///
/// ```
/// use esparsa::neural::{CpuOptions, Hardware};
///
/// // Without a driver, a GPU or NVRTC the error says which is missing.
/// let hardware = Hardware::cuda(0).or_else(|_| Hardware::cpu(CpuOptions::default()))?;
/// assert!(!hardware.name().is_empty());
/// # Ok::<(), esparsa::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Hardware {
    /// The CPU.
    Cpu(Cpu),
    /// An NVIDIA GPU.
    #[cfg(feature = "cuda")]
    Cuda(Cuda),
}

/// A task for a backend that is chosen at run time: a closure that is generic over the backend.
pub trait OnBackend {
    /// The result, the same type for every backend.
    type Output;

    /// Runs the task on this backend.
    fn run<B: Backend + 'static>(self, backend: B) -> Self::Output;
}

impl Hardware {
    /// Opens the CPU.
    ///
    /// # Errors
    ///
    /// As [`Cpu::new`].
    pub fn cpu(options: CpuOptions) -> Result<Self> {
        Cpu::new(options).map(Self::Cpu)
    }

    /// Opens the NVIDIA GPU with this number, from 0.
    ///
    /// # Errors
    ///
    /// [`Error::Device`](crate::Error::Device) if there is no driver, no such GPU or no NVRTC, and
    /// in a build without the feature `cuda`.
    #[cfg(feature = "cuda")]
    pub fn cuda(number: usize) -> Result<Self> {
        Cuda::new(number).map(Self::Cuda)
    }

    /// Opens the NVIDIA GPU with this number, from 0.
    ///
    /// # Errors
    ///
    /// [`Error::Device`](crate::Error::Device) if there is no driver, no such GPU or no NVRTC, and
    /// in a build without the feature `cuda`.
    #[cfg(not(feature = "cuda"))]
    pub fn cuda(_number: usize) -> Result<Self> {
        Err(crate::error::Error::device(
            "expected a build with the feature `cuda`, found one without it; build with the feature, or use the CPU",
        ))
    }

    /// The name, for people, such as `cpu, avx512, f32, 2 threads`.
    pub fn name(&self) -> String {
        match self {
            Self::Cpu(cpu) => cpu.name(),
            #[cfg(feature = "cuda")]
            Self::Cuda(cuda) => cuda.name(),
        }
    }

    /// Runs `task` on the backend of this hardware.
    pub fn run<T: OnBackend>(self, task: T) -> T::Output {
        match self {
            Self::Cpu(cpu) => task.run(cpu),
            #[cfg(feature = "cuda")]
            Self::Cuda(cuda) => task.run(cuda),
        }
    }
}

impl From<Cpu> for Hardware {
    fn from(cpu: Cpu) -> Self {
        Self::Cpu(cpu)
    }
}

#[cfg(feature = "cuda")]
impl From<Cuda> for Hardware {
    fn from(cuda: Cuda) -> Self {
        Self::Cuda(cuda)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_task_runs_on_the_backend_that_was_opened() {
        struct Name;

        impl OnBackend for Name {
            type Output = String;

            fn run<B: Backend + 'static>(self, backend: B) -> String {
                backend.name()
            }
        }

        let cpu = Hardware::cpu(CpuOptions::default()).unwrap();
        assert!(cpu.name().starts_with("cpu"));
        assert_eq!(cpu.clone().run(Name), cpu.name());
    }

    #[test]
    #[cfg(not(feature = "cuda"))]
    fn a_build_without_cuda_says_so() {
        let error = Hardware::cuda(0).unwrap_err().to_string();
        assert!(error.contains("the feature `cuda`"), "{error}");
    }
}
