use super::*;
use std::io::Write;

fn sample() -> Vec<u8> {
    let mut writer = ContainerWriter::new(Vec::new(), FileKind::Deletes).unwrap();
    writer.begin("deleted", None).unwrap();
    writer.write_all(&[5, 0, 0, 0, 0, 0, 0, 0]).unwrap();
    writer.finish().unwrap().0
}

fn open(bytes: Vec<u8>) -> Result<Container> {
    Container::open(Arc::new(bytes), "f", FileKind::Deletes, Verify::AtOpen)
}

#[test]
fn the_chapters_example_holds() {
    let bytes = sample();
    assert_eq!(bytes.len(), 192);
    let container = open(bytes).unwrap();
    let section = container.section("deleted", None).unwrap();
    assert_eq!(section.all().unwrap(), [5, 0, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn every_flipped_bit_is_found() {
    let mut with_unknown = ContainerWriter::new(Vec::new(), FileKind::Deletes).unwrap();
    with_unknown.begin_optional("hologram", None).unwrap();
    with_unknown.write_all(&[1; 70]).unwrap();
    with_unknown.begin("deleted", None).unwrap();
    with_unknown.write_all(&[5; 9]).unwrap();
    for bytes in [sample(), with_unknown.finish().unwrap().0] {
        assert!(open(bytes.clone()).is_ok());
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(open(damaged).is_err(), "byte {}", bit / 8);
        }
    }
}

/// A file with its table changed, and all checksums of the frame right.
fn with_table(bytes: &[u8], change: impl Fn(&mut [TableEntry])) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let end = bytes.len() - TRAILER_BYTES as usize;
    let (front, end) = bytes.split_at_mut(end);
    let trailer = Trailer::mut_from_bytes(end).unwrap();
    let start = trailer.table.get() as usize;
    let table = <[TableEntry]>::mut_from_bytes(&mut front[start..]).unwrap();
    let checksums = table[0].checksums.get() as usize;
    change(table);
    let chunks = table
        .iter()
        .map(|entry| entry.length.get().div_ceil(wide(CHUNK_BYTES)));
    let end = (checksums + 4 * chunks.sum::<u64>() as usize).min(start);
    trailer.table_crc = U32::new(crc32c::crc32c(&front[start..]));
    let fingerprint = crc32c::crc32c(&front[checksums..end]);
    trailer.fingerprint = U32::new(crc32c::crc32c_append(fingerprint, &front[start..]));
    trailer.crc = U32::new(crc_of_front(trailer));
    bytes
}

/// A few kilobytes could claim petabytes, each to be verified and remembered.
#[test]
fn sections_that_overlap_are_refused_although_every_checksum_is_right() {
    let mut writer = ContainerWriter::new(Vec::new(), FileKind::Segment).unwrap();
    for field in 0..3 {
        writer.begin("terms", Some(field)).unwrap();
        writer.write_all(&[7; 64]).unwrap();
    }
    let (bytes, _) = writer.finish().unwrap();
    let open = |bytes: Vec<u8>| {
        Container::open(Arc::new(bytes), "f", FileKind::Segment, Verify::Never).map(|_| ())
    };
    open(with_table(&bytes, |_| {})).unwrap();
    type Change = fn(&mut [TableEntry]);
    let changes: [(&str, Change); 6] = [
        ("does not begin", |table| table[1].offset = table[0].offset),
        ("does not begin", |table| table[0].length = U64::new(128)),
        ("does not begin", |table| table.swap(0, 1)),
        ("outside", |table| {
            table[3].length = U64::new(u64::MAX - 4096)
        }),
        ("are not behind", |table| {
            table[1].checksums = table[0].checksums
        }),
        ("one name and field", |table| {
            table[1].field = table[0].field
        }),
    ];
    for (expected, change) in changes {
        let error = open(with_table(&bytes, change)).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}, expected {expected}");
    }
}

