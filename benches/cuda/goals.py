"""What the measurements are held against: a row for each goal, with what was found and whether that is enough."""

import statistics

SHAPES = ("base", "minilm")
# The minimum ratio to the other side's rate, or the maximum value, as each goal says.
SPEED = {"splade": 3.0, "dense": 2.0, "cross": 2.0}
PRODUCT_SHARE, ENCODER_SHARE, MEMORY_RATIO = 0.8, 0.5, 10.0
QUERY_US, COSINE, NDCG_DIFFERENCE = 1000.0, 0.9995, 0.002
WORK = {
    "splade": ("SPLADE encoding", "SparseEncoder"),
    "dense": ("bi-encoder encoding", "SentenceTransformer"),
    "cross": ("cross-encoder, pairs", "CrossEncoder"),
}


def part_of(name):
    return f"{'pairs' if name.startswith('cross') else 'encode'} {name}"


def rates(found):
    """Of both sides the median rate over all passes of all turns."""
    ours = [turn.get("whole", turn) for turn in found["esparsa"]]
    count = found["torch"][0]["items"]
    sides = ([second for turn in turns for second in turn["seconds"]] for turns in (ours, found["torch"]))
    return [count / statistics.median(seconds) for seconds in sides]


def product_rows(found):
    """Each shape with both rates; PyTorch's is the better of direct launches and a CUDA graph."""
    rows = []
    for ours, theirs in zip(found["esparsa"], found["torch"], strict=True):
        best = max(theirs["tflops"], theirs["graph_tflops"] or 0.0)
        rows.append({**ours, "torch": theirs, "ratio": ours["tflops"] / best})
    return rows


def encoder_tflops(found, shape):
    """The encoder's rate on prepared batches, the better of the models that have it, each the median of its turns."""
    rates = []
    for kind in ("dense", "splade"):
        turns = found.get(f"encode {kind}-{shape}", {}).get("esparsa", [])
        if turns:
            rates.append(statistics.median(turn["alone"]["encoder_tflops"] for turn in turns))
    return max(rates, default=None)


def memory_rows(found):
    """Each batch with both sides' bytes, and what its logits would take."""
    theirs = {row["tokens"]: row["head_bytes"] for row in found["torch"]}
    rows = []
    for ours in found["esparsa"]:
        unfused = theirs.get(ours["tokens"])
        rows.append({**ours, "torch_bytes": unfused, "ratio": (unfused or ours["logits_bytes"]) / max(1, ours["head_bytes"])})
    return rows


