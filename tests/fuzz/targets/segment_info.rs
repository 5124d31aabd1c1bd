//! Bytes as the statistics of a segment: what is read is written to something that reads the same.

use esparsa::internals::format::Section;
use esparsa::internals::format::segment_info::SegmentInfo;

pub fn run(bytes: &[u8]) {
    let read = |bytes: Vec<u8>| SegmentInfo::read(&Section::from_bytes("info", bytes));
    if let Ok(info) = read(bytes.to_vec()) {
        assert_eq!(read(info.encode().unwrap()).unwrap(), info);
    }
}
