//! A small index with everything in it, and every question that can be asked of it.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use esparsa::internals::format::block::DecodedBlock;
use esparsa::internals::format::dictionary::TermEntry;
use esparsa::internals::format::impact::{Impact, pack};
use esparsa::internals::segment::{FieldReader, SegmentReader};
use esparsa::store::Memory;
use esparsa::{
    Algorithm, Column, Dense, DenseElement, DenseMetric, Document, Facet, Index, IndexOptions,
    IndexWriter, MergePolicy, ModelIdentity, Query, Result, Schema, SearchOptions, Snapshot, Sort,
    Sparse, SparseLayout, Text, Value, WriterOptions,
};

pub fn schema() -> Schema {
    let sparse = Sparse::new().expected_max(2.0);
    let mut builder = Schema::builder()
        .text("text", Text::new())
        .sparse("sparse", sparse.clone())
        .sparse("tiered", sparse.layout(SparseLayout::Tiers))
        .stored("source");
    for (name, element, metric) in DENSE {
        let mut options = Dense::new(DIMENSIONS).element(element).metric(metric);
        if name == "byte" {
            options = options.model(ModelIdentity {
                name: "small".into(),
                fingerprint: 0x1234_5678_9ABC_DEF0_1234,
            });
        }
        builder = builder.dense(name, options);
    }
    let with_positions = Text::new().positions();
    builder
        .text("phrases", with_positions)
        .column("whole", Column::i64().several())
        .column("natural", Column::u64())
        .column("real", Column::f64())
        .column("flag", Column::bool())
        .column("day", Column::date())
        .column("tag", Column::keyword().several())
        .build()
        .unwrap()
}

/// Numbers of each vector.
const DIMENSIONS: usize = 20;
/// Dense fields; `half` is in some documents only.
const DENSE: [(&str, DenseElement, DenseMetric); 3] = [
    ("single", DenseElement::F32, DenseMetric::InnerProduct),
    ("half", DenseElement::F16, DenseMetric::Cosine),
    ("byte", DenseElement::I8, DenseMetric::InnerProduct),
];

fn numbers(number: u32) -> Vec<f32> {
    let number = |place| scrambled(u64::from(number) * 31 + place) % 2_001;
    let numbers = (0..DIMENSIONS as u64).map(|place| number(place) as f32 / 1_000.0 - 1.0);
    numbers.collect()
}

