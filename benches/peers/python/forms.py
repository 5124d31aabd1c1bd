"""Queries of many forms: what a line of a file of queries says, the modes by which drivers are measured, and the columns of documents."""

import numpy

# Shares of the documents that filters keep, as they are named.
SELECTIVITIES = ("0.001", "0.01", "0.1", "0.5")
FILTERS = tuple(f"filter-{share}-{ranges}" for share in SELECTIVITIES for ranges in ("new", "same"))
FORMS = ("union", "intersection", "must-should", "negation", "phrase-2", "phrase-3", "prefix", "fuzzy-1", "fuzzy-2", *FILTERS)
# Unions are also sorted and counted by columns.
COLUMN_MODES = ("union/sort", "union/facets")
# Keywords that are counted.
MAX_FACETS = 10


def modes(without=()):
    """Pairs of the kind and a mode: all modes but some, or all but those of some forms."""
    ranked = [f"{form}/{task}" for form in FORMS if form not in without for task in ("top", "count")]
    return [("forms", mode) for mode in (*ranked, *COLUMN_MODES) if mode not in without]


def task_of(mode):
    return mode.split("/")[1]


class Form:
    """What a line asks for; its grammar stands in the README beside the drivers."""

    def __init__(self, line):
        self.should, self.must, self.must_not, self.phrase = [], [], [], []
        self.prefix = self.fuzzy = self.range = None
        if line.startswith('"'):
            self.phrase = line.strip('"').split(" ")
            return
        for part in line.split():
            if part.startswith("+"):
                self.must.append(part[1:])
            elif part.startswith("-"):
                self.must_not.append(part[1:])
            elif part.startswith("#"):
                low, high = part[1:].split("..")
                self.range = int(low), int(high)
            elif part.endswith("*"):
                self.prefix = part[:-1]
            elif "~" in part:
                term, distance = part.split("~")
                self.fuzzy = term, int(distance)
            else:
                self.should.append(part)


def queries(work, mode, limit):
    """The queries of a mode's form."""
    path = work.folder / f"{mode.split('/')[0]}.txt"
    with open(path, encoding="utf-8", newline="\n") as lines:
        return [Form(line.removesuffix("\n")) for line in lines][:limit]


def columns(work):
    """Of all documents the numbers, and the numbers of the keywords."""
    pairs = numpy.fromfile(work.folder / "columns.bin", "<u4").reshape(-1, 2)
    if len(pairs) != work.documents:
        raise ValueError(f"expected columns of {work.documents} documents, found {len(pairs)}")
    return pairs[:, 0], pairs[:, 1]


def keyword(number):
    return f"k{number:03}"


def keyword_number(name):
    return int(name.removeprefix("k"))
