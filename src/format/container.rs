//! The frame of every file: header, sections, checksums, table, trailer
//! (`format-spec/container.md`).

mod capabilities;
mod edges;
mod layout;
mod writer;

use std::cmp::Ordering;
use std::sync::Arc;

use zerocopy::byteorder::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::limits::MAX_SECTIONS;
use super::section::{CHUNK_BYTES, Section, SectionPlace, Verify};
use super::{FieldKind, FieldNumber, Malformed, narrow, wide};
use crate::bytes::{Bytes, FileHandle, OnDemand};
use crate::error::{Error, Result};

pub use capabilities::Capabilities;
use edges::{EDGE_BYTES, EDGES, edge_bytes, edges_of, read_edges};
use layout::Layout;
pub use writer::ContainerWriter;

/// The version of the format that this build writes, and the max that it reads.
pub const FORMAT_VERSION: u32 = 1;

const MAGIC: [u8; 8] = *b"esparsa\0";
const NO_FIELD: u32 = u32::MAX;
const REQUIRED: u32 = 1;
const ALIGNMENT: u64 = 64;
/// Names of the sections that this build knows, beside those of [fields](FieldKind::sections).
const KNOWN_SECTIONS: [&str; 9] = [
    EDGES,
    "calibration",
    "info",
    "ids",
    "id-order",
    "deleted",
    "commit",
    "schema",
    "segments",
];

fn known_sections() -> impl Iterator<Item = &'static str> {
    let of_fields = FieldKind::ALL.iter().flat_map(|kind| kind.sections());
    KNOWN_SECTIONS.iter().chain(of_fields).copied()
}

/// What a file of an index is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// Documents and their postings.
    Segment,
    /// Which documents of a segment are gone.
    Deletes,
    /// A commit.
    Manifest,
}

impl FileKind {
    fn code(self) -> u32 {
        match self {
            Self::Segment => 1,
            Self::Deletes => 2,
            Self::Manifest => 3,
        }
    }
}

#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Header {
    magic: [u8; 8],
    version: U32,
    kind: U32,
    required_capabilities: U64,
    optional_capabilities: U64,
    reserved: [u8; 28],
    crc: U32,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct TableEntry {
    name: [u8; 16],
    field: U32,
    flags: U32,
    offset: U64,
    length: U64,
    checksums: U64,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Trailer {
    table: U64,
    sections: U32,
    table_crc: U32,
    file_length: U64,
    fingerprint: U32,
    version: U32,
    kind: U32,
    required_capabilities: U64,
    optional_capabilities: U64,
    magic: [u8; 8],
    crc: U32,
}

const HEADER_BYTES: u64 = wide_const(size_of::<Header>());
const TRAILER_BYTES: u64 = wide_const(size_of::<Trailer>());
const ENTRY_BYTES: u64 = wide_const(size_of::<TableEntry>());

const fn wide_const(count: usize) -> u64 {
    count as u64
}

fn crc_of_front<T: IntoBytes + Immutable>(record: &T) -> u32 {
    let bytes = record.as_bytes();
    crc32c::crc32c(
        bytes
            .split_last_chunk::<4>()
            .map_or(bytes, |(front, _)| front),
    )
}

/// Length and fingerprint of a finished file, as the manifest records them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileStamp {
    /// Length in bytes.
    pub length: u64,
    /// CRC32C of all checksums and the section table.
    pub fingerprint: u32,
}

/// An opened file: its frame is verified, its sections are not yet.
#[derive(Clone)]
pub struct Container {
    file: Arc<str>,
    stamp: FileStamp,
    capabilities: Capabilities,
    sections: Vec<(FieldNumber, Arc<str>, Section)>,
    /// Where the edges of each section are in the section of the edges, if there is one.
    edges: Vec<usize>,
    /// Optional sections of names that this build does not know.
    unknown: Vec<(FieldNumber, Arc<str>, Section)>,
    frame: Arc<Frame>,
}

/// What is around the sections of a file.
struct Frame {
    source: Arc<dyn FileHandle>,
    kind: FileKind,
    layout: Layout,
    table: Bytes,
}

