//! The options of a sparse field.

use super::options::KindOptions;
use super::records::{OptionRecord, OptionRecords};
use crate::error::{Error, Result};
use crate::format::container::Capabilities;
use crate::format::{Malformed, ModelIdentity, Parse};

/// How the terms of a sparse field are named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SparseTerms {
    /// By strings, such as the tokens of a model's vocabulary.
    #[default]
    Strings,
    /// By numbers, such as the token ids of a model's vocabulary.
    Numbers,
}

impl SparseTerms {
    /// The type in words.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Strings => "strings",
            Self::Numbers => "numbers",
        }
    }
}

/// How the lists of a sparse field are laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SparseLayout {
    /// Cut at ranges of documents, with the max impact of each: the fastest with many terms, as
    /// learned models give.
    #[default]
    Ranges,
    /// In tiers of falling impact, bit-packed: smaller.
    Tiers,
}

/// A field of learned sparse vectors, searched by dot product.
///
/// ```
/// use esparsa::{Schema, Sparse, SparseLayout};
///
/// let splade = Sparse::new().expected_max(3.0).layout(SparseLayout::Tiers);
/// let schema = Schema::builder().sparse("splade", splade).build()?;
/// # Ok::<(), esparsa::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Sparse {
    /// The weight of one step of an impact, in segments whose weights do not call for another.
    pub scale: f32,
    /// Whether weights above 255 such steps are clamped; otherwise they are quantized to larger
    /// steps.
    pub clamps: bool,
    /// How terms are named.
    pub terms: SparseTerms,
    /// How lists are laid out.
    pub layout: SparseLayout,
    /// The model that makes the vectors, if that is known.
    pub model: Option<ModelIdentity>,
}

const SCALE: u64 = 1;
const TERMS: u64 = 2;
const CLAMPS: u64 = 3;
const LAYOUT: u64 = 4;
pub(super) const MODEL: u64 = 16;

/// Impacts are 8-bit integers.
const MAX_STEPS: f32 = 255.0;

/// A weight that few learned models exceed.
const EXPECTED_MAX: f32 = 3.0;

impl Default for Sparse {
    fn default() -> Self {
        Self::new()
    }
}

impl Sparse {
    /// A field with string terms, weights of about 3 at most, and lists cut at ranges.
    pub fn new() -> Self {
        Self {
            scale: EXPECTED_MAX / MAX_STEPS,
            clamps: false,
            terms: SparseTerms::default(),
            layout: SparseLayout::default(),
            model: None,
        }
    }

    /// Sets the approximate max weight that documents will have.
    ///
    /// It is no limit. Weights are quantized to 255 steps up to it, in every segment whose weights
    /// these steps suit. A segment whose weights are larger, or all well below, takes steps larger
    /// or smaller by a power of two; so do single weights among others of another magnitude.
    /// Merging segments changes no quantized weight. [`Sparse::max_weight`] sets a limit.
    #[must_use]
    pub fn expected_max(mut self, weight: f32) -> Self {
        (self.scale, self.clamps) = (weight / MAX_STEPS, false);
        self
    }

    /// Sets the max weight: all segments quantize weights to 255 steps up to it, and larger weights
    /// are clamped to it and counted in
    /// [`FieldTotals::skipped`](crate::index::FieldTotals::skipped).
    #[must_use]
    pub fn max_weight(mut self, weight: f32) -> Self {
        (self.scale, self.clamps) = (weight / MAX_STEPS, true);
        self
    }

    /// Sets how terms are named.
    #[must_use]
    pub fn terms(mut self, terms: SparseTerms) -> Self {
        self.terms = terms;
        self
    }

    /// Names terms by numbers: short for [`terms`](Self::terms) of [`SparseTerms::Numbers`].
    #[must_use]
    pub fn numbered(self) -> Self {
        self.terms(SparseTerms::Numbers)
    }

    /// Sets how lists are laid out.
    #[must_use]
    pub fn layout(mut self, layout: SparseLayout) -> Self {
        self.layout = layout;
        self
    }

    /// Records which model makes the vectors, so that queries are not made by another.
    #[must_use]
    pub fn model(mut self, model: ModelIdentity) -> Self {
        self.model = Some(model);
        self
    }
}

