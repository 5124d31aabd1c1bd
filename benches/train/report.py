"""What the programs here print: JSON Lines, one for each step and a last one for the run."""

import importlib.metadata
import json
import os
import resource
import statistics
import time

PACKAGES = ("torch", "transformers", "sentence-transformers")
# Steps that are not in the figures of the run: memory is allocated, kernels are chosen.
WARMING_STEPS = 2


class Report:
    """Counts samples and tokens, and prints. A sample is a query with its documents."""

    def __init__(self):
        # Native code writes to standard output as well; only the report may be there.
        self.output = os.dup(1)
        os.dup2(2, 1)
        self.start = self.last = time.perf_counter()
        self.steps = []
        self.tokens = self.padded = 0

    def begin(self) -> None:
        """The first step starts."""
        self.start = self.last = time.perf_counter()

    def count(self, mask) -> None:
        """The attention mask of texts that the model reads."""
        self.tokens += int(mask.sum())
        self.padded += mask.numel()

    def step(self, samples: int, loss: float, **more) -> None:
        now = time.perf_counter()
        took, self.last = now - self.last, now
        record = {
            "step": len(self.steps) + 1,
            "seconds": round(now - self.start, 3),
            "step_seconds": round(took, 4),
            "samples_per_second": round(samples / took, 2),
            "tokens_per_second": round(self.tokens / took, 1),
            "tokens": self.tokens,
            "padded_tokens": self.padded,
            "loss": round(loss, 6),
            **more,
        }
        self.tokens = self.padded = 0
        self.steps.append({**record, "samples": samples})
        self.print(record)

    def finish(self, **more) -> None:
        timed = self.steps[WARMING_STEPS:] or self.steps
        seconds = sum(step["step_seconds"] for step in timed) or float("nan")
        self.print(
            {
                "done": True,
                "steps": len(self.steps),
                "seconds": self.steps[-1]["seconds"] if self.steps else 0,
                "median_step_seconds": statistics.median(step["step_seconds"] for step in timed) if timed else None,
                "samples_per_second": round(sum(step["samples"] for step in timed) / seconds, 2),
                "tokens_per_second": round(sum(step["tokens"] for step in timed) / seconds, 1),
                "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
                "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
                **more,
            }
        )

    def print(self, record: dict) -> None:
        os.write(self.output, (json.dumps(record) + "\n").encode())
