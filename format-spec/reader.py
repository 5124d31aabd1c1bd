#!/usr/bin/env python3
"""Reads an esparsa index, verifies it, and prints everything that it holds.

    python3 reader.py INDEX_FOLDER [--json]

Written from the chapters beside this file and sharing no code with the crate, so that each can be held
against the other: a part for each chapter, in the chapter's words. Every checksum and every invariant that the
chapters name is verified; the first that is broken is reported with file, section and offset (from the start
of the section), and the exit status is 1.

Needs nothing but Python 3.9. To print stored documents it needs a zstd decoder as well: Python 3.14, or the
package `zstandard`; without one it prints their sizes alone, and `documents` is null.
"""

import argparse
import itertools
import json
import math
import os
import re
import struct
import sys

# ---- README: conventions


class Broken(Exception):
    """What a chapter says does not hold."""

    def __init__(self, file, section, offset, message):
        super().__init__(f"{file}: section {section}, offset {offset}: {message}")


class TooNew(Broken):
    """A newer version of the format, or something required that this reader does not know."""


class Part:
    """Part of a section, read from `at` to `end` and never beyond."""

    def __init__(self, file, section, data, at=0, end=None):
        self.file, self.section, self.data = file, section, data
        self.at, self.end = at, len(data) if end is None else end

    def expect(self, holds, message, at=None, error=Broken):
        if not holds:
            raise error(self.file, self.section, self.at if at is None else at, message)

    def left(self):
        return self.end - self.at

    def take(self, length):
        self.expect(length <= self.left(), f"expected {length} more bytes, found {self.left()}")
        self.at += length
        return self.data[self.at - length : self.at]

    def part(self, length):
        """The next bytes as a part of their own, which this one passes over."""
        self.take(length)
        return Part(self.file, self.section, self.data, self.at - length, self.at)

    def numbers(self, layout):
        """Little-endian numbers, named as `struct` names them."""
        return struct.unpack("<" + layout, self.take(struct.calcsize("<" + layout)))

    def number(self, letter):
        return self.numbers(letter)[0]

    def varint(self):
        value = 0
        for shift in range(0, 70, 7):
            byte = self.number("B")
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
        self.expect(byte < 0x80 and value < 1 << 64, "a varint has more than 64 bits")
        return value

    def text(self, length):
        at, data = self.at, self.take(length)
        text = data.decode(errors="replace")
        self.expect(text.encode() == data, "expected UTF-8", at)
        return text

    def finish(self, what):
        self.expect(self.left() == 0, f"{what} has {self.left()} bytes left over")


CRC32C = list(range(256))
for _ in range(8):
    CRC32C = [value >> 1 ^ (0x82F63B78 if value & 1 else 0) for value in CRC32C]

