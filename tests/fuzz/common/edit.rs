//! Changes of files, eight bytes each: what is done, to which file, where, and with which number.

use super::input::Input;

/// A file of an index; where it was changed by an edit that keeps its checksums wrong, they stay so.
#[derive(Clone)]
pub struct File {
    pub name: String,
    pub bytes: Vec<u8>,
    pub is_changed: bool,
    pub is_sealed: bool,
}

/// Numbers at which arithmetic goes wrong.
const EDGES: [u64; 8] = [
    0,
    1,
    1 << 31,
    (1 << 32) - 1,
    1 << 32,
    1 << 63,
    u64::MAX - 7,
    u64::MAX,
];

/// Bytes that an edit takes.
const EDIT_BYTES: usize = 8;
/// Bytes that an edit moves at most.
const MAX_MOVED: usize = 64;

/// Applies all edits of the input.
pub fn apply(files: &mut [File], input: &mut Input<'_>) {
    while !input.is_empty() {
        let [kind, file, x, y, a, b, c, d] = input.bytes::<EDIT_BYTES>();
        let place = usize::from(u16::from_le_bytes([x, y]));
        let number = u32::from_le_bytes([a, b, c, d]);
        let count = files.len();
        let changed = &mut files[usize::from(file & 0x7F) % count];
        changed.is_changed = true;
        changed.is_sealed &= file < 0x80;
        change(&mut changed.bytes, kind, place, number);
    }
}

fn change(bytes: &mut Vec<u8>, kind: u8, place: usize, number: u32) {
    let length = bytes.len();
    // Most places are far from the end, where the table of the sections is.
    let at = match place {
        place if place < 0x8000 => place.min(length),
        place => length.saturating_sub(place - 0x8000),
    };
    let end = length.min(at + number as usize % MAX_MOVED);
    match kind % 10 {
        0 => overwrite(bytes, at, &number.to_le_bytes()[..1]),
        1 => overwrite(bytes, at, &number.to_le_bytes()[..2]),
        2 => overwrite(bytes, at, &number.to_le_bytes()),
        3 => overwrite(bytes, at, &u64::from(number).to_le_bytes()),
        4 => {
            let edge = EDGES[number as usize % EDGES.len()].to_le_bytes();
            overwrite(bytes, at, &edge[..if number < 1 << 16 { 8 } else { 4 }]);
        }
        5 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << (number % 8);
            }
        }
        6 => bytes.truncate(at),
        7 => drop(bytes.drain(at..end)),
        8 => {
            let piece = bytes[at..end].to_vec();
            bytes.splice(at..at, piece);
        }
        _ => {
            let from = (number >> 8) as usize % (length + 1);
            let piece = bytes[from..length.min(from + number as usize % MAX_MOVED)].to_vec();
            overwrite(bytes, at, &piece);
        }
    }
}

fn overwrite(bytes: &mut [u8], at: usize, with: &[u8]) {
    bytes
        .iter_mut()
        .skip(at)
        .zip(with)
        .for_each(|(to, from)| *to = *from);
}
