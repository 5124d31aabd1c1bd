//! The options of a dense field.

use super::options::KindOptions;
use super::records::{OptionRecord, OptionRecords};
use super::sparse::{MODEL, changed_model, take_model};
use crate::error::Result;
use crate::format::dense::{DenseElement, DenseMetric, DenseShape};
use crate::format::{Malformed, ModelIdentity, Parse};

/// A field of vectors, searched by inner product or cosine.
///
/// ```
/// use esparsa::{Dense, DenseElement, Schema};
///
/// let passage = Dense::new(384).element(DenseElement::I8).cosine();
/// let schema = Schema::builder().dense("passage", passage).build()?;
/// # Ok::<(), esparsa::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Dense {
    /// Dimensions of a vector.
    pub dimensions: u32,
    /// The dtype in which vectors are kept.
    pub element: DenseElement,
    /// How vectors are scored.
    pub metric: DenseMetric,
    /// The model that makes the vectors, if that is known.
    pub model: Option<ModelIdentity>,
}

const DIMENSIONS: u64 = 1;
const ELEMENT: u64 = 2;
const METRIC: u64 = 3;

impl Dense {
    /// A field of vectors with `dimensions` dimensions, kept in f32 and scored by inner product. More
    /// than [`u32::MAX`] count as that many, which is above the limit, so building the schema fails.
    pub fn new(dimensions: usize) -> Self {
        Self {
            // Far above the limit either way, so that building the schema reports it.
            dimensions: u32::try_from(dimensions).unwrap_or(u32::MAX),
            element: DenseElement::default(),
            metric: DenseMetric::default(),
            model: None,
        }
    }

    /// Sets the dtype in which vectors are kept.
    #[must_use]
    pub fn element(mut self, element: DenseElement) -> Self {
        self.element = element;
        self
    }

    /// Sets how vectors are scored.
    #[must_use]
    pub fn metric(mut self, metric: DenseMetric) -> Self {
        self.metric = metric;
        self
    }

    /// Scores vectors by cosine: short for [`metric`](Self::metric) of [`DenseMetric::Cosine`].
    #[must_use]
    pub fn cosine(self) -> Self {
        self.metric(DenseMetric::Cosine)
    }

    /// Records which model makes the vectors, so that queries are not made by another.
    #[must_use]
    pub fn model(mut self, model: ModelIdentity) -> Self {
        self.model = Some(model);
        self
    }

    /// What all vectors of the field have in common.
    pub fn shape(&self) -> DenseShape {
        DenseShape {
            dimensions: self.dimensions,
            element: self.element,
            metric: self.metric,
        }
    }
}

impl KindOptions for Dense {
    const SECTIONS: &'static [&'static str] = &["vectors", "vector-scales", "vector-documents"];

    const CHANGEABLE: &'static str = "the model where none is recorded";

    fn changed_to(&self, to: &Self) -> Option<Self> {
        let changed = Self {
            model: changed_model(self.model.as_ref(), to.model.as_ref())?,
            ..self.clone()
        };
        (self.shape() == to.shape()).then_some(changed)
    }

    fn encode(&self) -> Vec<OptionRecord> {
        let mut records = vec![
            OptionRecord::required(DIMENSIONS, self.dimensions.to_le_bytes()),
            OptionRecord::required(ELEMENT, [self.element.code()]),
            OptionRecord::required(METRIC, [self.metric.code()]),
        ];
        let model = self.model.iter();
        records.extend(model.map(|model| OptionRecord::optional(MODEL, model.encode())));
        records
    }

    fn decode(records: &mut OptionRecords) -> Parse<Self> {
        let dimensions = u32::from_le_bytes(records.take_array(DIMENSIONS)?);
        let [element] = records.take_array(ELEMENT)?;
        let [metric] = records.take_array(METRIC)?;
        let options = Self {
            dimensions,
            element: DenseElement::of_code(element)?,
            metric: DenseMetric::of_code(metric)?,
            model: take_model(records)?,
        };
        if options.shape().check_dimensions().is_err() {
            return Err(Malformed("dimensions of a dense field are out of range"));
        }
        Ok(options)
    }

    fn check(&self) -> Result<()> {
        self.shape().check_dimensions()?;
        self.model.iter().try_for_each(ModelIdentity::check)
    }

    fn describe(&self) -> String {
        let element = match self.element {
            DenseElement::F32 => "f32",
            DenseElement::F16 => "f16",
            DenseElement::I8 => "i8",
        };
        let metric = match self.metric {
            DenseMetric::InnerProduct => "inner product",
            DenseMetric::Cosine => "cosine",
        };
        let dimensions = self.dimensions;
        format!("dense, {dimensions} dimensions, {element}, {metric}")
    }

    fn model(&self) -> Option<&ModelIdentity> {
        self.model.as_ref()
    }
}