class Goals:
    """The rows, one after the other: work, goal, what was found, and whether that is enough (or why nothing was found)."""

    def __init__(self, results):
        self.found, self.missing, self.rows = results["found"], results["missing"], []

    def add(self, work, goal, parts, judge):
        """`judge` gives what was found in words, and whether it is enough; with `None` the words say why nothing was found."""
        absent = [part for part in parts if part not in self.found]
        if absent:
            self.rows.append((work, goal, "-", f"not measured: {self.missing.get(absent[0], 'not run')}"))
            return
        try:
            text, is_enough = judge(*(self.found[part] for part in parts))
        except Exception as error:  # A part without a value, or with an unexpected one, costs only its own row.
            self.rows.append((work, goal, "-", f"not measured: {type(error).__name__}: {error}"))
            return
        if is_enough is None:
            self.rows.append((work, goal, "-", f"not measured: {text}"))
        else:
            self.rows.append((work, goal, text, "reached" if is_enough else "missed"))

    def all(self):
        self.right()
        self.speed()
        self.gpu()
        self.rest()
        return self.rows

    def right(self):
        def operations(found):
            counts = ", ".join(map(str, found["multiprocessors"]))
            return f"{found['failures']} failures in {found['rounds']} rounds each, as if on {counts} multiprocessors", found["failures"] == 0

        def graphs(found):
            if not (graphs := found["graphs"]):
                return "there was no model, or they differ", None
            return f"{graphs['batches']} shapes, {graphs['forwards']} times, {graphs['streams']} streams", True

        def wide(found):
            missed = found["missed"]
            reached = f"{len(found['launches'])} kernels" + (f", not {', '.join(missed)}" if missed else "")
            return f"{found['failures']} failures, {reached}", found["failures"] == 0 and not missed

        for kernels in ("mma", "wgmma"):
            part = [f"conformance {kernels}"]
            self.add(f"every operation against the reference, {kernels}", "no difference", part, operations)
            self.add(f"CUDA graphs of batches, on every stream, {kernels}", "bit-equal", part, graphs)
        self.add("every kernel at the sizes of models", "no difference, all reached", ["wide"], wide)
        for tool in ("memcheck", "racecheck"):

            def clean(found):
                why = found.removeprefix("not run: ")
                return why, None if why != found else why == "passed"

            self.add(f"compute-sanitizer, {tool}", "no errors", [f"sanitizers {tool}"], clean)

    def speed(self):
        for kind, goal in SPEED.items():
            work, other = WORK[kind]

            def judge(found, goal=goal):
                ours, theirs = rates(found)
                return f"{ours / theirs:.2f} times ({ours:,.0f} / s beside {theirs:,.0f})", ours >= goal * theirs

            for shape in SHAPES:
                name = f"{kind}-{shape}"
                self.add(f"{work}, {shape}", f"{goal:g} times {other}", [part_of(name)], judge)

    def gpu(self):
        def products(found):
            ratios = [row["ratio"] for row in product_rows(found)]
            enough = sum(ratio >= PRODUCT_SHARE for ratio in ratios)
            return f"{enough} of {len(ratios)} shapes; median {statistics.median(ratios):.2f}, min {min(ratios):.2f}", enough == len(ratios)

        self.add("products of the models' shapes", f"{PRODUCT_SHARE} of torch.matmul, each", ["gemm"], products)

        def encoder(limit):
            reached = encoder_tflops(self.found, "base")
            if reached is None:
                return "no model of that shape was encoded", None
            share = reached / limit["matrix_tflops"]
            return f"{share:.2f} ({reached:,.0f} of {limit['matrix_tflops']:,.0f} TFLOP/s)", share >= ENCODER_SHARE

        self.add("encoder, base, real tokens", f"{ENCODER_SHARE} of the GPU's matrix rate", ["rates"], encoder)

    def rest(self):
        def memory(found):
            rows = memory_rows(found)
            min_ratio = min(row["ratio"] for row in rows)
            beside = "PyTorch's" if all(row["torch_bytes"] for row in rows) else "the logits alone"
            return f"at least {min_ratio:.1f} times less than {beside}", min_ratio >= MEMORY_RATIO

        for shape in SHAPES:
            self.add(f"SPLADE head's memory, {shape}", f"{MEMORY_RATIO:g} times less than unfused", [f"memory splade-{shape}"], memory)

        def query(found):
            times = found["esparsa"]["whole"]
            return f"p50 {times['p50_us']:,.0f} µs, p99 {times['p99_us']:,.0f} µs", times["p50_us"] < QUERY_US

        for kind in ("dense", "splade"):
            self.add(f"one query, {kind}-minilm, text to vector", "p50 under 1 ms", [f"query {kind}-minilm"], query)

        def accuracy(found):
            return f"min {found['min']:.6f}, mean {found['mean']:.6f}", found["min"] >= COSINE

        for name in ("minilm", "splade-base", "splade-minilm", "dense-base", "dense-minilm"):
            label = "all-MiniLM-L6-v2" if name == "minilm" else name
            self.add(f"cosine with f32, {label}", f"at least {COSINE}", [f"accuracy {name}"], accuracy)

        def ndcg(found):
            difference = found["cuda"] - found["cpu"]
            return f"{found['cuda']:.4f} beside {found['cpu']:.4f}, {difference:+.4f}", abs(difference) <= NDCG_DIFFERENCE

        self.add("nDCG@10, debian-en, MiniLM", f"within {NDCG_DIFFERENCE} of the CPU's", ["ndcg"], ndcg)
