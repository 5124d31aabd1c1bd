"""What each call runs, part by part, most valuable first, and how many seconds each part may take.

A part is ended at its limit, so a call takes at most the sum. `run --dry-run` adds it up.
"""

import dataclasses

SHAPES = ("base", "minilm")
# Starting, reading the carried files, and writing the results.
OVERHEAD_S = 10


@dataclasses.dataclass(frozen=True)
class Part:
    name: str
    limit_s: int

    @property
    def kind(self):
        """`encode` of `encode splade-base`."""
        return self.name.split()[0]

    @property
    def model(self):
        return self.name.split()[1] if " " in self.name else None


@dataclasses.dataclass(frozen=True)
class Call:
    about: str
    limit_s: int
    parts: tuple

    @property
    def sum_s(self):
        return OVERHEAD_S + sum(part.limit_s for part in self.parts)


def call(about, limit_s, limits):
    return Call(about, limit_s, tuple(Part(name, seconds) for name, seconds in limits.items()))


FIRST = {"conformance mma": 35, "conformance wgmma": 40, "wide": 45, "own-gemm": 35}
SECOND = {
    "work": 15, "rates": 15, "gemm": 60, "models": 50, "prepare": 75,
    "encode splade-base": 40, "encode dense-base": 35, "encode splade-minilm": 30, "encode dense-minilm": 30,
    "pairs cross-base": 35, "query dense-minilm": 12, "memory splade-base": 12,
    "pairs cross-minilm": 25, "query splade-minilm": 12, "memory splade-minilm": 12,
}  # fmt: skip
SANITIZERS = {"sanitizers memcheck": 160, "sanitizers racecheck": 160}
QUALITY = {
    "work": 30, "models": 60, "accuracy minilm": 40, "accuracy splade-base": 50, "accuracy dense-base": 50,
    "accuracy splade-minilm": 40, "accuracy dense-minilm": 40, "ndcg": 200,
}  # fmt: skip
CALLS = {
    "first": call("is every kernel right, and how fast are products; needs no package of Python", 170, FIRST),
    "second": call("speed and memory beside PyTorch and sentence-transformers", 480, SECOND),
    "sanitizers": call("compute-sanitizer over one round of every operation", 340, SANITIZERS),
    "quality": call("accuracy beside the CPU in f32; needs all-MiniLM-L6-v2", 540, QUALITY),
}


def table(name, parts):
    """The parts with their limits, as lines, and whether they fit."""
    whole = CALLS[name]
    lines, end_s = [f"call {name}: {whole.about}", f"{'part':24}{'limit':>7}{'ends by':>9}"], OVERHEAD_S
    lines.append(f"{'start and results':24}{OVERHEAD_S:>6}s{end_s:>8}s")
    for part in parts:
        end_s += part.limit_s
        lines.append(f"{part.name:24}{part.limit_s:>6}s{end_s:>8}s")
    fits = end_s <= whole.limit_s
    lines.append(f"{'sum':24}{end_s:>6}s of {whole.limit_s} s: {'fits' if fits else 'too much'}")
    return lines, fits
