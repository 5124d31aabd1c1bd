//! Changes of a schema that need no document to be written anew.

use super::{FieldOptions, Schema};
use crate::error::{Error, Result};

/// Changes of the schema of an index, for [`Index::change_schema`](crate::Index::change_schema).
///
/// They are made in the order in which they were given. What can be changed:
///
/// | change | what becomes of the documents that are there |
/// | --- | --- |
/// | add a field of any kind | they have no value in it until they are added again |
/// | drop a field | its values are gone; merges free their space |
/// | text: `k1` and `b`, the defaults of queries | nothing |
/// | sparse: the layout | segments keep their layout until they are merged |
/// | column: several values instead of one | nothing |
/// | sparse and dense: the model, where none is recorded | nothing |
///
/// Everything else would need the documents to be indexed again and is refused: another kind, a
/// text's analyzer, the expected weights of a sparse field, the shape of vectors, the type of a
/// column. For these, create a new index and take over what the old one holds by
/// [`Snapshot::reindex`](crate::Snapshot::reindex).
///
/// ```
/// use esparsa::{Column, SchemaChange};
///
/// let change = SchemaChange::new()
///     .add_field("year", Column::i64())
///     .drop_field("draft");
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct SchemaChange {
    steps: Vec<(String, Step)>,
}

#[derive(Clone, Debug)]
enum Step {
    Add(FieldOptions),
    Drop,
    Set(FieldOptions),
}

impl SchemaChange {
    /// No change.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a field, which gets a number that no field of the index had before.
    pub fn add_field(self, name: impl Into<String>, options: impl Into<FieldOptions>) -> Self {
        self.with(name, Step::Add(options.into()))
    }

    /// Drops a field with all its values. A field of the same name may be added after it, also of
    /// another kind; it begins without values.
    pub fn drop_field(self, name: impl Into<String>) -> Self {
        self.with(name, Step::Drop)
    }

    /// Sets the options of a field, all of them: those that cannot be changed must be as they are.
    ///
    /// ```
    /// use esparsa::{Bm25, Document, Index, Query, Schema, SchemaChange, Text};
    ///
    /// let text = Text::new().analyzer("english");
    /// let schema = Schema::builder().text("body", text.clone()).build()?;
    /// let mut index = Index::in_memory(schema)?;
    ///
    /// let bm25 = text.clone().bm25(Bm25 { k1: 1.2, b: 0.75 });
    /// index.change_schema(SchemaChange::new().set_options("body", bm25))?;
    ///
    /// let portuguese = SchemaChange::new().set_options("body", text.analyzer("portuguese"));
    /// assert!(index.change_schema(portuguese).is_err());
    /// # Ok::<(), esparsa::Error>(())
    /// ```
    pub fn set_options(self, name: impl Into<String>, options: impl Into<FieldOptions>) -> Self {
        self.with(name, Step::Set(options.into()))
    }

    fn with(mut self, name: impl Into<String>, step: Step) -> Self {
        self.steps.push((name.into(), step));
        self
    }

    /// Calls `visit` with the options of every field that is added or set, and whether it is added.
    pub(crate) fn for_each_options(
        &mut self,
        mut visit: impl FnMut(&mut FieldOptions, bool) -> Result<()>,
    ) -> Result<()> {
        for (name, step) in &mut self.steps {
            match step {
                Step::Add(options) => visit(options, true),
                Step::Set(options) => visit(options, false),
                Step::Drop => Ok(()),
            }
            .map_err(|error| error.in_field(&*name))?;
        }
        Ok(())
    }
}

