//! The most memory that a process had.

use std::io::Result;
use std::process::{Child, ExitStatus};
use std::time::Duration;

/// How long to wait before the process is looked at again: at first, and at most.
const WAITS: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(50)];

/// Waits for a process. Returns the most memory that it had in bytes, where the system says it
/// (Linux); what it took in the last moments is not seen.
///
/// # Errors
///
/// What waiting gives.
pub(super) fn wait(child: &mut Child) -> Result<(ExitStatus, Option<u64>)> {
    let [mut wait, longest] = WAITS;
    let mut memory = None;
    loop {
        memory = peak(child.id()).max(memory);
        if let Some(status) = child.try_wait()? {
            return Ok((status, memory));
        }
        std::thread::sleep(wait);
        wait = (wait * 2).min(longest);
    }
}

/// The most memory that a process had so far, as the kernel notes it.
fn peak(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_process_has_memory_and_its_status_is_returned() {
        let mut child = Command::new("sleep").arg("0.2").spawn().unwrap();
        let (status, memory) = wait(&mut child).unwrap();
        assert!(status.success());
        if cfg!(target_os = "linux") {
            assert!((1 << 12..1 << 30).contains(&memory.unwrap()));
        }
    }
}
