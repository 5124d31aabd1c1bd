//! Numbers that are held against what Python computed.

/// The largest difference allowed, relative to the expected number where that is above 1.
const TOLERANCE: f32 = 1e-4;

/// Fails unless each number differs by [`TOLERANCE`] at most.
pub fn assert_close(what: &str, found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len(), "{what}: the number of numbers");
    let mut largest = 0.0_f32;
    for (&found, &expected) in found.iter().zip(expected) {
        assert!(found.is_finite(), "{what}: {found}");
        largest = largest.max((found - expected).abs() / expected.abs().max(1.0));
    }
    println!(
        "{what}: {} numbers, largest difference {largest:.1e}",
        found.len()
    );
    assert!(
        largest <= TOLERANCE,
        "{what}: largest difference {largest:e}"
    );
}
