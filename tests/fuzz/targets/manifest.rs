//! Bytes as the sections of a manifest, in a file with right checksums: the first byte says how
//! long the schema is, and what optional section there is.
use std::io::Write;
use std::sync::Arc;

use esparsa::internals::format::manifest::Manifest;
use esparsa::internals::format::{Container, ContainerWriter, FileKind, Verify};

fn open(bytes: Vec<u8>) -> Container {
    Container::open(
        Arc::new(bytes),
        "manifest",
        FileKind::Manifest,
        Verify::AtOpen,
    )
    .unwrap()
}

pub fn run(bytes: &[u8]) {
    let Some((&first, rest)) = bytes.split_first() else {
        return;
    };
    let (commit, rest) = rest.split_at_checked(16).unwrap_or((rest, &[]));
    let (schema, segments) = rest
        .split_at_checked(usize::from(first))
        .unwrap_or((rest, &[]));
    // What is left behind the records of segments, of 64 bytes each.
    let (segments, calibration) = match first % 4 {
        1 => segments.split_at(segments.len() / 64 * 64),
        _ => (segments, &[][..]),
    };
    let mut writer = ContainerWriter::new(Vec::new(), FileKind::Manifest).unwrap();
    for (name, bytes) in [
        ("commit", commit),
        ("schema", schema),
        ("segments", segments),
    ] {
        writer.begin(name, None).unwrap();
        writer.write_all(bytes).unwrap();
    }
    if first.is_multiple_of(4) {
        // A piece of the schema's bytes as what is said of a model.
        writer.begin_optional("model", Some(0)).unwrap();
        writer.write_all(&schema[schema.len() / 2..]).unwrap();
    }
    if first % 4 == 1 {
        writer.begin_optional("calibration", Some(0)).unwrap();
        writer.write_all(calibration).unwrap();
    }
    let container = open(writer.finish().unwrap().0);
    let number = commit
        .first_chunk::<8>()
        .map_or(1, |eight| u64::from_le_bytes(*eight));
    let Ok(manifest) = Manifest::read(&container, number) else {
        return;
    };
    let (again, _) = manifest.write(Vec::new()).unwrap();
    assert_eq!(Manifest::read(&open(again), number).unwrap(), manifest);
}
