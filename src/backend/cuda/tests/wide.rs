//! The wide cases of conformance at reduced sizes: they hold, they reach every kernel, and they
//! report a kernel that is wrong.

use super::*;
use crate::backend::conformance::wide::{self, GROUPS, Group, Scale};
use crate::backend::conformance::{Failure, Observer};

/// Collects failures.
#[derive(Default)]
struct Collected(Vec<Failure>);

impl Observer for Collected {
    fn begin(&mut self, _operation: &str, _shape: &str) {}

    fn fail(&mut self, failure: Failure) -> Result<()> {
        self.0.push(failure);
        Ok(())
    }
}

/// The failures of a group on this GPU.
fn failures(gpu: Emulator, group: Group) -> (Vec<Failure>, LaunchLog) {
    let is_hopper = gpu.architecture() == HOPPER;
    let (device, log) = inspect::Inspector::new(Arc::new(gpu)).unwrap();
    let cuda = Cuda::on(Arc::new(device), is_hopper).unwrap();
    let mut collected = Collected::default();
    wide::check(&cuda, TOLERANCE, Scale::Reduced, group, &mut collected).unwrap();
    (collected.0, log)
}

#[test]
fn wide_cases_hold_and_reach_every_kernel() {
    let logs = LaunchLog::default();
    for (schedule, group) in (0..).zip(GROUPS) {
        let Some(gpu) = Emulator::new(90, schedule) else {
            return;
        };
        let start = std::time::Instant::now();
        let (failures, log) = failures(gpu, group);
        println!("{group:?}: {:?}", start.elapsed());
        assert!(failures.is_empty(), "{group:?}: {failures:#?}");
        logs.add(&log);
    }
    let missed = logs.missed(true);
    assert!(missed.is_empty(), "no case reaches {missed:#?}");
}
