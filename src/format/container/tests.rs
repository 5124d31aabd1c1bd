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
fn every_flipped_bit_is_found_or_harmless() {
    let bytes = sample();
    for bit in 0..bytes.len() * 8 {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        match open(damaged) {
            Err(_) => {}
            // Padding is the only thing that no checksum covers.
            Ok(_) => assert!((76..80).contains(&(bit / 8)), "byte {}", bit / 8),
        }
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
