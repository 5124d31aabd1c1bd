//! Repairs the checksums of a file that was changed, so that only its content can give it away.

use std::ops::Range;

const TRAILER_BYTES: usize = 64;
const ENTRY_BYTES: usize = 48;
const CHUNK_BYTES: usize = 1 << 16;

fn u64_at(bytes: &[u8], at: usize) -> Option<usize> {
    let number = u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?);
    usize::try_from(number).ok()
}

fn set_u32(bytes: &mut [u8], at: usize, value: u32) -> Option<()> {
    bytes
        .get_mut(at..at + 4)?
        .copy_from_slice(&value.to_le_bytes());
    Some(())
}

/// The entries of the section table, and where it is.
fn table(bytes: &[u8]) -> Option<Range<usize>> {
    let trailer = bytes.len().checked_sub(TRAILER_BYTES)?;
    let table = u64_at(bytes, trailer)?;
    (table <= trailer && (trailer - table).is_multiple_of(ENTRY_BYTES)).then_some(table..trailer)
}

/// Makes every checksum of the file right, as far as its section table leads to them. What leads
/// nowhere is left as it is.
pub fn reseal(bytes: &mut [u8]) -> Option<()> {
    let table = table(bytes)?;
    let entries: Vec<usize> = table.clone().step_by(ENTRY_BYTES).collect();
    let (mut first, mut end) = (None, 0);
    for entry in entries {
        let (offset, length) = (u64_at(bytes, entry + 24)?, u64_at(bytes, entry + 32)?);
        let checksums = u64_at(bytes, entry + 40)?;
        first.get_or_insert(checksums);
        let Some(section) = bytes.get(offset..offset.saturating_add(length)) else {
            continue;
        };
        let crcs: Vec<u32> = section.chunks(CHUNK_BYTES).map(crc32c::crc32c).collect();
        for (chunk, crc) in crcs.iter().enumerate() {
            let _ = set_u32(bytes, checksums.saturating_add(4 * chunk), *crc);
        }
        end = checksums.saturating_add(4 * crcs.len());
    }
    let first = first.unwrap_or(table.start);
    let fingerprint = crc32c::crc32c(bytes.get(first..end.max(first)).unwrap_or_default());
    let fingerprint = crc32c::crc32c_append(fingerprint, bytes.get(table.clone())?);
    let trailer = table.end;
    let crc_of_table = crc32c::crc32c(bytes.get(table)?);
    set_u32(bytes, trailer + 12, crc_of_table)?;
    set_u32(bytes, trailer + 24, fingerprint)?;
    let crc = crc32c::crc32c(bytes.get(trailer..trailer + 60)?);
    set_u32(bytes, trailer + 60, crc)?;
    let crc = crc32c::crc32c(bytes.get(..60)?);
    set_u32(bytes, 60, crc)
}
