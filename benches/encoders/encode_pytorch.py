#!/usr/bin/env python3
"""The driver of sentence-transformers with PyTorch on the CPU."""

import contextlib
import os
import time

import numpy
import torch
from sentence_transformers import SentenceTransformer

import driver

# How bf16 is used: weights and all that is computed, or products alone, as autocast chooses.
BF16_MODES = ("weights", "autocast")


class PyTorch:
    NAME = "sentence-transformers"
    PACKAGES = ("sentence-transformers", "transformers", "torch", "tokenizers")

    def __init__(self, work, variant, threads):
        torch.set_num_threads(threads)
        self.folder, self.variant, self.threads = str(work.model), variant, threads
        self.setting, self.model = None, None
        self.tokenize_s = 0.0

    def settings(self, batches):
        modes = BF16_MODES if self.variant == "bf16" else ("f32",)
        return [{"mode": mode, "batch": batch} for mode in modes for batch in batches]

    def use(self, setting):
        if self.setting is None or self.setting["mode"] != setting["mode"]:
            self.model = SentenceTransformer(self.folder, device="cpu", local_files_only=True)
            if setting["mode"] == "weights":
                self.model = self.model.to(torch.bfloat16)
            self.model.preprocess = self.timed(self.model.preprocess)
        self.setting = setting

    def timed(self, preprocess):
        """Adds what tokenizing takes to `tokenize_s`."""

        def tokenize(*words, **named):
            start = time.perf_counter()
            found = preprocess(*words, **named)
            self.tokenize_s += time.perf_counter() - start
            return found

        return tokenize

    def precision(self):
        if self.setting["mode"] == "autocast":
            return torch.autocast("cpu", dtype=torch.bfloat16)
        return contextlib.nullcontext()

    def encode(self, texts):
        self.tokenize_s = 0.0
        start = time.perf_counter()
        with self.precision():
            vectors = self.model.encode(
                texts, batch_size=self.setting["batch"], normalize_embeddings=True, show_progress_bar=False, convert_to_tensor=True
            )
        vectors = vectors.float().numpy()
        return driver.Encoded(numpy.asarray(vectors), self.tokenize_s, time.perf_counter() - start - self.tokenize_s)

    def single(self, threads):
        torch.set_num_threads(threads)

        def encode_one(query):
            with self.precision():
                return self.model.encode(query, normalize_embeddings=True, show_progress_bar=False, convert_to_tensor=True)

        return encode_one


if __name__ == "__main__":
    os.environ["TOKENIZERS_PARALLELISM"] = "true"
    driver.main(PyTorch)
