//! What a compiled module says of its kernels.
//!
//! A cubin is an ELF file. It has a section `.nv.info.NAME` for each kernel: records of format (1 byte), attribute (1 byte) and value, which are 2
//! bytes, or with format 4 their number and then so many bytes. Attribute 5 has the greatest numbers of threads in x, y and z, attribute 0x19 the size of the
//! parameters. The rest is passed over. Nvidia documents none of this; a file that is not so is an error, and callers do without.

use crate::error::{Error, Result};

const THREADS: u8 = 0x05;
const PARAMETER_BYTES: u8 = 0x19;
const FORMAT_SIZED: u8 = 4;

/// A kernel as it was compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its name.
    pub(super) name: String,
    /// The most threads a block that it was compiled for, if any were said.
    pub(super) threads: Option<u32>,
    /// Bytes of its parameters.
    pub(super) parameter_bytes: Option<usize>,
}

/// The kernels of a module, by name.
///
/// # Errors
///
/// [`Error::Device`] for what is no module, or one of a form that is not known.
pub(super) fn entries(cubin: &[u8]) -> Result<Vec<Entry>> {
    let mut entries = parse(cubin).ok_or_else(|| {
        Error::device("expected a compiled module of kernels in ELF form, found something else")
    })?;
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

fn parse(cubin: &[u8]) -> Option<Vec<Entry>> {
    if !cubin.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let table = u64_at(cubin, 0x28)?;
    let row_bytes = usize::from(u16_at(cubin, 0x3a)?);
    let rows = usize::from(u16_at(cubin, 0x3c)?);
    let names_row = usize::from(u16_at(cubin, 0x3e)?);
    let row = |index: usize| cubin.get(table.checked_add(index * row_bytes)?..);
    let contents = |row: &[u8]| {
        let start = u64_at(row, 0x18)?;
        cubin.get(start..start.checked_add(u64_at(row, 0x20)?)?)
    };
    let names = contents(row(names_row)?)?;

    let mut entries = Vec::new();
    for index in 0..rows {
        let row = row(index)?;
        let name = names.get(usize::try_from(u32_at(row, 0)?).ok()?..)?;
        let name = name.split(|&byte| byte == 0).next()?;
        if let Some(kernel) = name.strip_prefix(b".nv.info.") {
            entries.push(entry(kernel, contents(row)?)?);
        }
    }
    Some(entries)
}

fn entry(name: &[u8], mut records: &[u8]) -> Option<Entry> {
    let mut entry = Entry {
        name: String::from_utf8(name.to_vec()).ok()?,
        threads: None,
        parameter_bytes: None,
    };
    while let Some((&[format, attribute, low, high], rest)) = records.split_first_chunk() {
        let value = u16::from_le_bytes([low, high]);
        let bytes = match format == FORMAT_SIZED {
            true => usize::from(value),
            false => 0,
        };
        let (contents, rest) = rest.split_at_checked(bytes)?;
        records = rest;
        match attribute {
            THREADS => {
                let sizes = [0, 4, 8].map(|at| u32_at(contents, at));
                entry.threads = sizes
                    .into_iter()
                    .try_fold(1u32, |all, size| all.checked_mul(size?));
            }
            PARAMETER_BYTES => entry.parameter_bytes = Some(usize::from(value)),
            _ => {}
        }
    }
    Some(entry)
}

fn bytes_at<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes_at(bytes, at).map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes_at(bytes, at).map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u64::from_le_bytes(bytes_at(bytes, at)?)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An ELF file of a section of names and one `.nv.info.pool`.
    fn module() -> Vec<u8> {
        let mut info = vec![4, THREADS, 12, 0];
        for size in [256u32, 1, 1] {
            info.extend(size.to_le_bytes());
        }
        info.extend([3, 0x1b, 64, 0, 3, PARAMETER_BYTES, 40, 0]);
        let names = b"\0.names\0.nv.info.pool\0";

        let mut file = vec![0; 64];
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        let rows = [
            (0u32, 64u64, 0u64),
            (1, 64, names.len() as u64),
            (8, 64 + names.len() as u64, info.len() as u64),
        ];
        file.extend(names);
        file.extend(info);
        let table = file.len() as u64;
        file[0x28..0x30].copy_from_slice(&table.to_le_bytes());
        file[0x3a..0x40].copy_from_slice(&[64, 0, 3, 0, 1, 0]);
        for (name, start, length) in rows {
            let mut row = [0; 64];
            row[..4].copy_from_slice(&name.to_le_bytes());
            row[0x18..0x20].copy_from_slice(&start.to_le_bytes());
            row[0x20..0x28].copy_from_slice(&length.to_le_bytes());
            file.extend(row);
        }
        file
    }

    #[test]
    fn a_kernel_is_described() {
        let expected = Entry {
            name: "pool".into(),
            threads: Some(256),
            parameter_bytes: Some(40),
        };
        assert_eq!(entries(&module()).unwrap(), [expected]);
    }

    #[test]
    fn damage_never_panics() {
        let module = module();
        for length in 0..module.len() {
            drop(entries(&module[..length]));
        }
        for at in 0..module.len() {
            for byte in [0, 1, 0x7f, 0xff] {
                let mut changed = module.clone();
                changed[at] = byte;
                drop(entries(&changed));
            }
        }
        assert!(entries(b"// ptx").is_err());
    }
}
