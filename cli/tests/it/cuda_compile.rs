//! `esparsa cuda compile`, without a GPU.

use crate::command::Scratch;

#[test]
fn kernels_for_an_unknown_architecture_are_refused() {
    let scratch = Scratch::new();
    let error = scratch
        .run("cuda compile --arch sm_75 --output kernels")
        .failed();
    assert!(error.contains("sm_80, sm_86, sm_89, sm_90"), "{error}");
    assert!(!scratch.path("kernels").exists());
    let error = scratch.run("cuda compile --output kernels").stderr;
    assert!(error.contains("--arch"), "{error}");
}