def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ CRC32C[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF

def unpack_bits(data, count, width):
    """`count` numbers from one stream of bits, filled from the lowest bit."""
    numbers, mask = [], (1 << width) - 1
    for start in range(0, count, 8):  # Eight numbers fill whole bytes.
        eight = int.from_bytes(data[start // 8 * width : (start // 8 + 1) * width], "little")
        numbers += [eight >> place * width & mask for place in range(min(8, count - start))]
    return numbers

def float_of(bits):
    return struct.unpack("<f", struct.pack("<I", bits))[0]

def rises(numbers):
    return all(a < b for a, b in zip(numbers, numbers[1:]))

def ceiling(number, divisor):
    return -(-number // divisor)


# ---- limits

MAX_SEGMENT_DOCUMENTS = 0x7FFF_FFFF
MAX_SECTIONS, MAX_FIELDS, MAX_FIELD_NAME_BYTES, MAX_TIERS = 16_384, 1_024, 255, 8
MAX_CALIBRATION_POINTS = 1_024
MAX_KEY_BYTES = {"ids": 512, "keywords": 1_024, "text": 255, "sparse": 1_024, "text with positions": 255}
MAX_STORED_BLOCK_BYTES = 68 << 20
MAX_DENSE_DIMENSIONS, MAX_DENSE_NORM, MAX_MODEL_NAME_BYTES = 65_536, 1e18, 1_024
MAX_COLUMN_VALUES = 65_536

# ---- container

MAGIC = b"esparsa\0"
KINDS = {"segment": 1, "deletes": 2, "manifest": 3}
# Required capability bits that this reader knows, by kind of file: segments may have impacts with exponents.
IMPACT_EXPONENTS = 1
KNOWN_CAPABILITIES = {"segment": IMPACT_EXPONENTS, "deletes": 0, "manifest": 0}
# Optional bits that mean something: the documents of a segment are in an order by their terms.
REORDERED = 1
KNOWN_SECTIONS = (
    "commit schema segments info ids id-order stored stored-index terms postings lengths positions impacts deleted calibration"
    " vectors vector-scales vector-documents column-values column-documents column-starts column-keywords edges"
)
NO_FIELD = 0xFFFFFFFF
CHUNK = 65_536


class Container:
    """A verified file; `section` gives its sections, `listing` is what is printed of them."""

    def __init__(self, name, data, fingerprint, capabilities):
        self.name, self.data, self.fingerprint = name, data, fingerprint
        self.required, self.optional = capabilities
        self.sections, self.listing = {}, []

    def section(self, name, field=None):
        if (name, field) not in self.sections:
            raise Broken(self.name, name, 0, f"expected this section of field {field}, but it is missing")
        return Part(self.name, name, self.sections[name, field])

    def expect_stamp(self, length, fingerprint):
        if (len(self.data), self.fingerprint) != (length, fingerprint):
            raise Broken(self.name, "trailer", 16, "the file is not the one that the manifest names")

def read_container(folder, name, kind):
    try:
        with open(os.path.join(folder, name), "rb") as file:
            data = file.read()
    except OSError as error:
        raise Broken(name, "file", 0, f"cannot be read: {error.strerror}") from None
    capabilities = read_header(Part(name, "header", data[:64]), kind)
    table_at, fingerprint = read_trailer(Part(name, "trailer", data[-64:]), data)
    container, checksums, places = Container(name, data, fingerprint, capabilities), b"", []
    table, end, next_checksum = Part(name, "table", data[table_at:-64]), 64, None
    while table.left():
        entry, table_end = table.at, table_at
        padded, field, flags, offset, length, first = table.numbers("16sIIQQQ")
        section, chunks = padded.rstrip(b"\0").decode("ascii", "replace"), ceiling(length, CHUNK)
        table.expect(re.fullmatch("[!-~]+", section), "a section's name is not ASCII", entry)
        table.expect(offset % 64 == 0 and offset >= end, "sections overlap or are not aligned", entry + 24)
        table.expect(offset + length <= first, "a section runs into the checksums", entry + 32)
        follows = first % 4 == 0 and next_checksum in (None, first)
        table.expect(follows and first + 4 * chunks <= table_end, "checksums have gaps or no room", entry + 40)
        expect_zeros(container, end, offset)
        found = verify_chunks(Part(name, section, data[offset : offset + length]), data[first : first + 4 * chunks])
        places.append((offset, length))
        checksums, end, next_checksum = checksums + found, offset + length, first + 4 * chunks
        if section not in KNOWN_SECTIONS.split():
            table.expect(flags & 1 == 0, f"unknown required section `{section}`", entry, TooNew)
            continue
        key = (section, None if field == NO_FIELD else field)
        table.expect(key not in container.sections, f"two sections `{section}` of one field", entry)
        container.sections[key] = data[offset : offset + length]
        container.listing.append({"name": section, "field": key[1], "length": length, "checksums": "right"})
    if ("edges", None) in container.sections:
        whole = [data[offset : offset + length] for offset, length in places[:-1]]
        expected = b"".join(section[:64] + section[-64:] for section in whole)
        edges = container.section("edges")
        edges.expect(edges.data == expected, "the edges are not those of the sections", 0)
    first_checksum = table_at if next_checksum is None else next_checksum - len(checksums)
    expect_zeros(container, end, first_checksum)
    expect_zeros(container, first_checksum + len(checksums), table_at)
    if crc32c(checksums + table.data) != fingerprint:
        raise Broken(name, "trailer", 24, "the fingerprint is not that of checksums and table")
    return container

def read_header(header, kind):
    """The required and optional capability bits."""
    header.expect(header.take(8) == MAGIC, "expected the magic: this is no file of an index", 0)
    version, found_kind, required, optional = header.numbers("IIQQ")
    header.expect(version == 1, f"format version {version}; this reader knows version 1", 8, TooNew)
    header.take(28)
    header.expect(header.number("I") == crc32c(header.data[:60]), "the header's checksum is wrong", 60)
    header.expect(found_kind == KINDS[kind], f"expected a {kind} file, found kind {found_kind}", 12)
    unknown = required & ~KNOWN_CAPABILITIES[kind]
    header.expect(unknown == 0, f"unknown required capabilities {unknown:#x}", 16, TooNew)
    return required, optional

def read_trailer(trailer, data):
    """The offset of the section table, and the fingerprint."""
    table_at, sections, table_crc, length, fingerprint = trailer.numbers("QIIQI")
    trailer.expect(trailer.take(24) == data[8:32], "version, kind and capabilities are not the header's", 28)
    trailer.expect(trailer.take(8) == MAGIC, "expected the magic: the file was cut short", 52)
    trailer.expect(trailer.number("I") == crc32c(trailer.data[:60]), "the trailer's checksum is wrong", 60)
    trailer.expect(length == len(data), f"expected {length} bytes in the file, found {len(data)}", 16)
    trailer.expect(sections <= MAX_SECTIONS, f"{sections} sections are above the limit", 8)
    fits = table_at % 8 == 0 and 64 <= table_at and table_at + 48 * sections == length - 64
    trailer.expect(fits, "the section table does not lie before the trailer", 0)
    trailer.expect(crc32c(data[table_at:-64]) == table_crc, "the section table's checksum is wrong", 12)
    return table_at, fingerprint

def verify_chunks(section, checksums):
    for chunk, (expected,) in enumerate(struct.iter_unpack("<I", checksums)):
        found = crc32c(section.data[chunk * CHUNK : (chunk + 1) * CHUNK])
        section.expect(found == expected, f"expected checksum {expected:08x}, found {found:08x}", chunk * CHUNK)
    return checksums

def expect_zeros(container, start, end):
    if any(container.data[start:end]):
        raise Broken(container.name, "padding", start, "expected zeros between the sections")


# ---- manifest

def read_manifest(folder):
    """The highest manifest; when it is damaged, going back to an older one is for people to decide."""
    found = [re.fullmatch(r"manifest-(\d{10,})", name) for name in os.listdir(folder)]
    manifests = [(int(match[1]), match[0]) for match in found if match]
    if not manifests:
        raise Broken(folder, "manifest", 0, "expected a file `manifest-N` in this folder")
    number, name = max(manifests)
    return read_manifest_file(folder, name, number)


def read_manifest_file(folder, name, number):
    container = read_container(folder, name, "manifest")
    part = container.section("commit")
    commit, next_file = part.numbers("QQ")
    part.finish("the commit")
    part.expect(commit == number, f"this is commit {commit}, its name says {number}", 0)
    schema, next_field = read_schema(container.section("schema"))
    part, segments, used = container.section("segments"), [], {0}
    keys = "file length fingerprint documents deletes deletes_length deletes_fingerprint deleted".split()
    while part.left():
        at, segment = part.at, dict(zip(keys, part.numbers("QQIIQQII16x")))
        for file in [segment["file"]] + [segment["deletes"]] * (segment["deletes"] > 0):
            part.expect(file not in used and file < next_file, f"file number {file} was not handed out once", at)
            used.add(file)
        segments.append(segment)
    container.next_field = next_field
    manifest = {"commit": commit, "next_file": next_file, "schema": schema, "segments": segments}
    return container, manifest | {"calibrations": read_calibrations(container, schema)}

def read_model(part):
    """Which model makes a field's vectors."""
    low, high = part.numbers("QQ")
    part.expect(1 <= part.left() <= MAX_MODEL_NAME_BYTES, "a model's name is empty or too long")
    return {"name": part.text(part.left()), "fingerprint": f"{high << 64 | low:032x}"}

def read_calibrations(container, schema):
    """What was measured of approximate searches, for each field that has it."""
    calibrations = []
    for number in (field["number"] for field in schema if ("calibration", field["number"]) in container.sections):
        part, points = container.section("calibration", number), []
        documents, queries = part.numbers("QQ")
        while part.left():
            at, k, *bits = part.at, *part.numbers("IIIII")
            share, slack, recall, microseconds = map(float_of, bits)
            sensible = k > 0 and 0 < share <= 1 and 0 < slack <= 1 and 0 <= recall <= 1
            part.expect(sensible and 0 <= microseconds < float("inf"), "a point is out of its range", at)
            points.append({"k": k, "bits": bits})
        part.expect(len(points) <= MAX_CALIBRATION_POINTS, f"{len(points)} points are above the limit", 0)
        calibrations.append({"field": number, "documents": documents, "queries": queries, "points": points})
    return calibrations

KIND_NAMES = {1: "text", 2: "sparse", 3: "stored", 4: "dense", 5: "column"}

def read_analyzer(option):
    return {"analyzer": option.text(option.left())}

def read_revision(option):
    return {"revision": option.number("I")}

def read_bm25(option):
    k1_bits, b_bits = option.numbers("II")
    sensible = 0 <= float_of(k1_bits) < float("inf") and 0 <= float_of(b_bits) <= 1
    option.expect(sensible, "k1 is below 0 or b not from 0 to 1")
    return {"k1_bits": k1_bits, "b_bits": b_bits}

def read_scale(option):
    scale_bits = option.number("I")
    option.expect(0 < float_of(scale_bits) < float("inf"), f"scale {float_of(scale_bits)} is not a positive number")
    return {"scale_bits": scale_bits}

def read_choice(name, *choices):
    """Reads a byte that stands for one of the choices."""

    def read(option):
        choice = option.number("B")
        option.expect(choice < len(choices), f"{name} is {choice}, of {len(choices)} choices")
        return {name: choices[choice]}

    return read

def read_dimensions(option):
    dimensions = option.number("I")
    option.expect(1 <= dimensions <= MAX_DENSE_DIMENSIONS, f"{dimensions} dimensions are none or above the limit")
    return {"dimensions": dimensions}

# For each kind how options are read, by tag, and which of them must be there.
OPTIONS = {
    1: (
        {1: read_analyzer, 2: read_revision, 3: read_bm25, 4: lambda option: {"positions": True}},
        {1, 2, 3},
    ),
    2: (
        {
            1: read_scale,
            2: read_choice("terms", "strings", "numbers"),
            3: read_choice("clamps", False, True),
            4: read_choice("layout", "ranges", "tiers"),
            16: lambda option: {"model": read_model(option)},
        },
        {1, 2, 3, 4},
    ),
    3: ({}, set()),
    4: (
        {
            1: read_dimensions,
            2: read_choice("element", "f32", "f16", "i8"),
            3: read_choice("metric", "inner-product", "cosine"),
            16: lambda option: {"model": read_model(option)},
        },
        {1, 2, 3},
    ),
    5: (
        {
            1: read_choice("type", "i64", "u64", "f64", "bool", "date", "keyword"),
            2: read_choice("several", False, True),
        },
        {1, 2},
    ),
}

def read_options(field, options, readers, needed):
    """Reads the records of a field's options; unknown ones are listed, or refused when they are required."""
    tags = []
    while options.left():
        at, head = options.at, options.varint()
        tag, required, option = head >> 1, head & 1, options.part(options.varint())
        options.expect(not tags or tags[-1] < tag, "tags of options do not rise", at)
        tags.append(tag)
        if tag in readers:
            field.update(readers[tag](option))
            option.finish("an option of a field")
            continue
        options.expect(not required, f"unknown required option {tag} of field `{field['name']}`", at, TooNew)
        field["unknown"].append({"tag": tag, "bytes": option.take(option.left()).hex()})
    options.expect(needed <= set(tags), f"field `{field['name']}` lacks an option of its kind")

def read_schema(part):
    fields, count = [], part.varint()
    part.expect(count <= MAX_FIELDS, f"{count} fields are above the limit")
    for _ in range(count):
        at, number, kind = part.at, part.varint(), part.varint()
        name_length = part.varint()
        field = {"number": number, "name": part.text(name_length)}
        part.expect(1 <= name_length <= MAX_FIELD_NAME_BYTES, "a field's name is empty or too long", at)
        options = part.part(part.varint())
        if kind not in OPTIONS:
            field.update(kind=kind, options=options.take(options.left()).hex())
            fields.append(field)
            continue
        field.update(kind=KIND_NAMES[kind], model=None, unknown=[])
        read_options(field, options, *OPTIONS[kind])
        fields.append(field)
    next_field = max([0] + [field["number"] + 1 for field in fields])
    if part.left():
        at, free = part.at, next_field
        next_field = part.varint()
        part.expect(next_field > free, "the next field number is not free", at)
    part.finish("the schema")
    part.expect(rises([f["number"] for f in fields]), "field numbers do not rise", 0)
    part.expect(len({f["name"] for f in fields}) == count, "two fields have one name", 0)
    part.expect(sum(f["kind"] == "stored" for f in fields) < 2, "there are two stored fields", 0)
    return fields, next_field


# ---- segment

RECORD_BYTES = 56
# Codecs of postings, by number: lists of bit-packed blocks, cut at ranges or not.
CODECS = {"text": {1}, "sparse": {1}, "stored": {0}, "dense": {0}, "column": {0}}

def read_segment(folder, record, schema, next_field):
    container = read_container(folder, f"segment-{record['file']:010}", "segment")
    container.expect_stamp(record["length"], record["fingerprint"])
    info, fields, stored = container.section("info"), [], None
    documents, count, length = info.numbers("III")
    info.expect(length >= RECORD_BYTES, f"records of {length} bytes are shorter than {RECORD_BYTES}", 8)
    as_named = documents == record["documents"] <= MAX_SEGMENT_DOCUMENTS
    info.expect(as_named, f"found {documents} documents, the manifest says {record['documents']}", 0)
    keys = "field kind terms postings total skipped rounded_up documents base has_parts codec".split()
    by_number = {field["number"]: field for field in schema}
    for _ in range(count):
        at, record = info.at, info.part(length)
        statistics = dict(zip(keys, record.numbers("IIQQQQQIhBB")))
        field = by_number.get(statistics["field"], {"kind": None})
        if field["kind"] is None and statistics["field"] < next_field:
            continue  # It was dropped from the schema after this segment was written.
        same_kind = (statistics["kind"], field["kind"]) in [*KIND_NAMES.items()]
        info.expect(same_kind, "the schema has no such field, or one of another kind", at)
        codec = statistics["codec"]
        info.expect(codec in CODECS[field["kind"]], f"unknown postings codec {codec}", at + 55, TooNew)
        exponents = statistics["base"] != 0 or statistics["has_parts"] != 0
        allowed = container.required & IMPACT_EXPONENTS or not exponents
        info.expect(allowed, "impacts have exponents, but the header does not say so", at)
        if field["kind"] == "stored":
            counts = [statistics[key] for key in keys if key not in ("field", "kind")]
            info.expect(not any(counts), "stored documents have statistics", at)
            stored = read_stored(container, field["number"], documents)
            continue
        if field["kind"] == "dense":
            contents, found = read_dense_field(container, field, documents, statistics["documents"])
        elif field["kind"] == "column":
            contents, found = read_column(container, field, documents)
        else:
            read_field = {"text": read_text_field, "sparse": read_sparse_field}[field["kind"]]
            contents, found = read_field(container, field, documents, statistics["base"])
        for key, value in found.items():
            info.expect(statistics[key] == value, f"{key}: expected {statistics[key]}, found {value}", at)
        fields.append({**statistics, **contents, "kind": field["kind"]})
    info.finish("the statistics")
    info.expect(rises([field["field"] for field in fields]), "field numbers do not rise", 12)
    ids = read_ids(container.section("ids"), container.section("id-order"), documents)
    segment = {"file": container.name, "documents": documents, "reordered": container.optional & REORDERED != 0}
    return container, {**segment, "fields": fields, "ids": ids, "stored": stored}

def read_text_field(container, field, documents, _):
    terms, postings, lengths = (container.section(s, field["number"]) for s in ("terms", "postings", "lengths"))
    codes, listed, sums = read_lengths(lengths, documents), [], [0] * documents
    has_positions = "positions" in field
    positions = container.section("positions", field["number"]) if has_positions else None
    payload = "text with positions" if has_positions else "text"
    for key, entry in read_dictionary(terms, payload, postings, positions):
        term = read_text_list(postings, entry, documents, codes)
        if has_positions:
            term["positions"] = read_positions(positions, entry, term["frequencies"])
        for document, frequency in zip(term["documents"], term["frequencies"]):
            sums[document] += frequency
        listed.append({"term": terms_text(terms, key), **term})
    for document, (code, total) in enumerate(zip(codes, sums)):
        right = length_of(code) <= total and (code == 255 or total < length_of(code + 1))
        lengths.expect(right, f"code {code} is not that of {total} terms", document)
    found = {"terms": len(listed), "postings": sum(term["df"] for term in listed), "total": sum(sums)}
    found["documents"] = sum(code > 0 for code in codes)
    return {"lengths": [length_of(code) for code in codes], "listed": listed}, found

def read_sparse_field(container, field, documents, base):
    terms, impacts = container.section("terms", field["number"]), container.section("impacts", field["number"])
    listed, seen, total = [], set(), 0
    for key, entry in read_dictionary(terms, "sparse", impacts):
        term, of_term = read_sparse_term(impacts, entry, documents, base), []
        for tiers in [part.get("tiers", [part]) for part in term.get("parts", [term])]:
            total += sum(sum(tier["impacts"]) for tier in tiers)
            of_term += [document for tier in tiers for document in tier["documents"]]
        impacts.expect(len(set(of_term)) == entry["df"] == len(of_term), "documents are in two parts, or too many", 0)
        seen.update(of_term)
        if field["terms"] == "numbers":
            terms.expect(len(key) == 4, f"expected keys of four bytes, found {key!r}", 0)
        name = terms_text(terms, key) if field["terms"] == "strings" else int.from_bytes(key, "big")
        listed.append({"term": name, "df": entry["df"], **term})
    found = {"terms": len(listed), "postings": sum(term["df"] for term in listed), "total": total}
    found["has_parts"] = int(any("parts" in term for term in listed))
    return {"listed": listed}, {**found, "base": base, "documents": len(seen)}

def terms_text(section, key):
    return Part(section.file, section.section, key).text(len(key))


# ---- dictionary

# What a dictionary is of, and the number of the payload that its keys have.
PAYLOADS = {"ids": 0, "keywords": 0, "text": 1, "sparse": 2, "text with positions": 3}

def read_dictionary(section, payload, postings=None, positions=None):
    """Yields each key with its entry: `df`, and a single posting or the place of a list in `postings`.

    With `positions` the entry also has a single `position`, or how many `position_bytes` its list has.
    """
    footer_at = section.end - 32
    section.expect(footer_at >= 0, "the section is too short for a footer", 0)
    footer = Part(section.file, section.section, section.data, footer_at)
    keys, blocks, per_block, blocks_length, found_payload, _ = footer.numbers("QIIQII")
    expected = PAYLOADS[payload]
    footer.expect(found_payload == expected, f"expected payload {expected}, found {found_payload}", footer_at + 24)
    footer.expect(per_block > 0 and blocks == ceiling(keys, per_block), "keys do not fill their blocks", footer_at)
    offsets_at = 4 * ceiling(blocks_length, 4)
    fits = offsets_at + 4 * (blocks + 1) == footer_at and not any(section.data[blocks_length:offsets_at])
    footer.expect(fits, "blocks, zeros and offsets do not fill the section", footer_at + 16)
    offsets = Part(section.file, section.section, section.data, offsets_at).numbers(f"{blocks + 1}I")
    spans = offsets[0] == 0 and offsets[-1] == blocks_length and rises(offsets)
    section.expect(spans, "block offsets do not rise from the first block to the end", offsets_at)
    key, next_list, next_positions = None, 0, 0
    for block in range(blocks):
        part = section.part(offsets[block + 1] - offsets[block])
        if expected > 0:
            part.expect(part.varint() == next_list, "the block's lists do not follow those before")
        if positions is not None:
            part.expect(part.varint() == next_positions, "the block's positions do not follow those before")
        for index in range(min(per_block, keys - block * per_block)):
            at, before, entry = part.at, key, None
            key = part.take(part.varint()) if index == 0 else read_rest_of_key(part, before)
            least = 0 if payload == "keywords" else 1
            part.expect(least <= len(key) <= MAX_KEY_BYTES[payload], f"a key has {len(key)} bytes", at)
            part.expect(before is None or before < key, "keys do not rise", at)
            if expected > 0:
                entry = read_payload(part, next_list)
                next_list += entry.get("length", 0)
            if positions is not None:
                occurs_once = entry["df"] == 1 and entry["value"] == 0
                entry["position" if occurs_once else "position_bytes"] = part.varint()
                next_positions += entry.get("position_bytes", 0)
            yield key, entry
        part.finish("a block of the dictionary")
    if postings is not None:
        postings.expect(next_list == postings.end, "the lists do not end with their section", next_list)
    if positions is not None:
        positions.expect(next_positions == positions.end, "the lists do not end with their section", next_positions)

def read_rest_of_key(part, before):
    at, byte = part.at, part.number("B")
    shared, rest = byte & 15, byte >> 4
    shared += part.varint() if shared == 15 else 0
    rest += part.varint() if rest == 15 else 0
    part.expect(shared <= len(before), "a key shares more than the key before it has", at)
    key = before[:shared] + part.take(rest)
    part.expect(shared == len(os.path.commonprefix([before, key])), "a key shares more than is noted", at)
    return key

def read_payload(part, next_list):
    df = part.varint() + 1
    if df > 1:
        return {"df": df, "offset": next_list, "length": part.varint()}
    code = part.varint()
    return {"df": 1, "document": code >> 1, "value": part.varint() if code & 1 else 0}


# ---- block

def read_block(part, count, last):
    """Documents and values of the block that fills the part; `last` is the document before it, or -1."""
    head = part.number("B")
    widths = (head & 0x3F, part.number("B") if head & 0x40 else 0)
    exceptions = part.numbers("BB") if head & 0x80 else (0, 0)
    part.expect(max(widths) <= 32, "a width is above 32 bits")
    both = [unpack_block(part.take(ceiling(count * width, 8)), count, width) for width in widths]
    for numbers, width, exceptions_left in zip(both, widths, exceptions):
        read_exceptions(part, numbers, width, exceptions_left)
    part.finish("a block")
    documents = []
    for gap in both[0]:
        last += gap + 1
        documents.append(last)
    return documents, both[1]

def read_exceptions(part, numbers, width, count):
    position = -1
    for _ in range(count):
        before, position = position, part.number("B")
        part.expect(before < position < len(numbers), "positions of exceptions do not rise")
        numbers[position] |= part.varint() << width
        part.expect(numbers[position] < 1 << 32, "a number has more than 32 bits")

def unpack_block(data, count, width):
    if count < 128:
        return unpack_bits(data, count, width)
    words = struct.unpack(f"<{4 * width}I", data)
    lanes = [unpack_bits(struct.pack(f"<{width}I", *words[lane::4]), 32, width) for lane in range(4)]
    return [lanes[index % 4][index // 4] for index in range(128)]

def read_blocks(part, count, documents, rest_of_entry):
    """Documents, values and block table of a list: one block without a table, or a table and its blocks."""
    part.expect(count <= documents, "a list has more postings than the segment has documents")
    at, table = part.at, []
    if count > 128:
        table = [list(part.numbers("II" + rest_of_entry)) for _ in range(ceiling(count, 128))]
    found, values, ends = [], [], [0] + [entry[1] for entry in table]
    part.expect(rises(ends) and (not table or ends[-1] == part.left()), "block ends do not rise to the list's", at)
    for start, end in zip(ends, ends[1:] or [part.left()]):
        last = found[-1] if found else -1
        more = read_block(part.part(end - start), min(128, count - len(found)), last)
        found += more[0]
        values += more[1]
        as_noted = not table or table[(len(found) - 1) // 128][0] == found[-1]
        part.expect(found[-1] < documents and as_noted, "a block ends with another document than its table says")
    return found, values, table


# ---- text-postings

def read_text_list(section, entry, documents, codes):
    if entry["df"] == 1:
        section.expect(entry["document"] < documents, "a single posting is not in the segment", 0)
        return {"df": 1, "documents": [entry["document"]], "frequencies": [entry["value"] + 1]}
    part = section.part(entry["length"])
    bounds = pairs(part.take(8)) if entry["df"] > 128 else []
    found, values, table = read_blocks(part, entry["df"], documents, "4s")
    term = {"df": entry["df"], "documents": found, "frequencies": [value + 1 for value in values]}
    if table:
        term.update(bounds=bounds, blocks=[[last, end, pairs(of_block)] for last, end, of_block in table])
        for index, (document, frequency) in enumerate(zip(found, term["frequencies"])):
            for slots in (bounds, term["blocks"][index // 128][2]):
                dominated = any(f >= min(frequency, 255) and code <= codes[document] for f, code in slots)
                part.expect(dominated, f"bounds do not hold for document {document}", entry["offset"])
    return term

def pairs(data):
    """(term frequency, length code), one byte each."""
    return [list(data[at : at + 2]) for at in range(0, len(data), 2)]


# ---- positions

def read_positions(section, entry, frequencies):
    """The positions of a term, for each of its postings."""
    if "position" in entry:
        return [[entry["position"]]]
    part = section.part(entry["position_bytes"])
    ends = []
    if len(frequencies) > 128:
        ends = part.numbers(f"{ceiling(len(frequencies), 128)}I")
        part.expect(rises(ends) and ends[-1] == part.left(), "ends of positions do not rise to the list's")
    positions = []
    for block, end in enumerate(ends or [part.left()]):
        of_block = frequencies[block * 128 : block * 128 + 128]
        inner = part.part(end - (ends[block - 1] if block else 0))
        distances = iter(read_distances(inner, sum(of_block)))
        for frequency in of_block:
            positions.append(list(itertools.accumulate(itertools.islice(distances, frequency))))
            inner.expect(positions[-1][-1] < 1 << 32, "a position has more than 32 bits")
    return positions

def read_distances(part, count):
    distances = []
    while len(distances) < count:
        n = min(128, count - len(distances))
        if n < 6:
            distances += [part.varint() for _ in range(n)]
            continue
        head = part.number("B")
        width, exceptions = head & 0x3F, part.number("B") if head & 0x80 else 0
        part.expect(width <= 32 and head & 0x40 == 0, f"{head} is no head of a chunk")
        numbers = unpack_block(part.take(ceiling(n * width, 8)), n, width)
        read_exceptions(part, numbers, width, exceptions)
        distances += numbers
    part.finish("a block of positions")
    return distances


# ---- sparse-postings

PARTS, RANGES, MAX_EXPONENT = 0, 255, 512

def read_sparse_term(section, entry, documents, base):
    if entry["df"] == 1:
        zigzag, value = divmod(entry["value"], 256)
        in_range = entry["document"] < documents and value < 255
        section.expect(in_range, "a single posting is not in the segment, or its impact not 1 to 255", 0)
        found = {"tiers": [tier_of([entry["document"]], [255 - value], [])]}
        exponent = base + ((zigzag >> 1) ^ -(zigzag & 1))
        return {"parts": [{**found, "exponent": exponent}]} if zigzag else found
    part = section.part(entry["length"])
    first = part.number("B")
    if first != PARTS:
        return read_sparse_list(part, first, entry["df"], documents)
    table = [part.numbers("hII") for _ in range(part.number("H"))]
    exponents = [exponent for exponent, _, _ in table]
    falls = rises(exponents[::-1]) and all(abs(exponent) <= MAX_EXPONENT for exponent in exponents)
    part.expect(falls and exponents != [base], f"exponents of parts are {exponents}")
    part.expect(sum(postings for _, postings, _ in table) == entry["df"], "parts do not add up to their term")
    parts = []
    for exponent, postings, length in table:
        inner = part.part(length)
        parts.append({**read_sparse_list(inner, inner.number("B"), postings, documents), "exponent": exponent})
    part.finish("parts")
    return {"parts": parts}

def read_sparse_list(part, first, df, documents):
    if df <= 128:
        return {"tiers": [read_tier(part, df, documents, highest=first)]}
    if first == RANGES:
        return read_range_list(part, df, documents)
    return {"tiers": read_tiers(part, first, df, documents)}

def read_tiers(part, count, df, documents):
    part.expect(count <= MAX_TIERS, f"expected 1 to {MAX_TIERS} tiers, found {count}")
    tiers, seen = [], set()
    for postings, length, highest, lowest in [part.numbers("IIBB2x") for _ in range(count)]:
        part.expect(postings > 0, "a tier has no postings")
        tier = read_tier(part.part(length), postings, documents, highest)
        falls = tier["min"] == lowest and (not tiers or highest < tiers[-1]["min"])
        part.expect(falls, "tiers do not fall in impact as their table says")
        part.expect(seen.isdisjoint(tier["documents"]), "a document is in two tiers")
        seen.update(tier["documents"])
        tiers.append(tier)
    part.finish("a list")
    part.expect(len(seen) == df, "tiers do not add up to the document frequency")
    return tiers

def read_tier(part, count, documents, highest):
    at, (found, values, table) = part.at, read_blocks(part, count, documents, "B")
    impacts = [highest - value for value in values]
    part.expect(min(impacts) > 0 and max(impacts) == highest, f"impacts are not 1 to {highest}", at)
    maxima = [max(impacts[start : start + 128]) for start in range(0, count, 128)]
    part.expect(not table or maxima == [entry[2] for entry in table], f"block maxima are {maxima}", at)
    return tier_of(found, impacts, table)

def tier_of(documents, impacts, table):
    tier = {"max": max(impacts), "min": min(impacts), "documents": documents, "impacts": impacts}
    return {**tier, "blocks": table} if table else tier


# ---- range-list

RANGE, GROUP, MOST_OFFSETS = 64, 64, 8
NOTED_RANKS = (1, 10, 100, 1_000)

def read_range_list(part, df, documents):
    *noted, groups, ranges = part.numbers("4B3xII")
    part.expect(groups == ceiling(documents, GROUP * RANGE), f"{groups} groups are not those of {documents} documents")
    table = [part.numbers("QII") for _ in range(groups + 1)]
    highest, start, found = list(part.take(ranges)), part.at, []
    for group, (present, before, bytes_before) in enumerate(table):
        as_counted = (before, bytes_before) == (len(found), part.at - start)
        part.expect(as_counted, f"group {group} does not begin where those before it end")
        numbers = [GROUP * group + place for place in range(GROUP) if present >> place & 1]
        length = table[group + 1][2] - bytes_before if group < groups else 0
        part.expect(length >= 0 and len(numbers) * 3 <= length, f"group {group} has no room for its ranges")
        found += zip(numbers, read_group(part.part(length), len(numbers)))
    part.finish("a list")
    all_documents = [number * RANGE + offset for number, (offsets, _) in found for offset in offsets]
    impacts = [impact for _, (_, of_range) in found for impact in of_range]
    part.expect(len(impacts) == df, f"expected {df} postings, found {len(impacts)}")
    part.expect(all_documents[-1] < documents, "a document is not in the segment")
    part.expect([max(of_range) for _, (_, of_range) in found] == highest, "max impacts are not those of ranges")
    falling = sorted(impacts, reverse=True) + [0] * NOTED_RANKS[-1]
    part.expect(noted == [falling[rank - 1] for rank in NOTED_RANKS], f"noted impacts {noted} are not at their ranks")
    listed = [[number, len(of_range)] for number, (_, of_range) in found]
    groups = [[present, before] for present, before, _ in table[:-1]]
    term = {"noted": noted, "groups": groups, "max": highest, "ranges": listed}
    return {**term, "documents": all_documents, "impacts": impacts}

def read_group(group, count):
    """Offsets and impacts of each of the `count` ranges of the group that fills the part."""
    ends = [0, *group.numbers(f"{count}{'B' if group.left() - count <= 255 else 'H'}")]
    group.expect(rises(ends) and ends[-1] == group.left(), "ends of ranges do not rise to their group's end")
    return [read_range(group.part(end - start)) for start, end in zip(ends, ends[1:])]

def read_range(part):
    length = part.left()
    if length <= 2 * MOST_OFFSETS:
        offsets = list(part.take(length // 2))
    else:
        bits = part.number("Q")
        offsets = [offset for offset in range(RANGE) if bits >> offset & 1]
        part.expect(len(offsets) > MOST_OFFSETS, f"{len(offsets)} postings are too few for bits")
    impacts = list(part.take(part.left()))
    part.expect(len(offsets) == len(impacts), f"{len(offsets)} documents have {len(impacts)} impacts")
    part.expect(rises(offsets) and offsets[-1] < RANGE, f"offsets {offsets} do not rise within their range")
    part.expect(min(impacts) > 0, "an impact is 0")
    return offsets, impacts


# ---- dense

ELEMENTS = (("f32", "f"), ("f16", "e"), ("i8", "b"))

def read_dense_field(container, field, documents, rows):
    number, dimensions, name = field["number"], field["dimensions"], field["element"]
    letter = dict(ELEMENTS)[name]
    of_row = ceiling(dimensions * struct.calcsize(letter), 64) * 64 // struct.calcsize(letter)
    vectors = container.section("vectors", number)
    fits = rows <= documents and vectors.end == rows * of_row * struct.calcsize(letter)
    vectors.expect(fits, f"{vectors.end} bytes are not {rows} rows of {of_row} numbers", 0)
    there = [(section, number) in container.sections for section in ("vector-scales", "vector-documents")]
    vectors.expect(there == [name == "i8", rows < documents], "scales or documents of rows are missing or too many", 0)
    scales, listed = [0] * rows, range(rows)
    if there[0]:
        part = container.section("vector-scales", number)
        scales = part.numbers(f"{rows}I")
        part.expect(all(0 <= float_of(bits) < float("inf") for bits in scales), "a scale is below 0 or not finite", 0)
        part.finish("the scales")
    if there[1]:
        part = container.section("vector-documents", number)
        listed = part.numbers(f"{rows}I")
        part.finish("the documents of rows")
        part.expect(rises(listed) and not (rows and listed[-1] >= documents), "documents of rows do not rise", 0)
    found = [read_row(vectors, dimensions, of_row, name, letter, float_of(bits)) for bits in scales]
    contents = {"vector_documents": list(listed), "vectors": found}
    if there[0]:
        contents["scale_bits"] = list(scales)
    return contents, {"terms": dimensions, "postings": rows, "total": 0, "skipped": 0, "documents": rows}

def read_row(vectors, dimensions, of_row, name, letter, scale):
    """The numbers as they are kept: levels, or the bits of floating-point numbers."""
    at = vectors.at
    raw = vectors.take(of_row * struct.calcsize(letter))
    row = struct.unpack(f"<{of_row}{letter}", raw)
    unit = scale if name == "i8" else 1.0
    squares = sum((number * unit) ** 2 for number in row[:dimensions])
    vectors.expect(squares <= (1.01 * MAX_DENSE_NORM) ** 2, "numbers of a row are not finite or too great", at)
    vectors.expect(not any(raw[dimensions * struct.calcsize(letter) :]), "a row is not filled up with zeros", at)
    vectors.expect(name != "i8" or min(row) > -128, "a level is -128", at)
    bits = {"f32": "I", "f16": "H", "i8": "b"}[name]
    return list(struct.unpack(f"<{of_row}{bits}", raw)[:dimensions])


# ---- column

SIGN = 1 << 63
NUMBERS_OF_BLOCK, BLOCKS_OF_SUPERBLOCK, PIECE = 1_024, 64, 128
DOCUMENTS_OF_BLOCK, MOST_LISTED, RANKED = 65_536, 4_096, 512
# Beside the values; each is there only when it says something.
COLUMN_SECTIONS = ("column-documents", "column-starts", "column-keywords")

def read_column(container, field, documents):
    number, column, keywords = field["number"], field["type"], []
    find = lambda name: container.section(name, number) if (name, number) in container.sections else None
    values, with_value, of_starts, keys = container.section("column-values", number), *map(find, COLUMN_SECTIONS)
    codes = read_numbers(values)
    having = range(documents) if with_value is None else read_documents_with_value(with_value, documents)
    starts = range(len(having) + 1) if of_starts is None else read_starts(of_starts, len(having), len(codes))
    values.expect(codes and starts[-1] == len(codes), f"{len(codes)} values of {len(having)} documents", 0)
    needed = [len(having) < documents, len(codes) > len(having), column == "keyword"]
    for name, part, is_needed in zip(COLUMN_SECTIONS, (with_value, of_starts, keys), needed):
        values.expect(is_needed == (part is not None), f"section {name} is missing, or it says nothing", 0)
    values.expect(field["several"] or of_starts is None, "a document has several values, but may not", 0)
    if keys is not None:
        keywords = [terms_text(keys, key) for key, _ in read_dictionary(keys, "keywords")]
        keys.expect(set(codes) == set(range(len(keywords))), "a keyword is of no document, or a code of no keyword", 0)
    runs, end = [], 0
    for document, start, stop in zip(having, starts, starts[1:]):
        found = codes[start:stop]
        in_order = found == sorted(set(found) if column == "keyword" else found)
        values.expect(in_order, f"the values of document {document} are not in order", 0)
        values.expect(len(found) <= MAX_COLUMN_VALUES, f"document {document} has {len(found)} values", 0)
        add_run(runs, document - end, [])
        add_run(runs, 1, [value_of(values, column, code, keywords) for code in found])
        end = document + 1
    add_run(runs, documents - end, [])
    found = {"terms": len(keywords), "postings": len(codes), "documents": len(having)}
    found.update(dict.fromkeys(("total", "skipped", "rounded_up", "base", "has_parts"), 0))
    return {"value_bits" if column == "f64" else "values": runs}, found

def add_run(runs, count, of_each):
    """Adds documents: what is printed is how many in a row have the same values, and these."""
    if runs and runs[-1][1] == of_each:
        runs[-1][0] += count
    elif count > 0:
        runs.append([count, of_each])

def value_of(section, column, code, keywords):
    """The value of a code; of a floating-point number its bits."""
    if column == "keyword":
        return keywords[code]
    if column == "bool":
        section.expect(code <= 1, f"code {code} is neither true nor false", 0)
        return code == 1
    if column == "f64":
        bits = code ^ SIGN if code >= SIGN else ~code & 2 * SIGN - 1
        (value,) = struct.unpack("<d", struct.pack("<Q", bits))
        section.expect(value == value and bits != SIGN, f"code {code} is that of NaN or of -0", 0)
        return bits
    return code if column == "u64" else code - SIGN

def read_numbers(section):
    """An array of numbers, which fills its section."""
    footer_at = section.end - 40
    section.expect(footer_at >= 0, "the section is too short for a footer", 0)
    footer = Part(section.file, section.section, section.data, footer_at)
    count, least, most, divisor, blocks, of_bound = footer.numbers("QQQQII")
    largest = (most - least) // divisor if divisor > 0 and least <= most else -1
    expected = (ceiling(count, NUMBERS_OF_BLOCK), ceiling(largest.bit_length(), 8))
    footer.expect(largest >= 0 and (blocks, of_bound) == expected, "the footer contradicts itself", footer_at)
    superblocks_at = footer_at - ceiling(blocks, BLOCKS_OF_SUPERBLOCK) * 2 * of_bound
    table_at = superblocks_at - blocks * (4 + 2 * of_bound)
    footer.expect(table_at >= 0, "the section is too short for its tables", footer_at)
    table = Part(section.file, section.section, section.data, table_at, superblocks_at)
    superblocks = Part(section.file, section.section, section.data, superblocks_at, footer_at)
    numbers, bounds = [], []
    for block in range(blocks):
        at, offset, (low, high) = table.at, table.number("I"), read_bounds(table, of_bound)
        table.expect(offset * PIECE == section.at, f"block {block} does not begin where the one before ends", at)
        table.expect(low <= high <= largest, f"bounds of block {block} are not among those of all", at)
        in_block, width = min(NUMBERS_OF_BLOCK, count - len(numbers)), (high - low).bit_length()
        packed = unpack_bits(section.take(ceiling(in_block * width, 8)), in_block, width)
        as_bounded = (min(packed), max(packed)) == (0, high - low)
        section.expect(as_bounded, f"bounds of block {block} are not those of its numbers")
        numbers += [least + (low + number) * divisor for number in packed]
        bounds.append((low, high))
    section.expect(section.at == table_at, "the blocks do not end where the table begins")
    for start in range(0, blocks, BLOCKS_OF_SUPERBLOCK):
        at, (lows, highs) = superblocks.at, zip(*bounds[start : start + BLOCKS_OF_SUPERBLOCK])
        as_bounded = read_bounds(superblocks, of_bound) == (min(lows), max(highs))
        superblocks.expect(as_bounded, "bounds of a superblock are not those of its blocks", at)
    found = (min(numbers, default=0), max(numbers, default=0))
    found += (math.gcd(*(number - found[0] for number in numbers)) or 1,)
    footer.expect(found == (least, most, divisor), f"min, max and divisor are {found}", footer_at + 8)
    return numbers

def read_bounds(part, of_bound):
    low, high = (int.from_bytes(part.take(of_bound), "little") for _ in range(2))
    return low, high

def read_documents_with_value(section, documents):
    records, footer_at = ceiling(documents, DOCUMENTS_OF_BLOCK) + 1, section.end - 8
    table_at = footer_at - 8 * records
    section.expect(table_at >= 0, "the section is too short for its table", 0)
    table = list(struct.iter_unpack("<II", section.data[table_at:footer_at]))
    footer = Part(section.file, section.section, section.data, footer_at)
    found, count = footer.numbers("II")
    as_counted = (found, count) == (documents, table[-1][0])
    footer.expect(as_counted, f"{count} of {found} documents are not those of segment and table", footer_at)
    found = []
    for block, ((before, offset), (after, _)) in enumerate(zip(table, table[1:])):
        as_counted = (before, offset) == (len(found), section.at)
        section.expect(as_counted, f"block {block} does not begin where those before end", table_at + 8 * block)
        first = block * DOCUMENTS_OF_BLOCK
        listed = read_block_of_documents(section, after - before, min(DOCUMENTS_OF_BLOCK, documents - first))
        found += [first + document for document in listed]
    as_counted = table[-1] == (len(found), table_at) and section.at == table_at
    section.expect(as_counted, "the last block does not end where the table begins", footer_at - 8)
    return found

def read_block_of_documents(section, count, documents):
    """Documents with a value, less the first document of their block, which has so many documents."""
    at = section.at
    section.expect(0 <= count <= documents, f"{count} of {documents} documents have a value", at)
    if count in (0, documents):
        return range(count)
    if count <= MOST_LISTED:
        found = section.numbers(f"{count}H")
    else:
        ranks = section.numbers(f"{DOCUMENTS_OF_BLOCK // RANKED}H")
        bits = unpack_bits(section.take(DOCUMENTS_OF_BLOCK // 8), DOCUMENTS_OF_BLOCK, 1)
        found = [document for document, bit in enumerate(bits) if bit]
        groups = [sum(bits[first : first + RANKED]) for first in range(0, DOCUMENTS_OF_BLOCK, RANKED)]
        as_counted = ranks == (0, *itertools.accumulate(groups[:-1])) and len(found) == count
        section.expect(as_counted, "ranks do not count the bits before them", at)
    section.expect(rises(found) and found[-1] < documents, "documents do not rise within their block", at)
    return found

def read_starts(section, having, values):
    """Where the values of each document that has any begin, and the end of the last one's."""
    codes = read_numbers(section)
    section.expect(len(codes) == having + 1, f"{having} documents have {len(codes)} starts", 0)
    line = (rank * values // max(having, 1) for rank in range(having + 1))
    starts = [code - SIGN + at for code, at in zip(codes, line)]
    spans = starts[0] == 0 and starts[-1] == values and rises(starts)
    section.expect(spans, "starts do not rise from 0 to the number of values", 0)
    return starts


# ---- lengths

def length_of(code):
    return code if code < 128 else (16 + code % 16) << (code // 16 - 5)

def read_lengths(section, documents):
    section.expect(section.end == documents, f"expected {documents} lengths, found {section.end}", 0)
    return section.data


# ---- ids

def read_ids(section, order, documents):
    """External ids by document."""
    keys = [terms_text(section, key) for key, _ in read_dictionary(section, "ids")]
    count, bits = order.numbers("II")
    order.expect(count == documents == len(keys), f"{documents} documents, {count} places, {len(keys)} ids", 0)
    identity = document_of = ordinal_of = list(range(count))
    if bits > 0:
        order.expect(bits == (count - 1).bit_length(), f"{bits} bits are not the least that hold {count - 1}", 4)
        length = 8 * ceiling(count * bits, 64)
        document_of, ordinal_of = (unpack_bits(order.take(length), count, bits) for _ in range(2))
        order.expect(document_of != identity, "expected 0 bits, as every ordinal is its document's number", 4)
    order.finish("the order of ids")
    order.expect(sorted(document_of) == identity, "two ordinals have one document", 8)
    inverse = all(ordinal_of[document] == ordinal for ordinal, document in enumerate(document_of))
    order.expect(inverse, "the two arrays are not inverse", 8)
    return [keys[ordinal] for ordinal in ordinal_of]


# ---- stored

def zstd_decoder():
    """A function of a frame and the most bytes to give, or None."""
    try:
        from compression import zstd

        return lambda frame, most: zstd.ZstdDecompressor().decompress(frame, most)
    except ImportError:
        pass
    try:
        import zstandard

        return lambda frame, most: zstandard.ZstdDecompressor().stream_reader(frame).read(most)
    except ImportError:
        return None

def read_stored(container, number, documents):
    frames, index = container.section("stored", number), container.section("stored-index", number)
    index.expect(index.end >= 16 and index.end % 16 == 0, "expected whole entries of 16 bytes", 0)
    entries, decoder, blocks, contents = list(struct.iter_unpack("<IIQ", index.data)), zstd_decoder(), [], []
    spans = entries[0][0] == entries[0][2] == 0 and entries[-1] == (documents, 0, frames.end)
    index.expect(spans, "entries do not begin with document 0 or do not end with the sections", 0)
    for (first, raw_length, offset), (end, _, end_offset) in zip(entries, entries[1:]):
        fits = first < end and offset < end_offset and raw_length <= MAX_STORED_BLOCK_BYTES
        index.expect(fits, "entries do not rise, or a block is above the limit", 16 * len(blocks))
        blocks.append({"first": first, "raw": raw_length, "compressed": end_offset - offset})
        if decoder is None:
            continue
        try:
            raw = decoder(frames.data[offset:end_offset], raw_length + 1)
        except Exception as error:  # Each decoder raises errors of its own.
            raise Broken(frames.file, "stored", offset, f"expected a zstd frame: {error}") from None
        frames.expect(len(raw) == raw_length, f"expected {raw_length} bytes, found {len(raw)}", offset)
        block = Part(frames.file, "stored", raw)
        ends = (0, *block.numbers(f"{end - first}I"))
        ordered = all(a <= b for a, b in zip(ends, ends[1:])) and ends[-1] == block.left()
        frames.expect(ordered, "ends of documents do not rise to their block's end", offset)
        contents += [printable(block.take(b - a)) for a, b in zip(ends, ends[1:])]
    return {"blocks": blocks, "documents": None if decoder is None else contents}

def printable(data):
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"hex": data.hex()}


# ---- deletes

def read_deletes(folder, record):
    container = read_container(folder, f"deletes-{record['deletes']:010}", "deletes")
    container.expect_stamp(record["deletes_length"], record["deletes_fingerprint"])
    part = container.section("deleted")
    documents, count = part.numbers("II")
    belongs = documents == record["documents"] and part.left() == 8 * ceiling(documents, 64)
    part.expect(belongs, "the file belongs to another segment", 0)
    bits = unpack_bits(part.take(part.left()), 64 * ceiling(documents, 64), 1)
    deleted = [document for document, bit in enumerate(bits) if bit]
    right = len(deleted) == count == record["deleted"] and not any(bits[documents:])
    part.expect(right, f"expected {record['deleted']} deleted documents, found {len(deleted)}", 4)
    return container, deleted


# ---- the whole index

def read_index(folder):
    newest, manifest = read_manifest(folder)
    containers, segments, live = [newest], [], set()
    for record in manifest["segments"]:
        container, segment = read_segment(folder, record, manifest["schema"], newest.next_field)
        containers.append(container)
        segment["deleted"] = []
        if record["deletes"]:
            deletes, segment["deleted"] = read_deletes(folder, record)
            containers.append(deletes)
        gone = set(segment["deleted"])
        for name in (name for document, name in enumerate(segment["ids"]) if document not in gone):
            if name in live:
                raise Broken(container.name, "ids", 0, f"two live documents have the id `{name}`")
            live.add(name)
        segments.append(segment)
    files = {
        c.name: {
            "length": len(c.data),
            "fingerprint": c.fingerprint,
            "required": c.required,
            "optional": c.optional,
            "sections": c.listing,
        }
        for c in containers
    }
    return {"files": files, "manifest": manifest, "segments": segments}

def to_json(value, indent="\n"):
    """Canonical JSON: sorted keys, one line for what fits on one and for each list of numbers or short strings."""
    line = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    short = lambda item: isinstance(item, int) or isinstance(item, str) and len(item) <= 8
    if len(line) <= 120 or isinstance(value, str) or isinstance(value, list) and all(map(short, value)):
        return line
    items = [to_json(item, indent + " ") for item in value] if isinstance(value, list) else [
        f"{json.dumps(key)}:{to_json(value[key], indent + ' ')}" for key in sorted(value)
    ]
    return line[0] + ",".join(f"{indent} {item}" for item in items) + indent + line[-1]

def describe(value, indent=""):
    """Prints the same for people: lists of numbers and small things on one line each, no quotes."""
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        parts = item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
        if isinstance(item, dict) and not any(isinstance(part, (dict, list)) for part in parts):
            print(f"{indent}{key}: " + ", ".join(f"{name} {part}" for name, part in item.items()))
        elif any(isinstance(part, (dict, str)) for part in parts) or isinstance(item, dict):
            print(f"{indent}{key}:")
            describe(item, indent + "  ")
        else:
            print(f"{indent}{key}: {item}")

def main():
    parser = argparse.ArgumentParser(description="Verifies an esparsa index and prints what it holds.")
    parser.add_argument("index", help="folder of the index")
    parser.add_argument("--json", action="store_true", help="print one canonical JSON object")
    arguments = parser.parse_args()
    try:
        contents = read_index(arguments.index)
    except (Broken, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    if arguments.json:
        sys.stdout.buffer.write((to_json(contents) + "\n").encode())
    else:
        describe(contents)
    return 0


if __name__ == "__main__":
    sys.exit(main())
