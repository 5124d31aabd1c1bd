//! Bytes as the deleted documents of a segment, in a file with right checksums: the first two say how
//! many documents the segment has.

use std::io::Write;
use std::sync::Arc;

use esparsa::internals::format::{Container, ContainerWriter, FileKind, Verify, deletes};

fn open(bytes: Vec<u8>) -> Container {
    let opened = Container::open(
        Arc::new(bytes),
        "deletes",
        FileKind::Deletes,
        Verify::AtOpen,
    );
    opened.expect("a file with right checksums")
}

pub fn run(bytes: &[u8]) {
    let Some((documents, bytes)) = bytes.split_first_chunk::<2>() else {
        return;
    };
    let documents = u32::from(u16::from_le_bytes(*documents));
    let mut writer = ContainerWriter::new(Vec::new(), FileKind::Deletes).unwrap();
    writer.begin("deleted", None).unwrap();
    writer.write_all(bytes).unwrap();
    let Ok(deleted) = deletes::read(&open(writer.finish().unwrap().0), documents) else {
        return;
    };
    assert_eq!(deleted.documents(), documents);
    let (again, _) = deletes::write(&deleted, Vec::new()).unwrap();
    assert_eq!(deletes::read(&open(again), documents).unwrap(), deleted);
}
