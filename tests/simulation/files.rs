//! The files of a simulated directory: those that are being written, and objects that are read.

use std::io::{self, Write};
use std::ops::Range;

use esparsa::Result;
use esparsa::store::{Bytes, FileHandle, FileSink};

use crate::directory::{SimulatedDirectory, Turn};
use crate::disk::{File, content};
use crate::planted::Planted;
use crate::turns;

/// A file that is being written.
pub struct SimulatedFile {
    pub directory: SimulatedDirectory,
    pub name: String,
    pub file: File,
}

impl SimulatedFile {
    fn forgets_sync(&self) -> bool {
        let forgets =
            |planted, prefix: &str| self.directory.plants(planted) && self.name.starts_with(prefix);
        forgets(Planted::SegmentWithoutSync, "segment")
            || forgets(Planted::DeletesWithoutSync, "deletes")
            || forgets(Planted::ManifestWithoutSync, "manifest")
    }
}

impl Write for SimulatedFile {
    /// Writes all of the bytes or some.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let step = self.directory.step(&self.name, "write", Turn::MayPass);
        let (mut state, outcome) = step.map_err(io::Error::other)?;
        let mut length = bytes.len();
        if length > 1 && state.random.chance(16) {
            length = 1 + state.random.below(length as u64 - 1) as usize;
        }
        let fits = state.take_room(self.directory.process, length);
        drop(state);
        content(&self.file).bytes.extend_from_slice(&bytes[..fits]);
        if fits == 0 && length > 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let claimed = if self.directory.plants(Planted::ShortWrite) {
            bytes.len()
        } else {
            fits
        };
        self.directory
            .seen(outcome, &self.name, "write", claimed)
            .map_err(io::Error::other)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl FileSink for SimulatedFile {
    fn sync(&mut self) -> io::Result<()> {
        let SimulatedDirectory { world, process, .. } = &self.directory;
        if self.directory.is_store() && !world.is_dead(*process) {
            turns::upload();
        }
        let step = self.directory.step(&self.name, "fsync", Turn::MayPass);
        let (mut state, outcome) = match step {
            Ok(step) => step,
            Err(error) => {
                content(&self.file).lost = true;
                return Err(io::Error::other(error));
            }
        };
        if self.directory.is_store() {
            let now = self.directory.world.turns.now();
            let disk = &mut state.disks[self.directory.disk];
            if !disk.link(&self.name, &self.file, now) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            disk.sync();
        }
        drop(state);
        let forgets = self.forgets_sync();
        let mut content = content(&self.file);
        if !content.lost && !forgets {
            content.durable = content.bytes.len();
        }
        drop(content);
        self.directory
            .seen(outcome, &self.name, "fsync", ())
            .map_err(io::Error::other)
    }
}

/// An object of a store: what was not read before it was removed cannot be read any more.
pub struct Object {
    pub directory: SimulatedDirectory,
    pub name: String,
    pub version: u64,
    pub bytes: Bytes,
}

impl FileHandle for Object {
    fn len(&self) -> u64 {
        FileHandle::len(&self.bytes)
    }

    fn read(&self, range: Range<u64>) -> Result<Bytes> {
        // Threads of one process may wait for what this one reads.
        let found = self.directory.look_up(&self.name, Turn::Stays)?;
        if found.is_none_or(|found| found.0[0] != self.version) {
            let missing = io::ErrorKind::NotFound;
            return Err(self.directory.kind_of_error(&self.name, "read", missing));
        }
        FileHandle::read(&self.bytes, range)
    }
}
