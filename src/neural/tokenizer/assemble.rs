//! Truncation and windows: which tokens stay when there are too many.

use std::ops::Range;

/// How many tokens of each of two texts stay where both together may have `room`.
///
/// By definition, tokens are removed one at a time from the longer text. The result: the shorter
/// text stays whole if it has at most half of the room; otherwise both have half, and an odd token
/// goes to the longer (the second, if they are equal).
pub(super) fn longest_first(first: usize, second: usize, room: usize) -> (usize, usize) {
    if first + second <= room {
        return (first, second);
    }
    let half = room / 2;
    let (shorter, longer) = match first.min(second) {
        short if short <= half => (short, room - short),
        _ => (half, room - half),
    };
    if first > second {
        (longer, shorter)
    } else {
        (shorter, longer)
    }
}

/// Windows of at most `room` of `length` tokens, each beginning `overlap` (less than `room`) before
/// the end of the one before.
pub(super) fn windows(
    length: usize,
    room: usize,
    overlap: usize,
) -> impl Iterator<Item = Range<usize>> {
    let step = room - overlap;
    let count = 1 + length.saturating_sub(room).div_ceil(step);
    (0..count).map(move |index| index * step..(index * step + room).min(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One token at a time.
    fn slowly(mut first: usize, mut second: usize, room: usize) -> usize {
        while first + second > room {
            if first > second {
                first -= 1;
            } else {
                second -= 1;
            }
        }
        first.min(second)
    }

    #[test]
    fn the_shorter_text_keeps_what_it_keeps_when_taken_one_by_one() {
        for room in 0..14 {
            for first in 0..20 {
                for second in 0..20 {
                    let (a, b) = longest_first(first, second, room);
                    assert!(a <= first && b <= second);
                    assert_eq!(a + b, room.min(first + second), "{first} {second} {room}");
                    assert_eq!(
                        a.min(b),
                        slowly(first, second, room),
                        "{first} {second} {room}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_odd_token_stays_with_the_longer_text() {
        assert_eq!(longest_first(10, 9, 7), (4, 3));
        assert_eq!(longest_first(9, 10, 7), (3, 4));
        assert_eq!(longest_first(9, 9, 7), (3, 4));
    }

    #[test]
    fn windows_cover_every_token_and_overlap_as_asked() {
        for length in 0..40 {
            for room in 1..9 {
                for overlap in 0..room {
                    let windows: Vec<_> = windows(length, room, overlap).collect();
                    assert_eq!(windows[0].start, 0);
                    assert_eq!(windows[windows.len() - 1].end, length);
                    for pair in windows.windows(2) {
                        assert_eq!(pair[0].len(), room);
                        assert_eq!(pair[0].end - pair[1].start, overlap);
                        assert!(pair[1].end > pair[0].end, "the last adds something");
                    }
                }
            }
        }
    }
}
