//! Partial files that are kept when the work fails, and continued by a later process.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::Path;

use esparsa::{Error, Result};

use super::{
    OutputFile, PartialFile, STANDARD, is_written_directly, open_locked, partial_path, resolved,
};

impl OutputFile {
    /// Keeps the partial file if the work fails, so that [`PartialFile::resume`] can continue it.
    #[must_use]
    pub fn kept(mut self) -> Self {
        if let Some(partial) = &mut self.partial {
            partial.is_kept = true;
        }
        self
    }

    /// The partial file, if it is kept when the work fails.
    pub fn kept_file(&self) -> Option<&Path> {
        let partial = self.partial.as_ref().filter(|partial| partial.is_kept);
        partial.map(|partial| partial.partial.as_path())
    }
}

impl PartialFile {
    /// Opens the partial file of a process that was killed or failed, or else a copy of the
    /// finished file; an empty file if there is neither.
    ///
    /// A finished file stays unchanged until the new one replaces it.
    ///
    /// # Errors
    ///
    /// As [`OutputFile::create`].
    pub fn resume(path: &Path) -> Result<Self> {
        if path.as_os_str() == STANDARD || is_written_directly(path) {
            let message = "expected the name of a file to continue, found a pipe or a device";
            return Err(Error::invalid(message).at_line(path.display().to_string(), 0));
        }
        let path = resolved(path)?;
        let partial = partial_path(&path);
        if let Some(file) = open_locked(&partial)? {
            let mut left = Self::new(path, partial, file);
            left.is_kept = true;
            return Ok(left);
        }
        let mut begun = Self::create(&path)?;
        match File::open(&path) {
            Ok(mut finished) => {
                let copied = io::copy(&mut finished, &mut begun.file);
                copied.map_err(|source| Error::io(&begun.partial, "write", source))?;
            }
            Err(source) if source.kind() == ErrorKind::NotFound => {}
            Err(source) => return Err(Error::io(&path, "open", source)),
        }
        Ok(begun)
    }

    /// The file, for reading and writing.
    pub fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// The file that the content comes from: the partial file itself, or the finished one that was
    /// copied.
    pub fn source(&self) -> &Path {
        match self.is_kept {
            true => &self.partial,
            false => &self.path,
        }
    }
}
