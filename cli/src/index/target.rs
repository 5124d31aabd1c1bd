//! The index that documents are loaded into.

use esparsa::FieldKind;
use esparsa::store::{Directory, create_directory};
use esparsa::{Error, FieldOptions, Index, IndexOptions, Result, Schema, Sparse, Text};

use super::Index as Arguments;
use super::checkpoint::FILE as CHECKPOINT;
use super::columns;
use super::encoding::Encoders;
use super::peek::Peeked;

/// Name of the field that holds title and text.
pub const TEXT_FIELD: &str = "text";
/// Name of the field that holds sparse vectors.
pub const SPARSE_FIELD: &str = "sparse";
/// Name of the field that holds dense vectors.
pub const DENSE_FIELD: &str = "dense";
/// Name of the stored field in indexes created here.
const STORED_FIELD: &str = "source";
/// The expected max weight of a new index is the max seen times this: the rest of the input may
/// have larger weights.
const WEIGHT_MARGIN: f32 = 1.1;
/// The expected max weight of a new index when the first vectors have no weights, typical of
/// learned models.
const EXPECTED_WEIGHT: f32 = 3.5;

/// An index that was opened, or created just now.
pub struct Target {
    index: Index,
    created: bool,
}

/// Which fields the documents get.
#[derive(Clone, Debug)]
pub struct Fields {
    /// Whether there is a sparse field.
    pub sparse: bool,
    /// Whether there is a dense field.
    pub dense: bool,
    /// Name of the stored field, if there is one.
    pub stored: Option<String>,
    /// Names of the columns.
    pub columns: Vec<String>,
}

impl Target {
    /// Opens the index, or creates it with the fields that the first records need, for texts in
    /// `language`.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when the arguments or the first records contradict the existing
    /// index; what opening and creating give.
    pub fn open_or_create(
        arguments: &Arguments,
        peeked: &Peeked,
        encoders: &Encoders,
        language: &str,
    ) -> Result<Self> {
        if arguments.index.is_file() {
            let message = "expected the folder of an index, found a file; name a folder, which may be a new one";
            return Err(Error::invalid(message).at_line(arguments.index.to_string_lossy(), 0));
        }
        let directory = create_directory(&arguments.index)?;
        let created = !Index::exists_in(&*directory)?;
        if created {
            refuse_other_files(&*directory)
                .map_err(|error| error.at_line(arguments.index.to_string_lossy(), 0))?;
            if peeked.is_empty() && arguments.language.is_none() {
                return Err(Error::invalid(
                    "expected documents, found none in the inputs; a new index takes its language and its fields from \
                     the first documents: name inputs that have some, or a language by --language",
                ));
            }
        }
        let options = IndexOptions::new();
        let index = if created {
            let schema = new_schema(arguments, peeked, encoders, language)?;
            Index::create_in(directory, schema, options)?
        } else {
            let mut index = Index::open_in(directory, options)?;
            encoders.check(index.schema())?;
            check_schema(index.schema(), arguments, peeked)?;
            // Of columns that are there already, nothing is committed.
            index.change_schema(arguments.columns.missing_in(index.schema()))?;
            index
        };
        Ok(Self { index, created })
    }

    /// The index.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// Name of the analyzer of texts.
    pub fn analyzer(&self) -> Option<&str> {
        match &self.index.schema().field(TEXT_FIELD)?.options {
            FieldOptions::Text(text) => Some(&text.analyzer),
            _ => None,
        }
    }

    /// Whether it was created just now.
    pub fn created(&self) -> bool {
        self.created
    }

    /// The fields that documents get.
    pub fn fields(&self) -> Fields {
        let schema = self.index.schema();
        Fields {
            sparse: schema.expect(SPARSE_FIELD, FieldKind::Sparse).is_ok(),
            dense: schema.expect(DENSE_FIELD, FieldKind::Dense).is_ok(),
            stored: schema.stored_field().map(|field| field.name.clone()),
            columns: columns::names(schema),
        }
    }
}

/// Checks that a folder without an index holds no other files: a new index would be mixed with them.
fn refuse_other_files(directory: &dyn Directory) -> Result<()> {
    let names = directory.list()?;
    match names.iter().find(|name| !may_be_without_index(name)) {
        None => Ok(()),
        Some(other) => Err(Error::invalid(format!(
            "expected an index or an empty folder, found other files, such as `{other}`; name another \
             folder"
        ))),
    }
}

