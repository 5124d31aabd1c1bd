//! Bytes of a weights file, read from where they stand, in pieces.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Bytes read at a time: large enough to cost few calls, small enough to stay in the processor's cache.
const PIECE_BYTES: usize = 256 << 10;

/// An open file of tensors.
#[derive(Debug)]
pub(super) struct TensorFile {
    path: PathBuf,
    file: File,
    length: u64,
}

impl TensorFile {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|error| Error::io(path, "open", error))?;
        let length = file
            .metadata()
            .map_err(|error| Error::io(path, "read the length of", error))?
            .len();
        Ok(Self {
            path: path.to_path_buf(),
            file,
            length,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Reads `bytes` bytes from `start`; the caller has checked that they are within the file.
    pub(super) fn bytes(&self, start: u64, bytes: usize) -> Result<Vec<u8>> {
        let mut buffer = vec![0; bytes];
        self.read_at(&mut buffer, start)?;
        Ok(buffer)
    }

    /// Hands out the bytes from `start`, piece after piece. All pieces but the last have a length that every type of number divides.
    pub(super) fn for_each_piece(
        &self,
        start: u64,
        bytes: u64,
        mut each: impl FnMut(&[u8]),
    ) -> Result<()> {
        let mut buffer = vec![0; PIECE_BYTES.min(usize::try_from(bytes).unwrap_or(PIECE_BYTES))];
        let mut done = 0;
        while done < bytes {
            let left = usize::try_from(bytes - done).unwrap_or(usize::MAX);
            let piece_bytes = buffer.len().min(left);
            let piece = &mut buffer[..piece_bytes];
            self.read_at(piece, start + done)?;
            each(piece);
            done += piece.len() as u64;
        }
        Ok(())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<()> {
        read_exact_at(&self.file, buffer, offset)
            .map_err(|error| Error::io(&self.path, "read", error))
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
    use std::os::windows::fs::FileExt;
    while !buffer.is_empty() {
        match file.seek_read(buffer, offset) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => {
                buffer = &mut buffer[read..];
                offset += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(not(any(unix, windows)))]
fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    use std::io::{Read, Seek, SeekFrom};
    use std::sync::{Mutex, PoisonError};
    // Other systems have only one position a file: one reader at a time.
    static POSITION: Mutex<()> = Mutex::new(());
    let _alone = POSITION.lock().unwrap_or_else(PoisonError::into_inner);
    let mut file = file;
    file.seek(SeekFrom::Start(offset))?;
    file.read_exact(buffer)
}
