//! What the processes of one run share: disks, faults, and the model.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::disk::Disk;
use crate::model::Model;
use crate::planted::Planted;
use crate::random::Random;
use crate::turns::Turns;

/// What happens at an operation of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The operation fails; it may have happened all the same.
    FailOnce,
    /// It and all later ones fail.
    FailForEver,
    /// Some bytes can still be written, and then none.
    DiskFull,
    /// Nothing can be removed for some time, as where others hold files open.
    RemovalsFail,
    /// The process is killed.
    Kill,
    /// The machine loses power.
    LosePower,
}

#[derive(Clone, Copy, Debug)]
pub struct Fault {
    pub process: usize,
    /// The number of the operation of this process, from 0.
    pub at: u64,
    pub kind: FaultKind,
    /// Whether the operation happens although its caller learns of an error; a random number
    /// decides if this is `None`.
    pub is_unseen: Option<bool>,
}

/// What the index is stored in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    /// A folder that publishes by hard links.
    Links,
    /// A folder that publishes by renames that do not replace.
    Renames,
    /// An object store: a file appears when it is finished, a put can require that its name is free,
    /// and there is no lock.
    Objects,
}

/// The state of a process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Process {
    pub is_dead: bool,
    pub operations: u64,
    pub fails: bool,
    /// Removals fail before this operation.
    pub removals_fail_before: u64,
    /// Bytes that it can still write, if the disk is nearly full.
    pub room: Option<u64>,
    /// Bytes that it has written.
    pub written: u64,
}

/// Whether runs say what they do, for one whose failure is looked into.
pub static IS_TRACED: AtomicBool = AtomicBool::new(false);

#[derive(Debug)]
pub struct World {
    pub turns: Arc<Turns>,
    pub medium: Medium,
    pub planted: Option<Planted>,
    /// How long a reader may need a file of an object store that was replaced, in steps.
    pub delay: u64,
    state: Mutex<State>,
    model: Mutex<Model>,
}

/// The disks and the processes.
#[derive(Debug)]
pub struct State {
    /// The index, and a backup of it.
    pub disks: [Disk; 2],
    pub processes: Vec<Process>,
    pub faults: Vec<Fault>,
    /// What the last fault met.
    pub failed_action: &'static str,
    pub random: Random,
    pub has_lost_power: bool,
}

impl World {
    pub fn new(
        seed: u64,
        turns: Arc<Turns>,
        medium: Medium,
        disks: [Disk; 2],
        model: Model,
        faults: Vec<Fault>,
        planted: Option<Planted>,
    ) -> Arc<Self> {
        Arc::new(Self {
            turns,
            medium,
            planted,
            delay: 600,
            state: Mutex::new(State {
                disks,
                processes: Vec::new(),
                faults,
                failed_action: "",
                random: Random(seed),
                has_lost_power: false,
            }),
            model: Mutex::new(model),
        })
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Prints a line of the trace.
    pub fn say(&self, line: impl FnOnce() -> String) {
        if IS_TRACED.load(Ordering::Relaxed) {
            println!("{:6} {}", self.turns.now(), line());
        }
    }

    /// A new process.
    pub fn start_process(&self) -> usize {
        let mut state = self.state();
        state.processes.push(Process::default());
        state.processes.len() - 1
    }

    pub fn is_dead(&self, process: usize) -> bool {
        let state = self.state();
        state.has_lost_power || state.processes[process].is_dead
    }

    /// The disks and the model when all processes have ended, and their locks with them.
    pub fn take(&self) -> ([Disk; 2], Model) {
        let mut state = self.state();
        let mut disks = std::mem::take(&mut state.disks);
        disks.iter_mut().for_each(|disk| disk.lock = None);
        let model = std::mem::take(&mut *self.model());
        (disks, model)
    }
}

impl State {
    /// How many of `length` bytes a process can write, which it does.
    pub fn take_room(&mut self, process: usize, length: usize) -> usize {
        let process = &mut self.processes[process];
        let fits = process
            .room
            .map_or(length, |room| length.min(room as usize));
        process.room = process.room.map(|room| room - fits as u64);
        process.written += fits as u64;
        fits
    }

    /// Ends a process as a signal would: its lock is free, and nothing else is tidied up.
    pub fn kill(&mut self, process: usize) {
        self.processes[process].is_dead = true;
        for disk in &mut self.disks {
            disk.lock = disk.lock.filter(|holder| *holder != process);
        }
    }
}
