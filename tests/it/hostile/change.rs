//! Changes of bytes that look like what a liar would try.

use proptest::prelude::*;

/// A change of the bytes of a section; places are shares of the section's length, in 65,536ths.
#[derive(Clone, Debug)]
pub enum Change {
    Flip(Place, u8),
    Byte(Place, u8),
    U32(Place, u32),
    U64(Place, u64),
    Cut(Place),
    Remove(Place, usize),
    Repeat(Place, usize),
    Extend(usize, u8),
}

/// Where a change is: anywhere, or some bytes from the start or the end, where heads and footers are.
#[derive(Clone, Copy, Debug)]
pub enum Place {
    Share(u16),
    FromStart(usize),
    FromEnd(usize),
}

impl Place {
    pub fn of(self, length: usize) -> usize {
        match self {
            Self::Share(share) => (length * usize::from(share)) >> 16,
            Self::FromStart(at) => at.min(length),
            Self::FromEnd(back) => length.saturating_sub(back),
        }
    }
}

pub fn overwrite(bytes: &mut [u8], at: usize, with: &[u8]) {
    for (to, from) in bytes[at..].iter_mut().zip(with) {
        *to = *from;
    }
}

impl Change {
    pub fn apply(&self, bytes: &mut Vec<u8>) {
        let length = bytes.len();
        match self {
            Self::Flip(place, bit) => {
                if let Some(byte) = bytes.get_mut(place.of(length)) {
                    *byte ^= 1 << bit;
                }
            }
            Self::Byte(place, value) => overwrite(bytes, place.of(length), &[*value]),
            Self::U32(place, value) => overwrite(bytes, place.of(length), &value.to_le_bytes()),
            Self::U64(place, value) => overwrite(bytes, place.of(length), &value.to_le_bytes()),
            Self::Cut(place) => bytes.truncate(place.of(length)),
            Self::Remove(place, count) => {
                let start = place.of(length);
                bytes.drain(start..length.min(start + count));
            }
            Self::Repeat(place, count) => {
                let start = place.of(length);
                let piece = bytes[start..length.min(start + count)].to_vec();
                bytes.splice(start..start, piece);
            }
            Self::Extend(count, value) => bytes.resize(length + count, *value),
        }
    }
}

fn place() -> impl Strategy<Value = Place> {
    prop_oneof![
        2 => any::<u16>().prop_map(Place::Share),
        1 => (0usize..24).prop_map(Place::FromStart),
        1 => (0usize..48).prop_map(Place::FromEnd),
    ]
}

pub fn change() -> impl Strategy<Value = Change> {
    let byte = prop_oneof![
        any::<u8>(),
        Just(0),
        Just(1),
        Just(0x7F),
        Just(0x80),
        Just(0xFF)
    ];
    let edges = [
        0,
        1,
        127,
        128,
        0x7FFF_FFFF,
        0x8000_0000,
        u32::MAX - 1,
        u32::MAX,
    ];
    let u32s = prop_oneof![
        any::<u32>(),
        prop::sample::select(edges.to_vec()),
        0u32..1_000
    ];
    let edges = [1 << 32, (1 << 32) - 1, 1 << 63, u64::MAX - 7, u64::MAX];
    let u64s = prop_oneof![
        any::<u64>(),
        prop::sample::select(edges.to_vec()),
        0u64..100_000
    ];
    prop_oneof![
        4 => (place(), 0u8..8).prop_map(|(place, bit)| Change::Flip(place, bit)),
        4 => (place(), byte).prop_map(|(place, byte)| Change::Byte(place, byte)),
        3 => (place(), u32s).prop_map(|(place, value)| Change::U32(place, value)),
        2 => (place(), u64s).prop_map(|(place, value)| Change::U64(place, value)),
        1 => place().prop_map(Change::Cut),
        1 => (place(), 1usize..20).prop_map(|(place, count)| Change::Remove(place, count)),
        1 => (place(), 1usize..20).prop_map(|(place, count)| Change::Repeat(place, count)),
        1 => (1usize..70, any::<u8>()).prop_map(|(count, byte)| Change::Extend(count, byte)),
    ]
}
