use std::sync::Mutex;

use super::*;
use crate::format::{Container, FileKind, container::ContainerWriter};

/// A file that is not mapped: counts the bytes that are read of it.
struct Unmapped {
    bytes: Mutex<Vec<u8>>,
    read: AtomicU64,
}

impl FileHandle for Unmapped {
    fn len(&self) -> u64 {
        wide(self.bytes.lock().unwrap().len())
    }

    fn read(&self, range: Range<u64>) -> Result<Bytes> {
        self.read
            .fetch_add(range.end - range.start, Ordering::Relaxed);
        let bytes = self.bytes.lock().unwrap();
        let range = narrow(range.start).unwrap()..narrow(range.end).unwrap();
        Ok(Bytes::from(bytes[range].to_vec()))
    }
}

const LENGTH: usize = 20 * CHUNK_BYTES + 100;

fn opened(verify: Verify) -> (Arc<Unmapped>, Container) {
    let mut writer = ContainerWriter::new(Vec::new(), FileKind::Segment).unwrap();
    writer.begin("stored", None).unwrap();
    std::io::Write::write_all(&mut writer, &content()).unwrap();
    let (bytes, _) = writer.finish().unwrap();
    let file = Arc::new(Unmapped {
        bytes: Mutex::new(bytes),
        read: AtomicU64::new(0),
    });
    let container = Container::open(file.clone(), "f", FileKind::Segment, verify).unwrap();
    file.read.store(0, Ordering::Relaxed);
    (file, container)
}

fn content() -> Vec<u8> {
    (0..LENGTH)
        .map(|place| (place / 7).to_le_bytes()[0])
        .collect()
}

fn damage(file: &Unmapped, place: usize) {
    file.bytes.lock().unwrap()[64 + place] ^= 1;
}

#[test]
fn clones_share_the_bytes_that_were_verified() {
    let (file, container) = opened(Verify::default());
    let section = container.section("stored", None).unwrap();
    let clone = section.clone();
    let mut expected = content();
    assert_eq!(section.all().unwrap(), expected);
    let read = file.read.load(Ordering::Relaxed);
    // The bits say that this was found right: it must not be read again.
    damage(&file, 0);
    assert_eq!(clone.all().unwrap(), expected);
    assert_eq!(
        container.section("stored", None).unwrap().all().unwrap(),
        expected
    );
    expected.truncate(10);
    assert_eq!(clone.fetch(0, 10).unwrap(), expected);
    assert_eq!(file.read.load(Ordering::Relaxed), read);
}

#[test]
fn a_fetch_reads_its_chunks_alone_and_verifies_them() {
    let (file, container) = opened(Verify::default());
    let section = container.section("stored", None).unwrap();
    let at = 3 * CHUNK_BYTES - 10;
    let fetched = section.fetch(wide(at), 20).unwrap();
    assert_eq!(fetched, &content()[at..at + 20]);
    let read = || file.read.swap(0, Ordering::Relaxed);
    assert_eq!(read(), wide(2 * (CHUNK_BYTES + 4)));
    let end = section.fetch(wide(LENGTH - 5), 5).unwrap();
    assert_eq!(end, &content()[LENGTH - 5..]);
    assert_eq!(read(), 100 + 4);
    assert!(section.fetch(wide(LENGTH - 5), 6).is_err());
    damage(&file, at);
    assert!(section.fetch(wide(at + 15), 1).is_ok());
    let error = section.fetch(wide(at), 1).unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
}

#[test]
fn verifying_an_unmapped_file_keeps_nothing() {
    for verify in [Verify::default(), Verify::AtOpen] {
        let (file, container) = opened(verify);
        container.verify().unwrap();
        let section = container.section("stored", None).unwrap();
        assert!(!section.is_in_memory());
        // Verified, but read again: the new bytes are verified too.
        damage(&file, 18 * CHUNK_BYTES);
        assert!(section.slice(wide(18 * CHUNK_BYTES), 1).is_err());
        assert!(container.verify().is_err());
        let (file, container) = opened(verify);
        damage(&file, 18 * CHUNK_BYTES);
        let error = container.verify().unwrap_err().to_string();
        assert!(error.contains("stored, offset 1179648"), "{error}");
    }
}
