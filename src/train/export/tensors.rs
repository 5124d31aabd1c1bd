//! Which values each published tensor gets: those that were trained, or the base's own bytes.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::neural::{DenseModule, ModelFolder, ModelKind, Module, Weights};

use super::super::files::{NewFolder, TensorBytes, TensorSource, write_tensors};
use super::names::{self, Tie};
use super::{ExportKind, ExportedTensor};

/// The name of a file of tensors.
pub(super) const WEIGHTS: &str = "model.safetensors";

/// The projection of late interaction.
pub(super) const PROJECTION: &str = "linear.weight";

/// What the files of tensors will hold.
pub(super) struct Plan<'a> {
    /// Tensors of the transformer and its head, by the names in the base's files (those of added
    /// tensors have no prefix).
    tensors: BTreeMap<String, TensorSource<'a>>,
    /// Tensors of modules after the transformer, with the folder of each.
    modules: Vec<(String, Vec<TensorSource<'a>>)>,
    /// The decoder of a language model's head has values of its own.
    pub(super) has_own_decoder: bool,
    /// The head is DeBERTa's newer one.
    pub(super) has_new_deberta_head: bool,
}

impl<'a> Plan<'a> {
    pub(super) fn new(
        base: &'a ModelFolder,
        kind: &ExportKind,
        trained: &'a [ExportedTensor<'a>],
    ) -> Result<Self> {
        let mut plan = Self {
            tensors: stored(&base.weights),
            modules: Vec::new(),
            has_own_decoder: false,
            has_new_deberta_head: false,
        };
        let keeps_modules = match kind {
            ExportKind::BiEncoder { .. } => base.kind == ModelKind::BiEncoder,
            ExportKind::LateInteraction { .. } => base.kind == ModelKind::LateInteraction,
            _ => false,
        };
        if keeps_modules {
            plan.add_modules(base);
        }
        if let ExportKind::LateInteraction { .. } = kind
            && base.kind != ModelKind::LateInteraction
        {
            plan.add_projection(base, trained)?;
        }
        let mut is_trained = BTreeMap::new();
        for tensor in trained {
            let place = plan.set(base, tensor)?;
            if is_trained.insert(place, ()).is_some() {
                return Err(Error::invalid(format!(
                    "tensor `{}`: expected its values once, found them twice",
                    tensor.name
                )));
            }
        }
        for tie in names::ties(base.config.family) {
            plan.keep_tied(base, tie, &|place| is_trained.contains_key(place))?;
        }
        plan.has_new_deberta_head = plan
            .tensors
            .keys()
            .any(|name| name.contains("lm_predictions.lm_head."))
            && !base.weights.has("cls.predictions.transform.dense.weight");
        plan.rename(base, kind);
        Ok(plan)
    }

    /// Puts trained values in the place of a tensor; returns the place.
    fn set(&mut self, base: &'a ModelFolder, tensor: &'a ExportedTensor<'a>) -> Result<String> {
        let name = tensor.name.as_ref();
        let values = tensor.values.as_ref();
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            return Err(Error::invalid(format!(
                "tensor `{name}`: expected finite values, found {} at {at}; training diverged: export an earlier checkpoint",
                values[at]
            )));
        }
        if let Some(published) = base.weights.published(name) {
            let shape = base.weights.info(published).map(|info| info.shape.clone());
            let shape = shape.filter(|shape| shape.iter().product::<usize>() == values.len());
            let bare = names::bare(base.config.family, published);
            let shape = shape.or_else(|| names::head_shape(&base.config, bare, values.len()));
            let shape = shape.ok_or_else(|| unfit(name, values.len()))?;
            let source = TensorSource::of_values(published, shape, values);
            self.tensors.insert(published.to_owned(), source);
            return Ok(published.to_owned());
        }
        if let Some((folder, source)) = self.module_tensor(name)? {
            if source.shape.iter().product::<usize>() != values.len() {
                return Err(unfit(name, values.len()));
            }
            let shape = source.shape.clone();
            *source = TensorSource::of_values(name, shape, values);
            return Ok(format!("{folder}/{name}"));
        }
        let shape = names::head_shape(&base.config, name, values.len());
        let shape = shape.ok_or_else(|| {
            Error::model(
                base.weights.folder(),
                format!("expected a tensor `{name}` in the base, or one of a head, found none"),
            )
        })?;
        let source = TensorSource::of_values(name, shape, values);
        self.tensors.insert(name.to_owned(), source);
        Ok(name.to_owned())
    }

    /// The tensor of this name in the only module that has one.
    fn module_tensor(&mut self, name: &str) -> Result<Option<(&str, &mut TensorSource<'a>)>> {
        let mut found = Vec::new();
        for (folder, tensors) in &mut self.modules {
            let tensors = tensors.iter_mut().filter(|tensor| tensor.name == name);
            found.extend(tensors.map(|tensor| (folder.as_str(), tensor)));
        }
        match found.len() {
            0 | 1 => Ok(found.pop()),
            several => Err(Error::invalid(format!(
                "tensor `{name}`: expected it in one module of the base, found it in {several}"
            ))),
        }
    }

    /// Makes a stored copy of a trained tensor the same as that tensor, as `transformers` reads
    /// them; a decoder that was trained apart from the word embeddings stays apart.
    fn keep_tied(
        &mut self,
        base: &'a ModelFolder,
        tie: &Tie,
        is_trained: &dyn Fn(&str) -> bool,
    ) -> Result<()> {
        let place = |name: &str| base.weights.published(name).unwrap_or(name).to_owned();
        let (copy, of) = (place(tie.copy), place(tie.of));
        if copy == of || !self.tensors.contains_key(&copy) {
            return Ok(());
        }
        if base.weights.are_equal(&copy, &of)? {
            match (is_trained(&copy), is_trained(&of)) {
                (true, false) => self.copy_values(&copy, &of),
                (false, true) => self.copy_values(&of, &copy),
                _ => {}
            }
        }
        if tie.copy.ends_with(".weight") && self.differ(&base.weights, &copy, &of)? {
            self.has_own_decoder = true;
        }
        Ok(())
    }

    fn copy_values(&mut self, from: &str, to: &str) {
        if let Some(source) = self.tensors.get(from) {
            let copy = TensorSource {
                name: to.to_owned(),
                ..source.clone()
            };
            self.tensors.insert(to.to_owned(), copy);
        }
    }

    fn differ(&self, weights: &Weights, one: &str, other: &str) -> Result<bool> {
        let bytes = |name: &str| self.tensors.get(name).map(|tensor| tensor.bytes);
        Ok(match (bytes(one), bytes(other)) {
            (Some(TensorBytes::Values(one)), Some(TensorBytes::Values(other))) => one != other,
            (Some(TensorBytes::Stored(..)), Some(TensorBytes::Stored(..))) => {
                !weights.are_equal(one, other)?
            }
            _ => true,
        })
    }

    /// Gives tensors the names that the class of the trained kind expects.
    fn rename(&mut self, base: &ModelFolder, kind: &ExportKind) {
        let family = base.config.family;
        let has_head = !matches!(
            kind,
            ExportKind::BiEncoder { .. } | ExportKind::LateInteraction { .. }
        );
        let words = base.weights.published(match family {
            crate::neural::Family::T5 => "shared.weight",
            _ => "embeddings.word_embeddings.weight",
        });
        let has_prefix =
            words.is_some_and(|words| names::unwrapped(words) != names::bare(family, words));
        for tensor in self.tensors.values_mut() {
            let is_added = !base.weights.names().any(|name| name == tensor.name);
            tensor.name = match (has_head, is_added) {
                (true, _) => names::prefixed(family, names::bare(family, &tensor.name)),
                (false, true) if has_prefix => names::prefixed(family, &tensor.name),
                (false, _) => names::unwrapped(&tensor.name).to_owned(),
            };
        }
        if self.has_own_decoder {
            self.add_decoder_bias(family);
        }
    }

    /// A decoder of its own has a bias of its own in `transformers`: the head's, unless the file has
    /// one.
    fn add_decoder_bias(&mut self, family: crate::neural::Family) {
        let ties = names::ties(family).iter();
        for tie in ties.filter(|tie| tie.copy.ends_with(".bias")) {
            let named = |name: &str| {
                let mut tensors = self.tensors.values();
                tensors.find(|tensor| tensor.name == name).cloned()
            };
            if let (None, Some(mut bias)) = (named(tie.copy), named(tie.of)) {
                bias.name = tie.copy.to_owned();
                self.tensors.insert(tie.copy.to_owned(), bias);
            }
        }
    }

    /// Plans a module for the projection of late interaction, whose values are among the trained ones.
    fn add_projection(
        &mut self,
        base: &ModelFolder,
        trained: &'a [ExportedTensor<'a>],
    ) -> Result<()> {
        let found = trained.iter().find(|tensor| tensor.name == PROJECTION);
        let hidden = base.config.hidden.max(1);
        let Some(found) = found.filter(|found| found.values.len().is_multiple_of(hidden)) else {
            return Err(Error::invalid(format!(
                "late interaction: expected a trained tensor `{PROJECTION}` with {hidden} columns, found none"
            )));
        };
        let shape = vec![found.values.len() / hidden, hidden];
        let source = TensorSource::of_values(PROJECTION, shape, found.values.as_ref());
        let folder = super::modules::PROJECTION_FOLDER.to_owned();
        self.modules.push((folder, vec![source]));
        Ok(())
    }

    /// Plans the tensors of the base's modules, under the folders that they will have.
    fn add_modules(&mut self, base: &'a ModelFolder) {
        for (index, module) in base.modules.iter().enumerate() {
            let weights = match module {
                Module::Dense(DenseModule { weights, .. }) | Module::LayerNorm { weights, .. } => {
                    weights
                }
                _ => continue,
            };
            // Stanford's ColBERT has its projection among the tensors of the transformer.
            if weights.folder() == base.weights.folder() {
                continue;
            }
            let folder = super::modules::module_folder(index, module);
            let tensors = stored(weights).into_values().collect();
            self.modules.push((folder, tensors));
        }
    }

    /// Writes the tensors of the transformer, in the folder `place` of the output.
    pub(super) fn write(&self, folder: &NewFolder, place: &str) -> Result<()> {
        let tensors = self.tensors.values().cloned().collect();
        write_tensors(folder.file(&format!("{place}{WEIGHTS}"))?, tensors).map(|_| ())
    }

    /// Writes the tensors of modules.
    pub(super) fn write_modules(&self, folder: &NewFolder) -> Result<()> {
        self.modules.iter().try_for_each(|(place, tensors)| {
            let file = folder.file(&format!("{place}/{WEIGHTS}"))?;
            write_tensors(file, tensors.clone()).map(|_| ())
        })
    }
}

/// All tensors of files, as they are.
fn stored(weights: &Weights) -> BTreeMap<String, TensorSource<'_>> {
    let tensors = weights.names().filter_map(|name| {
        let info = weights.info(name)?;
        let source = TensorSource {
            name: name.to_owned(),
            dtype: info.dtype,
            shape: info.shape.clone(),
            bytes: TensorBytes::Stored(weights, name),
        };
        Some((name.to_owned(), source))
    });
    tensors.collect()
}

fn unfit(name: &str, found: usize) -> Error {
    Error::invalid(format!(
        "tensor `{name}`: expected as many values as the base has, found {found}; do the trained values belong to this base?"
    ))
}
