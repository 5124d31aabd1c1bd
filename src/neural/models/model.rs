//! Models whose kind and hardware are chosen at run time.

use std::fmt;
use std::path::Path;

use crate::backend::{Backend, Hardware, OnBackend};
use crate::error::Result;
use crate::neural::folder::{ModelFolder, ModelKind};
use crate::neural::long::LongText;

use super::{
    CrossEncoder, DenseEncoder, DenseTextEncoder, LateEncoder, PairScorer, SparseEncoder,
    SparseTextEncoder, TokenEncoder,
};

/// A model, loaded on the hardware that was chosen.
///
/// The backend is chosen here, once for the model: what it calculates is compiled for that backend,
/// and only the calls for a batch of texts are dynamic.
///
/// ```
/// use esparsa::neural::{CpuOptions, Hardware};
/// use esparsa::neural::Model;
///
/// let cpu = Hardware::cpu(CpuOptions::default())?;
/// let Model::Sparse(encoder) = Model::open("tests/neural/models/splade-max", cpu)? else {
///     panic!("expected a model of sparse vectors");
/// };
/// let vector = encoder.encode_documents(&["Lava flows from the volcano."])?.remove(0);
/// assert!(!encoder.term(vector[0].0).is_empty());
/// # Ok::<(), esparsa::Error>(())
/// ```
#[non_exhaustive]
pub enum Model {
    /// It makes one sparse vector of each text.
    Sparse(Box<dyn SparseTextEncoder>),
    /// It makes one dense vector of each text.
    Dense(Box<dyn DenseTextEncoder>),
    /// It reads a query and a document together and scores them.
    Cross(Box<dyn PairScorer>),
    /// It makes a vector of each token, and scores by late interaction.
    Late(Box<dyn TokenEncoder>),
}

impl Model {
    /// Opens the model in `folder`, with the default options.
    ///
    /// # Errors
    ///
    /// [`Error::Model`](crate::Error::Model) for files that are missing, damaged or do not fit
    /// together; [`Error::Io`](crate::Error::Io); [`Error::Device`](crate::Error::Device).
    pub fn open(folder: impl AsRef<Path>, hardware: Hardware) -> Result<Self> {
        let folder = ModelFolder::open(folder.as_ref())?;
        Self::load(folder, hardware, LongText::default())
    }

    /// Loads the model of a folder that was opened; `long` says what becomes of texts that are too
    /// long.
    ///
    /// # Errors
    ///
    /// As [`Model::open`].
    pub fn load(folder: ModelFolder, hardware: Hardware, long: LongText) -> Result<Self> {
        hardware.run(Load { folder, long })
    }

    /// What the model makes of texts.
    pub fn kind(&self) -> ModelKind {
        match self {
            Self::Sparse(_) => ModelKind::SparseEncoder,
            Self::Dense(_) => ModelKind::BiEncoder,
            Self::Cross(_) => ModelKind::CrossEncoder,
            Self::Late(_) => ModelKind::LateInteraction,
        }
    }

    /// The name of the model's folder.
    pub fn name(&self) -> &str {
        match self {
            Self::Sparse(encoder) => encoder.name(),
            Self::Dense(encoder) => encoder.name(),
            Self::Cross(scorer) => scorer.name(),
            Self::Late(encoder) => encoder.name(),
        }
    }
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}({})", self.kind(), self.name())
    }
}

struct Load {
    folder: ModelFolder,
    long: LongText,
}

impl OnBackend for Load {
    type Output = Result<Model>;

    fn run<B: Backend + 'static>(self, backend: B) -> Result<Model> {
        let Self { folder, long } = self;
        Ok(match folder.kind {
            ModelKind::SparseEncoder => {
                let encoder = SparseEncoder::load(folder, backend)?;
                Model::Sparse(Box::new(encoder.with_long(long)))
            }
            ModelKind::BiEncoder => {
                let encoder = DenseEncoder::load(folder, backend)?;
                Model::Dense(Box::new(encoder.with_long(long)))
            }
            ModelKind::CrossEncoder => {
                let encoder = CrossEncoder::load(folder, backend)?;
                Model::Cross(Box::new(encoder.with_long(long)))
            }
            ModelKind::LateInteraction => {
                let encoder = LateEncoder::load(folder, backend)?;
                Model::Late(Box::new(encoder.with_long(long)))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{Cpu, CpuOptions};
    use crate::neural::{Role, TextEncoder};

    fn model(name: &str) -> Model {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/neural/models");
        let cpu = Hardware::cpu(CpuOptions::default()).unwrap();
        Model::open(folder.join(name), cpu).unwrap()
    }

    #[test]
    fn a_model_is_what_its_folder_says() {
        for (name, kind) in [
            ("splade-max", ModelKind::SparseEncoder),
            ("st-mean", ModelKind::BiEncoder),
            ("ce-bert", ModelKind::CrossEncoder),
            ("colbert", ModelKind::LateInteraction),
        ] {
            let model = model(name);
            assert_eq!(model.kind(), kind);
            assert_eq!(model.name(), name);
        }
    }

    #[test]
    fn a_model_chosen_at_run_time_gives_the_bits_of_the_same_model_on_its_backend() {
        let texts = ["Lava flows from the volcano.", "Bees make honey."];
        let Model::Dense(chosen) = model("st-mean") else {
            panic!("expected a model of dense vectors");
        };
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/neural/models/st-mean");
        let cpu = Cpu::new(CpuOptions::default()).unwrap();
        let fixed = DenseEncoder::open(folder, cpu).unwrap();
        let chosen = chosen.encode(&texts, Role::Document).unwrap();
        let fixed = fixed.encode(&texts, Role::Document).unwrap();
        assert_eq!(chosen.all().unwrap(), fixed.all().unwrap());
    }
}
