//! Every bit of the golden indexes, flipped: all are found, and no search panics.
//!
//! A test run flips some of them; `ESPARSA_EVERY_BIT=1` flips all, which takes minutes.

use std::sync::Arc;

use esparsa::store::Memory;
use esparsa::{Error, Facet, Index, IndexOptions, Query, SearchOptions, Snapshot, Sort, Verify};

use crate::golden::{Files, files_of, format_spec};
use crate::random::on_all_cores;

/// Bits between two that are flipped in a test run; a prime, so that all bits of bytes are.
const STEP: u64 = 101;

/// Searches every kind of field that the index has.
fn search(snapshot: &Snapshot) -> Result<(), Error> {
    let text = snapshot.schema().fields().iter().map(|field| &field.name);
    for field in text {
        let queries = [
            Query::text(field, "w1 common lava"),
            Query::phrase(field, "a b"),
            Query::sparse(field, [("a", 1.0), ("t1", 0.5), ("1", 0.2)]),
            Query::exists(field),
        ];
        for query in queries {
            match snapshot.search(&query, 5) {
                Err(error) if error.is_input() => {}
                found => drop(found?.ids()?),
            }
        }
        let options = SearchOptions::new(5).sort(Sort::ascending(field));
        match snapshot.search_with(&Query::all(), &options) {
            Err(error) if error.is_input() => {}
            found => drop(found?),
        }
        match snapshot.facets(&Query::all(), &[Facet::values(field, 5)]) {
            Err(error) if error.is_input() => {}
            found => drop(found?),
        }
    }
    Ok(())
}

fn open(files: &Files, verify: Verify) -> Result<Snapshot, Error> {
    let options = IndexOptions::new().verify(verify);
    let memory = Memory::new();
    for (name, bytes) in files {
        memory.overwrite(name, bytes.clone());
    }
    Index::open_in(Arc::new(memory), options)?.snapshot()
}

/// Flips one bit of a file; the check of everything must find it, and a search must end.
fn flip(files: &Files, name: &str, bit: u64) {
    let mut damaged = files.clone();
    let bytes = damaged.get_mut(name).unwrap();
    bytes[(bit / 8) as usize] ^= 1 << (bit % 8);
    let found = open(&damaged, Verify::AtOpen).err();
    let found = found.unwrap_or_else(|| panic!("{name}: bit {bit} was not found"));
    let is_named = matches!(
        found,
        Error::Corrupt { .. } | Error::TooNew { .. } | Error::TooOld { .. } | Error::Limit { .. }
    );
    assert!(is_named, "{name}, bit {bit}: {found}");
    if let Ok(snapshot) = open(&damaged, Verify::default()) {
        // An error, or a result that the damage does not touch.
        let _ = search(&snapshot);
    }
}

fn flip_all(folder: &str) {
    let files = files_of(&format_spec().join(folder));
    search(&open(&files, Verify::AtOpen).unwrap()).unwrap();
    let every = std::env::var_os("ESPARSA_EVERY_BIT").is_some_and(|value| value == "1");
    let step = if every { 1 } else { STEP };
    let bits: Vec<(&String, u64)> = files
        .iter()
        .flat_map(|(name, bytes)| {
            let bits = 0..8 * bytes.len() as u64;
            bits.step_by(step as usize).map(move |bit| (name, bit))
        })
        .collect();
    on_all_cores(0..bits.len() as u64, |place| {
        let (name, bit) = bits[place as usize];
        flip(&files, name, bit);
    });
    println!("{folder}: {} bits flipped, all found", bits.len());
    assert!(bits.len() > 500, "{}", bits.len());
}

#[test]
fn every_flipped_bit_of_the_golden_index_is_found() {
    flip_all("golden");
}

#[test]
fn every_flipped_bit_of_the_golden_index_with_positions_is_found() {
    flip_all("golden-positions");
}
