//! Random documents with columns, and an index of them.

use esparsa::{
    Column, ColumnType, Dense, Document, Index, MergePolicy, Schema, Snapshot, Sparse, Text, Value,
    WriterOptions,
};

use crate::random::Random;

/// Words of the vocabulary.
pub const WORDS: u64 = 8;
/// Words of the field with positions.
pub const NOTE_WORDS: [&str; 4] = ["w0", "w1", "w10", "w2"];
const KEYWORDS: [&str; 7] = ["", "a", "ab", "b", "bá", "c c", "zz"];

/// The columns: a type, and whether documents may have several values.
pub const COLUMNS: [(&str, ColumnType, bool); 8] = [
    ("int", ColumnType::I64, false),
    ("ints", ColumnType::I64, true),
    ("count", ColumnType::U64, false),
    ("price", ColumnType::F64, false),
    ("flag", ColumnType::Bool, false),
    ("since", ColumnType::Date, true),
    ("kind", ColumnType::Keyword, false),
    ("tags", ColumnType::Keyword, true),
];

/// A document as it was added.
pub struct Doc {
    pub id: String,
    pub words: Vec<u64>,
    pub title: Vec<u64>,
    /// Values of the field with positions: numbers of [`NOTE_WORDS`].
    pub notes: Vec<Vec<usize>>,
    pub has_vector: bool,
    /// By column.
    pub values: Vec<Vec<Value>>,
}

pub fn value(random: &mut Random, column: ColumnType) -> Value {
    match column {
        ColumnType::I64 => Value::I64(random.below(9) as i64 - 4),
        ColumnType::U64 => Value::U64(random.below(6)),
        ColumnType::F64 => Value::F64(random.below(13) as f64 / 2.0 - 3.0),
        ColumnType::Bool => Value::Bool(random.chance(2)),
        ColumnType::Date => Value::Date(random.below(5) as i64 * 86_400_000 - 172_800_000),
        _ => Value::from(random.pick(&KEYWORDS)),
    }
}

pub fn doc(random: &mut Random, number: u64) -> Doc {
    let values = COLUMNS.map(|(name, column, several)| {
        let count = match (name, several) {
            // A column that every document has.
            ("count", _) => 1,
            (_, true) => random.below(4),
            (_, false) => random.below(2),
        };
        (0..count).map(|_| value(random, column)).collect()
    });
    let words = random.below(5);
    Doc {
        id: format!("d{number}"),
        words: (0..words).map(|_| random.below(WORDS)).collect(),
        title: (0..random.below(3)).map(|_| random.below(WORDS)).collect(),
        notes: (0..random.below(3))
            .map(|_| {
                let words = random.below(9);
                let mut word = || random.below(NOTE_WORDS.len() as u64) as usize;
                (0..words).map(|_| word()).collect()
            })
            .collect(),
        has_vector: random.chance(2),
        values: values.into(),
    }
}

pub fn document(doc: &Doc) -> Document {
    let text = |words: &[u64]| {
        let words = words.iter().map(|word| format!("w{word}"));
        words.collect::<Vec<_>>().join(" ")
    };
    let weights = doc
        .words
        .iter()
        .map(|word| (format!("t{word}"), 1.0 + *word as f32));
    let mut document = Document::new(&doc.id)
        .with_text("text", text(&doc.words))
        .with_text("title", text(&doc.title))
        .with_sparse("sparse", weights);
    for note in &doc.notes {
        let words: Vec<&str> = note.iter().map(|word| NOTE_WORDS[*word]).collect();
        document = document.with_text("note", words.join(" "));
    }
    if doc.has_vector {
        let components = (0..3).map(|place| doc.words.get(place).map_or(0.5, |w| *w as f32));
        document = document.with_dense("dense", components.collect::<Vec<_>>());
    }
    for ((name, ..), values) in COLUMNS.iter().zip(&doc.values) {
        for value in values {
            document = document.with(*name, value.clone());
        }
    }
    document
}

pub fn schema() -> Schema {
    let mut schema = Schema::builder()
        .text("text", Text::new())
        .text("title", Text::new())
        .text("note", Text::new().positions())
        .sparse("sparse", Sparse::new())
        .dense("dense", Dense::new(3));
    for (name, column, several) in COLUMNS {
        let column = Column::new(column);
        schema = schema.column(name, if several { column.several() } else { column });
    }
    schema.build().unwrap()
}

/// Documents of one index or of two that are searched as one.
pub fn build(random: &mut Random) -> (Snapshot, Vec<Doc>) {
    let options = WriterOptions::new()
        .merge_policy(MergePolicy::never())
        .reorder_from(random.chance(2).then_some(5));
    let indexes: Vec<Index> = (0..1 + u64::from(random.chance(3)))
        .map(|_| Index::in_memory(schema()).unwrap())
        .collect();
    let writers = indexes.iter();
    let mut writers: Vec<_> = writers
        .map(|index| index.writer_with(options.clone()).unwrap())
        .collect();
    let max = if random.chance(8) { 3_000 } else { 90 };
    let count = random.below(max);
    let commit_every = 1 + count / (1 + random.below(3));
    // The first half of the documents is in the first index.
    let index_of = |number: u64| (number * indexes.len() as u64 / count) as usize;
    let mut docs: Vec<Doc> = Vec::new();
    for number in 0..count {
        docs.push(doc(random, number));
        let writer = &mut writers[index_of(number)];
        writer.add(document(docs.last().unwrap())).unwrap();
        if number % commit_every == commit_every - 1 {
            writer.commit().unwrap();
        }
    }
    for writer in &mut writers {
        writer.commit().unwrap();
    }
    let delete_one_of = [2, 9, 1_000_000][random.below(3) as usize];
    docs.retain(|doc| {
        let is_deleted = random.chance(delete_one_of);
        if is_deleted {
            // Of the other index there is no such document.
            for writer in &mut writers {
                writer.delete(&doc.id).unwrap();
            }
        }
        !is_deleted
    });
    let is_merged = random.chance(2);
    for writer in &mut writers {
        if is_merged {
            writer.merge_to(1).unwrap();
        }
        writer.commit().unwrap();
    }
    let snapshots = indexes.iter().map(|index| index.snapshot().unwrap());
    let snapshots: Vec<Snapshot> = snapshots.collect();
    let snapshot = match &snapshots[..] {
        [snapshot] => snapshot.clone(),
        several => Snapshot::joined(several).unwrap(),
    };
    (snapshot, docs)
}
