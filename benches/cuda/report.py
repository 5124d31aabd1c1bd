"""Puts together what was measured, and writes it: tables for people, and all of it as JSON."""

import datetime
import json
import os
import platform
import re
import statistics
import subprocess
import traceback
from pathlib import Path

import goals


# Failures of a part in the tables; the JSON has all.
SHOWN_FAILURES = 30


def printed(*words, cwd=None):
    try:
        return subprocess.run(words, capture_output=True, text=True, check=False, cwd=cwd).stdout.strip()
    except OSError:
        return ""


def machine(root, options):
    """Date, GPU, driver, CPU and commit."""
    cpu = platform.processor() or "unknown"
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        cpu = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    gpus = printed("nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader").splitlines()
    device, driver, memory = (gpus[0].split(", ") + ["unknown"] * 3)[:3] if gpus else ("no GPU", "none", "none")
    commit = options.commit or printed("git", "rev-parse", "--short", "HEAD", cwd=root) or "unknown"
    if not options.commit and printed("git", "status", "--porcelain", cwd=root):
        commit += " with changes"
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "device": device, "driver": driver, "device_memory": memory,
        "cpu": cpu, "cores": os.cpu_count(), "system": f"{platform.system()} {platform.release()}",
        "commit": commit, "python": platform.python_version(),
    }  # fmt: skip


def results(root, options, bench, seconds, earlier, nvrtc):
    """Everything. Parts of an earlier run stand in for those that found nothing now."""
    found = dict(bench.found)
    versions = found.get("prepare", {}).get("about") or {}
    merged = []
    if earlier:
        merged = [name for name in earlier["found"] if name not in found]
        found |= {name: earlier["found"][name] for name in merged}
        versions = versions or earlier["versions"]
    missing = {name: why for name, why in bench.missing.items() if name not in found}
    about = machine(root, options)
    of_earlier = {"date": earlier["date"], "device": earlier["device"], "commit": earlier["commit"], "parts": merged} if merged else None
    all_of_it = {**about, "nvrtc": nvrtc, "versions": versions, "documents": options.documents, "is_quick": options.quick, "total_s": round(seconds, 1), "seconds": bench.seconds}
    failures = dict(bench.failures) | {name: lines for name, lines in (earlier or {}).get("failures", {}).items() if name in merged}
    all_of_it |= {"call": options.call, "earlier": of_earlier, "missing": missing, "failures": failures, "found": found}
    all_of_it["goals"] = goals.Goals(all_of_it).all()
    return all_of_it


def write(all_of_it, folder):
    """The two files, named by date, device and call."""
    device = re.sub(r"[^a-z0-9]+", "-", all_of_it["device"].lower()).strip("-")
    name = f"{all_of_it['date'][:10]}-{device}-{all_of_it['call']}" + ("-quick" if all_of_it["is_quick"] else "")
    folder.mkdir(parents=True, exist_ok=True)
    files = folder / f"{name}.md", folder / f"{name}.json"
    # What was measured first, then what is made of it.
    files[1].write_text(json.dumps(all_of_it, indent=1) + "\n", encoding="utf-8")
    files[0].write_text(markdown(all_of_it), encoding="utf-8")
    return files


def short(all_of_it):
    """The goals of the parts that were to run, for a terminal."""
    rows = [(work, found, verdict) for work, _, found, verdict in all_of_it["goals"] if not verdict.endswith(": not run")]
    widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
    lines = [f"{work:{widths[0]}}  {found:{widths[1]}}  {verdict}" for work, found, verdict in rows]
    return "\n".join([f"{all_of_it['device']}, driver {all_of_it['driver']}, commit {all_of_it['commit']}, {all_of_it['total_s']:.0f} s", *lines])


def number(value, digits=0):
    """A number for people; a dash where there is none."""
    return f"{value:,.{digits}f}" if isinstance(value, (int, float)) else "-"


