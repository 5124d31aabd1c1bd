#!/usr/bin/env python3
"""The other side: PyTorch and sentence-transformers on the same GPU.

Reads commands from standard input, one JSON object per line, and answers each with one line: the result, or {"error": ...}. It stays alive between commands, so that models and
what was compiled stay, while the two sides take turns. `run` starts it. Commands, by `do`:

    about                                   versions and GPU
    rates                                   a large product and a large copy: the peak rates of the GPU
    gemm      shapes                        torch.matmul, launched back to back as esparsa's are, and as a CUDA graph
    prepare   name, kind, folder, limit_s   loads a model and compiles it, unless loading or compiling another took longer than the limit
    tune      name, file                    tries settings on some of the work, keeps the fastest
    encode    name, file, passes            documents (or pairs) from text to vectors (or scores), with the best setting
    query     name, file, runs              one text at a time
    memory    name, tokens, length          the peak of the SPLADE head beside what was there before
"""

import argparse
import itertools
import json
import math
import os
import statistics
import sys
import time

import torch

import torch_models

# As in examples/cuda_speed/products.rs.
SETS_BYTES, MOST_SETS = 128 << 20, 64
REPEAT_S, REPEATS, MOST_LAUNCHES = 0.02, 7, 10_000
# The product and the copy that measure the peak rates of the GPU.
MATRIX_SIZE, COPY_BYTES = 8192, 4 << 30
WARMING_QUERIES, GRAPH_RUNS = 200, 2000


def timed(side, run):
    """Seconds until all work that `run` starts is done."""
    side.synchronize()
    start = time.perf_counter()
    run()
    side.synchronize()
    return time.perf_counter() - start


