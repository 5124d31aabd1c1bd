//! How two schemas differ, in words.

use super::options::{FieldOptions, SparseLayout, SparseTerms};
use super::{Field, Schema};
use crate::format::dense::{DenseElement, DenseMetric};

impl Schema {
    /// What is different in `found`, field by field; empty if the two are equal.
    pub(crate) fn difference(&self, found: &Self) -> String {
        let mut differences = Vec::new();
        for field in &self.fields {
            match found.field(&field.name) {
                Some(other) => differences.extend(field_difference(field, other)),
                None => differences.push(format!(
                    "it lacks the field `{}` ({})",
                    field.name,
                    in_words(&field.options)
                )),
            }
        }
        for field in &found.fields {
            if self.field(&field.name).is_none() {
                differences.push(format!(
                    "it has a field `{}` ({})",
                    field.name,
                    in_words(&field.options)
                ));
            }
        }
        if differences.is_empty() && self != found {
            differences.push("its fields are in another order".to_owned());
        }
        differences.join("; ")
    }
}

fn field_difference(expected: &Field, found: &Field) -> Option<String> {
    let name = &expected.name;
    if expected.options != found.options {
        let (expected, found) = (in_words(&expected.options), in_words(&found.options));
        return Some(match expected == found {
            true => format!("the field `{name}` ({found}) has other options"),
            false => format!("the field `{name}`: expected {expected}, found {found}"),
        });
    }
    let model = |field: &Field| match &field.model {
        Some(model) => format!("vectors of the model {}", model.name),
        None => "vectors of no known model".to_owned(),
    };
    if expected.model == found.model {
        return None;
    }
    let (expected, found) = (model(expected), model(found));
    Some(match expected == found {
        true => format!("the field `{name}` has {found}, but of another version of it"),
        false => format!("the field `{name}`: expected {expected}, found {found}"),
    })
}

fn in_words(options: &FieldOptions) -> String {
    match options {
        FieldOptions::Text {
            analyzer,
            revision,
            bm25,
        } => format!(
            "text, analyzer {analyzer} of revision {revision}, k1 {}, b {}",
            bm25.k1, bm25.b
        ),
        FieldOptions::Sparse {
            scale,
            terms,
            layout,
            ..
        } => {
            let terms = match terms {
                SparseTerms::Strings => "strings",
                SparseTerms::Numbers => "numbers",
            };
            let layout = match layout {
                SparseLayout::Ranges => "ranges",
                SparseLayout::Tiers => "tiers",
            };
            let max = scale * 255.0;
            format!("sparse, terms are {terms}, weights up to {max:.4}, in {layout}")
        }
        FieldOptions::Stored => "stored documents".to_owned(),
        FieldOptions::Dense {
            dimensions,
            element,
            metric,
        } => {
            let element = match element {
                DenseElement::F32 => "f32",
                DenseElement::F16 => "f16",
                DenseElement::I8 => "i8",
            };
            let metric = match metric {
                DenseMetric::InnerProduct => "inner product",
                DenseMetric::Cosine => "cosine",
            };
            format!("dense, {dimensions} dimensions, {element}, {metric}")
        }
        FieldOptions::Unknown { kind, .. } => format!("of the unknown kind {kind}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::ModelIdentity;

    fn schema(analyzer: &str, dimensions: usize) -> Schema {
        let schema = Schema::new().text("text", analyzer).unwrap();
        schema.dense("dense", dimensions).unwrap()
    }

    #[test]
    fn a_difference_names_the_field_and_both_sides() {
        let english = schema("en", 3);
        assert_eq!(english.difference(&english), "");
        assert_eq!(
            english.difference(&schema("pt", 3)),
            "the field `text`: expected text, analyzer en of revision 0, k1 0.9, b 0.4, found text, analyzer pt of revision 0, k1 0.9, b 0.4"
        );
        let fewer = Schema::new().text("text", "en").unwrap();
        assert_eq!(
            english.difference(&fewer),
            "it lacks the field `dense` (dense, 3 dimensions, f32, inner product)"
        );
        let more = english.clone().stored("source").unwrap();
        assert_eq!(
            english.difference(&more),
            "it has a field `source` (stored documents)"
        );
        let other = Schema::new().dense("dense", 3).unwrap();
        let other = other.text("text", "en").unwrap();
        assert_eq!(
            english.difference(&other),
            "its fields are in another order"
        );
    }

    #[test]
    fn another_model_is_named() {
        let of = |name: &str, fingerprint| {
            let name = name.to_owned();
            let identity = ModelIdentity { name, fingerprint };
            schema("en", 3).model("dense", identity).unwrap()
        };
        assert_eq!(
            of("minilm", 1).difference(&of("e5", 2)),
            "the field `dense`: expected vectors of the model minilm, found vectors of the model e5"
        );
        let difference = of("minilm", 1).difference(&of("minilm", 2));
        assert!(
            difference.ends_with("another version of it"),
            "{difference}"
        );
        let unknown = of("minilm", 1).difference(&schema("en", 3));
        assert!(unknown.ends_with("of no known model"), "{unknown}");
    }
}