/// Numbers that look random and are always the same.
pub fn scrambled(number: u64) -> u64 {
    let mixed = (number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 16
}

pub fn document(number: u32, stored_bytes: usize) -> Document {
    let random = scrambled(u64::from(number));
    let mut text = "common ".repeat(1 + number as usize % 4);
    if number.is_multiple_of(3) {
        text += "third ";
    }
    text += &format!("w{} once{number}", random % 23);
    // Lists of positions of every shape: of one block and of several, of a few varints and of whole
    // chunks, with a distance that is an exception.
    let far = "far ".repeat(if number.is_multiple_of(50) { 200 } else { 1 });
    let phrases = format!("{text} {far}common w{} w{0}", random % 7);
    let weight = |step: u64| (1 + (random >> step) % 250) as f32 / 128.0;
    let mut vector = vec![("all".to_owned(), weight(0)), ("most".to_owned(), 0.5)];
    // Long enough to be cut at ranges; few in the last range that has any.
    if number < 261 {
        vector.push(("early".to_owned(), weight(24)));
    }
    vector.push((format!("s{}", random % 11), weight(8)));
    vector.push((format!("single{number}"), weight(16)));
    // Impacts of several exponents.
    let spread = [80.0, 1e-4, weight(32)];
    vector.push(("spread".to_owned(), spread[2.min(number as usize % 40)]));
    let stored: Vec<u8> = (0..stored_bytes as u64)
        .map(|place| scrambled(random + place).to_le_bytes()[0])
        .collect();
    let mut document = Document::new(format!("id{random:x}"));
    for (name, ..) in DENSE {
        if name != "half" || number.is_multiple_of(5) {
            document = document.with_dense(name, numbers(number));
        }
    }
    // Few values and many, small and large, one and several, and documents without any.
    if !number.is_multiple_of(7) {
        document = document
            .with("whole", (random % 1_000) as i64 - 500)
            .with("natural", random << 20)
            .with("flag", number.is_multiple_of(3))
            .with("tag", format!("tag{}", random % 9))
            .with("tag", format!("rare{}", number / 4));
    }
    if number.is_multiple_of(2) {
        document = document
            .with("whole", i64::from(number))
            .with("real", number as f64 / 3.0)
            .with("day", Value::Date(i64::from(number) * 86_400_000));
    }
    document
        .with_text("text", text)
        .with_text("phrases", phrases)
        .with_text("phrases", "a second value")
        .with_sparse("sparse", vector.clone())
        .with_sparse("tiered", vector)
        .with_stored("source", stored)
}

/// A writer that leaves segments as they are.
pub fn writer(index: &Index) -> IndexWriter {
    let options = WriterOptions::new().merge_policy(MergePolicy::never());
    index.writer_with(options).unwrap()
}

/// Two segments: one with long lists, tiers, ranges and deletes, and a small one.
pub fn build(documents: u32, stored_bytes: usize) -> Memory {
    let memory = Memory::new();
    let options = IndexOptions::new();
    let index = Index::create_in(Arc::new(memory.clone()), schema(), options).unwrap();
    let mut writer = writer(&index);
    for number in 0..documents {
        writer.add(document(number, stored_bytes)).unwrap();
    }
    writer.commit().unwrap();
    for number in 0..40 {
        writer.add(document(documents + number, 20)).unwrap();
    }
    for number in (0..documents).step_by(37) {
        writer.delete(document(number, 0).id()).unwrap();
    }
    writer.commit().unwrap();
    memory
}

pub fn open(memory: &Memory) -> Result<Snapshot> {
    Index::open_in(Arc::new(memory.clone()), IndexOptions::new())?.snapshot()
}

/// Something to ask of a snapshot; segments by place, fields by place in the segment.
#[derive(Clone, Debug)]
pub enum Question {
    Commit,
    Schema,
    Totals,
    Info(usize),
    Live(usize),
    Ids(usize),
    Find(String),
    StoredBlock(usize, u64),
    Lengths(usize, usize),
    AllPostings(usize, usize),
    Postings(usize, usize, Vec<u8>),
    Vectors(usize, usize),
    Search(Query, Option<Algorithm>),
    /// Documents that match a condition, counted and listed.
    Matching(Query),
    /// Values of a column, ordered by them and counted.
    Column(&'static str),
}

/// Every question, with its answer.
pub fn questions(snapshot: &Snapshot) -> Vec<(Question, u64)> {
    let mut all = vec![Question::Commit, Question::Schema, Question::Totals];
    for (place, segment) in snapshot.segments().iter().enumerate() {
        let reader = &segment.reader;
        let of_segment = [Question::Info, Question::Live, Question::Ids];
        all.extend(of_segment.map(|question| question(place)));
        let blocks = reader.stored().unwrap().blocks();
        all.extend((0..blocks).map(|block| Question::StoredBlock(place, block)));
        for document in (0..reader.documents()).step_by(29) {
            let id = reader.ids().id(document).unwrap();
            all.push(Question::Find(id));
        }
        for (field, (_, parts)) in reader.fields().iter().enumerate() {
            if matches!(parts, FieldReader::Text(_)) {
                all.push(Question::Lengths(place, field));
            }
            if let FieldReader::Dense(_) = parts {
                all.push(Question::Vectors(place, field));
            }
            if parts.terms().is_none() {
                continue;
            }
            all.push(Question::AllPostings(place, field));
            for term in terms(parts).into_iter().step_by(19) {
                all.push(Question::Postings(place, field, term));
            }
        }
    }
    all.push(Question::Find("nowhere".into()));
    all.extend(searches(snapshot));
    all.extend(conditions().map(Question::Matching));
    all.extend(COLUMNS.map(Question::Column));
    let answered = all.into_iter().map(|question| {
        let answer = ask(snapshot, &question).unwrap();
        (question, answer)
    });
    answered.collect()
}

fn searches(snapshot: &Snapshot) -> Vec<Question> {
    let queries = [
        Query::text("text", "common third w7"),
        Query::text("text", "once5 w3 nowhere"),
        Query::sparse("sparse", [("all", 1.0), ("most", 0.3), ("s4", 1.5)]),
        Query::sparse("sparse", [("early", 1.0), ("all", 0.1), ("single3", 1.0)]),
        Query::sparse("tiered", [("all", 1.0), ("most", 0.3), ("s4", 1.5)]),
        Query::text("text", "common third").with_all_terms(),
        Query::sparse("sparse", [("all", 1.0), ("most", 0.3)]).with_all_terms(),
        Query::sparse("tiered", [("all", 1.0), ("most", 0.3)]).with_all_terms(),
    ];
    let dense = DENSE.map(|(name, ..)| Query::dense(name, numbers(77)));
    queries
        .into_iter()
        .chain(dense)
        .flat_map(|query| searches_with(snapshot, &query))
        .collect()
}

const COLUMNS: [&str; 6] = ["whole", "natural", "real", "flag", "day", "tag"];

fn conditions() -> [Query; 8] {
    [
        Query::range("whole", -100..50),
        Query::range("natural", 1u64 << 30..),
        Query::range("real", 3.5..20.0),
        Query::range("flag", true..=true),
        Query::exists("day"),
        Query::range("tag", "rare1".."rare3"),
        Query::phrase("phrases", "common w3"),
        Query::prefix("text", "once1"),
    ]
}

/// A search by the planner's choice, and one by each algorithm that can search with the query.
pub fn searches_with(snapshot: &Snapshot, query: &Query) -> Vec<Question> {
    let algorithms = snapshot.algorithms(query).unwrap().into_iter().map(Some);
    let all = algorithms.chain([None]);
    all.map(|algorithm| Question::Search(query.clone(), algorithm))
        .collect()
}

/// The digest of what a snapshot answers.
pub fn ask(snapshot: &Snapshot, question: &Question) -> Result<u64> {
    let mut digest = DefaultHasher::new();
    let segment = |place: &usize| &snapshot.segments()[*place];
    let reader = |place: &usize| &segment(place).reader;
    match question {
        Question::Commit => (snapshot.commit(), snapshot.documents()).hash(&mut digest),
        Question::Schema => snapshot.schema().encode().hash(&mut digest),
        Question::Totals => {
            for field in snapshot.schema().fields() {
                format!("{:?}", snapshot.totals(field.number)).hash(&mut digest);
            }
        }
        Question::Info(place) => format!("{:?}", reader(place).info()).hash(&mut digest),
        Question::Live(place) => {
            let documents = 0..reader(place).documents().min(1_000_000);
            let live = documents.filter(|document| segment(place).is_live(*document));
            live.collect::<Vec<_>>().hash(&mut digest);
        }
        Question::Ids(place) => all_ids(reader(place))?.hash(&mut digest),
        Question::Find(id) => {
            snapshot.find(id)?.hash(&mut digest);
            snapshot.get(id)?.hash(&mut digest);
        }
        Question::StoredBlock(place, block) => {
            if let Some(stored) = reader(place).stored() {
                stored.documents_of(*block)?.hash(&mut digest);
            }
        }
        Question::Lengths(place, field) => {
            if let Some((_, FieldReader::Text(text))) = reader(place).fields().get(*field) {
                text.lengths.all()?.hash(&mut digest);
            }
        }
        Question::AllPostings(place, field) => {
            if let Some((_, field)) = reader(place).fields().get(*field) {
                all_postings(reader(place), field)?.hash(&mut digest);
            }
        }
        Question::Postings(place, field, term) => {
            if let Some((_, field)) = reader(place).fields().get(*field)
                && let Some(terms) = field.terms()
                && let Some(entry) = terms.term(term)?
            {
                postings(reader(place), field, &entry)?.hash(&mut digest);
            }
        }
        Question::Vectors(place, field) => {
            if let Some((_, FieldReader::Dense(vectors))) = reader(place).fields().get(*field) {
                for row in 0..vectors.rows() {
                    let document = vectors.document(row)?;
                    let bits = vectors.numbers(row)?.into_iter().map(f32::to_bits);
                    (document, bits.collect::<Vec<_>>()).hash(&mut digest);
                    // Where rows are not in order, documents may be found at others.
                    let _ = vectors.row_of(document)?;
                }
            }
        }
        Question::Search(query, algorithm) => {
            let options = SearchOptions::new(7);
            let options = match algorithm {
                Some(algorithm) => options.algorithm(*algorithm),
                None => options,
            };
            for hit in &snapshot.search_with(query, &options)?.hits {
                (hit.id()?, hit.score.to_bits(), hit.address).hash(&mut digest);
            }
        }
        Question::Matching(query) => {
            snapshot.count(query)?.hash(&mut digest);
            snapshot.search(query, 1_000)?.ids()?.hash(&mut digest);
        }
        Question::Column(name) => {
            let facets = [Facet::values(*name, 20), Facet::statistics(*name)];
            for facet in facets {
                // Some kinds have no statistics.
                match snapshot.facets(&Query::all(), &[facet]) {
                    Err(error) if error.is_input() => {}
                    found => format!("{:?}", found?).hash(&mut digest),
                }
            }
            for sort in [Sort::ascending(*name), Sort::descending(*name)] {
                let options = SearchOptions::new(50).sort(sort);
                match snapshot.search_with(&Query::all(), &options) {
                    Err(error) if error.is_input() => {}
                    found => found?.hits.ids()?.hash(&mut digest),
                }
            }
        }
    }
    Ok(digest.finish())
}

fn terms(field: &FieldReader) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let Some(terms) = field.terms() else {
        return found;
    };
    let mut terms = terms.iter();
    while terms.advance().unwrap() {
        found.push(terms.key().to_vec());
    }
    found
}

fn all_ids(reader: &SegmentReader) -> Result<BTreeMap<Vec<u8>, (u32, String)>> {
    let mut found = BTreeMap::new();
    let mut ids = reader.ids().dictionary().iter();
    while ids.advance()? {
        let document = reader.ids().document_of(ids.ordinal())?;
        let id = reader.ids().id(document)?;
        found.insert(ids.key().to_vec(), (document, id));
    }
    Ok(found)
}

type Postings = Vec<(u32, u32)>;

fn all_postings(reader: &SegmentReader, field: &FieldReader) -> Result<Vec<(Vec<u8>, Postings)>> {
    let mut found = Vec::new();
    let Some(terms) = field.terms() else {
        return Ok(found);
    };
    let mut terms = terms.iter();
    while let Some(entry) = terms.next_term()? {
        let key = terms.key().to_vec();
        found.push((key, postings(reader, field, &entry)?));
    }
    Ok(found)
}

/// Documents and values in the order of the list; then, if there are positions, documents with those.
fn postings(reader: &SegmentReader, field: &FieldReader, entry: &TermEntry) -> Result<Postings> {
    let mut found = Vec::new();
    let mut block = DecodedBlock::default();
    match field {
        FieldReader::Text(text) => {
            let list = text.list(reader.documents(), entry)?;
            let mut of_term = text.positions(entry)?.map(|list| list.reader());
            let mut positions = Vec::new();
            for index in 0..list.blocks.block_count() {
                list.blocks.decode(index, &mut block)?;
                let values = block.values().iter().copied();
                found.extend(block.documents().iter().copied().zip(values));
                if let Some(of_term) = &mut of_term {
                    for (posting, document) in block.documents().iter().enumerate() {
                        of_term.read(index, block.values(), posting, &mut positions)?;
                        found.extend(positions.iter().map(|position| (*document, *position)));
                    }
                }
            }
        }
        FieldReader::Sparse(sparse) => {
            let mut lists = Vec::new();
            sparse.open(reader.documents(), entry, |exponent, list| {
                lists.push((exponent, list));
            })?;
            for (exponent, list) in lists {
                let impact = |steps| pack(Impact { exponent, steps }, sparse.base);
                list.for_each(|document, steps| found.push((document, impact(steps))))?;
            }
        }
        _ => {}
    }
    Ok(found)
}
