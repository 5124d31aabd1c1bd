//! The dense field of an index that is loaded.

use clap::ValueEnum;
use esparsa::format::FieldKind;
use esparsa::{DenseElement, DenseMetric, Error, Result, Schema};

use super::peek::FirstDense;
use super::target::{DENSE_FIELD, no_dense_field};

/// The options for dense vectors: arrays of numbers under `vector`.
#[derive(clap::Args, Clone, Debug)]
pub struct DenseArguments {
    /// Numbers of each dense vector of a new index [default: as many as the first in the first MiB of input has].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    dense_dimensions: Option<u32>,
    /// How the numbers of dense vectors are kept in a new index: 32, 16 or 8 bits each [default: f32].
    #[arg(long, value_name = "E", value_enum)]
    dense_element: Option<Element>,
    /// How dense vectors of a new index are scored [default: inner-product; cosine for a
    /// --dense-model whose vectors have different lengths].
    #[arg(long, value_name = "M", value_enum)]
    dense_metric: Option<Metric>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Element {
    /// As they are.
    F32,
    /// The nearest half-precision number.
    F16,
    /// The nearest of 255 levels up to the greatest number of each vector.
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

    /// Adds the field that the options or the first records ask for to a new schema, if they do.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when the number of dimensions cannot be told, [`Error::Limit`] when it is too great.
    pub fn add_to(&self, schema: Schema, first: Option<&FirstDense>) -> Result<Schema> {
        let asked = self.dense_dimensions.map(|asked| asked as usize);
        let Some(dimensions) = asked.or(first.map(|first| first.dimensions)) else {
            return match self.any() {
                false => Ok(schema),
                true => Err(Error::invalid(
                    "the first MiB of input has no dense vector to tell the number of dimensions from; give it with \
                     --dense-dimensions",
                )),
            };
        };
        let schema = schema.dense(DENSE_FIELD, dimensions);
        let mut schema = schema.map_err(|error| match first {
            Some(first) if asked.is_none() => error.at_line(&*first.origin.file, first.origin.line),
            _ => error,
        })?;
        if let Some(element) = self.dense_element {
            schema = schema.dense_element(DENSE_FIELD, element.into())?;
        }
        let by_cosine = first.is_some_and(|first| first.by_cosine);
        match self.dense_metric.or(by_cosine.then_some(Metric::Cosine)) {
            Some(metric) => schema.dense_metric(DENSE_FIELD, metric.into()),
            None => Ok(schema),
        }
    }

    /// Checks that the schema of an index that is there has the field that the options or the first records ask for.
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