/// True for files that may be in a folder without an index: hidden ones, and what is left of an
/// index whose creation was interrupted.
///
/// Segments are not among these. An index has a manifest before it has segments, so the manifest of
/// such a folder was lost, and a new index would delete the segments.
fn may_be_without_index(name: &str) -> bool {
    let is_unfinished_manifest = name.starts_with("manifest-") && name.ends_with(".tmp");
    name.starts_with('.')
        || name == "lock"
        || name.strip_suffix(".tmp").unwrap_or(name) == CHECKPOINT
        || is_unfinished_manifest
}

fn new_schema(
    arguments: &Arguments,
    peeked: &Peeked,
    encoders: &Encoders,
    language: &str,
) -> Result<Schema> {
    let mut text = Text::new().analyzer(language);
    if arguments.positions {
        text = text.positions();
    }
    let mut schema = Schema::builder().text(TEXT_FIELD, text);
    let sparse = if let Some(weight) = arguments.max_weight {
        Some(Sparse::new().max_weight(weight))
    } else if peeked.first_vector().is_some() {
        let expected = peeked.max_weight() * WEIGHT_MARGIN;
        // Weights near 0 and weights that overflow are no estimate.
        let is_useful = expected > 1e-30 && expected.is_finite();
        let expected = if is_useful { expected } else { EXPECTED_WEIGHT };
        Some(Sparse::new().expected_max(expected))
    } else {
        None
    };
    if let Some(mut sparse) = sparse {
        sparse.model = encoders.identity_for(SPARSE_FIELD);
        schema = schema.sparse(SPARSE_FIELD, sparse);
    }
    if let Some(mut dense) = arguments.dense.options(peeked.first_dense())? {
        dense.model = encoders.identity_for(DENSE_FIELD);
        schema = schema.dense(DENSE_FIELD, dense);
    }
    if !arguments.no_stored {
        schema = schema.stored(STORED_FIELD);
    }
    arguments.columns.add_to(schema).build()
}

/// Checks that an existing index has the fields that the arguments and the first records require.
fn check_schema(schema: &Schema, arguments: &Arguments, peeked: &Peeked) -> Result<()> {
    let text = schema.expect(TEXT_FIELD, FieldKind::Text)?;
    if let (FieldOptions::Text(Text { analyzer, .. }), Some(language)) =
        (&text.options, &arguments.language)
        && analyzer != language
    {
        return Err(Error::invalid(format!(
            "--language {language} contradicts the index, whose texts are analyzed as `{analyzer}`; leave the option \
             out, or build a new index"
        )));
    }
    let has_positions = matches!(&text.options, FieldOptions::Text(text) if text.positions);
    if arguments.positions && !has_positions {
        let message = "--positions contradicts the index, which was built without positions; leave the option out, or \
                       build a new index";
        return Err(Error::invalid(message));
    }
    if arguments.no_stored && schema.stored_field().is_some() {
        let message = "--no-stored contradicts the index, which stores documents; leave the option out, or build a new \
                       index";
        return Err(Error::invalid(message));
    }
    arguments.columns.check(schema)?;
    arguments.dense.check(schema, peeked.first_dense())?;
    let sparse = schema.expect(SPARSE_FIELD, FieldKind::Sparse).ok();
    match (sparse.map(|field| &field.options), peeked.first_vector()) {
        (None, Some(origin)) => Err(no_sparse_field().at_line(&*origin.file, origin.line)),
        (options, _) => check_max_weight(options, arguments.max_weight),
    }
}

fn check_max_weight(field: Option<&FieldOptions>, requested: Option<f32>) -> Result<()> {
    let Some(requested) = requested else {
        return Ok(());
    };
    let Some(FieldOptions::Sparse(Sparse { scale, clamps, .. })) = field else {
        return Err(no_sparse_field());
    };
    // The index stores a 255th of the weight, so the product may differ by rounding.
    let kept = scale * 255.0;
    if *clamps && (kept / requested - 1.0).abs() < 1e-5 {
        return Ok(());
    }
    let found = match clamps {
        true => format!("whose max weight is {kept}"),
        false => "which has no max weight".to_owned(),
    };
    Err(Error::invalid(format!(
        "--max-weight {requested} contradicts the index, {found}; leave the option out, or build a new index"
    )))
}

/// The error for sparse vectors when the index has no sparse field.
pub fn no_sparse_field() -> Error {
    Error::invalid(
        "the index has no sparse field, because it was built from documents without vectors; build a new index from \
         all documents",
    )
    .in_field("vector")
}

/// The error for dense vectors when the index has no dense field.
pub fn no_dense_field() -> Error {
    Error::invalid(
        "the index has no dense field, because it was built from documents without arrays of numbers; build a new index \
         from all documents",
    )
    .in_field("vector")
}
