//! The columns of an index that is loaded: keys of JSON whose values are numbers, dates, flags or
//! keywords.

use std::borrow::Cow;
use std::collections::HashMap;
use std::str::FromStr;

use esparsa::{
    Column, ColumnType, Document, Error, FieldOptions, Result, Schema, SchemaBuilder, SchemaChange,
    Snapshot,
};
use esparsa::{FieldKind, Value};
use serde_json::Value as Json;
use serde_json::value::RawValue;

/// The options for columns.
#[derive(clap::Args, Clone, Debug)]
pub struct ColumnArguments {
    /// Column to filter by: a key of the records, which are JSON, and the type of its values: i64,
    /// u64, f64, bool, date (RFC 3339, or milliseconds since 1970) or keyword. With `:several`, as
    /// in `tags:keyword:several`, a record may have an array of them. An index without the column
    /// gets it, and documents that were loaded before have no value in it. May be given more than
    /// once.
    #[arg(long = "column", value_name = "NAME:TYPE")]
    columns: Vec<NamedColumn>,
}

/// A column as it is named on the command line.
#[derive(Clone, Debug, PartialEq)]
struct NamedColumn {
    name: String,
    column: Column,
}

impl FromStr for NamedColumn {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (rest, several) = match text.strip_suffix(":several") {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        let parts = rest.rsplit_once(':').filter(|(name, _)| !name.is_empty());
        let found = parts.and_then(|(name, kind)| Some((name, ColumnType::of_name(kind)?)));
        let (name, column_type) = found.ok_or_else(|| {
            let types = ColumnType::ALL.map(ColumnType::name).join(", ");
            Error::invalid(format!(
                "expected NAME:TYPE or NAME:TYPE:several, where the type is one of {types}"
            ))
        })?;
        let column = Column::new(column_type);
        Ok(Self {
            name: name.to_owned(),
            column: if several { column.several() } else { column },
        })
    }
}

impl ColumnArguments {
    /// Adds the columns to a new schema.
    pub fn add_to(&self, mut schema: SchemaBuilder) -> SchemaBuilder {
        for NamedColumn { name, column } in &self.columns {
            schema = schema.column(name, column.clone());
        }
        schema
    }

    /// Warnings about the columns that no document has a value of.
    pub fn warnings(&self, snapshot: &Snapshot) -> Vec<String> {
        let is_empty = |named: &&NamedColumn| {
            let field = snapshot.schema().field(&named.name);
            field.is_some_and(|field| snapshot.totals(field.number).documents == 0)
        };
        let empty = self.columns.iter().filter(is_empty);
        let warning = |named: &NamedColumn| {
            let name = &named.name;
            format!(
                "warning: no document has a value in column `{name}`: it takes the values of the key `{name}` of records \
                 that are JSON objects"
            )
        };
        empty.map(warning).collect()
    }

    /// The columns that an existing index lacks.
    pub fn missing_in(&self, schema: &Schema) -> SchemaChange {
        let missing = self.columns.iter();
        let missing = missing.filter(|named| schema.field(&named.name).is_none());
        missing.fold(SchemaChange::new(), |change, named| {
            change.add_field(&named.name, named.column.clone())
        })
    }

    /// Checks that no field of an existing index contradicts the columns that are named.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when it has another field of such a name.
    pub fn check(&self, schema: &Schema) -> Result<()> {
        for NamedColumn { name, column } in &self.columns {
            if schema.field(name).is_none() {
                continue;
            }
            let field = schema.expect(name, FieldKind::Column)?;
            if field.options != FieldOptions::Column(column.clone()) {
                let message = "--column contradicts the index, whose column of this name has another type; leave the \
                               option out, or build a new index";
                return Err(Error::invalid(message).in_field(name));
            }
        }
        Ok(())
    }
}

/// The names of the columns of an index.
pub fn names(schema: &Schema) -> Vec<String> {
    let fields = schema.fields().iter();
    let columns = fields.filter(|field| field.options.kind() == FieldKind::Column);
    columns.map(|field| field.name.clone()).collect()
}

/// Gives a document the values that a record has under the names of columns. `source` is the
/// record as JSON.
///
/// # Errors
///
/// [`Error::InvalidInput`] for a value that no column can hold.
pub fn with_columns(mut document: Document, names: &[String], source: &[u8]) -> Result<Document> {
    if names.is_empty() {
        return Ok(document);
    }
    // Keys that are no columns may have values that no type holds.
    let json: HashMap<Cow<'_, str>, &RawValue> = serde_json::from_slice(source)
        .map_err(|error| Error::invalid(format!("expected a JSON object, found none: {error}")))?;
    for name in names {
        let Some(raw) = json.get(name.as_str()) else {
            continue;
        };
        let parsed = serde_json::from_str(raw.get()).map_err(|error| {
            let message =
                format!("expected a string, a number, true or false, found none: {error}");
            Error::invalid(message).in_field(name)
        });
        let value: Json = parsed?;
        let values = match &value {
            Json::Null => &[],
            Json::Array(values) => values.as_slice(),
            value => std::slice::from_ref(value),
        };
        for value in values {
            document = document.with(name, value_of(value).map_err(|e| e.in_field(name))?);
        }
    }
    Ok(document)
}

fn value_of(json: &Json) -> Result<Value> {
    let value = match json {
        Json::Bool(flag) => Some(Value::from(*flag)),
        Json::String(string) => Some(Value::from(string)),
        Json::Number(number) => {
            let whole = number.as_i64().map(Value::from);
            let whole = whole.or_else(|| number.as_u64().map(Value::from));
            whole.or_else(|| number.as_f64().map(Value::from))
        }
        _ => None,
    };
    value.ok_or_else(|| {
        Error::invalid("expected a string, a number, true or false, or an array of them")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_named_with_their_types() {
        let parse = |text: &str| {
            text.parse::<NamedColumn>()
                .map(|named| (named.name, named.column))
        };
        assert_eq!(parse("price:f64").unwrap(), ("price".into(), Column::f64()));
        let tags = Column::keyword().several();
        assert_eq!(parse("a:b:keyword:several").unwrap(), ("a:b".into(), tags));
        for bad in ["price", ":f64", "price:float", "price:f64:many", ""] {
            let message = parse(bad).unwrap_err().to_string();
            assert!(
                message.contains("i64, u64, f64, bool, date, keyword"),
                "{message}"
            );
        }
    }

    #[test]
    fn values_come_from_the_keys_of_a_record() {
        let names = ["price", "tags", "none"].map(String::from);
        let source = br#"{"price": 2.5, "tags": ["x", "y"], "none": null, "other": 1e400}"#;
        let document = with_columns(Document::new("a"), &names, source).unwrap();
        let expected = Document::new("a")
            .with("price", 2.5)
            .with("tags", "x")
            .with("tags", "y");
        assert_eq!(document, expected);
        let error = with_columns(Document::new("a"), &names, br#"{"price": {"eur": 1}}"#);
        let message = error.unwrap_err().to_string();
        assert!(
            message.contains("field `price`: expected a string, a number"),
            "{message}"
        );
    }
}
