"""Compares what engines found, and writes tables of what was measured."""

import datetime
import math
import os
import statistics
import subprocess
from pathlib import Path

# Scores of texts, and of engines that round, that differ by no more than this share of themselves count as equal.
TOLERANCE = 1e-3

# Modes of searches that keep filters which come again end so.
CACHED = "/cache"
# Forms whose documents all have the same score.
CONSTANT_FORMS = ("prefix", "fuzzy")
# Engines beside esparsa in the table of forms, and what esparsa's time is to be at most of theirs.
FORMS_ENGINES = {"tantivy": 0.6, "lucene": 0.8, "fts5": None, "infino": None, "lancedb": None}


class Search:
    """What one engine measured and found in one mode: the least time of each query over all its runs, and hits."""

    def __init__(self, engine, mode, k, said):
        self.engine, self.mode, self.k = engine, mode, k
        self.said = said
        self.times = []
        self.runs = []
        self.hits = []

    def add(self, prefix, keep_hits):
        """Takes the files that a run wrote."""
        times = [float(line) for line in Path(f"{prefix}.times").read_text().split()]
        if self.times and len(times) != len(self.times):
            raise ValueError(f"expected {len(self.times)} times, found {len(times)}")
        self.times = [min(pair) for pair in zip(self.times, times)] if self.times else times
        self.runs.append(statistics.fmean(times))
        if keep_hits:
            self.hits = read_hits(f"{prefix}.hits", len(times))

    def latencies(self):
        ordered = sorted(self.times)

        def quantile(share):
            return ordered[max(1, math.ceil(share * len(ordered))) - 1]

        return {"mean_us": statistics.fmean(ordered), "p50_us": quantile(0.5), "p99_us": quantile(0.99), "runs_us": self.runs}


def read_hits(path, queries):
    """Documents and scores of each query, best first."""
    hits = [[] for _ in range(queries)]
    with open(path, encoding="ascii") as lines:
        for line in lines:
            query, document, score = line.split()
            hits[int(query)].append((int(document), float(score)))
    return hits


def score_scale(hits, reference):
    """What the engine's scores are to be multiplied by: engines leave constant factors of BM25 out or not."""
    ratios = []
    for found, expected in zip(hits, reference):
        scores = dict(expected)
        ratios += [scores[document] / score for document, score in found if document in scores and score > 0]
    return statistics.median(ratios) if ratios else 1.0


def recall(hits, reference, scale, is_exact):
    """Mean share of each query's best that were found. One that was not, and ties with the last, is made up for by
    another document whose own score ties with the last; scores of the reference are exact or tie within the tolerance."""
    shares = []
    for found, expected in zip(hits, reference):
        if not expected:
            continue
        last = expected[-1][1]
        best = {document: score * scale for document, score in found[: len(expected)]}
        scores = dict(expected)
        missed = [score for document, score in scores.items() if document not in best]
        missed_ties = sum(score <= last * (1 if is_exact else 1 + TOLERANCE) for score in missed)
        others = [score for document, score in best.items() if document not in scores]
        other_ties = sum(score >= last * (1 - TOLERANCE) for score in others)
        right = len(expected) - len(missed) + min(missed_ties, other_ties)
        shares.append(right / len(expected))
    return mean(shares)


def mean(numbers):
    """The mean; none of no numbers."""
    return statistics.fmean(numbers) if numbers else None


def identical_scores(hits, reference):
    """Share of the ranks of the reference at which an engine has the same score."""
    same = total = 0
    for found, expected in zip(hits, reference):
        total += len(expected)
        same += sum(ours[1] == theirs[1] for ours, theirs in zip(expected, found))
    return same / total if total else None


