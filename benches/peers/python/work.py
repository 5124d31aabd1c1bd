"""Reads a folder of work: documents and queries, text or sparse, in the order of the file or in another."""

import json
import struct
from pathlib import Path

import numpy


class Work:
    """A folder of work, with what its work.json says."""

    def __init__(self, folder):
        self.folder = Path(folder)
        about = json.loads((self.folder / "work.json").read_text(encoding="utf-8"))
        self.kind = about["kind"]
        self.documents = about["documents"]

    def order(self, path):
        """The numbers of the documents in the order in which to add them: a file's, or that of the documents."""
        if path is None:
            return numpy.arange(self.documents, dtype="<u4")
        order = numpy.fromfile(path, "<u4")
        if len(order) != self.documents:
            raise ValueError(f"expected {self.documents} documents in {path}, found {len(order)}")
        return order

    def texts(self, path):
        """Numbers and texts of the documents, in the order of a file where one is given."""
        documents = self.folder / "documents.txt"
        with open(documents, encoding="utf-8", newline="\n") as lines:
            if path is None:
                for number, line in enumerate(lines):
                    yield number, line.removesuffix("\n")
                return
            texts = [line.removesuffix("\n") for line in lines]
        for number in self.order(path).tolist():
            yield number, texts[number]

    def text_queries(self, limit):
        """The queries' terms; a term may stand more than once."""
        with open(self.folder / "queries.txt", encoding="utf-8", newline="\n") as lines:
            return [line.split() for line in lines][:limit]

    def vectors(self):
        """The sparse documents."""
        return Vectors.read(self.folder / "documents.bin")

    def sparse_queries(self, limit):
        """The sparse queries: lists of terms and of weights."""
        vectors = Vectors.read(self.folder / "queries.bin")
        return [tuple(array.tolist() for array in vectors[place]) for place in range(len(vectors))][:limit]


class Vectors:
    """Sparse vectors behind one another: that of place i has the terms and weights from offsets[i] to offsets[i + 1]."""

    def __init__(self, offsets, terms, weights):
        self.offsets, self.terms, self.weights = offsets, terms, weights

    @classmethod
    def read(cls, path):
        """Reads a file of vectors as `documents.bin`."""
        data = Path(path).read_bytes()
        starts, lengths, place = [], [], 0
        while place < len(data):
            (length,) = struct.unpack_from("<H", data, place)
            starts.append(place + 2)
            lengths.append(length)
            place += 2 + 3 * length
        offsets = numpy.concatenate([[0], numpy.cumsum(lengths, dtype=numpy.int64)]).astype(numpy.int64)
        terms, weights = numpy.empty(offsets[-1], "<u2"), numpy.empty(offsets[-1], "u1")
        for start, length, offset in zip(starts, lengths, offsets.tolist()):
            terms[offset : offset + length] = numpy.frombuffer(data, "<u2", length, start)
            weights[offset : offset + length] = numpy.frombuffer(data, "u1", length, start + 2 * length)
        return cls(offsets, terms, weights)

    def __len__(self):
        return len(self.offsets) - 1

    def __getitem__(self, place):
        within = slice(self.offsets[place], self.offsets[place + 1])
        return self.terms[within], self.weights[within]

    def taken(self, order):
        """The vectors of these places, in this order."""
        if numpy.array_equal(order, numpy.arange(len(self))):
            return self
        lengths = numpy.diff(self.offsets)[order]
        offsets = numpy.concatenate([[0], numpy.cumsum(lengths)]).astype(numpy.int64)
        parts = [self[place] for place in order]
        terms = numpy.concatenate([terms for terms, _ in parts]) if parts else self.terms[:0]
        weights = numpy.concatenate([weights for _, weights in parts]) if parts else self.weights[:0]
        return Vectors(offsets, terms, weights)
