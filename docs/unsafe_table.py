#!/usr/bin/env python3
"""Holds the table of `unsafe` code against the sources, so that it cannot go stale.

    docs/unsafe_table.py [--root DIR] [--table FILE] [--list]

Counts in every Rust file of the repository the blocks (`unsafe { … }`), functions (`unsafe fn`, not the
types of function pointers), implementations (`unsafe impl`) and attributes (`#[unsafe(…)]`), and compares
them with the table. Several rows of the table may be about one file; then their counts are added up. Three
more things are checked: a block and an implementation have a comment with `SAFETY:` close above, a function
has `# Safety` in its documentation, and every test, script and file that the table names exists.

The exit status is 1 when something differs, with a line for each difference. `--list` prints the counts.
Needs nothing but Python 3.9.
"""

import argparse
import os
import re
import sys
from collections import Counter
from pathlib import Path

KINDS = ("blocks", "functions", "implementations", "attributes")
# Lines above a block that its reason may be in, and above a function its documentation.
REASON_LINES = 10
DOCUMENTATION_LINES = 16

# What Rust code is made of, as far as it matters where a word is code.
TOKEN = re.compile(
    r"""
    (?P<line>//[^\n]*)
  | (?P<block>/\*)
  | (?P<raw>\b(?:r|br|cr)(?P<hashes>\#*)".*?"(?P=hashes))
  | (?P<string>\b[bc]?"(?:\\.|[^"\\])*"|"(?:\\.|[^"\\])*")
  | (?P<char>\bb?'(?:\\(?:x[0-9a-fA-F]{2}|u\{[0-9a-fA-F_]+\}|.)|[^'\\\n])'|'(?:\\(?:x[0-9a-fA-F]{2}|u\{[0-9a-fA-F_]+\}|.)|[^'\\\n])')
    """,
    re.VERBOSE | re.DOTALL,
)
# A function has a name; the type of a pointer to one has none.
UNSAFE = re.compile(
    r"""\bunsafe\b\s*
    (?: (?P<blocks>\{)
      | (?P<functions>(?:extern\s*(?:"[^"]*")?\s*)?fn\s+[$\w])
      | (?P<implementations>impl\b)
      | (?P<attributes>\()
      | (?P<pointer>(?:extern\s*(?:"[^"]*")?\s*)?fn\s*\()
    )""",
    re.VERBOSE,
)


def blank(text):
    """Spaces of the same length, with the same line feeds."""
    return re.sub(r"[^\n]", " ", text)


def comment_end(source, start):
    """Where a block comment ends, which may hold others."""
    depth = 0
    for mark in re.finditer(r"/\*|\*/", source[start:]):
        depth += 1 if mark.group() == "/*" else -1
        if depth == 0:
            return start + mark.end()
    return len(source)


def code_of(source):
    """The source with blanks in the place of comments, strings and characters."""
    parts, at = [], 0
    while (token := TOKEN.search(source, at)) is not None:
        end = comment_end(source, token.start()) if token.group("block") else token.end()
        parts.append(source[at : token.start()])
        text = source[token.start() : end]
        # The quotes stay: `extern "C"` is part of what is looked for.
        is_string = token.group("string") and len(text) >= 2
        parts.append('"' + blank(text[1:-1]) + '"' if is_string and text[0] == '"' else blank(text))
        at = end
    return "".join(parts) + source[at:]


def sources(root, *suffixes):
    """The files with these endings, beside what is built, fetched or hidden."""
    left_out = {"target", "scratch", "node_modules", "__pycache__"}
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in left_out and not name.startswith("."))
        for name in sorted(files):
            if name.endswith(suffixes):
                yield Path(folder, name)


def counted(root):
    """The counts of each file that has any, and what lacks a reason."""
    counts, missing = {}, []
    for path in sources(root, ".rs"):
        name, source = path.relative_to(root).as_posix(), path.read_text(encoding="utf-8")
        if "unsafe" not in source:
            continue
        code, lines = code_of(source), source.split("\n")
        found = Counter()
        for match in UNSAFE.finditer(code):
            kind = match.lastgroup
            if kind == "pointer":
                continue
            found[kind] += 1
            line = code.count("\n", 0, match.start())
            is_function = kind == "functions"
            above = DOCUMENTATION_LINES if is_function else REASON_LINES
            reason = "# Safety" if is_function else "SAFETY:"
            if kind != "attributes" and reason not in "\n".join(lines[max(0, line - above) : line + 1]):
                missing.append(f"{name}:{line + 1}: expected `{reason}` close above, found none")
        if found:
            counts[name] = found
    return counts, missing


def read_table(text):
    """The counts and the names in the last column of the rows that begin with a Rust file."""
    counts, names = {}, []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        file = re.fullmatch(r"`([^`]+\.rs)`(?:,.*)?", cells[0])
        if not line.startswith("|") or file is None or len(cells) < 2 + len(KINDS):
            continue
        numbers = Counter({kind: int(cell or 0) for kind, cell in zip(KINDS, cells[1:])})
        counts.setdefault(file.group(1), Counter()).update(numbers)
        names += [(file.group(1), name) for name in re.findall(r"`([^`]+)`", cells[-1])]
    return counts, names


def differences(expected, found):
    for name in sorted(expected.keys() | found.keys()):
        for kind in KINDS:
            table, source = expected.get(name, Counter())[kind], found.get(name, Counter())[kind]
            if table != source:
                yield f"{name}: the table says {table} {kind}, the source has {source}"


def unknown(root, names):
    """Names of tests that no source defines, and paths that do not exist."""
    texts = (path.read_text(encoding="utf-8") for path in sources(root, ".rs", ".py"))
    defined = {name for text in texts for name in re.findall(r"\b(?:fn|def) ([a-z_][a-z0-9_]*)", text)}
    for file, name in names:
        if name.rpartition("::")[2] not in defined and not (root / name).exists():
            yield f"{file}: the table names `{name}`, which is neither a test nor a file"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parents[1], help="the repository")
    parser.add_argument("--table", type=Path, default=Path(__file__).with_name("unsafe.md"), help="the table")
    parser.add_argument("--list", action="store_true", help="print the counts of the sources")
    arguments = parser.parse_args()
    found, problems = counted(arguments.root)
    if arguments.list:
        for name, counts in found.items():
            print(f"{name}: " + ", ".join(f"{counts[kind]} {kind}" for kind in KINDS))
        return 0
    expected, names = read_table(arguments.table.read_text(encoding="utf-8"))
    problems += differences(expected, found)
    problems += unknown(arguments.root, names)
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        return 1
    total = sum(found.values(), Counter())
    print(f"{len(found)} files: " + ", ".join(f"{total[kind]} {kind}" for kind in KINDS))
    return 0


if __name__ == "__main__":
    sys.exit(main())
