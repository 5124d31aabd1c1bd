//! How two schemas differ, in words.

use super::{Field, Schema};

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
                    field.options.describe()
                )),
            }
        }
        for field in &found.fields {
            if self.field(&field.name).is_none() {
                differences.push(format!(
                    "it has a field `{}` ({})",
                    field.name,
                    field.options.describe()
                ));
            }
        }
        if differences.is_empty() && self != found {
            differences.push("its fields are in another order, or have other numbers".to_owned());
        }
        differences.join("; ")
    }
}

fn field_difference(expected: &Field, found: &Field) -> Option<String> {
    let name = &expected.name;
    let (options, others) = (expected.options.describe(), found.options.describe());
    if options != others {
        return Some(format!(
            "the field `{name}`: expected {options}, found {others}"
        ));
    }
    if expected.options == found.options && expected.unknown == found.unknown {
        return None;
    }
    let model = |field: &Field| match field.options.model() {
        Some(model) => format!("vectors of the model {}", model.name),
        None => "vectors of no known model".to_owned(),
    };
    let (of_expected, of_found) = (model(expected), model(found));
    if of_expected != of_found {
        return Some(format!(
            "the field `{name}`: expected {of_expected}, found {of_found}"
        ));
    }
    if expected.options.model() != found.options.model() {
        return Some(format!(
            "the field `{name}` has {of_found}, but of another version of it"
        ));
    }
    Some(format!("the field `{name}` ({others}) has other options"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::ModelIdentity;
    use crate::format::schema::{Dense, Text};

    fn with_model(analyzer: &str, dimensions: usize, model: Option<ModelIdentity>) -> Schema {
        let mut dense = Dense::new(dimensions);
        dense.model = model;
        let text = Text::new().analyzer(analyzer);
        let builder = Schema::builder().text("text", text);
        builder.dense("dense", dense).build().unwrap()
    }

    fn schema(analyzer: &str, dimensions: usize) -> Schema {
        with_model(analyzer, dimensions, None)
    }

    #[test]
    fn a_difference_names_the_field_and_both_sides() {
        let english = schema("en", 3);
        assert_eq!(english.difference(&english), "");
        assert_eq!(
            english.difference(&schema("pt", 3)),
            "the field `text`: expected text, analyzer en of revision 0, k1 0.9, b 0.4, found text, analyzer pt of revision 0, k1 0.9, b 0.4"
        );
        let text = || Text::new().analyzer("en");
        let fewer = Schema::builder().text("text", text()).build().unwrap();
        assert_eq!(
            english.difference(&fewer),
            "it lacks the field `dense` (dense, 3 dimensions, f32, inner product)"
        );
        let more = Schema::builder().text("text", text());
        let more = more.dense("dense", Dense::new(3)).stored("source");
        let more = more.build().unwrap();
        assert_eq!(
            english.difference(&more),
            "it has a field `source` (stored documents)"
        );
        let other = Schema::builder().dense("dense", Dense::new(3));
        let other = other.text("text", text()).build().unwrap();
        assert_eq!(
            english.difference(&other),
            "its fields are in another order, or have other numbers"
        );
    }

    #[test]
    fn another_model_is_named() {
        let of = |name: &str, fingerprint| {
            let name = name.to_owned();
            let identity = ModelIdentity { name, fingerprint };
            with_model("en", 3, Some(identity))
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