impl Schema {
    /// The schema after a change.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when a field is not there, or is there already, or the change is one
    /// that needs documents to be written anew; otherwise as [`SchemaBuilder::build`].
    ///
    /// [`SchemaBuilder::build`]: super::SchemaBuilder::build
    pub(crate) fn changed(&self, change: &SchemaChange) -> Result<Self> {
        let mut schema = self.clone();
        for (name, step) in &change.steps {
            if let Step::Add(options) = step {
                schema.add(name.clone(), options.clone())?;
                continue;
            }
            let place = schema.fields.iter().position(|field| field.name == *name);
            let Some(field) = place.and_then(|place| schema.fields.get_mut(place)) else {
                let message = "expected a field of the index, found none of this name";
                return Err(Error::invalid(message).in_field(name));
            };
            match step {
                Step::Set(options) => {
                    let changed = field.options.changed_to(options);
                    let changed = changed.map_err(|error| error.in_field(name))?;
                    changed.check().map_err(|error| error.in_field(name))?;
                    field.options = changed;
                }
                _ => schema.fields.retain(|field| field.name != *name),
            }
        }
        Ok(schema)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{Bm25, Column, Dense, ModelIdentity, Sparse, SparseLayout, Text};

    fn schema() -> Schema {
        Schema::builder()
            .text("text", Text::new().analyzer("english"))
            .sparse("sparse", Sparse::new())
            .dense("dense", Dense::new(3))
            .column("size", Column::i64())
            .stored("source")
            .build()
            .unwrap()
    }

    fn numbers(schema: &Schema) -> Vec<(&str, u32)> {
        let fields = schema.fields().iter();
        fields.map(|f| (f.name.as_str(), f.number)).collect()
    }

    #[test]
    fn a_number_is_never_given_again() {
        let change = SchemaChange::new().drop_field("source").drop_field("size");
        let change = change.add_field("size", Column::keyword());
        let changed = schema().changed(&change).unwrap();
        let expected = [("text", 0), ("sparse", 1), ("dense", 2), ("size", 5)];
        assert_eq!(numbers(&changed), expected);
        let dropped = changed
            .changed(&SchemaChange::new().drop_field("size"))
            .unwrap();
        let section = crate::format::Section::from_bytes("schema", dropped.encode());
        let read = Schema::read(&section).unwrap();
        assert_eq!(read, dropped);
        let again = SchemaChange::new().add_field("size", Column::i64());
        assert_eq!(
            read.changed(&again).unwrap().field("size").unwrap().number,
            6
        );
    }

    #[test]
    fn options_that_need_no_rewriting_can_be_changed() {
        let bm25 = Bm25 { k1: 1.5, b: 0.5 };
        let model = ModelIdentity {
            name: "mini".into(),
            fingerprint: 7,
        };
        let change = SchemaChange::new()
            .set_options("text", Text::new().analyzer("english").bm25(bm25))
            .set_options("sparse", Sparse::new().layout(SparseLayout::Tiers))
            .set_options(
                "sparse",
                Sparse::new()
                    .model(model.clone())
                    .layout(SparseLayout::Tiers),
            )
            .set_options("sparse", Sparse::new().layout(SparseLayout::Ranges))
            .set_options("dense", Dense::new(3).model(model.clone()))
            .set_options("size", Column::i64().several());
        let changed = schema().changed(&change).unwrap();
        let field = |name| changed.field(name).unwrap().options.clone();
        assert!(matches!(field("text"), FieldOptions::Text(text) if text.bm25 == bm25));
        assert_eq!(changed.model_of("sparse"), Some(&model));
        assert_eq!(changed.model_of("dense"), Some(&model));
        assert_eq!(field("size"), Column::i64().several().into());
        assert_eq!(numbers(&changed), numbers(&schema()));
    }

    #[test]
    fn every_other_change_is_refused_with_a_reason() {
        let other = |name: &str| ModelIdentity {
            name: name.into(),
            fingerprint: 1,
        };
        let with_models = SchemaChange::new()
            .set_options("sparse", Sparse::new().model(other("a")))
            .set_options("size", Column::i64().several());
        let schema = schema().changed(&with_models).unwrap();
        let set =
            |name: &str, options: FieldOptions| SchemaChange::new().set_options(name, options);
        for change in [
            set("text", Text::new().analyzer("german").into()),
            set("text", Sparse::new().into()),
            set("sparse", Sparse::new().expected_max(9.0).into()),
            set("sparse", Sparse::new().max_weight(3.0).into()),
            set("sparse", Sparse::new().numbered().into()),
            set("sparse", Sparse::new().model(other("b")).into()),
            set("dense", Dense::new(4).into()),
            set("dense", Dense::new(3).cosine().into()),
            set("size", Column::i64().into()),
            set("size", Column::f64().several().into()),
        ] {
            let message = schema.changed(&change).unwrap_err().to_string();
            assert!(message.contains("indexed again"), "{message}");
        }
        let wrong = Bm25 { k1: -1.0, b: 0.5 };
        for change in [
            set("title", Text::new().into()),
            set("text", Text::new().analyzer("english").bm25(wrong).into()),
            SchemaChange::new().drop_field("title"),
            SchemaChange::new().add_field("text", Text::new()),
            SchemaChange::new().add_field("", Text::new()),
            SchemaChange::new().add_field("d", Dense::new(0)),
            SchemaChange::new().add_field("other", crate::format::schema::StoredOptions),
        ] {
            assert!(schema.changed(&change).is_err(), "{change:?}");
        }
    }
}