def table(columns, rows):
    """Columns are names, those that begin with a space aligned to the right."""
    lines = ["| " + " | ".join(column.strip() for column in columns) + " |"]
    lines.append("| " + " | ".join("---:" if column.startswith(" ") else "---" for column in columns) + " |")
    lines += ["| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def safely(make, *what):
    """What `make` writes, or a line that says why it could not."""
    try:
        return make(*what)
    except Exception as error:  # Whatever is odd in one table, the others are written.
        traceback.print_exc()
        return f"This table could not be made: {traceback.format_exception_only(error)[-1].strip()}\n"


def describe(setting):
    words = [f"batch {setting['batch']}", setting["attention"], "compiled" if setting["is_compiled"] else "eager"]
    return ", ".join(words)


def median_of(turns, *path):
    values = []
    for turn in turns:
        for key in path:
            turn = turn.get(key, {})
        values.append(turn)
    return statistics.median(values) if values and all(isinstance(value, (int, float)) for value in values) else None


def of_part(found, *parts):
    """What parts found for each model."""
    return [(name, one) for name, one in found.items() if name.split()[0] in parts]


def speed_table(found):
    rows, skipped = [], []
    for part, one in of_part(found, "encode", "pairs"):
        skipped += [f"\n- {part}: {why}" for why in one.get("skipped", ())]
        ours, theirs = goals.rates(one)
        turns, other = one["esparsa"], one["torch"]
        share = turns[0].get("whole", turns[0])
        tokens_of = share["tokens"] / other[0]["items"]
        of_model = (median_of(turns, "alone", name) for name in ("model_documents_per_s", "encoder_tflops"))
        of_other = (number(theirs), number(median_of(other, "bare_loop_per_s")), number(ours / theirs, 2), describe(other[-1]["setting"]))
        rows.append((part, number(ours), number(ours * tokens_of), *map(number, of_model), *of_other))
    columns = ("work", " esparsa / s", " tokens / s", " model alone / s", " encoder, TFLOP/s", " sentence-transformers / s", " own loop / s", " ratio", "its setting")
    return table(columns, rows) + "".join(skipped) + "\n" * bool(skipped)


def product_table(found):
    rows = [
        (row["model"], number(row["m"]), number(row["n"]), number(row["k"]), number(row["us"], 1), number(row["tflops"]), number(row["torch"]["tflops"]), number(row["torch"]["graph_tflops"]), number(row["ratio"], 2))
        for row in goals.product_rows(found)
    ]
    return table(("model", " m", " n", " k", " µs", " TFLOP/s", " torch.matmul", " CUDA graph", " ratio"), rows)


def own_product_table(found):
    rows = [(row["model"], *(number(row[size]) for size in "mnk"), number(row["us"], 1), number(row["tflops"])) for row in found if row["what"] == "gemm"]
    return table(("model", " m", " n", " k", " µs", " TFLOP/s"), rows)


def failure_table(failures):
    """What was found wrong; of each part the first lines."""
    rows = []
    for part, lines in failures.items():
        rows += [(part, line["operation"], ", ".join(line.get("kernels", ())), line["shape"], line["message"][:300]) for line in lines[:SHOWN_FAILURES]]
        if len(lines) > SHOWN_FAILURES:
            rows.append((part, f"{len(lines) - SHOWN_FAILURES} more", "-", "-", "-"))
    return table(("part", "operation", "kernels", "shape", "difference"), rows)


def query_table(found):
    rows = []
    for part, one in of_part(found, "query"):
        ways = {"esparsa": one["esparsa"]["whole"], "esparsa, without tokenizing": one["esparsa"]["without_tokenizing"]}
        ways |= {f"PyTorch, {way}": times for way, times in one["torch"].items()}
        rows += [(part, way, number(times.get("p50_us")), number(times.get("p99_us"))) for way, times in ways.items()]
    return table(("work", "way", " p50 µs", " p99 µs"), rows)


def memory_table(found):
    rows = []
    for part, one in of_part(found, "memory"):
        for row in goals.memory_rows(one):
            sizes = (number(size / 2**20, 1) if size else "-" for size in (row["head_bytes"], row["logits_bytes"], row["torch_bytes"]))
            rows.append((part, number(row["tokens"]), number(row["sequences"]), *sizes, number(row["ratio"], 1)))
    return table(("work", " tokens", " texts", " esparsa, MiB", " its logits would take", " PyTorch, MiB", " ratio"), rows)


def tried_table(found):
    rows = []
    for part, one in of_part(found, "encode", "pairs"):
        for trial in one["tried"]:
            setting = trial["setting"]
            rows.append((part, describe(setting), setting["rows"] if "splade" in part else "-", trial.get("error") or number(trial["per_s"])))
    return table(("work", "setting", "rows", " / s"), rows)


def rates_line(rate):
    return f"The GPU by PyTorch: {rate['matrix_tflops']:,.0f} TFLOP/s in a bf16 product of {rate['matrix_size']}³, {rate['copy_tb_per_s']:.2f} TB/s in a copy, read and written.\n"


def markdown(all_of_it):
    found, about = all_of_it["found"], all_of_it
    names = ", ".join(f"{name} {about['versions'][name]}" for name in ("torch", "cuda", "transformers", "sentence-transformers") if name in about["versions"])
    parts = [
        f"{about['date']}, {about['device']} ({about['device_memory']}), driver {about['driver']}, commit {about['commit']}. {about['cpu']}, {about['cores']} cores, {about['system']}. "
        f"Python {about['python']}, {names or 'without PyTorch'}. NVRTC: {about['nvrtc']}. {about['total_s']:.0f} s.\n"
    ]
    if about["is_quick"]:
        parts.append("\nA quick run, to see that everything works: the figures mean nothing.\n")
    if about["earlier"]:
        earlier = about["earlier"]
        parts.append(f"\nOf {earlier['date']}, {earlier['device']}, commit {earlier['commit']}: {', '.join(earlier['parts'])}.\n")
    parts += ["\n## Goals\n\n", table(("work", "goal", "found", "verdict"), about["goals"])]
    parts += [f"\n- {name}: missing: {why}" for name, why in about["missing"].items()] + ["\n"] * bool(about["missing"])
    if about["failures"]:
        parts += ["\n## Failures\n\n", safely(failure_table, about["failures"])]
    if "rates" in found:
        parts += ["\n", safely(rates_line, found["rates"])]
    titled = (
        ("Encoding and scoring", speed_table, of_part(found, "encode", "pairs") and found),
        ("Products", product_table, found.get("gemm")),
        ("Products alone", own_product_table, found.get("own-gemm")),
        ("One text at a time", query_table, of_part(found, "query") and found),
        ("Memory of the SPLADE head", memory_table, of_part(found, "memory") and found),
        ("Settings tried", tried_table, of_part(found, "encode", "pairs") and found),
    )
    for title, make, what in titled:
        if what:
            parts += [f"\n## {title}\n\n", safely(make, what)]
    seconds = ", ".join(f"{name} {spent:.0f}" for name, spent in about["seconds"].items())
    return "".join([*parts, f"\nSeconds: {seconds}.\n"])
