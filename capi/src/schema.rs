//! The fields of an index, one by one.

use esparsa::{
    Bm25, Column, ColumnType, Dense, FieldOptions, Schema, SchemaBuilder, Sparse, Text as TextField,
};

use crate::arguments::{Text, object};
use crate::status::{EsparsaStatus, free, run};

/// The fields of an index.
pub struct EsparsaSchema(SchemaBuilder);

/// What a column holds.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub enum EsparsaColumnType {
    /// Whole numbers from -2^63 to 2^63 - 1.
    I64 = 0,
    /// Whole numbers from 0 to 2^64 - 1.
    U64 = 1,
    /// Floating-point numbers of 64 bits, not NaN.
    F64 = 2,
    /// True or false.
    Bool = 3,
    /// Points in time, in milliseconds since 1970-01-01T00:00:00Z.
    Date = 4,
    /// Strings that are searched and counted as a whole.
    Keyword = 5,
}

impl EsparsaSchema {
    pub fn build(&self) -> esparsa::Result<Schema> {
        self.0.clone().build()
    }

    fn add(&mut self, name: &str, options: impl Into<FieldOptions>) {
        self.0 = std::mem::take(&mut self.0).field(name, options);
    }
}

/// A schema without fields. Mistakes in it are found when an index is made with it.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_schema_new() -> Box<EsparsaSchema> {
    Box::new(EsparsaSchema(Schema::builder()))
}

/// Adds a text field, searched by BM25.
///
/// `analyzer` is a language, as a code or in English (`"en"`, `"portuguese"`), `"simple"`, or a chain
/// such as `"standard|lowercase|fold|stem:pt"`; null is `"simple"`. With `positions`, phrases can be
/// searched.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_schema_text(
    schema: Option<&mut EsparsaSchema>,
    name: Text<'_>,
    analyzer: Text<'_>,
    positions: bool,
) -> EsparsaStatus {
    run(|| add_text(schema, name, analyzer, positions, None))
}

/// Adds a text field with other parameters of BM25 than k1 = 0.9 and b = 0.4. Lucene and tantivy have
/// 1.2 and 0.75.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_schema_text_bm25(
    schema: Option<&mut EsparsaSchema>,
    name: Text<'_>,
    analyzer: Text<'_>,
    positions: bool,
    k1: f32,
    b: f32,
) -> EsparsaStatus {
    run(|| add_text(schema, name, analyzer, positions, Some(Bm25 { k1, b })))
}

fn add_text(
    schema: Option<&mut EsparsaSchema>,
    name: Text<'_>,
    analyzer: Text<'_>,
    positions: bool,
    bm25: Option<Bm25>,
) -> esparsa::Result<()> {
    let mut field = TextField::new();
    if let Some(analyzer) = analyzer.get_if_any("analyzer")? {
        field = field.analyzer(analyzer);
    }
    if let Some(bm25) = bm25 {
        field = field.bm25(bm25);
    }
    if positions {
        field = field.positions();
    }
    object(schema, "schema")?.add(name.get("name")?, field);
    Ok(())
}

/// Adds a field of learned sparse vectors, searched by dot product. Weights are quantized to 255
/// steps up to about `expected_max`; 0 leaves it to the first documents.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_schema_sparse(
    schema: Option<&mut EsparsaSchema>,
    name: Text<'_>,
    expected_max: f32,
) -> EsparsaStatus {
    run(|| {
        let mut field = Sparse::new();
        if expected_max != 0.0 {
            field = field.expected_max(expected_max);
        }
        object(schema, "schema")?.add(name.get("name")?, field);
        Ok(())
    })
}

/// Adds a field of dense vectors of `dimensions` numbers, searched exactly by inner product, or by
/// cosine.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_schema_dense(
    schema: Option<&mut EsparsaSchema>,
    name: Text<'_>,
    dimensions: usize,
    cosine: bool,
) -> EsparsaStatus {
    run(|| {
        let field = Dense::new(dimensions);
        let field = if cosine { field.cosine() } else { field };
        object(schema, "schema")?.add(name.get("name")?, field);
        Ok(())
    })
}

/// Adds a column: values to filter, sort and count by; `several` allows more than one in a document.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_schema_column(
    schema: Option<&mut EsparsaSchema>,
    name: Text<'_>,
    column_type: u32,
    several: bool,
) -> EsparsaStatus {
    run(|| {
        let column = Column::new(column_type_of(column_type)?);
        let column = if several { column.several() } else { column };
        object(schema, "schema")?.add(name.get("name")?, column);
        Ok(())
    })
}

// An enumeration of C may have any number in it, so that the parameter is one.
fn column_type_of(column_type: u32) -> esparsa::Result<ColumnType> {
    const TYPES: [(EsparsaColumnType, ColumnType); 6] = [
        (EsparsaColumnType::I64, ColumnType::I64),
        (EsparsaColumnType::U64, ColumnType::U64),
        (EsparsaColumnType::F64, ColumnType::F64),
        (EsparsaColumnType::Bool, ColumnType::Bool),
        (EsparsaColumnType::Date, ColumnType::Date),
        (EsparsaColumnType::Keyword, ColumnType::Keyword),
    ];
    let mut types = TYPES.into_iter();
    let found = types.find(|(number, _)| *number as u32 == column_type);
    found.map(|(_, column_type)| column_type).ok_or_else(|| {
        esparsa::Error::invalid(format!(
            "expected a type of a column, such as ESPARSA_COLUMN_TYPE_F64, found {column_type}"
        ))
    })
}

/// Adds a field whose bytes are kept and returned with hits, often JSON. There is at most one.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_schema_stored(
    schema: Option<&mut EsparsaSchema>,
    name: Text<'_>,
) -> EsparsaStatus {
    run(|| {
        let (schema, name) = (object(schema, "schema")?, name.get("name")?);
        schema.0 = std::mem::take(&mut schema.0).stored(name);
        Ok(())
    })
}

/// Frees a schema. Indexes that were made with it do not need it any more.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_schema_free(schema: Option<Box<EsparsaSchema>>) {
    free(schema);
}
