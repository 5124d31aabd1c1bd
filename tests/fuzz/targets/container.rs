//! Bytes as a file: the first says of which kind. What opens and verifies is written again.
use std::io::Write;
use std::sync::Arc;

use esparsa::internals::format::{Container, ContainerWriter, FieldNumber, FileKind, Verify};

const KINDS: [FileKind; 3] = [FileKind::Segment, FileKind::Deletes, FileKind::Manifest];

pub fn run(bytes: &[u8]) {
    let Some((&first, bytes)) = bytes.split_first() else {
        return;
    };
    let kind = KINDS[usize::from(first) % KINDS.len()];
    let open = |bytes, verify| Container::open(Arc::new(bytes), "file", kind, verify);
    for verify in [Verify::Never, Verify::OnFirstTouch] {
        if let Ok(container) = open(bytes.to_vec(), verify) {
            for (name, field, length) in container.sections() {
                let section = container.section(name, field).unwrap();
                assert!(section.slice(length, 1).is_err());
                let _ = section.all();
            }
        }
    }
    let Ok(container) = open(bytes.to_vec(), Verify::AtOpen) else {
        return;
    };
    let mut writer = ContainerWriter::new(Vec::new(), kind).unwrap();
    for (name, field) in written(&container) {
        writer.begin(name, field).unwrap();
        let section = container.section(name, field).unwrap();
        writer.write_all(section.all().unwrap()).unwrap();
    }
    let again = open(writer.finish().unwrap().0, Verify::AtOpen).unwrap();
    assert!(written(&again).eq(written(&container)));
}

/// The sections that a writer is given: it adds the edges of sections itself.
fn written(container: &Container) -> impl Iterator<Item = (&str, Option<FieldNumber>)> {
    let sections = container.sections().filter(|(name, ..)| *name != "edges");
    sections.map(|(name, field, _)| (name, field))
}