class Side:
    """The GPU (or, for trying this out, the CPU) and the models on it."""

    def __init__(self, device, matrix_size, copy_bytes):
        self.device, self.matrix_size, self.copy_bytes = device, matrix_size, copy_bytes
        self.is_card = device.startswith("cuda")
        self.models = {}
        # What compiling the last model took.
        self.compile_s = 1.0

    def synchronize(self):
        if self.is_card:
            torch.cuda.synchronize()

    def random(self, *shape):
        return torch.rand(*shape, device=self.device).mul_(2).sub_(1).to(torch.bfloat16)

    def about(self, _):
        import sentence_transformers
        import transformers

        found = {"torch": torch.__version__, "transformers": transformers.__version__, "sentence-transformers": sentence_transformers.__version__}
        found |= {"cuda": torch.version.cuda, "attentions": torch_models.attentions()}
        if self.is_card:
            gpu = torch.cuda.get_device_properties(0)
            found |= {"device": gpu.name, "multiprocessors": gpu.multi_processor_count, "memory_bytes": gpu.total_memory}
            found |= {"capability": f"{gpu.major}.{gpu.minor}", "cache_bytes": gpu.L2_cache_size}
        return found

    def rates(self, _):
        size, bytes_ = self.matrix_size, self.copy_bytes
        pairs = [(self.random(size, size), self.random(size, size)) for _ in range(2)]
        source = torch.ones(bytes_ // 4, device=self.device)
        target = torch.empty_like(source)
        products = itertools.cycle(pairs)

        def seconds(run):
            for _ in range(3):
                run()
            return statistics.median(timed(self, run) for _ in range(10))

        product_s = seconds(lambda: torch.matmul(*next(products)))
        copy_s = seconds(lambda: target.copy_(source))
        # A copy reads and writes.
        return {"matrix_size": size, "matrix_tflops": 2e-12 * size**3 / product_s, "copy_bytes": bytes_, "copy_tb_per_s": 2e-12 * bytes_ / copy_s}

    def gemm(self, command):
        return {"shapes": [self.one_product(*shape) for shape in command["shapes"]]}

    def one_product(self, m, n, k):
        count = min(max(2, SETS_BYTES // (2 * k * (m + n))), MOST_SETS)
        sets = [(self.random(m, k), self.random(n, k).t()) for _ in range(count)]
        operations = 2 * m * n * k

        def run(launches):
            for x, weight in itertools.islice(itertools.cycle(sets), launches):
                torch.matmul(x, weight)

        run(count)
        one_s = timed(self, lambda: run(2 * count)) / (2 * count)
        launches = min(max(count, int(REPEAT_S / one_s)), MOST_LAUNCHES)
        seconds = statistics.median(timed(self, lambda: run(launches)) for _ in range(REPEATS))
        found = {"m": m, "n": n, "k": k, "launches": launches, "tflops": 1e-12 * operations * launches / seconds, "graph_tflops": None}
        if self.is_card:
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                run(count)
            times = max(1, launches // count)
            launches = lambda: [graph.replay() for _ in range(times)]
            launches()
            seconds = statistics.median(timed(self, launches) for _ in range(REPEATS))
            found["graph_tflops"] = 1e-12 * operations * count * times / seconds
        return found

    def prepare(self, command):
        model = torch_models.Model(command["kind"], command["folder"], self.device)
        self.models[command["name"]] = model
        if self.compile_s > command["limit_s"]:
            return {"compiled": False, "reason": f"compiling took {self.compile_s:.0f} s before, {command['limit_s']:.0f} s were left"}
        start = time.perf_counter()
        found = model.compile()
        self.compile_s = time.perf_counter() - start
        return found

    def tune(self, command):
        model = self.models[command["name"]]
        items = torch_models.read_items(command["file"], model.kind)
        return model.tune(items, lambda run: timed(self, run), command["limit_s"])

    def encode(self, command):
        model = self.models[command["name"]]
        items = torch_models.read_items(command["file"], model.kind)
        model.use(model.best)
        # No batch of one text: compiled code is another for it.
        model.encode(items[:: max(1, len(items) // 256)][:256])
        model.tokenize_s = 0.0
        seconds = [timed(self, lambda: model.encode(items)) for _ in range(command["passes"])]
        found = {"items": len(items), "setting": model.best, "seconds": seconds, "per_s": len(items) / statistics.median(seconds)}
        found["tokenize_s"] = model.tokenize_s / command["passes"]
        if model.kind == "splade":
            seconds = [timed(self, lambda: model.bare_loop(items)) for _ in range(command["passes"])]
            found["bare_loop_per_s"] = len(items) / statistics.median(seconds)
        return found

    def query(self, command):
        """Eagerly from text, and without text as a graph of the transformer and its head for one text."""
        model = self.models[command["name"]]
        texts = torch_models.read_items(command["file"], model.kind)
        model.use(model.plain)
        found = {"eager": self.latency(model.encode_one, texts, command["runs"])}
        if self.is_card:
            try:
                found["graph"] = self.latency(model.as_graph(texts[0]), [None], GRAPH_RUNS)
            except RuntimeError as error:
                found["graph"] = {"missing": " ".join(str(error).split())[:200]}
        return found

    def latency(self, encode, texts, runs):
        for text in itertools.islice(itertools.cycle(texts), WARMING_QUERIES):
            encode(text)
        times = sorted(1e6 * timed(self, lambda: encode(text)) for text in itertools.islice(itertools.cycle(texts), runs))
        return {f"p{share}_us": times[max(1, math.ceil(share * len(times) / 100)) - 1] for share in (50, 99)}

    def memory(self, command):
        model, rows = self.models[command["name"]], []
        for tokens in command["tokens"] if self.is_card else []:
            run = model.head_of(self.random, tokens // command["length"], command["length"])
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
            run()
            rows.append({"tokens": tokens, "head_bytes": torch.cuda.max_memory_allocated() - before})
        return {"batches": rows}


COMMANDS = {name: getattr(Side, name) for name in ("about", "rates", "gemm", "prepare", "tune", "encode", "query", "memory")}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda:0", help="cpu is for trying this out (%(default)s)")
    parser.add_argument("--matrix-size", type=int, default=MATRIX_SIZE)
    parser.add_argument("--copy-bytes", type=int, default=COPY_BYTES)
    options = parser.parse_args()
    # Native code writes to standard output as well; only answers may stand there.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    side = Side(options.device, options.matrix_size, options.copy_bytes)
    for line in sys.stdin:
        command = json.loads(line)
        try:
            with torch.inference_mode():
                answer = COMMANDS[command["do"]](side, command)
        except Exception as error:  # Whatever went wrong with one command, the next is another matter.
            answer = {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
