//! The options that subcommands with models share, and models opened by them.

use std::path::Path;
use std::str::FromStr;

use clap::ValueEnum;

#[cfg(feature = "cuda")]
use esparsa::backend::{AnyBackend, Cuda};
use esparsa::backend::{Cpu, CpuOptions, Precision};
use esparsa::error::{Error, Result};
use esparsa::format::{ModelIdentity, Schema};
use esparsa::neural::{
    CrossEncoder, DenseEncoder, LateEncoder, LongText, ModelFolder, ModelKind, PairScorer,
    SparseEncoder, TextEncoder,
};

/// A window overlaps the one before by this share of the tokens that a model takes, unless another number is asked for.
const OVERLAP_SHARE: usize = 8;

/// How models work.
#[derive(clap::Args, Clone, Copy, Debug, Default)]
pub struct ModelArguments {
    /// Where models run: cpu, cuda (the first card), cuda:1 (the second), or auto (the first card if it can be had, else the processor).
    #[arg(long, value_name = "WHERE", default_value = "cpu")]
    device: DeviceName,
    /// Numbers that models calculate with on the processor; bf16 is faster where the processor has instructions for it, f32 is exact.
    #[arg(long, value_name = "P", value_enum, default_value_t)]
    precision: PrecisionName,
    /// What becomes of texts with more tokens than a model takes.
    #[arg(long, value_name = "HOW", value_enum, default_value_t)]
    long: LongName,
    /// Tokens that a window has in common with the one before, with `--long windows` [default: an eighth of what the
    /// model takes].
    #[arg(long, value_name = "N")]
    overlap: Option<usize>,
}

/// Where models run.
#[cfg(feature = "cuda")]
pub type ModelBackend = AnyBackend;
/// Where models run.
#[cfg(not(feature = "cuda"))]
pub type ModelBackend = Cpu;

#[cfg(feature = "cuda")]
fn card(number: usize) -> Result<ModelBackend> {
    Cuda::new(number).map(AnyBackend::Cuda)
}

#[cfg(not(feature = "cuda"))]
fn card(_number: usize) -> Result<ModelBackend> {
    Err(Error::device(
        "this esparsa was built without CUDA: build it with `--features cuda`, or leave out --device",
    ))
}

/// A device, as it is given on the command line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum DeviceName {
    #[default]
    Cpu,
    Cuda(usize),
    Auto,
}

impl FromStr for DeviceName {
    type Err = String;

    fn from_str(name: &str) -> std::result::Result<Self, String> {
        let number = |number: &str| number.parse().ok().map(Self::Cuda);
        let device = match name {
            "cpu" => Some(Self::Cpu),
            "auto" => Some(Self::Auto),
            "cuda" => Some(Self::Cuda(0)),
            _ => name.strip_prefix("cuda:").and_then(number),
        };
        device.ok_or_else(|| "expected cpu, cuda, cuda:N or auto".to_owned())
    }
}

/// Numbers to calculate with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum PrecisionName {
    /// 32 bits.
    #[default]
    F32,
    /// 16 bits, of which 8 are exponent; sums have 32.
    Bf16,
}

/// What becomes of long texts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum LongName {
    /// Their beginning counts.
    #[default]
    Truncate,
    /// Overlapping windows: the max weight of each term, the mean vector, the score of the best
    /// passage.
    Windows,
    /// They are errors.
    Refuse,
}

/// What models make of texts, as it is given on the command line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum KindName {
    /// What the model's folder says.
    #[default]
    Auto,
    /// Sparse vectors of terms.
    Sparse,
    /// Dense vectors.
    Dense,
}

impl KindName {
    /// The kind that was asked for, if one was.
    fn asked(self) -> Option<ModelKind> {
        match self {
            Self::Auto => None,
            Self::Sparse => Some(ModelKind::SparseEncoder),
            Self::Dense => Some(ModelKind::BiEncoder),
        }
    }
}

impl ModelArguments {
    /// Where models run, with this number of threads on the CPU.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] when threads cannot be started, or when there is no such card.
    pub fn backend(&self, threads: usize) -> Result<ModelBackend> {
        match self.device {
            DeviceName::Cpu => self.processor(threads),
            DeviceName::Cuda(number) => card(number),
            DeviceName::Auto => card(0).or_else(|error| {
                eprintln!("models run on the processor: {error}");
                self.processor(threads)
            }),
        }
    }

    fn processor(&self, threads: usize) -> Result<ModelBackend> {
        let cpu = Cpu::new(CpuOptions {
            threads,
            precision: match self.precision {
                PrecisionName::F32 => Precision::F32,
                PrecisionName::Bf16 => Precision::Bf16,
            },
        })?;
        #[cfg(feature = "cuda")]
        let cpu = AnyBackend::Cpu(cpu);
        Ok(cpu)
    }

