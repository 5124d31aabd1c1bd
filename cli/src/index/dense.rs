//! The dense field of an index that is loaded.

use clap::ValueEnum;
use esparsa::format::FieldKind;
use esparsa::{Dense, DenseElement, DenseMetric, Error, Result, Schema};

use super::peek::FirstDense;
use super::target::{DENSE_FIELD, no_dense_field};

/// The options for dense vectors: arrays of numbers under `vector`.
#[derive(clap::Args, Clone, Debug)]
pub struct DenseArguments {
    /// Dimensions of the dense vectors of a new index [default: those of the first vector in the
    /// first MiB of input].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    dense_dimensions: Option<u32>,
    /// Element type of dense vectors in a new index, of 32, 16 or 8 bits [default: f32].
    #[arg(long, value_name = "E", value_enum)]
    dense_element: Option<Element>,
    /// Metric of dense vectors in a new index [default: inner-product; cosine for a --dense-model
    /// whose vectors have different lengths].
    #[arg(long, value_name = "M", value_enum)]
    dense_metric: Option<Metric>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Element {
    /// 32-bit floating point.
    F32,
    /// 16-bit floating point (half precision).
    F16,
    /// 8-bit integers, scaled by the max absolute value of each vector.
    I8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Metric {
    /// The inner product with the query.
    InnerProduct,
    /// The cosine of the angle to the query.
    Cosine,
}

impl From<Element> for DenseElement {
    fn from(element: Element) -> Self {
        match element {
            Element::F32 => Self::F32,
            Element::F16 => Self::F16,
            Element::I8 => Self::I8,
        }
    }
}

impl From<Metric> for DenseMetric {
    fn from(metric: Metric) -> Self {
        match metric {
            Metric::InnerProduct => Self::InnerProduct,
            Metric::Cosine => Self::Cosine,
        }
    }
}

impl DenseArguments {
    fn any(&self) -> bool {
        let options = (self.dense_dimensions, self.dense_element, self.dense_metric);
        options != (None, None, None)
    }

    /// The dense field that the options or the first records require in a new schema, if they do.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when the number of dimensions is unknown, [`Error::Limit`] when it
    /// is too large.
    pub fn options(&self, first: Option<&FirstDense>) -> Result<Option<Dense>> {
        let requested = self.dense_dimensions.map(|requested| requested as usize);
        let Some(dimensions) = requested.or(first.map(|first| first.dimensions)) else {
            return match self.any() {
                false => Ok(None),
                true => Err(Error::invalid(
                    "the first MiB of input has no dense vector to tell the number of dimensions from; give it with \
                     --dense-dimensions",
                )),
            };
        };
        let mut options = Dense::new(dimensions);
        if let Some(element) = self.dense_element {
            options = options.element(element.into());
        }
        let by_cosine = first.is_some_and(|first| first.by_cosine);
        if let Some(metric) = self.dense_metric.or(by_cosine.then_some(Metric::Cosine)) {
            options = options.metric(metric.into());
        }
        // Checked here, where the line that they come from is known.
        let checked = Schema::builder()
            .dense(DENSE_FIELD, options.clone())
            .build();
        checked.map_err(|error| match first {
            Some(first) if requested.is_none() => {
                error.at_line(&*first.origin.file, first.origin.line)
            }
            _ => error,
        })?;
        Ok(Some(options))
    }

    /// Checks that the schema of an existing index has the field that the options or the first
    /// records require.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when it has none, or another.
    pub fn check(&self, schema: &Schema, first: Option<&FirstDense>) -> Result<()> {
        let field = schema.expect(DENSE_FIELD, FieldKind::Dense).ok();
        let Some(shape) = field.and_then(|field| field.options.dense_shape()) else {
            return match first {
                Some(first) => {
                    Err(no_dense_field().at_line(&*first.origin.file, first.origin.line))
                }
                None if self.any() => Err(no_dense_field()),
                None => Ok(()),
            };
        };
        let dimensions = self.dense_dimensions.unwrap_or(shape.dimensions);
        let element = self.dense_element.map_or(shape.element, Into::into);
        let metric = self.dense_metric.map_or(shape.metric, Into::into);
        if (dimensions, element, metric) == (shape.dimensions, shape.element, shape.metric) {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "the options for dense vectors contradict the index, whose field has {} dimensions, {:?}, {:?}; leave them out, \
             or build a new index",
            shape.dimensions, shape.element, shape.metric
        )))
    }
}
