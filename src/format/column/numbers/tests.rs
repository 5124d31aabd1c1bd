use super::*;
use proptest::prelude::*;

pub fn encode(numbers: &[u64]) -> Vec<u8> {
    let mut shape = NumbersShape::default();
    numbers.iter().for_each(|number| shape.add(*number));
    let (mut writer, mut bytes) = (NumbersWriter::new(shape), Vec::new());
    let mut put = |piece: &[u8]| {
        bytes.extend_from_slice(piece);
        Ok(())
    };
    for number in numbers {
        writer.push(*number, &mut put).unwrap();
    }
    writer.finish(&mut put).unwrap();
    bytes
}

pub fn open(numbers: &[u64]) -> Numbers {
    Numbers::open(Section::from_bytes("column-values", encode(numbers))).unwrap()
}

/// Numbers of many shapes: of any width, in steps, or nearly all the same.
fn numbers() -> impl Strategy<Value = Vec<u64>> {
    let lengths = prop_oneof![0usize..40, 1_000usize..1_050, 2_040usize..3_000];
    (lengths, 0u32..=64, 1u64..1_000, any::<u64>(), any::<u64>()).prop_map(
        |(length, width, step, base, seed)| {
            let mask = if width == 0 {
                0
            } else {
                u64::MAX >> (64 - width)
            };
            let number = |place: u64| {
                let random = (seed ^ place).wrapping_mul(0x9E37_79B9_7F4A_7C15);
                let random = (random ^ random >> 29).wrapping_mul(0xBF58_476D_1CE4_E5B9);
                let number = (random ^ random >> 32) & mask;
                (number / step * step).saturating_add(base & !mask)
            };
            (0..length as u64).map(number).collect()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn numbers_are_read_as_written(expected in numbers()) {
        let numbers = open(&expected);
        let mut all = Vec::new();
        numbers.verify(|block| {
            all.extend_from_slice(block);
            Ok(())
        }).unwrap();
        prop_assert_eq!(&all, &expected);
        for (index, number) in (0..).zip(&expected) {
            prop_assert_eq!(numbers.get(index).unwrap(), *number);
        }
        prop_assert!(numbers.get(expected.len() as u64).is_err());
    }

    #[test]
    fn bounds_say_what_a_look_at_all_numbers_says(
        all in numbers(),
        low in any::<u64>(),
        high in any::<u64>(),
        places in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
    ) {
        let numbers = open(&all);
        let mut ranges = vec![(low, high)];
        if !all.is_empty() {
            ranges.push((*places.0.get(&all), *places.1.get(&all)));
        }
        for (low, high) in ranges {
            for (number, block) in (0..).zip(all.chunks(BLOCK)) {
                let within = block.iter().filter(|n| (low..=high).contains(n)).count();
                match numbers.block_within(number, low, high).unwrap() {
                    Within::None => prop_assert_eq!(within, 0),
                    Within::All => prop_assert_eq!(within, block.len()),
                    Within::Some => {}
                }
            }
        }
    }

    #[test]
    fn damaged_bytes_are_an_error_or_other_numbers(
        all in numbers(),
        places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = encode(&all);
        for (place, byte) in places {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if let Ok(numbers) = Numbers::open(Section::from_bytes("column-values", bytes)) {
            let mut out = Vec::new();
            for block in 0..numbers.blocks().min(4) {
                let _ = numbers.decode(block, &mut out);
            }
            let _ = numbers.get(0);
            let _ = numbers.superblock_within(0, 3, 9);
        }
    }
}

#[test]
fn dates_of_whole_days_take_the_bits_of_days() {
    let day = 86_400_000;
    let days: Vec<u64> = (0..4_096).map(|n| (1 << 40) + n * 7 % 512 * day).collect();
    // 9 bits a number, four records of 4 + 2 · 2 bytes, one superblock, and the footer.
    assert_eq!(encode(&days).len(), 4_096 * 9 / 8 + 4 * 8 + 4 + 40);
    let same = encode(&[u64::MAX; 5_000]);
    assert_eq!(same.len(), 5 * 4 + 40);
}