    /// What becomes of long texts with a model that takes this number of tokens.
    fn long(&self, max_tokens: usize) -> Result<LongText> {
        match (self.long, self.overlap) {
            (LongName::Windows, overlap) => Ok(LongText::Windows {
                overlap: overlap.unwrap_or(max_tokens / OVERLAP_SHARE),
            }),
            (_, Some(_)) => Err(Error::invalid(
                "expected --overlap with --long windows; leave it out, or add that",
            )),
            (LongName::Truncate, None) => Ok(LongText::Truncate),
            (LongName::Refuse, None) => Ok(LongText::Refuse),
        }
    }
}

/// A model that makes vectors.
#[expect(
    clippy::large_enum_variant,
    reason = "there are one or two of them in a process"
)]
pub enum AnyEncoder {
    /// Sparse ones.
    Sparse(SparseEncoder<ModelBackend>),
    /// Dense ones.
    Dense(DenseEncoder<ModelBackend>),
}

impl AnyEncoder {
    /// Opens the model in `folder`.
    ///
    /// # Errors
    ///
    /// What opening gives, and [`Error::InvalidInput`] when the model makes no vectors or the options make no sense.
    pub fn open(
        folder: &Path,
        kind: KindName,
        backend: ModelBackend,
        options: &ModelArguments,
    ) -> Result<Self> {
        let model = ModelFolder::open_as(folder, kind.asked())?;
        match model.kind {
            ModelKind::SparseEncoder => {
                let encoder = SparseEncoder::load(model, backend)?;
                let long = options.long(encoder.max_tokens())?;
                Ok(Self::Sparse(encoder.with_long(long)))
            }
            ModelKind::BiEncoder => {
                let encoder = DenseEncoder::load(model, backend)?;
                let long = options.long(encoder.max_tokens())?;
                Ok(Self::Dense(encoder.with_long(long)))
            }
            ModelKind::CrossEncoder | ModelKind::LateInteraction => Err(Error::invalid(format!(
                "{}: expected a model that makes a vector of a text, found {}; take it for `esparsa rerank`",
                folder.display(),
                in_words(model.kind)
            ))),
        }
    }
}

/// A model that scores documents for a query.
#[allow(
    clippy::large_enum_variant,
    reason = "there are one or two of them in a process"
)]
pub enum AnyScorer {
    /// It reads both together.
    Cross(CrossEncoder<ModelBackend>),
    /// It compares the vectors of their tokens.
    Late(LateEncoder<ModelBackend>),
}

impl AnyScorer {
    /// Opens the model in `folder`.
    ///
    /// # Errors
    ///
    /// What opening gives, and [`Error::InvalidInput`] when the model scores no pairs or the options make no sense.
    pub fn open(folder: &Path, backend: ModelBackend, options: &ModelArguments) -> Result<Self> {
        let model = ModelFolder::open(folder)?;
        match model.kind {
            ModelKind::CrossEncoder => {
                let encoder = CrossEncoder::load(model, backend)?;
                let long = options.long(encoder.max_tokens())?;
                Ok(Self::Cross(encoder.with_long(long)))
            }
            ModelKind::LateInteraction => {
                let encoder = LateEncoder::load(model, backend)?;
                let long = options.long(encoder.max_tokens())?;
                Ok(Self::Late(encoder.with_long(long)))
            }
            ModelKind::SparseEncoder | ModelKind::BiEncoder => Err(Error::invalid(format!(
                "{}: expected a cross-encoder or a model of late interaction, found {}; take it for `esparsa encode`, or with                  `esparsa search --model` for the field that it made",
                folder.display(),
                in_words(model.kind)
            ))),
        }
    }

    /// The model as what re-ranking takes.
    pub fn as_scorer(&self) -> &dyn PairScorer {
        match self {
            Self::Cross(encoder) => encoder,
            Self::Late(encoder) => encoder,
        }
    }
}

fn in_words(kind: ModelKind) -> &'static str {
    match kind {
        ModelKind::SparseEncoder => "one that makes sparse vectors",
        ModelKind::BiEncoder => "one that makes dense vectors",
        ModelKind::CrossEncoder => "a cross-encoder",
        ModelKind::LateInteraction => "one of late interaction",
    }
}

/// What a model is called in a schema.
pub fn identity(encoder: &impl TextEncoder) -> ModelIdentity {
    ModelIdentity {
        name: encoder.name().to_owned(),
        fingerprint: encoder.fingerprint(),
    }
}

/// Checks that a field was not made by another model than `found`.
///
/// # Errors
///
/// [`Error::InvalidInput`] when it was.
pub fn same_model(schema: &Schema, field: &str, found: &ModelIdentity) -> Result<()> {
    let Some(noted) = schema.model_of(field) else {
        return Ok(());
    };
    if noted.fingerprint == found.fingerprint {
        return Ok(());
    }
    let hint = match noted.name == found.name {
        true => "which has the same name, but other weights, tokens or settings",
        false => "whose vectors mean something else",
    };
    Err(Error::invalid(format!(
        "expected the model `{}` ({:032x}), which made the vectors of this field, found `{}` ({:032x}), {hint}",
        noted.name, noted.fingerprint, found.name, found.fingerprint
    ))
    .in_field(field))
}