impl KindOptions for Sparse {
    const SECTIONS: &'static [&'static str] = &["terms", "impacts"];

    const CHANGEABLE: &'static str = "the layout, and the model where none is recorded";

    fn changed_to(&self, to: &Self) -> Option<Self> {
        let changed = Self {
            layout: to.layout,
            model: changed_model(self.model.as_ref(), to.model.as_ref())?,
            ..self.clone()
        };
        let asked = Self {
            model: changed.model.clone(),
            ..to.clone()
        };
        (changed == asked).then_some(changed)
    }

    fn encode(&self) -> Vec<OptionRecord> {
        let terms = match self.terms {
            SparseTerms::Strings => 0,
            SparseTerms::Numbers => 1,
        };
        let layout = match self.layout {
            SparseLayout::Ranges => 0,
            SparseLayout::Tiers => 1,
        };
        let mut records = vec![
            OptionRecord::required(SCALE, self.scale.to_le_bytes()),
            OptionRecord::required(TERMS, [terms]),
            OptionRecord::required(CLAMPS, [u8::from(self.clamps)]),
            // Lists say themselves how they are laid out.
            OptionRecord::optional(LAYOUT, [layout]),
        ];
        let model = self.model.iter();
        records.extend(model.map(|model| OptionRecord::optional(MODEL, model.encode())));
        records
    }

    fn decode(records: &mut OptionRecords) -> Parse<Self> {
        let scale = f32::from_le_bytes(records.take_array(SCALE)?);
        if !is_scale(scale) {
            return Err(Malformed("scale of a sparse field is not positive"));
        }
        let terms = match records.take_array(TERMS)? {
            [0] => SparseTerms::Strings,
            [1] => SparseTerms::Numbers,
            _ => return Err(Malformed("terms of a sparse field are of no known kind")),
        };
        let clamps = match records.take_array(CLAMPS)? {
            [0] => false,
            [1] => true,
            _ => {
                return Err(Malformed(
                    "clamping of a sparse field is neither on nor off",
                ));
            }
        };
        let layout = match records.take_array(LAYOUT)? {
            [0] => SparseLayout::Ranges,
            [1] => SparseLayout::Tiers,
            _ => return Err(Malformed("layout of a sparse field is of no known kind")),
        };
        Ok(Self {
            scale,
            clamps,
            terms,
            layout,
            model: take_model(records)?,
        })
    }

    fn check(&self) -> Result<()> {
        if !is_scale(self.scale) {
            let weight = self.scale * MAX_STEPS;
            let message = format!("expected a positive max weight, found {weight}");
            return Err(Error::invalid(message));
        }
        self.model.iter().try_for_each(ModelIdentity::check)
    }

    fn describe(&self) -> String {
        let terms = self.terms.name();
        let layout = match self.layout {
            SparseLayout::Ranges => "ranges",
            SparseLayout::Tiers => "tiers",
        };
        let max = self.scale * MAX_STEPS;
        format!("sparse, terms are {terms}, weights up to {max:.4}, in {layout}")
    }

    fn required_capabilities(&self) -> u64 {
        // With a max weight too: weights far below it take smaller steps.
        Capabilities::IMPACT_EXPONENTS
    }

    fn model(&self) -> Option<&ModelIdentity> {
        self.model.as_ref()
    }
}

fn is_scale(scale: f32) -> bool {
    scale.is_normal() && scale > 0.0
}

/// The model after a change: one that is recorded stays. `None` for a change to another.
pub(super) fn changed_model(
    from: Option<&ModelIdentity>,
    to: Option<&ModelIdentity>,
) -> Option<Option<ModelIdentity>> {
    match (from, to) {
        (Some(from), Some(to)) if from != to => None,
        (from, to) => Some(from.or(to).cloned()),
    }
}

/// Takes the record of a model, which fields of vectors may have.
pub(super) fn take_model(records: &mut OptionRecords) -> Parse<Option<ModelIdentity>> {
    let model = records.take(MODEL);
    model.map(|bytes| ModelIdentity::decode(&bytes)).transpose()
}