impl Container {
    /// Checks the frame of a file and finds its sections; costs nothing per byte of content,
    /// unless `verify` is [`Verify::AtOpen`].
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] when the frame is damaged or the file is of another kind,
    /// [`Error::TooNew`] when it needs something that this build does not know.
    pub fn open(
        source: Arc<dyn FileHandle>,
        file: &str,
        kind: FileKind,
        verify: Verify,
    ) -> Result<Self> {
        let file: Arc<str> = file.into();
        let on_demand = source.on_demand();
        // The trailer repeats what the header says: a file that is read over a network is opened by
        // its end alone.
        let header = match &on_demand {
            Some(_) => None,
            None => Some(read_header(&*source, &file, kind)?),
        };
        let (trailer, table) = match read_trailer(&*source, &file) {
            // Another version of the format may have another trailer, but the header says so.
            Err(error) if on_demand.is_some() && !matches!(error, Error::Io { .. }) => {
                return Err(read_header(&*source, &file, kind).err().unwrap_or(error));
            }
            read => read?,
        };
        let capabilities = trailer.capabilities(&file, kind)?;
        if header.is_some_and(|header| header != capabilities) {
            let message = "the capability bits of header and trailer differ";
            return Err(Error::corrupt(&*file, "trailer", 0, message));
        }
        let entries = <[TableEntry]>::ref_from_bytes(&table).map_err(|_| {
            let message = "the section table has an odd length";
            Error::corrupt(&*file, "trailer", 0, message)
        })?;
        let layout = Layout::read(entries, trailer.table.get(), &file)?;
        let (mut sections, mut edges) = (Vec::with_capacity(entries.len()), Vec::new());
        let (mut unknown, mut edges_at) = (Vec::new(), 0);
        for (index, entry) in entries.iter().enumerate() {
            let name = read_name(entry, index, &file)?;
            let section = open_section(entry, &name, &source, &file, verify)?;
            let section = (entry.field.get(), name, section);
            if known_sections().any(|known| known == &*section.1) {
                edges.push(edges_at);
                sections.push(section);
            } else {
                unknown.push(section);
            }
            // Sections that are not known have edges too.
            edges_at += 2 * edge_bytes(entry.length.get());
        }
        let stamp = FileStamp {
            length: trailer.file_length.get(),
            fingerprint: trailer.fingerprint.get(),
        };
        if let Some(on_demand) = &on_demand {
            let checksums = read_checksums(&*source, &file, &layout, &table, stamp)?;
            fill_on_demand(&mut sections, on_demand, &checksums)?;
            read_edges(&mut sections, &edges)?;
        }
        let container = Self {
            file,
            stamp,
            capabilities,
            sections,
            edges,
            unknown,
            frame: Arc::new(Frame {
                source,
                kind,
                layout,
                table,
            }),
        };
        if verify == Verify::AtOpen {
            container.verify()?;
        }
        Ok(container)
    }

    /// Opens a file of which everything is read anyway, and verifies every byte, unless that would take
    /// more requests over a network.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), and [`verify`](Self::verify).
    pub fn open_whole(source: Arc<dyn FileHandle>, file: &str, kind: FileKind) -> Result<Self> {
        let verify = match source.mapped() {
            Some(_) => Verify::AtOpen,
            None => Verify::default(),
        };
        Self::open(source, file, kind, verify)
    }

    /// The file's name.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Length and fingerprint of the file.
    pub fn stamp(&self) -> FileStamp {
        self.stamp
    }

    /// The capability bits in the header.
    pub fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    /// The section of this name and field, if the file has it.
    pub fn find(&self, name: &str, field: Option<FieldNumber>) -> Option<&Section> {
        let field = field.unwrap_or(NO_FIELD);
        self.sections
            .iter()
            .find(|(f, n, _)| *f == field && **n == *name)
            .map(|(_, _, section)| section)
    }

    /// The section of this name and field, which must be there.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] when it is not.
    pub fn section(&self, name: &str, field: Option<FieldNumber>) -> Result<&Section> {
        self.find(name, field).ok_or_else(|| {
            Error::corrupt(
                &*self.file,
                name,
                0,
                "expected this section, but it is missing",
            )
        })
    }

    /// Name, field and length in bytes of every section, in file order.
    pub fn sections(&self) -> impl Iterator<Item = (&str, Option<FieldNumber>, u64)> {
        self.sections.iter().map(|(field, name, section)| {
            let field = (*field != NO_FIELD).then_some(*field);
            (&**name, field, section.len())
        })
    }

    /// Reads every byte of the file and compares it with its checksum, or with what it must be.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] at the first difference.
    pub fn verify(&self) -> Result<()> {
        let frame = &*self.frame;
        // Opening a file that is read over a network has not read its header.
        if read_header(&*frame.source, &self.file, frame.kind)? != self.capabilities {
            let message = "the capability bits of header and trailer differ";
            return Err(Error::corrupt(&*self.file, "header", 16, message));
        }
        frame.layout.verify_pads(&*frame.source, &self.file)?;
        read_checksums(
            &*frame.source,
            &self.file,
            &frame.layout,
            &frame.table,
            self.stamp,
        )?;
        let mut sections = self.sections.iter().chain(&self.unknown);
        sections.try_for_each(|(_, _, section)| section.verify())?;
        self.verify_edges()
    }

    /// Compares the edges with the sections.
    fn verify_edges(&self) -> Result<()> {
        let mut sections = self.sections.clone();
        let Some((edges, others)) = edges_of(&mut sections, &self.edges)? else {
            return Ok(());
        };
        for (section, first, last) in others {
            section.set_edges(None);
            let length = wide(first.iter().len());
            let first_matches = *section.fetch(0, length)? == *first;
            if !first_matches || *section.fetch(section.len() - length, length)? != *last {
                let message = Malformed("it does not hold the first and last bytes of a section");
                return Err(edges.malformed(0, message));
            }
        }
        Ok(())
    }
}