def compare(results, kind, reference, baseline):
    """A row for each search: latencies, their ratio to the baseline's, and agreement with the reference."""
    expected = results[reference].hits if reference in results else None
    base = results[baseline].latencies()["mean_us"] if baseline in results else None
    rows = []
    for search in results.values():
        row = {"engine": search.engine, "mode": search.mode, "k": search.k, **search.latencies()}
        row["ratio"] = row["mean_us"] / base if base else None
        if expected is not None:
            is_exact = kind == "sparse"
            scale = 1.0 if is_exact else score_scale(search.hits, expected)
            row["recall"] = recall(search.hits, expected, scale, is_exact)
            row["score_scale"] = scale
            if is_exact:
                row["identical_scores"] = identical_scores(search.hits, expected)
        for name in ("open_us", "first_query_us", "peak_rss_bytes", "note"):
            row[name] = search.said.get(name)
        rows.append(row)
    return rows


def compare_forms(results):
    """Of each form and task, what each engine took and found, beside esparsa."""
    rows = []
    for (engine, mode), ours in results.items():
        if engine != "esparsa":
            continue
        row = {"mode": mode, "engines": {engine: ours.latencies()}}
        for (other, of_mode), theirs in results.items():
            if other == engine or of_mode.removesuffix(CACHED) != mode:
                continue
            # An engine may have been measured with the first of the queries only.
            count = len(theirs.times)
            pairs = {"mean": statistics.fmean, "p50": statistics.median}
            ratios = {f"ratio_{name}": of(ours.times[:count]) / of(theirs.times) for name, of in pairs.items()}
            agreement = agreement_of(mode, theirs.hits, ours.hits[:count])
            row["engines"][other] = {**theirs.latencies(), **ratios, "mode": of_mode, "queries": count, "agreement": agreement}
        rows.append(row)
    return rows


def agreement_of(mode, hits, reference):
    """Share of what was found that is the same: of the best by BM25, recall, ties counting as equal; else of counts and
    values."""
    form, task = mode.split("/")[:2]
    if task != "top":
        return identical_scores(hits, reference)
    if form.startswith(CONSTANT_FORMS):
        # Any of the matching documents will do.
        return mean([len(found) == len(expected) for found, expected in zip(hits, reference)])
    return recall(hits, reference, score_scale(hits, reference), is_exact=False)


def machine(root):
    """Date, processor and commit."""
    processor = "unknown"
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                processor = line.split(":", 1)[1].strip()
                break
    except OSError:
        pass

    def git(*words):
        done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=False)
        return done.stdout.strip()

    commit = git("rev-parse", "--short", "HEAD") or "unknown"
    if git("status", "--porcelain"):
        commit += " with changes"
    date = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    return {"date": date, "processor": processor, "cores": os.cpu_count(), "commit": commit}


def number(value, digits=0):
    """A number for people; a dash where there is none."""
    if not isinstance(value, (int, float)):
        return "-"
    return f"{value:,.{digits}f}"


def table(columns, rows):
    """Columns are names, those that begin with a space aligned to the right."""
    lines = ["| " + " | ".join(column.strip() for column in columns) + " |"]
    lines.append("| " + " | ".join("---:" if column.startswith(" ") else "---" for column in columns) + " |")
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def build_table(work):
    columns = ("engine", "version", " documents / s", " build s", " merge s", " index bytes", " bytes / posting", " peak MiB", "settings")
    rows = []
    for build in work["builds"]:
        seconds, size = build.get("build_s"), build.get("index_bytes")
        rows.append((
            build["engine"],
            str(build.get("version", "-")),
            number(build["documents"] / seconds if seconds else None),
            number(seconds, 2),
            number(build.get("merge_s"), 2),
            number(size),
            number(size / work["work"]["postings"] if size else None, 3),
            number(build["peak_rss_bytes"] / 2**20 if build.get("peak_rss_bytes") else None),
            str(build.get("note", "")),
        ))
    return table(columns, rows)


