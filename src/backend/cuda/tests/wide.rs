//! The wide cases of conformance at reduced sizes: they hold, they reach every kernel, and they
//! report a kernel that is wrong.

mod faulty;

use self::faulty::{ENDLESS_WAIT, FAULTS, Fault, Faulty};
use super::*;
use crate::backend::conformance::wide::{self, GROUPS, Group, Scale};
use crate::backend::conformance::{Failure, Observer};
use crate::backend::cuda::inspect::Inspector;

/// Collects failures, all or only the first.
struct Collected {
    failures: Vec<Failure>,
    goes_on: bool,
}

impl Observer for Collected {
    fn begin(&mut self, _operation: &str, _shape: &str) {}

    fn fail(&mut self, failure: Failure) -> Result<()> {
        let ended = match self.goes_on {
            true => Ok(()),
            false => Err(Error::device("one is enough")),
        };
        self.failures.push(failure);
        ended
    }
}

/// The failures of a group on this GPU, all or only the first, and what was launched.
fn failures(
    gpu: impl GpuDevice + 'static,
    group: Group,
    goes_on: bool,
) -> (Vec<Failure>, LaunchLog) {
    let is_hopper = gpu.architecture() == HOPPER;
    let (device, log) = Inspector::new(Arc::new(gpu)).unwrap();
    let cuda = Cuda::on(Arc::new(device), is_hopper).unwrap();
    let mut collected = Collected {
        failures: Vec::new(),
        goes_on,
    };
    let ended = wide::check(&cuda, TOLERANCE, Scale::Reduced, group, &mut collected);
    assert_eq!(ended.is_err(), !goes_on && !collected.failures.is_empty());
    (collected.failures, log)
}

#[test]
fn wide_cases_hold_and_reach_every_kernel() {
    let reached = LaunchLog::default();
    for (schedule, group) in (0..).zip(GROUPS.iter().copied()) {
        let Some(gpu) = Emulator::new(90, schedule) else {
            return;
        };
        let (failures, log) = failures(gpu, group, true);
        assert!(failures.is_empty(), "{group:?}: {failures:#?}");
        reached.add(&log);
    }
    for (kernel, property, launches) in reached.counts() {
        println!("{kernel:28} {property:28} {launches:6}");
    }
    let missed = reached.missed(true);
    assert!(missed.is_empty(), "no case reaches {missed:#?}");
}

#[test]
fn an_unreached_kernel_is_missed() {
    let Some(gpu) = Emulator::new(80, 0) else {
        return;
    };
    let (_, log) = failures(gpu, Group::Nearest, true);
    let missed = log.missed(false);
    assert!(missed.contains(&"attention_256".to_owned()));
    assert!(missed.contains(&"add_norm: 4 chunks of columns".to_owned()));
    assert!(
        !missed.iter().any(|name| name.contains("nearest_merge")),
        "{missed:?}"
    );
    assert!(
        !missed.iter().any(|name| name.contains("hopper")),
        "{missed:?}"
    );
}

#[test]
fn wide_cases_report_a_wrong_kernel() {
    for fault in FAULTS {
        let Some(gpu) = Emulator::new(90, 1) else {
            return;
        };
        let Fault { kernel, group, .. } = fault;
        let (failures, _) = failures(Faulty::new(gpu, fault), *group, false);
        assert!(!failures.is_empty(), "nothing reports {kernel}");
        if kernel.starts_with("product_") {
            // Others computed the same; the wrong one is blamed.
            assert_eq!(failures[0].operation, *kernel, "{}", failures[0]);
        }
        println!("{}", failures[0]);
    }
}

#[test]
fn a_wait_that_never_ends_names_its_kernel_and_other_kernels_run() {
    let Some(gpu) = Emulator::new(90, 1) else {
        return;
    };
    let gpu = Faulty::new(gpu, &ENDLESS_WAIT);
    let (failures, log) = failures(gpu, ENDLESS_WAIT.group, true);
    assert!(!failures.is_empty());
    for failure in &failures {
        assert_eq!(failure.operation, ENDLESS_WAIT.kernel);
        assert!(failure.message.contains("product_hopper_128"), "{failure}");
    }
    println!("{}", failures[0]);
    // The case goes on with the next kernel.
    let counts = log.counts();
    let count = |kernel| {
        counts
            .iter()
            .find(|(name, property, _)| (*name, *property) == (kernel, ""))
    };
    assert_eq!(
        count("product_hopper_256").unwrap().2,
        count("product_tn").unwrap().2
    );
}
