"""Puts together what passes measured, and writes tables of it."""

import array
import datetime
import math
import operator
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path

# Whose vectors the others' are compared with, and whose speed.
REFERENCE = "sentence-transformers-f32"
BASELINE = "onnxruntime-f32"
# The units of the CPU that a dtype can use. f16 is computed in f32 by ONNX Runtime.
UNITS = {
    "f32": ("avx512_f32", "avx2_f32"),
    "f16": ("avx512_f32", "avx2_f32"),
    "bf16": ("amx_bf16", "avx512_bf16", "avx512_f32", "avx2_f32"),
    "int8": ("amx_int8", "avx512_f32", "avx2_f32"),
}


def operations(about):
    """What the matrices and attention of the model compute for all texts, a product with its sum being two operations."""
    hidden, layers = about["hidden"], about["layers"]
    parameters = layers * (4 * hidden * hidden + 2 * hidden * about["intermediate"])
    tokens = sum(about["lengths"])
    squares = sum(length * length for length in about["lengths"])
    # Scores of all pairs of tokens, and the sums of values weighted by these, over all heads.
    return 2 * parameters * tokens + 4 * hidden * layers * squares


def limits(peaks):
    """Of each unit the best figure of all rounds, in GFLOP/s: one thread's and that of all."""
    names = [name for name in (peaks[0] if peaks else {}) if name != "threads"]
    return {name: {of: max(peak[name][of] for peak in peaks) for of in ("one", "all")} for name in names}


def unit_of(variant, found):
    """The fastest of those that the CPU has."""
    return max((unit for unit in UNITS[variant] if unit in found), key=lambda unit: found[unit]["all"], default=None)


def read_vectors(path, size):
    numbers = array.array("f")
    numbers.frombytes(Path(path).read_bytes())
    if sys.byteorder != "little":
        numbers.byteswap()
    return [numbers[start : start + size] for start in range(0, len(numbers), size)]


def dot(a, b):
    return sum(map(operator.mul, a, b))


def cosines(ours, theirs):
    if len(ours) != len(theirs):
        raise ValueError(f"expected {len(theirs)} vectors, found {len(ours)}")
    return [dot(a, b) / math.sqrt(dot(a, a) * dot(b, b)) for a, b in zip(ours, theirs)]


def summary(name, about, passes, tuned, peaks, vectors, missing, threads):
    """A row for each engine, and what belongs to the model."""
    found, work = limits(peaks), operations(about)
    expected = read_vectors(vectors[REFERENCE], about["hidden"]) if REFERENCE in vectors else None
    rows = []
    for engine, measured in passes.items():
        variant = engine.rsplit("-", 1)[1]
        tokens = sum(about["lengths"])
        if any(one["tokens"] != tokens for one in measured):
            missing[engine] = f"it made {measured[0]['tokens']} tokens of the texts, and tokenizers {tokens}"
            continue
        row = {"engine": engine, "setting": (tuned.get(engine) or {}).get("best"), "versions": measured[0]["versions"]}
        for of, seconds in (("total", "total_s"), ("model", "model_s")):
            rates = sorted(tokens / one[seconds] for one in measured)
            row[of] = {"median": statistics.median(rates), "best": rates[-1], "worst": rates[0], "all": [tokens / one[seconds] for one in measured]}
        row["texts_per_s"] = row["total"]["median"] * len(about["lengths"]) / tokens
        row["gflops"] = 1e-9 * work * row["model"]["median"] / tokens
        row["unit"] = unit_of(variant, found)
        row["share"] = row["gflops"] / found[row["unit"]]["all"] if row["unit"] else None
        row["peak_rss_bytes"] = max(one["peak_rss_bytes"] or 0 for one in measured)
        if expected:
            agreement = cosines(read_vectors(vectors[engine], about["hidden"]), expected)
            row["cosine"] = {"mean": statistics.fmean(agreement), "min": min(agreement)}
        row["latency"] = {
            count: {of: {"median": statistics.median(times), "best": min(times)} for of, times in by_quantile(measured, count)}
            for count in sorted(measured[0]["latency"], key=int)
        }
        rows.append(row)
    lengths = sorted(about["lengths"])
    shape = {key: about[key] for key in ("hidden", "layers", "heads", "intermediate", "max_tokens")}
    texts = {"texts": len(lengths), "tokens": sum(lengths), "median": statistics.median(lengths), "longest": lengths[-1]}
    texts |= {"queries": len(about["query_lengths"]), "query_median": statistics.median(about["query_lengths"])}
    tried = {engine: trials["tried"] for engine, trials in tuned.items() if trials}
    return {"name": name, "shape": shape, "work": texts, "operations": work, "rows": rows, "limits": found, "tried": tried, "threads": threads, "missing": missing}


def by_quantile(measured, count):
    for of in ("p50_us", "p99_us"):
        yield of, [one["latency"][count][of] for one in measured]


