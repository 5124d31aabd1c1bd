//! The stages of a flag field, a kind that exists in tests alone: one byte per document.

use std::io::Write;

use super::{Part, Stages};
use crate::error::{Error, Result};
use crate::format::schema::{Field, Flag};
use crate::format::segment_info::FieldStatistics;
use crate::format::{FieldKind, FieldNumber, Malformed, Section, wide};
use crate::segment::document::Document;
use crate::segment::reader::{FieldSections, SegmentReader};
use crate::segment::write::SegmentWriter;
use crate::text::Analyzer;

/// The flags of a segment: one byte per document.
pub type Flags = Section;

pub(in crate::segment) struct Kind;

impl Stages for Kind {
    type Options = Flag;
    type Value = bool;
    type Inverter = (String, bool);
    type Inverted = Vec<u8>;
    type Reader = Flags;

    fn value_bytes(_: &bool) -> usize {
        1
    }

    fn check(document: &Document, field: &Field, _: &Flag) -> Result<()> {
        match document.values_of::<Self>(&field.name).count() > 1 {
            true => Err(Error::invalid("expected at most one flag").in_field(&field.name)),
            false => Ok(()),
        }
    }

    fn inverter(
        field: &Field,
        options: &Flag,
        _: &mut std::slice::Iter<'_, Analyzer>,
    ) -> Option<(String, bool)> {
        Some((field.name.clone(), options.default))
    }

    fn invert(
        (name, default): &mut (String, bool),
        documents: &[Document],
        _: usize,
    ) -> Result<Vec<u8>> {
        let flags = documents.iter().map(|document| {
            let flag = document.values_of::<Self>(name).next();
            u8::from(*flag.unwrap_or(default))
        });
        Ok(flags.collect())
    }

    fn memory(inverted: &Vec<u8>) -> usize {
        inverted.len()
    }

    fn write<W: Write>(
        writer: &mut SegmentWriter<'_, W>,
        field: &Field,
        options: &Flag,
    ) -> Result<()> {
        let mut flags = vec![u8::from(options.default); writer.documents as usize];
        for (source, map) in writer.sources.iter().zip(writer.maps) {
            let of_source: &[u8] = match source.field::<Self>(field.number) {
                None => &[],
                Some(Part::Batch(flags)) => flags,
                Some(Part::Segment(_, flags)) => flags.all()?,
            };
            for (document, flag) in (0..source.documents()).zip(of_source) {
                if let Some(new) = map.get(document) {
                    flags[new as usize] = *flag;
                }
            }
        }
        writer.section("flags", Some(field.number), &flags)?;
        writer.info.fields.push(statistics(field.number, &flags));
        Ok(())
    }

    fn open(sections: &FieldSections<'_>, _: &Flag) -> Result<Flags> {
        let flags = sections.section("flags")?;
        match flags.len() == u64::from(sections.documents) {
            true => Ok(flags),
            false => Err(flags.malformed(0, Malformed("expected one flag for each document"))),
        }
    }

    fn verify(
        segment: &SegmentReader,
        field: FieldNumber,
        reader: &Flags,
    ) -> Result<FieldStatistics> {
        let flags = reader.all()?;
        match flags.iter().all(|flag| *flag < 2) {
            true => Ok(statistics(field, flags)),
            false => Err(segment.broken("flags", "a flag is neither yes nor no")),
        }
    }
}

fn statistics(field: FieldNumber, flags: &[u8]) -> FieldStatistics {
    let mut statistics = FieldStatistics::new(field, FieldKind::Flag);
    statistics.postings = wide(flags.iter().filter(|flag| **flag == 1).count());
    statistics
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::{Index, MergePolicy, Snapshot, WriterOptions};
    use crate::segment::fields::Variant;
    use crate::segment::{FieldValue, verify};
    use crate::{Schema, Text};

    const NUMBERS: std::ops::Range<u32> = 0..60;

    fn flag_of(number: u32) -> Option<bool> {
        match number % 3 {
            0 => None,
            rest => Some(rest == 1),
        }
    }

    fn document(number: u32) -> Document {
        let document = Document::new(format!("{number:02}")).with_text("text", "x y");
        match flag_of(number) {
            Some(flag) => document.with("seen", FieldValue::Flag(flag)),
            None => document,
        }
    }

    fn check(snapshot: &Snapshot, is_live: impl Fn(u32) -> bool) {
        let schema = snapshot.schema();
        let field = schema.expect("seen", FieldKind::Flag).unwrap();
        for number in NUMBERS.filter(|number| is_live(*number)) {
            let address = snapshot.find(&format!("{number:02}")).unwrap().unwrap();
            let segment = &snapshot.segments()[address.segment as usize];
            verify(&segment.reader).unwrap();
            let reader = segment.reader.field(field.number).unwrap();
            let flags = Kind::reader(reader).unwrap();
            let found = flags.all().unwrap()[address.document as usize];
            assert_eq!(found == 1, flag_of(number).unwrap_or(true), "{number}");
        }
    }

    #[test]
    fn a_new_kind_is_written_deleted_merged_opened_and_verified() {
        let schema = Schema::builder()
            .text("text", Text::new())
            .field("seen", Flag { default: true })
            .build()
            .unwrap();
        let index = Index::in_memory(schema).unwrap();
        let options = WriterOptions::new()
            .merge_policy(MergePolicy::never())
            .reorder_from(Some(1));
        let mut writer = index.writer_with(options).unwrap();
        for number in NUMBERS {
            writer.add(document(number)).unwrap();
            if number % 20 == 19 {
                writer.commit().unwrap();
            }
        }
        let twice = document(1).with("seen", FieldValue::Flag(true));
        assert!(writer.add(twice).is_err());
        let snapshot = index.snapshot().unwrap();
        assert_eq!(snapshot.segments().len(), 3);
        check(&snapshot, |_| true);
        for number in NUMBERS.step_by(7) {
            writer.delete(&format!("{number:02}")).unwrap();
        }
        writer.merge_to(1).unwrap();
        writer.commit().unwrap();
        let snapshot = index.snapshot().unwrap();
        assert_eq!(snapshot.segments().len(), 1);
        check(&snapshot, |number| number % 7 != 0);
    }
}
