//! Groups of 64 numbers, which take as many words as a number has bits: every shift is known when
//! the program is compiled.

/// Numbers of a group.
pub const GROUP: usize = u64::BITS as usize;
/// Numbers of more bits have no code of their own.
const MAX_WIDTH: usize = 32;

/// Unpacks a group; false when it is cut off.
pub type UnpackGroup = fn(&[u8], &mut [u64; GROUP]) -> bool;

/// How groups of numbers of `width` bits are unpacked, for 1 to 32 of these.
pub fn of_width(width: u32) -> Option<UnpackGroup> {
    let place = (width as usize).checked_sub(1)?;
    UNPACK.get(place).copied()
}

macro_rules! for_widths {
    ($($width:literal)*) => { [$(unpack::<$width>,)*] };
}

static UNPACK: [UnpackGroup; MAX_WIDTH] = for_widths!(
    1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32
);

macro_rules! each_of_group {
    ($unpack:ident) => {
        $unpack!(
            0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31
            32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60
            61 62 63
        )
    };
}

fn unpack<const WIDTH: usize>(bytes: &[u8], out: &mut [u64; GROUP]) -> bool {
    let (words, _) = bytes.as_chunks::<8>();
    let Some(packed) = words.first_chunk::<WIDTH>() else {
        return false;
    };
    let packed = packed.map(u64::from_le_bytes);
    let word = |place: usize| packed.get(place).copied().unwrap_or(0);
    let mask = const { u64::MAX >> (GROUP - WIDTH) };
    macro_rules! one {
        ($($place:literal)*) => { $(
            let (first, shift) = const { ($place * WIDTH / GROUP, $place * WIDTH % GROUP) };
            let mut number = word(first) >> shift;
            if const { $place * WIDTH % GROUP + WIDTH > GROUP } {
                number |= word(first + 1) << (GROUP - shift);
            }
            out[$place] = number & mask;
        )* };
    }
    each_of_group!(one);
    true
}