def machine(root):
    """Date, CPU, versions and commit."""
    processor = platform.processor() or "unknown"
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                processor = line.split(":", 1)[1].strip()
                break
    except OSError:
        pass

    def output(*words):
        try:
            return subprocess.run(words, capture_output=True, text=True, check=False, cwd=root).stdout.strip()
        except OSError:
            return ""

    commit = output("git", "rev-parse", "--short", "HEAD") or "unknown"
    if output("git", "status", "--porcelain"):
        commit += " with changes"
    date = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    return {
        "date": date, "processor": processor, "cores": os.cpu_count(), "commit": commit,
        "rust": output("rustc", "--version"), "python": platform.python_version(), "system": f"{platform.system()} {platform.release()}",
    }  # fmt: skip


def number(value, digits=0):
    """A number for people; a dash where there is none."""
    return f"{value:,.{digits}f}" if isinstance(value, (int, float)) else "-"


def table(columns, rows):
    """Columns are names, those that begin with a space aligned to the right."""
    lines = ["| " + " | ".join(column.strip() for column in columns) + " |"]
    lines.append("| " + " | ".join("---:" if column.startswith(" ") else "---" for column in columns) + " |")
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def describe(setting):
    return ", ".join(f"{name} {value}" for name, value in setting.items()) if setting else "-"


def speed_table(model):
    columns = ("engine", "setting", " tokens / s", " best", " ratio", " tokens / s, model", " best", " ratio", " texts / s", " GFLOP/s", " of limit", " cosine", " min", " peak MiB")
    base = next((row for row in model["rows"] if row["engine"] == BASELINE), None)
    rows = []
    for row in model["rows"]:
        cells = [row["engine"], describe(row["setting"])]
        for of in ("total", "model"):
            cells += [number(row[of]["median"]), number(row[of]["best"]), number(row[of]["median"] / base[of]["median"] if base else None, 2)]
        cells += [number(row["texts_per_s"], 1), number(row["gflops"], 1), f"{row['share']:.1%}" if row["share"] else "-"]
        cosine = row.get("cosine", {})
        cells += [number(cosine.get("mean"), 6), number(cosine.get("min"), 6), number(row["peak_rss_bytes"] / 2**20)]
        rows.append(cells)
    return table(columns, rows)


def latency_table(model):
    columns, rows = ["engine"], []
    counts = sorted({count for row in model["rows"] for count in row["latency"]}, key=int)
    for count in counts:
        of = f"{count} thread" + ("s" if count != "1" else "")
        columns += [f" {of}: p50 µs", " best", " p99 µs", " best"]
    for row in model["rows"]:
        cells = [row["engine"]]
        for count in counts:
            found = row["latency"][count]
            cells += [number(found[of][which]) for of in ("p50_us", "p99_us") for which in ("median", "best")]
        rows.append(cells)
    return table(columns, rows)


def limit_table(model):
    columns = ("unit", " one thread, GFLOP/s", f" {model['threads']} threads, GFLOP/s", " tokens / s of this model at that")
    tokens = model["work"]["tokens"]
    rows = [
        (unit.replace("_", " "), number(found["one"]), number(found["all"]), number(1e9 * found["all"] * tokens / model["operations"]))
        for unit, found in model["limits"].items()
    ]
    return table(columns, rows)


def tried_table(model):
    rows = [(engine, describe(trial["setting"]), number(trial["tokens_per_s"])) for engine, trials in model["tried"].items() for trial in trials]
    return table(("engine", "setting", " tokens / s"), rows)


def missing_lines(missing):
    return "".join(f"\n- {engine}: missing: {reason}" for engine, reason in missing.items()) + "\n" if missing else ""


def heading(model):
    shape, work = model["shape"], model["work"]
    return (
        f"\n## {model['name']}\n\n{shape['layers']} layers of {shape['hidden']} dimensions, {shape['heads']} heads, {shape['intermediate']} between. "
        f"{work['texts']:,} texts, {work['tokens']:,} tokens (median {work['median']:.0f}, longest {work['longest']}, texts cut at {shape['max_tokens']}); "
        f"{work['queries']:,} queries (median {work['query_median']:.0f}). {model['operations'] / work['tokens'] / 1e6:.1f} million operations a token.\n"
    )


def versions(results):
    found = {}
    for model in results["models"]:
        for row in model["rows"]:
            found |= row["versions"]
    return ", ".join(f"{package} {version}" for package, version in found.items())


def markdown(results):
    parts = [
        f"{results['date']}, {results['processor']}, {results['cores']} cores, {results['system']}, commit {results['commit']}. {results['threads']} threads. "
        f"{results['rust']}, Python {results['python']}; {versions(results)}.\n\n"
        f"Medians and bests are of {results['rounds']} passes, engines taking turns. Tokens are real ones, special tokens included and padding not. "
        "The first figures are from text to vector, those of the model leave tokenizing out; pooling by the mean and normalization are "
        f"included everywhere. The ratio is of medians, to {BASELINE}; the cosine is with the vectors of {REFERENCE}.\n",
        missing_lines(results["missing"]),
    ]
    for model in results["models"]:
        parts += [heading(model), "\n", speed_table(model), missing_lines(model["missing"])]
        parts += ["\n### One query at a time\n\n", latency_table(model)]
        if model["limits"]:
            parts += ["\n### Arithmetic limit\n\n", limit_table(model)]
        if model["tried"]:
            parts += ["\n### Settings tried\n\nOn some of the batches; what was slow was tried once, the fastest twice.\n\n", tried_table(model)]
    return "".join(parts)
