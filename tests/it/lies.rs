//! An index whose files are other than they say, with right checksums, and everything that can be
//! done with it.

use std::io::Write;
use std::sync::Arc;

use esparsa::executor::{CancelToken, Inline};
use esparsa::internals::format::container::FileStamp;
use esparsa::internals::format::manifest::{Manifest, manifest_file};
use esparsa::internals::format::{
    Capabilities, Container, ContainerWriter, FieldNumber, FileKind, Verify,
};
use esparsa::internals::segment::{Reorder, Source, WriteOptions};
use esparsa::store::{Directory, Memory};
use esparsa::{Index, IndexOptions, Result, Snapshot};

use crate::walk::{Question, ask, document, open};

pub type Sections = Vec<(String, Option<FieldNumber>, Vec<u8>)>;

pub fn kind_of(name: &str) -> FileKind {
    match name.split('-').next() {
        Some("segment") => FileKind::Segment,
        Some("deletes") => FileKind::Deletes,
        _ => FileKind::Manifest,
    }
}

fn container(memory: &Memory, name: &str) -> Container {
    let bytes = memory.bytes(name).unwrap();
    Container::open(bytes, name, kind_of(name), Verify::AtOpen).unwrap()
}

pub fn sections(memory: &Memory, name: &str) -> Sections {
    let container = container(memory, name);
    let section = |name: &str, field| {
        let bytes = container.section(name, field).unwrap().all().unwrap();
        (name.to_owned(), field, bytes.to_vec())
    };
    // The writer of a file adds the edges of its sections.
    let all = container.sections().filter(|(name, ..)| *name != "edges");
    all.map(|(name, field, _)| section(name, field)).collect()
}

/// A file with right checksums.
pub fn file_of(kind: FileKind, sections: &Sections) -> (Vec<u8>, FileStamp) {
    let capabilities = match kind {
        FileKind::Segment => Capabilities {
            required: Capabilities::IMPACT_EXPONENTS,
            optional: 0,
        },
        _ => Capabilities::default(),
    };
    let writer = ContainerWriter::with_capabilities(Vec::new(), kind, capabilities);
    let mut writer = writer.unwrap();
    for (name, field, bytes) in sections {
        writer.begin(name, *field).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap()
}

pub fn manifest_of(memory: &Memory) -> Manifest {
    let commit = open(memory).unwrap().commit();
    Manifest::read(&container(memory, &manifest_file(commit)), commit).unwrap()
}

/// A copy of an index in which a file has other sections, and the manifest names it as it is.
pub fn with_sections(index: &Memory, name: &str, sections: &Sections) -> Memory {
    with_file(index, name, file_of(kind_of(name), sections))
}

/// A copy of an index in which a file has other bytes, and the manifest names it as it is.
pub fn with_file(index: &Memory, name: &str, (bytes, stamp): (Vec<u8>, FileStamp)) -> Memory {
    let hostile = Memory::new();
    for name in index.list().unwrap() {
        hostile.overwrite(&name, index.bytes(&name).unwrap().to_vec());
    }
    let before = container(index, name).stamp();
    hostile.overwrite(name, bytes);
    if kind_of(name) != FileKind::Manifest {
        let mut manifest = manifest_of(index);
        for segment in &mut manifest.segments {
            let deletes = segment.deletes.iter_mut().map(|deletes| &mut deletes.stamp);
            let stamps = deletes.chain([&mut segment.stamp]);
            stamps.filter(|s| **s == before).for_each(|s| *s = stamp);
        }
        let (bytes, _) = manifest.write(Vec::new()).unwrap();
        hostile.overwrite(&manifest_file(manifest.commit), bytes);
    }
    hostile
}

/// Asks questions of an index and verifies it. Returns how much of it went well.
pub fn read_everything(index: &Memory, questions: &[Question]) -> usize {
    let Ok(snapshot) = open(index) else { return 0 };
    let answered = questions.iter().filter(|q| in_range(&snapshot, q));
    let well = answered.filter(|q| ask(&snapshot, q).is_ok()).count();
    let segments = snapshot.segments().iter();
    let verified = segments.map(|s| esparsa::internals::segment::verify(&s.reader));
    well + verified.filter(Result::is_ok).count()
}

/// Does everything that can be done with an index. Returns how much of it went well.
pub fn use_everything(index: &Memory, questions: &[Question]) -> usize {
    let well = read_everything(index, questions);
    let Ok(snapshot) = open(index) else {
        return well;
    };
    let merged = [false, true].map(|reorder| merge(&snapshot, reorder).is_ok());
    let merged = merged.into_iter().filter(|is_well| *is_well).count();
    well + merged + usize::from(load(index).is_ok())
}

/// A hostile manifest may have taken segments away.
fn in_range(snapshot: &Snapshot, question: &Question) -> bool {
    let segments = snapshot.segments().len();
    match question {
        Question::Info(place) | Question::Live(place) | Question::Ids(place) => *place < segments,
        Question::StoredBlock(place, _) | Question::Lengths(place, _) => *place < segments,
        Question::AllPostings(place, _) | Question::Postings(place, _, _) => *place < segments,
        Question::Vectors(place, _) => *place < segments,
        _ => true,
    }
}

/// Merges on this thread, where a panic is seen.
pub fn merge(snapshot: &Snapshot, reorder: bool) -> Result<()> {
    let segments = snapshot.segments();
    let sources: Vec<Source<'_>> = segments
        .iter()
        .map(|s| Source::Segment(&s.reader, s.deleted.as_deref()))
        .collect();
    let reorder = reorder.then_some(Reorder {
        threads: 1,
        memory: 8 << 20,
    });
    let schema = snapshot.schema();
    let options = WriteOptions {
        reorder,
        scratch: &Memory::new(),
        executor: &Inline,
        cancel: &CancelToken::new(),
    };
    let merged =
        esparsa::internals::segment::write(schema, &sources, &options, Vec::new(), "merged");
    merged.map(|_| ())
}

pub fn load(index: &Memory) -> Result<()> {
    let index = Index::open_in(Arc::new(index.clone()), IndexOptions::new())?;
    let mut writer = index.writer()?;
    writer.delete(document(3, 0).id())?;
    writer.add(document(5, 10))?;
    writer.commit()?;
    writer.merge_to(1)?;
    writer.commit()?;
    Ok(())
}
