//! Writing a container.

use std::io::{self, Write};

use zerocopy::IntoBytes;
use zerocopy::byteorder::little_endian::{U32, U64};

use super::{
    ALIGNMENT, Capabilities, EDGE_BYTES, EDGES, FORMAT_VERSION, FileKind, FileStamp, HEADER_BYTES,
    Header, MAGIC, NO_FIELD, REQUIRED, TRAILER_BYTES, TableEntry, Trailer, crc_of_front,
};
use crate::format::limits::MAX_SECTIONS;
use crate::format::section::CHUNK_BYTES;
use crate::format::{FieldNumber, wide};

/// Writes a file front to back, without seeking.
///
/// [`Write`] appends to the section that was begun last.
pub struct ContainerWriter<W> {
    out: W,
    position: u64,
    chunk_crc: u32,
    chunk_filled: usize,
    checksums: Vec<u32>,
    /// Sections so far; `checksums` holds an index into the checksums until `finish`.
    table: Vec<TableEntry>,
    /// The trailer repeats what it says.
    header: Header,
    /// The edges of the sections that ended, if the file is a segment, and those of the one that was
    /// begun last.
    edges: Option<Vec<u8>>,
    first_bytes: Vec<u8>,
    last_bytes: Vec<u8>,
}

impl<W: Write> ContainerWriter<W> {
    /// Writes the header of a file without capability bits.
    ///
    /// # Errors
    ///
    /// What `out` reports.
    pub fn new(out: W, kind: FileKind) -> io::Result<Self> {
        Self::with_capabilities(out, kind, Capabilities::default())
    }

    /// Writes the header.
    ///
    /// # Errors
    ///
    /// What `out` reports.
    pub fn with_capabilities(
        mut out: W,
        kind: FileKind,
        capabilities: Capabilities,
    ) -> io::Result<Self> {
        let mut header = Header {
            magic: MAGIC,
            version: U32::new(FORMAT_VERSION),
            kind: U32::new(kind.code()),
            required_capabilities: U64::new(capabilities.required),
            optional_capabilities: U64::new(capabilities.optional),
            reserved: [0; 28],
            crc: U32::ZERO,
        };
        header.crc = U32::new(crc_of_front(&header));
        out.write_all(header.as_bytes())?;
        Ok(Self {
            out,
            position: HEADER_BYTES,
            chunk_crc: 0,
            chunk_filled: 0,
            checksums: Vec::new(),
            table: Vec::new(),
            header,
            edges: (kind == FileKind::Segment).then(Vec::new),
            first_bytes: Vec::new(),
            last_bytes: Vec::new(),
        })
    }

    /// Ends the section before, if any, and begins a required one.
    ///
    /// # Errors
    ///
    /// What the file reports.
    pub fn begin(&mut self, name: &str, field: Option<FieldNumber>) -> io::Result<()> {
        self.begin_with(name, field, REQUIRED)
    }

    /// Begins a section that readers may skip when they do not know it.
    ///
    /// # Errors
    ///
    /// What the file reports.
    pub fn begin_optional(&mut self, name: &str, field: Option<FieldNumber>) -> io::Result<()> {
        self.begin_with(name, field, 0)
    }

    fn begin_with(&mut self, name: &str, field: Option<FieldNumber>, flags: u32) -> io::Result<()> {
        self.end_section();
        self.pad_to(ALIGNMENT)?;
        let mut padded = [0u8; 16];
        for (to, from) in padded.iter_mut().zip(name.bytes()) {
            *to = from;
        }
        self.table.push(TableEntry {
            name: padded,
            field: U32::new(field.unwrap_or(NO_FIELD)),
            flags: U32::new(flags),
            offset: U64::new(self.position),
            length: U64::ZERO,
            checksums: U64::new(wide(self.checksums.len())),
        });
        Ok(())
    }

