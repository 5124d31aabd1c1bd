//! A file that is written: to the local disk first, to the store when it is complete.

use std::io::{self, BufWriter, ErrorKind, Write};
use std::sync::Arc;

use api::PutPayload;
use tempfile::NamedTempFile;

use super::{Shared, TAIL_BYTES, api};
use crate::error::{Error, Result};
use crate::store::{FileSink, file_system};

/// What one conditional put can create on S3.
const MAX_BYTES: u64 = 5 << 30;

pub(super) struct Upload {
    shared: Arc<Shared>,
    name: String,
    /// `None` once it was sent.
    file: Option<BufWriter<NamedTempFile>>,
}

impl Upload {
    pub fn new(shared: Arc<Shared>, name: &str) -> Result<Self> {
        let file = shared.cache.temporary()?;
        Ok(Self {
            shared,
            name: name.to_owned(),
            file: Some(BufWriter::with_capacity(256 << 10, file)),
        })
    }

    fn send(&self, file: NamedTempFile) -> Result<()> {
        let failed = |error| Error::io(self.shared.path(&self.name), "create", error);
        let mapped = file_system::map(file.as_file()).map_err(failed)?;
        let content = bytes::Bytes::from_owner(Mapped(mapped));
        let length = content.len() as u64;
        if length > MAX_BYTES {
            let message = format!(
                "expected at most {MAX_BYTES} bytes, which a conditional put can create, found \
                 {length}; lower the maximum size of segments"
            );
            return Err(failed(io::Error::new(ErrorKind::FileTooLarge, message)));
        }
        if !self.shared.put(&self.name, &PutPayload::from(content))? {
            let message = "another writer has created it";
            return Err(failed(io::Error::new(ErrorKind::AlreadyExists, message)));
        }
        let meta = self.shared.known().objects.get(&self.name).cloned();
        if let Some(meta) = meta.filter(|meta| meta.size > TAIL_BYTES) {
            // The writer reads what it wrote, when it merges; if this fails, it is fetched.
            let _ = self.shared.cache.adopt(&self.name, &meta, file);
        }
        Ok(())
    }
}

impl Write for Upload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.file {
            Some(file) => file.write(bytes),
            None => Err(io::Error::other("the file was sent already")),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl FileSink for Upload {
    fn sync(&mut self) -> io::Result<()> {
        let Some(file) = self.file.take() else {
            return Ok(());
        };
        let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        self.send(file).map_err(|error| match error {
            Error::Io { source, .. } => source,
            error => io::Error::other(error),
        })
    }
}

/// A mapped file, as an owner of bytes.
struct Mapped(Arc<dyn AsRef<[u8]> + Send + Sync>);

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        (*self.0).as_ref()
    }
}