#[test]
fn edges_are_those_of_all_sections_also_of_unknown_ones() {
    let mut writer = ContainerWriter::new(Vec::new(), FileKind::Segment).unwrap();
    writer.begin("info", None).unwrap();
    writer.write_all(&[1; 100]).unwrap();
    writer.begin_optional("hologram", None).unwrap();
    writer.write_all(&[2; 30]).unwrap();
    writer.begin("ids", None).unwrap();
    for byte in 0..200 {
        writer.write_all(&[byte]).unwrap();
    }
    let (bytes, _) = writer.finish().unwrap();
    let open =
        |bytes: Vec<u8>| Container::open(Arc::new(bytes), "f", FileKind::Segment, Verify::AtOpen);
    let container = open(bytes).unwrap();
    let edges = container.section("edges", None).unwrap();
    let expected: Vec<u8> = [1; 128].into_iter().chain([2; 60]).collect();
    let expected: Vec<u8> = expected.into_iter().chain(0..64).chain(136..200).collect();
    assert_eq!(edges.all().unwrap(), expected);
}

#[test]
fn every_truncation_is_found() {
    let bytes = sample();
    for length in 0..bytes.len() {
        assert!(open(bytes[..length].to_vec()).is_err());
    }
}

#[test]
fn long_sections_are_verified_chunk_by_chunk() {
    let content: Vec<u8> = (0..200_000u32).map(|n| n.to_le_bytes()[0]).collect();
    let mut writer = ContainerWriter::new(Vec::new(), FileKind::Segment).unwrap();
    writer.begin("terms", Some(3)).unwrap();
    for piece in content.chunks(777) {
        writer.write_all(piece).unwrap();
    }
    let (mut bytes, _) = writer.finish().unwrap();
    bytes[64 + 150_000] ^= 1;
    let container =
        Container::open(Arc::new(bytes), "f", FileKind::Segment, Verify::default()).unwrap();
    let section = container.section("terms", Some(3)).unwrap();
    assert_eq!(section.slice(0, 131_072).unwrap(), &content[..131_072]);
    let error = section.slice(131_000, 1_000).unwrap_err().to_string();
    assert!(error.contains("terms, offset 131072"), "{error}");
    assert!(section.slice(199_999, 2).is_err());
}

#[test]
fn unknown_sections_are_skipped_or_refused_by_name() {
    let build = |optional: bool| {
        let mut writer = ContainerWriter::new(Vec::new(), FileKind::Deletes).unwrap();
        if optional {
            writer.begin_optional("hologram", None).unwrap();
        } else {
            writer.begin("hologram", None).unwrap();
        }
        writer.finish().unwrap().0
    };
    assert!(open(build(true)).is_ok());
    let error = open(build(false)).err().unwrap();
    assert!(matches!(error, Error::TooNew { .. }));
    assert!(error.to_string().contains("hologram"));
}

#[test]
fn capability_bits_are_refused_when_required_and_unknown() {
    let build = |kind, required, optional| {
        let capabilities = Capabilities { required, optional };
        let writer = ContainerWriter::with_capabilities(Vec::new(), kind, capabilities);
        let (bytes, _) = writer.unwrap().finish().unwrap();
        Container::open(Arc::new(bytes), "f", kind, Verify::AtOpen)
    };
    let bits = Capabilities::IMPACT_EXPONENTS;
    let segment = build(FileKind::Segment, bits, u64::MAX).unwrap();
    assert_eq!(segment.capabilities().required, bits);
    assert_eq!(segment.capabilities().optional, u64::MAX);
    for (kind, required) in [(FileKind::Segment, 1 << 40), (FileKind::Manifest, bits)] {
        let error = build(kind, required, 0).err().unwrap();
        assert!(matches!(error, Error::TooNew { .. }), "{error}");
        assert!(error.to_string().contains("capability bits"), "{error}");
    }
}

#[test]
fn a_newer_version_is_refused_as_such() {
    let mut bytes = sample();
    bytes[8] = 2;
    assert!(matches!(open(bytes), Err(Error::TooNew { .. })));
}