    fn end_section(&mut self) {
        if let Some(entry) = self.table.last_mut() {
            entry.length = U64::new(self.position - entry.offset.get());
            if self.chunk_filled > 0 {
                self.checksums.push(self.chunk_crc);
            }
        }
        (self.chunk_crc, self.chunk_filled) = (0, 0);
        if let Some(edges) = &mut self.edges {
            edges.append(&mut self.first_bytes);
            edges.append(&mut self.last_bytes);
        }
    }

    /// Remembers the first and the last bytes of a section.
    fn note_edges(&mut self, bytes: &[u8]) {
        let room = EDGE_BYTES.saturating_sub(self.first_bytes.len());
        let first = bytes.get(..room.min(bytes.len())).unwrap_or_default();
        self.first_bytes.extend_from_slice(first);
        let new = bytes.len().min(EDGE_BYTES);
        let kept = self.last_bytes.len().min(EDGE_BYTES - new);
        self.last_bytes.drain(..self.last_bytes.len() - kept);
        let last = bytes.get(bytes.len() - new..).unwrap_or_default();
        self.last_bytes.extend_from_slice(last);
    }

    fn pad_to(&mut self, alignment: u64) -> io::Result<()> {
        let end = self.position.next_multiple_of(alignment);
        let zeros = [0u8; 64];
        let padding = usize::try_from(end - self.position).unwrap_or(0);
        self.out
            .write_all(zeros.get(..padding).unwrap_or_default())?;
        self.position = end;
        Ok(())
    }

    /// Ends the last section and writes checksums, table and trailer.
    ///
    /// # Errors
    ///
    /// What the file reports.
    pub fn finish(mut self) -> io::Result<(W, FileStamp)> {
        self.end_section();
        if let Some(edges) = self.edges.take() {
            self.begin_optional(EDGES, None)?;
            self.write_all(&edges)?;
            self.end_section();
        }
        self.pad_to(4)?;
        let checksums_start = self.position;
        let checksums: Vec<u8> = self
            .checksums
            .iter()
            .flat_map(|c| c.to_le_bytes())
            .collect();
        self.out.write_all(&checksums)?;
        self.position += wide(checksums.len());
        self.pad_to(8)?;
        for entry in &mut self.table {
            entry.checksums = U64::new(checksums_start + 4 * entry.checksums.get());
        }
        let table = self.table.as_bytes();
        self.out.write_all(table)?;
        let file_length = self.position + wide(table.len()) + TRAILER_BYTES;
        let fingerprint = crc32c::crc32c_append(crc32c::crc32c(&checksums), table);
        let sections = u32::try_from(self.table.len()).ok();
        let sections = sections
            .filter(|count| *count <= MAX_SECTIONS)
            .ok_or_else(|| {
                let message = format!("expected at most {MAX_SECTIONS} sections in a file");
                io::Error::new(io::ErrorKind::InvalidInput, message)
            })?;
        let mut trailer = Trailer {
            table: U64::new(self.position),
            sections: U32::new(sections),
            table_crc: U32::new(crc32c::crc32c(table)),
            file_length: U64::new(file_length),
            fingerprint: U32::new(fingerprint),
            version: self.header.version,
            kind: self.header.kind,
            required_capabilities: self.header.required_capabilities,
            optional_capabilities: self.header.optional_capabilities,
            magic: MAGIC,
            crc: U32::ZERO,
        };
        trailer.crc = U32::new(crc_of_front(&trailer));
        self.out.write_all(trailer.as_bytes())?;
        let stamp = FileStamp {
            length: file_length,
            fingerprint,
        };
        Ok((self.out, stamp))
    }
}

impl<W: Write> Write for ContainerWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write_all(bytes)?;
        self.position += wide(bytes.len());
        if self.edges.is_some() {
            self.note_edges(bytes);
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            let room = CHUNK_BYTES - self.chunk_filled;
            let (now, later) = rest.split_at_checked(room).unwrap_or((rest, &[]));
            self.chunk_crc = crc32c::crc32c_append(self.chunk_crc, now);
            self.chunk_filled += now.len();
            if self.chunk_filled == CHUNK_BYTES {
                self.checksums.push(self.chunk_crc);
                (self.chunk_crc, self.chunk_filled) = (0, 0);
            }
            rest = later;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