def search_table(work, k):
    columns = ["engine", "mode", " mean µs", " p50 µs", " p99 µs", " ratio", " recall"]
    is_sparse = work["work"]["kind"] == "sparse"
    if is_sparse:
        columns.append(" identical scores")
    rows = []
    for row in work["searches"]:
        if row["k"] != k:
            continue
        cells = [row["engine"], row["mode"], *(number(row[name], 1) for name in ("mean_us", "p50_us", "p99_us"))]
        cells += [number(row["ratio"], 2), number(row.get("recall"), 4)]
        if is_sparse:
            cells.append(number(row.get("identical_scores"), 4))
        rows.append(cells)
    return table(columns, rows)


def forms_build_table(work):
    """Builds with positions and columns, beside those of the same texts alone."""
    columns = ("engine", "version", " documents / s", " index bytes", " positions", " columns", " points", " documents / s, text alone", " bytes, text alone", " peak MiB", "settings")
    texts = {build["engine"]: build for build in work["texts"]}
    rows = []
    for build in work["builds"]:
        text, parts = texts.get(build["engine"], {}), build.get("parts", {})
        rows.append((
            build["engine"],
            str(build.get("version", "-")),
            number(build["documents"] / build["build_s"]),
            number(build["index_bytes"]),
            *(number(parts.get(part)) for part in ("positions", "columns", "points")),
            number(text["documents"] / text["build_s"] if text else None),
            number(text.get("index_bytes")),
            number(build["peak_rss_bytes"] / 2**20 if build.get("peak_rss_bytes") else None),
            str(build.get("note", "")),
        ))
    return table(columns, rows)


def forms_table(work, measure):
    """Times of each form by `measure`, mean_us or p50_us; ratios that miss their goal are bold."""
    ratio = "ratio_" + measure.removesuffix("_us")
    there = [engine for engine in FORMS_ENGINES if any(engine in row["engines"] for row in work["forms"])]
    columns = ["form / task", " esparsa"]
    for engine in there:
        columns += [f" {engine}", " ratio", " same"]
    rows = []
    for row in work["forms"]:
        cells = [row["mode"], number(row["engines"]["esparsa"][measure], 1)]
        for engine in there:
            found = row["engines"].get(engine)
            if found is None:
                cells += ["-"] * 3
                continue
            goal, share = FORMS_ENGINES[engine], number(found[ratio], 2 if found[ratio] >= 0.1 else 4)
            is_missed = goal is not None and found[ratio] > goal
            cells += [number(found[measure], 1), f"**{share}**" if is_missed else share, number(found["agreement"], 4)]
        rows.append(cells)
    return table(columns, rows)


def missing_lines(missing):
    return "".join(f"\n- {engine}: missing: {reason}" for engine, reason in missing.items()) + "\n" if missing else ""


def markdown(results):
    is_forms = any("forms" in work for work in results["works"])
    compared = (
        "Ratios are esparsa's time to the engine's, bold where they miss their goal; the README says which share of what was found is the same."
        if is_forms
        else "The ratio is of means, to esparsa's auto; recall is against esparsa's exhaustive search, ties counting as equal."
    )
    parts = [
        f"{results['date']}, {results['processor']}, {results['cores']} cores, commit {results['commit']}. Built with "
        f"{results['threads']} threads, searched with one. Of each query the least time counts, of {results['rounds']} passes in each of "
        f"{results['repeats']} runs; engines take turns. {compared}\n",
        missing_lines(results["missing"]),
    ]
    for work in results["works"]:
        about = work["work"]
        parts.append(
            f"\n## {work['name']}\n\n{about['documents']:,} documents, {about['postings']:,} postings, {about['terms']:,} terms.\n\n"
        )
        if "forms" in work:
            parts += [forms_build_table(work), "\n### Mean time of a query, µs\n\n", forms_table(work, "mean_us")]
            parts += ["\n### Median time of a query, µs\n\n", forms_table(work, "p50_us")]
            parts.append(missing_lines(work["missing"]))
            continue
        parts.append(build_table(work))
        for k in sorted({row["k"] for row in work["searches"]}):
            parts.append(f"\n### k = {k}\n\n" + search_table(work, k))
        parts.append(missing_lines(work["missing"]))
    return "".join(parts)