fn read_header(source: &dyn FileHandle, file: &str, kind: FileKind) -> Result<Capabilities> {
    let data = source.read(0..source.len().min(HEADER_BYTES))?;
    let corrupt = |offset, message: String| Error::corrupt(file, "header", offset, message);
    let Ok((header, _)) = Header::ref_from_prefix(&data) else {
        let message = format!("expected a header of 64 bytes, found {} bytes", data.len());
        return Err(corrupt(0, message));
    };
    if header.magic != MAGIC {
        return Err(corrupt(
            0,
            "expected the magic `esparsa`: this is no esparsa file".into(),
        ));
    }
    // The version is looked at before the checksum: a newer header may be laid out otherwise.
    check_version(header.version, file)?;
    if header.crc.get() != crc_of_front(header) {
        return Err(corrupt(60, "the header does not match its checksum".into()));
    }
    if header.kind.get() != kind.code() {
        let message = format!("expected file kind {}, found {}", kind.code(), header.kind);
        return Err(corrupt(12, message));
    }
    let capabilities = Capabilities {
        required: header.required_capabilities.get(),
        optional: header.optional_capabilities.get(),
    };
    check_capabilities(capabilities, file, kind)?;
    Ok(capabilities)
}

fn check_version(version: U32, file: &str) -> Result<()> {
    let (file, found) = (file.into(), format!("format version {version}"));
    let supported = format!("format version {FORMAT_VERSION}");
    match version.get().cmp(&FORMAT_VERSION) {
        Ordering::Equal => Ok(()),
        Ordering::Greater => Err(Error::TooNew {
            file,
            found,
            supported,
        }),
        Ordering::Less => Err(Error::TooOld {
            file,
            found,
            supported,
        }),
    }
}

fn check_capabilities(capabilities: Capabilities, file: &str, kind: FileKind) -> Result<()> {
    let known = Capabilities::known(kind);
    match capabilities.required & !known {
        0 => Ok(()),
        unknown => Err(Error::TooNew {
            file: file.into(),
            found: format!("required capability bits {unknown:#x}"),
            supported: format!("capability bits {known:#x}"),
        }),
    }
}

impl Trailer {
    /// The capabilities in the trailer of a file that is of this kind and of a known version.
    fn capabilities(&self, file: &str, kind: FileKind) -> Result<Capabilities> {
        check_version(self.version, file)?;
        if self.kind.get() != kind.code() {
            let message = format!("expected file kind {}, found {}", kind.code(), self.kind);
            return Err(Error::corrupt(file, "trailer", 0, message));
        }
        let capabilities = Capabilities {
            required: self.required_capabilities.get(),
            optional: self.optional_capabilities.get(),
        };
        check_capabilities(capabilities, file, kind)?;
        Ok(capabilities)
    }
}

