//! The lexical echo of a sparse model: weights of a text's own tokens.

use std::path::Path;

use crate::backend::SparseVector;
use crate::error::{Error, Result};

use super::super::config::ModelConfig;
use super::super::heads::{StaticWeights, add_vectors};
use super::super::models::Role;
use super::super::weights::Weights;
use super::fingerprint::Identity;

/// The folder of the weights, beside the modules of sentence-transformers, which does not read it.
pub(crate) const ECHO_FOLDER: &str = "echo";
/// The tensors for documents and for queries; each may be missing.
pub(crate) const ECHO_TENSORS: [&str; 2] = ["document.weight", "query.weight"];

/// What a text's own tokens add to its sparse vector: rare names that word pieces split keep a weight
/// of their own (the lexical echo of arXiv 2510.00671).
#[derive(Clone, Debug)]
pub(crate) struct Echo {
    documents: Option<StaticWeights>,
    queries: Option<StaticWeights>,
}

impl Echo {
    /// Opens the weights in the folder `echo`, if there are any.
    pub(super) fn beside(
        root: &Path,
        config: &ModelConfig,
        identity: &mut Identity,
    ) -> Result<Option<Self>> {
        let folder = root.join(ECHO_FOLDER);
        if !folder.is_dir() {
            return Ok(None);
        }
        let weights = Weights::open(&folder)?;
        let read = |name: &str| match weights.has(name) {
            true => {
                let values = weights.tensor(name, &[config.vocabulary])?;
                match values.iter().all(|value| value.is_finite()) {
                    true => Ok(Some(StaticWeights::new(values))),
                    false => Err(Error::model(
                        &folder,
                        format!("tensor `{name}`: expected finite weights, found others"),
                    )),
                }
            }
            false => Ok(None),
        };
        let [documents, queries] = ECHO_TENSORS.map(read);
        let echo = Self {
            documents: documents?,
            queries: queries?,
        };
        if echo.documents.is_none() && echo.queries.is_none() {
            return Err(Error::model(
                &folder,
                format!(
                    "expected the tensor {} or {}, found neither",
                    ECHO_TENSORS[0], ECHO_TENSORS[1]
                ),
            ));
        }
        identity.add_number(weights.fingerprint()?);
        Ok(Some(echo))
    }

    /// The weights for texts of a role, if these have an echo.
    pub(crate) fn of(&self, role: Role) -> Option<&StaticWeights> {
        match role {
            Role::Document => self.documents.as_ref(),
            Role::Query => self.queries.as_ref(),
        }
    }

    /// The vector of a text with the weights of its tokens added.
    pub(crate) fn add(
        &self,
        role: Role,
        vector: SparseVector,
        ids: &[u32],
    ) -> Result<SparseVector> {
        match self.of(role) {
            Some(weights) => Ok(add_vectors(&vector, &weights.encode(ids)?).0),
            None => Ok(vector),
        }
    }
}
