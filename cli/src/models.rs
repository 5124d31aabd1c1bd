//! The options that subcommands with models share, and models opened by them.

use std::path::Path;
use std::str::FromStr;

use clap::ValueEnum;

use esparsa::neural::{CpuOptions, Hardware, Precision};
use esparsa::neural::{
    DenseTextEncoder, LongText, Model, ModelFolder, ModelKind, PairScorer, SparseTextEncoder,
    TextEncoder,
};
use esparsa::{Error, Result};
use esparsa::{ModelIdentity, Schema};

/// A window overlaps the one before by this share of the tokens that a model takes, unless another
/// number is given.
const OVERLAP_SHARE: usize = 8;

/// How models work.
#[derive(clap::Args, Clone, Copy, Debug, Default)]
pub struct ModelArguments {
    /// Where models run: cpu, cuda (the first GPU), cuda:1 (the second), or auto (the first GPU if
    /// there is one, else the CPU).
    #[arg(long, value_name = "WHERE", default_value = "cpu")]
    device: DeviceName,
    /// Precision of matrix products on the CPU; bf16 is faster where the CPU has instructions for
    /// it, f32 is exact.
    #[arg(long, value_name = "P", value_enum, default_value_t)]
    precision: PrecisionName,
    /// What to do with texts that have more tokens than the model's max.
    #[arg(long, value_name = "HOW", value_enum, default_value_t)]
    long: LongName,
    /// Tokens that a window has in common with the one before, with `--long windows` [default: an
    /// eighth of what the model takes].
    #[arg(long, value_name = "N")]
    overlap: Option<usize>,
}

/// The GPU of this number.
fn gpu(number: usize) -> Result<Hardware> {
    if cfg!(feature = "cuda") {
        return Hardware::cuda(number);
    }
    Err(Error::device(
        "this esparsa was built without CUDA: build it with `--features cuda`, or omit --device",
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

/// Precision of matrix products.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum PrecisionName {
    /// 32 bits.
    #[default]
    F32,
    /// 16 bits, of which 8 are exponent; sums have 32.
    Bf16,
}

/// What to do with long texts.
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
    /// The requested kind, if any.
    pub fn asked(self) -> Option<ModelKind> {
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
    /// [`Error::Device`] when threads cannot be started, or when there is no such GPU.
    pub fn hardware(&self, threads: usize) -> Result<Hardware> {
        match self.device {
            DeviceName::Cpu => self.cpu(threads),
            DeviceName::Cuda(number) => gpu(number),
            DeviceName::Auto => gpu(0).or_else(|error| {
                eprintln!("models run on the CPU: {error}");
                self.cpu(threads)
            }),
        }
    }

    fn cpu(&self, threads: usize) -> Result<Hardware> {
        Hardware::cpu(CpuOptions {
            threads,
            precision: match self.precision {
                PrecisionName::F32 => Precision::F32,
                PrecisionName::Bf16 => Precision::Bf16,
            },
        })
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
pub enum AnyEncoder {
    /// Sparse ones.
    Sparse(Box<dyn SparseTextEncoder>),
    /// Dense ones.
    Dense(Box<dyn DenseTextEncoder>),
}

impl AnyEncoder {
    /// Opens the model in `folder`.
    ///
    /// # Errors
    ///
    /// What opening gives, and [`Error::InvalidInput`] when the model makes no vectors or the
    /// options make no sense.
    pub fn open(
        folder: &Path,
        kind: KindName,
        hardware: Hardware,
        options: &ModelArguments,
    ) -> Result<Self> {
        let model = ModelFolder::open_as(folder, kind.asked())?;
        expect(
            &model,
            &[ModelKind::SparseEncoder, ModelKind::BiEncoder],
            "a model that makes a vector of a text",
            "take it for `esparsa rerank`",
        )?;
        let long = options.long(model.document_tokens())?;
        match Model::load(model, hardware, long)? {
            Model::Sparse(encoder) => Ok(Self::Sparse(encoder)),
            Model::Dense(encoder) => Ok(Self::Dense(encoder)),
            other => Err(Error::invalid(format!(
                "expected a model of vectors, found {other:?}"
            ))),
        }
    }
}

impl AnyEncoder {
    /// As [`open`](Self::open), for a model that has made vectors of an index: of the kinds as which
    /// the folder can be opened, the one whose fingerprint the index has noted.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_noted(
        folder: &Path,
        noted: &[u128],
        hardware: Hardware,
        options: &ModelArguments,
    ) -> Result<(Self, KindName)> {
        let is_noted = |kind: &KindName| {
            let model = ModelFolder::open_as(folder, kind.asked());
            let fingerprint = model.and_then(|model| model.fingerprint());
            fingerprint.is_ok_and(|fingerprint| noted.contains(&fingerprint))
        };
        let kinds = [KindName::Auto, KindName::Dense, KindName::Sparse];
        let kind = match noted {
            [] => KindName::Auto,
            _ => kinds.into_iter().find(is_noted).unwrap_or_default(),
        };
        Ok((Self::open(folder, kind, hardware, options)?, kind))
    }
}

/// The fingerprints of the models that have made vectors of an index.
pub fn noted_models(schema: &Schema) -> Vec<u128> {
    let models = schema
        .fields()
        .iter()
        .filter_map(|field| field.options.model());
    models.map(|model| model.fingerprint).collect()
}

/// Opens the model in `folder`, which scores documents for a query.
///
/// # Errors
///
/// What opening gives, and [`Error::InvalidInput`] when the model scores no pairs or the options
/// make no sense.
pub fn open_scorer(
    folder: &Path,
    hardware: Hardware,
    options: &ModelArguments,
) -> Result<Box<dyn PairScorer>> {
    let model = ModelFolder::open(folder)?;
    expect(
        &model,
        &[ModelKind::CrossEncoder, ModelKind::LateInteraction],
        "a cross-encoder or a model of late interaction",
        "take it for `esparsa encode`, or with `esparsa search --model` for the field that it made",
    )?;
    let long = options.long(model.document_tokens())?;
    match Model::load(model, hardware, long)? {
        Model::Cross(scorer) => Ok(scorer),
        Model::Late(scorer) => Ok(scorer),
        other => Err(Error::invalid(format!(
            "expected a model of scores, found {other:?}"
        ))),
    }
}

/// Refuses the folder of a model that is none of some kinds, without loading its weights.
///
/// # Errors
///
/// What opening the folder gives, and [`Error::InvalidInput`] for a model of another kind.
pub fn expect_kind(
    folder: &Path,
    asked: Option<ModelKind>,
    kinds: &[ModelKind],
    expected: &str,
) -> Result<()> {
    let model = ModelFolder::open_as(folder, asked)?;
    expect(&model, kinds, expected, "take another model")
}

/// Refuses a model of a kind that a command has no use for, before its weights are loaded.
fn expect(model: &ModelFolder, kinds: &[ModelKind], expected: &str, advice: &str) -> Result<()> {
    if kinds.contains(&model.kind) {
        return Ok(());
    }
    let found = match model.kind {
        ModelKind::SparseEncoder => "one that makes sparse vectors",
        ModelKind::BiEncoder => "one that makes dense vectors",
        ModelKind::CrossEncoder => "a cross-encoder",
        ModelKind::LateInteraction => "one of late interaction",
        _ => "one of another kind",
    };
    Err(Error::invalid(format!(
        "{}: expected {expected}, found {found}; {advice}",
        model.path.display()
    )))
}

/// What a model is called in a schema.
pub fn identity(encoder: &(impl TextEncoder + ?Sized)) -> ModelIdentity {
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