/// The checksums of all sections, which the fingerprint covers, and where they are in the file.
fn read_checksums(
    source: &dyn FileHandle,
    file: &str,
    layout: &Layout,
    table: &[u8],
    stamp: FileStamp,
) -> Result<(u64, Bytes)> {
    let checksums = source.read(layout.checksums.clone())?;
    let found = crc32c::crc32c_append(crc32c::crc32c(&checksums), table);
    if found != stamp.fingerprint {
        let message = "the fingerprint is not that of checksums and table";
        return Err(Error::corrupt(file, "trailer", 24, message));
    }
    Ok((layout.checksums.start, checksums))
}

/// Makes sections read a chunk when it is first used.
fn fill_on_demand(
    sections: &mut [(FieldNumber, Arc<str>, Section)],
    on_demand: &Arc<dyn OnDemand>,
    (start, checksums): &(u64, Bytes),
) -> Result<()> {
    let copy = on_demand.copy();
    for (_, _, section) in sections {
        *section = section
            .clone()
            .on_demand(on_demand.clone(), &copy, (*start, checksums))?;
    }
    Ok(())
}

/// The trailer and the bytes of the section table.
fn read_trailer(source: &dyn FileHandle, file: &str) -> Result<(Trailer, Bytes)> {
    let file_length = source.len();
    let corrupt = |message: &str| Error::corrupt(file, "trailer", 0, message);
    let end = source.read(file_length.saturating_sub(TRAILER_BYTES)..file_length)?;
    let trailer = Trailer::ref_from_suffix(&end)
        .map(|(_, trailer)| *trailer)
        .map_err(|_| corrupt("the file is too short to hold one"))?;
    if trailer.magic != MAGIC || trailer.crc.get() != crc_of_front(&trailer) {
        return Err(corrupt(
            "it does not match its checksum: the file was cut short or damaged",
        ));
    }
    if trailer.file_length.get() != file_length {
        return Err(corrupt("the file's length is not the one that it records"));
    }
    let count = trailer.sections.get();
    if count > MAX_SECTIONS {
        let (count, limit) = (u64::from(count), u64::from(MAX_SECTIONS));
        return Err(Error::limit(
            format!("number of sections of {file}"),
            count,
            limit,
        ));
    }
    let length = u64::from(count) * ENTRY_BYTES;
    let start = trailer.table.get();
    let table_end = start.checked_add(length);
    let table_end = table_end
        .filter(|end| end.checked_add(TRAILER_BYTES) == Some(file_length))
        .ok_or_else(|| corrupt("the section table does not lie before it"))?;
    let table = source.read(start..table_end)?;
    if crc32c::crc32c(&table) != trailer.table_crc.get() {
        return Err(corrupt("the section table does not match its checksum"));
    }
    Ok((trailer, table))
}

/// The name of a section, which this build knows or may skip.
fn read_name(entry: &TableEntry, index: usize, file: &str) -> Result<Arc<str>> {
    let corrupt = |message: &str| Error::corrupt(file, "table", wide(index) * ENTRY_BYTES, message);
    let end = entry.name.iter().position(|b| *b == 0).unwrap_or(16);
    let (name, rest) = entry.name.split_at(end);
    let name = std::str::from_utf8(name).ok();
    let name = name
        .filter(|name| name.is_ascii() && !name.is_empty() && rest.iter().all(|b| *b == 0))
        .ok_or_else(|| corrupt("a section's name is not ASCII"))?;
    if entry.flags.get() & REQUIRED != 0 && !known_sections().any(|known| known == name) {
        return Err(Error::TooNew {
            file: file.to_owned(),
            found: format!("required section `{name}`"),
            supported: format!(
                "the sections {}",
                known_sections().collect::<Vec<_>>().join(", ")
            ),
        });
    }
    Ok(name.into())
}

/// A section at the place that the layout has checked.
fn open_section(
    entry: &TableEntry,
    name: &str,
    source: &Arc<dyn FileHandle>,
    file: &Arc<str>,
    verify: Verify,
) -> Result<Section> {
    let (offset, checksums) = (entry.offset.get(), entry.checksums.get());
    let chunks = entry.length.get().div_ceil(wide(CHUNK_BYTES));
    let length = narrow(entry.length.get()).map_err(|_| {
        let message = "a section does not fit in memory";
        Error::corrupt(&**file, name, 0, message)
    })?;
    let place = SectionPlace {
        bytes: offset..offset + entry.length.get(),
        checksums: checksums..checksums + chunks * 4,
    };
    Section::new(source.clone(), file.clone(), name, place, length, verify)
}

#[cfg(test)]
mod tests;
