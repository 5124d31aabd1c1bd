//! Which of the packed numbers of a column are in a range.
//!
//! Numbers are not written anywhere: eight of 32 bits, or four of 64, are moved out of the bytes
//! that hold them, shifted, and compared.

use super::Level;

/// Numbers of a group, which a word has bits for.
const GROUP: usize = 64;
/// Numbers of more bits, with those before the first, do not fit 64 bits.
const MAX_WIDTH: u32 = 57;
/// Numbers of more bits, with those before the first, do not fit 32 bits.
const MAX_NARROW: u32 = 25;
/// Bytes that are read at once.
const READ: usize = 16;

/// For each of some groups of 64 numbers of `width` bits, 1 to [`MAX_WIDTH`], sets the bits of those
/// that are from `low` to `high` in a word, lowest first. Returns whether all numbers are up to
/// `max`; `None` when the level has no instructions for it, or `bytes` do not go on for 16 bytes
/// behind the numbers.
pub fn select_packed(
    level: Level,
    bytes: &[u8],
    width: u32,
    (low, high): (u64, u64),
    max: u64,
    words: &mut [u64],
) -> Option<bool> {
    let needed = words.len().checked_mul(GROUP / 8 * width as usize)?;
    let is_enough = bytes.len() >= needed.checked_add(READ)?;
    if !is_enough || !(1..=MAX_WIDTH).contains(&width) || low > high {
        return None;
    }
    match level {
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 | Level::Avx512 if width <= MAX_NARROW => {
            let narrow = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
            let range = (narrow(low), narrow(high), narrow(max));
            // SAFETY: the CPU has the instructions of the level, and the bytes are enough.
            Some(unsafe { x86::select_narrow(bytes, width, range, words) })
        }
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Level::Avx2 | Level::Avx512 => {
            Some(unsafe { x86::select_wide(bytes, width, (low, high, max), words) })
        }
        _ => None,
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::GROUP;

    /// Twice 16 bytes, of which the second begin `apart` bits behind the first.
    ///
    /// # Safety
    ///
    /// 16 bytes can be read at both places.
    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn load(bytes: *const u8, apart: usize) -> __m256i {
        // SAFETY: the caller says so.
        unsafe {
            let low = _mm_loadu_si128(bytes.cast());
            let high = _mm_loadu_si128(bytes.add(apart / 8).cast());
            _mm256_set_m128i(high, low)
        }
    }

    /// In which bytes of two halves the numbers are, of which the first begins at bit `first`, and by
    /// how much each is shifted. The second half begins at the byte in which its first number does.
    fn places<const NUMBERS: usize>(
        first: usize,
        width: usize,
        lane: usize,
    ) -> ([u8; 32], [usize; NUMBERS]) {
        let (mut bytes, mut shifts) = ([0u8; 32], [0; NUMBERS]);
        let half = NUMBERS / 2;
        for (number, shift) in shifts.iter_mut().enumerate() {
            let before = if number < half {
                0
            } else {
                (first + half * width) / 8 * 8
            };
            let bit = first + number * width - before;
            *shift = bit % 8;
            for byte in 0..lane {
                let place = (bit / 8 + byte).min(15);
                bytes[number * lane + byte] = place as u8;
            }
        }
        (bytes, shifts)
    }

    /// # Safety
    ///
    /// `bytes` hold 64 numbers of `width` bits, up to 25, for each word, and 16 bytes more.
    #[target_feature(enable = "avx2")]
    pub unsafe fn select_narrow(
        bytes: &[u8],
        width: u32,
        (low, high, max): (u32, u32, u32),
        words: &mut [u64],
    ) -> bool {
        let width = width as usize;
        let (places, shifts) = places::<8>(0, width, 4);
        // SAFETY: both arrays have 32 bytes.
        let (places, shifts) = unsafe {
            let shifts = shifts.map(|shift| shift as u32);
            (
                _mm256_loadu_si256(places.as_ptr().cast()),
                _mm256_loadu_si256(shifts.as_ptr().cast()),
            )
        };
        let mask = _mm256_set1_epi32((u32::MAX >> (32 - width)) as i32);
        let first = _mm256_set1_epi32(low as i32);
        let span = _mm256_set1_epi32((high - low) as i32);
        let mut largest = _mm256_setzero_si256();
        let mut at = bytes.as_ptr();
        for word in words.iter_mut() {
            let mut bits = 0u64;
            for eight in 0..GROUP / 8 {
                // SAFETY: the second half begins before the end of these numbers, behind which there
                // are 16 bytes more.
                let packed = unsafe { load(at, 4 * width) };
                let moved = _mm256_srlv_epi32(_mm256_shuffle_epi8(packed, places), shifts);
                let numbers = _mm256_and_si256(moved, mask);
                largest = _mm256_max_epu32(largest, numbers);
                let relative = _mm256_sub_epi32(numbers, first);
                let is_in = _mm256_cmpeq_epi32(_mm256_min_epu32(relative, span), relative);
                let found = _mm256_movemask_ps(_mm256_castsi256_ps(is_in)) as u32;
                bits |= u64::from(found) << (8 * eight);
                // SAFETY: the next 8 numbers, or the bytes behind the last.
                at = unsafe { at.add(width) };
            }
            *word = bits;
        }
        let max = _mm256_set1_epi32(max as i32);
        let are_up_to = _mm256_cmpeq_epi32(_mm256_max_epu32(largest, max), max);
        _mm256_movemask_epi8(are_up_to) == -1
    }

    /// # Safety
    ///
    /// `bytes` hold 64 numbers of `width` bits, up to 57, for each word, and 16 bytes more.
    #[target_feature(enable = "avx2")]
    pub unsafe fn select_wide(
        bytes: &[u8],
        width: u32,
        (low, high, max): (u64, u64, u64),
        words: &mut [u64],
    ) -> bool {
        let width = width as usize;
        // Four numbers may end within a byte: the next four then begin there.
        let odd_shift = 4 * width % 8;
        let (even_places, even_shifts) = places::<4>(0, width, 8);
        let (odd_places, odd_shifts) = places::<4>(odd_shift, width, 8);
        let load_all = |places: &[u8; 32], shifts: [usize; 4]| {
            let shifts = shifts.map(|shift| shift as u64);
            // SAFETY: both arrays have 32 bytes.
            unsafe {
                (
                    _mm256_loadu_si256(places.as_ptr().cast()),
                    _mm256_loadu_si256(shifts.as_ptr().cast()),
                )
            }
        };
        let kinds = [
            (load_all(&even_places, even_shifts), 2 * width),
            (load_all(&odd_places, odd_shifts), odd_shift + 2 * width),
        ];
        let mask = _mm256_set1_epi64x((u64::MAX >> (64 - width)) as i64);
        let sign = _mm256_set1_epi64x(i64::MIN);
        let (first, last) = (
            _mm256_set1_epi64x(low as i64),
            _mm256_set1_epi64x(high as i64),
        );
        // Numbers have no sign, as they have at most 57 bits; bounds may.
        let (first, last) = (_mm256_xor_si256(first, sign), _mm256_xor_si256(last, sign));
        let max = _mm256_xor_si256(_mm256_set1_epi64x(max as i64), sign);
        let mut beyond = _mm256_setzero_si256();
        let mut at = bytes.as_ptr();
        for word in words.iter_mut() {
            let mut bits = 0u64;
            for four in 0..GROUP / 4 {
                let ((places, shifts), apart) = kinds[four % 2];
                // SAFETY: the second half begins before the end of these numbers, behind which there
                // are 16 bytes more.
                let packed = unsafe { load(at, apart) };
                let moved = _mm256_srlv_epi64(_mm256_shuffle_epi8(packed, places), shifts);
                let numbers = _mm256_xor_si256(_mm256_and_si256(moved, mask), sign);
                beyond = _mm256_or_si256(beyond, _mm256_cmpgt_epi64(numbers, max));
                let below = _mm256_cmpgt_epi64(first, numbers);
                let above = _mm256_cmpgt_epi64(numbers, last);
                let outside = _mm256_castsi256_pd(_mm256_or_si256(below, above));
                let found = !(_mm256_movemask_pd(outside) as u32) & 0xF;
                bits |= u64::from(found) << (4 * four);
                let next = match four % 2 {
                    0 => 4 * width / 8,
                    _ => width - 4 * width / 8,
                };
                // SAFETY: the next numbers, or the bytes behind the last.
                at = unsafe { at.add(next) };
            }
            *word = bits;
        }
        _mm256_testz_si256(beyond, beyond) == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn selecting_is_comparing_each_number(
            width in 1u32..=MAX_WIDTH,
            groups in 1usize..4,
            seed in any::<u64>(),
            (low, high, max) in any::<(u64, u64, u64)>(),
            shift in 0u32..64,
        ) {
            let mask = u64::MAX >> (64 - width);
            let random = |place: usize| {
                let random = (seed ^ place as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
                (random ^ random >> 31).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 5 & mask
            };
            let numbers: Vec<u64> = (0..groups * GROUP).map(random).collect();
            let mut bytes = vec![0u8; groups * GROUP / 8 * width as usize];
            for (place, number) in numbers.iter().enumerate() {
                for bit in (0..width as usize).filter(|bit| number >> bit & 1 == 1) {
                    let at = place * width as usize + bit;
                    bytes[at / 8] |= 1 << (at % 8);
                }
            }
            bytes.extend([0xFF; READ]);
            let (low, high, max) = (low >> shift & mask, high >> shift, max >> shift);
            let (low, high) = (low.min(high), low.max(high));
            for level in Level::all() {
                let mut words = vec![7; groups];
                let found = select_packed(level, &bytes, width, (low, high), max, &mut words);
                prop_assert_eq!(found.is_some(), level >= Level::Avx2);
                let Some(are_up_to) = found else { continue };
                prop_assert_eq!(are_up_to, numbers.iter().all(|number| *number <= max));
                for (place, number) in numbers.iter().enumerate() {
                    let is_in = words[place / GROUP] >> (place % GROUP) & 1 == 1;
                    prop_assert_eq!(is_in, (low..=high).contains(number));
                }
                let short = &bytes[..bytes.len() - 1];
                let range = (low, high);
                prop_assert_eq!(select_packed(level, short, width, range, max, &mut words), None);
            }
        }
    }
}
