//! The wide cases of conformance at reduced sizes: they hold, they reach every kernel, and they
//! report a kernel that is wrong.

mod faulty;

use self::faulty::{ENDLESS_WAIT, FAULTS, Fault, Faulty};
use super::*;
use crate::backend::conformance::wide::{self, GROUPS, Group, Scale};
use crate::backend::conformance::{Failure, Observer};
use crate::backend::cuda::inspect::Inspector;

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

/// The failures of a group on this GPU, and what was launched.
fn failures(gpu: Arc<dyn GpuDevice>, group: Group) -> (Vec<Failure>, LaunchLog) {
    let is_hopper = gpu.architecture() == HOPPER;
    let (device, log) = Inspector::new(gpu).unwrap();
    let cuda = Cuda::on(Arc::new(device), is_hopper).unwrap();
    let mut collected = Collected::default();
    wide::check(&cuda, TOLERANCE, Scale::Reduced, group, &mut collected).unwrap();
    (collected.0, log)
}

#[test]
fn wide_cases_hold_and_reach_every_kernel() {
    let reached = LaunchLog::default();
    for (schedule, group) in (0..).zip(GROUPS) {
        let Some(gpu) = Emulator::new(90, schedule) else {
            return;
        };
        let (failures, log) = failures(Arc::new(gpu), group);
        assert!(failures.is_empty(), "{group:?}: {failures:#?}");
        reached.add(&log);
    }
    let missed = reached.missed(true);
    assert!(missed.is_empty(), "no case reaches {missed:#?}");
}

#[test]
fn an_unreached_kernel_is_missed() {
    let Some(gpu) = Emulator::new(80, 0) else {
        return;
    };
    let (_, log) = failures(Arc::new(gpu), Group::Nearest);
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
fn wide_cases_report_wrong_kernels_and_go_on() {
    for fault in &FAULTS {
        let Some(gpu) = Emulator::new(90, 1) else {
            return;
        };
        let Fault { kernel, group, .. } = fault;
        let (failures, log) = failures(Arc::new(Faulty::new(gpu, fault)), *group);
        assert!(!failures.is_empty(), "nothing reports {kernel}");
        if kernel.starts_with("product_hopper") {
            // Only the wrong kernel is blamed, although others computed the same.
            let others = failures.iter().find(|failure| failure.operation != *kernel);
            assert!(others.is_none(), "{kernel}: {others:?}");
        }
        println!(
            "{kernel}: {} failures, such as {}",
            failures.len(),
            failures[0]
        );
        assert!(log.counts().iter().any(|(name, ..)| name == kernel));
    }
}

#[test]
fn a_wait_that_never_ends_names_its_kernel_and_other_kernels_run() {
    let Some(gpu) = Emulator::new(90, 1) else {
        return;
    };
    let gpu = Faulty::new(gpu, &ENDLESS_WAIT);
    let (failures, log) = failures(Arc::new(gpu), ENDLESS_WAIT.group);
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
