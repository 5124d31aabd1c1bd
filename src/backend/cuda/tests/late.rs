//! Streams that work only when somebody waits for them: buffers must live, and keep their values,
//! until all that reads them has run.

use super::*;

#[test]
fn operations_of_late_streams_equal_the_reference() {
    let Some(gpu) = Emulator::new(80, 1) else {
        return;
    };
    check(&cuda_on(gpu.with_late_streams()), TOLERANCE, 300, 1).unwrap();
}
