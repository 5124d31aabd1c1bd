#!/usr/bin/env python3
"""The driver of ONNX Runtime on the CPU."""

import os
import threading
import time

import numpy
import onnxruntime
from tokenizers import Tokenizer

import driver

# How threads share the work: all of them inside each batch; or each takes the next batch, from one session that all call, or from
# a session of its own.
MODES = ("inside", "shared", "own")


class OnnxRuntime:
    NAME = "onnxruntime"
    PACKAGES = ("onnxruntime", "onnx", "torch", "tokenizers")

    def __init__(self, work, variant, threads):
        found = work.variants()[variant]
        if "missing" in found:
            raise ValueError(found["missing"])
        self.file, self.threads = str(work.folder / "onnx" / found["file"]), threads
        self.tokenizer = Tokenizer.from_file(str(work.model / "tokenizer.json"))
        self.tokenizer.enable_truncation(work.about["max_tokens"])
        self.tokenizer.no_padding()
        self.setting, self.sessions = None, []

    def settings(self, batches):
        modes = MODES if self.threads > 1 else MODES[:1]
        return [{"mode": mode, "batch": batch} for mode in modes for batch in batches]

    def use(self, setting):
        if self.setting is None or self.setting["mode"] != setting["mode"]:
            self.sessions = []
            if setting["mode"] == "inside":
                self.sessions = [self.session(self.threads)]
            elif setting["mode"] == "shared":
                self.sessions = [self.session(1)] * self.threads
            else:
                self.sessions = [self.session(1) for _ in range(self.threads)]
        self.setting = setting

    def session(self, threads):
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "1")
        options.add_session_config_entry("session.set_denormal_as_zero", "1")
        return onnxruntime.InferenceSession(self.file, options, providers=["CPUExecutionProvider"])

    def encode(self, texts):
        start = time.perf_counter()
        ids = [numpy.array(encoding.ids) for encoding in self.tokenizer.encode_batch_fast(texts)]
        tokenized = time.perf_counter()
        order = sorted(range(len(ids)), key=lambda place: -len(ids[place]))
        size = self.setting["batch"]
        batches = [order[start : start + size] for start in range(0, len(order), size)]
        vectors = [None] * len(batches)
        places = iter(range(len(batches)))
        failures = []

        def take_batches(session):
            try:
                # One step of the iterator at a time: the interpreter lets no other thread between.
                for place in places:
                    vectors[place] = session.run(None, inputs([ids[text] for text in batches[place]]))[0]
            except Exception as error:  # noqa: BLE001 - reported on the caller's thread
                failures.append(error)

        helpers = [threading.Thread(target=take_batches, args=(session,)) for session in self.sessions[1:]]
        for helper in helpers:
            helper.start()
        take_batches(self.sessions[0])
        for helper in helpers:
            helper.join()
        if failures:
            raise RuntimeError(failures[0])
        of_all = numpy.empty((len(ids), vectors[0].shape[1]), dtype=numpy.float32)
        of_all[order] = numpy.concatenate(vectors)
        return driver.Encoded(of_all, tokenized - start, time.perf_counter() - tokenized)

    def single(self, threads):
        session = self.session(threads)

        def encode_one(query):
            ids = numpy.array(self.tokenizer.encode(query).ids)[None, :]
            feed = {"input_ids": ids, "attention_mask": numpy.ones_like(ids), "token_type_ids": numpy.zeros_like(ids)}
            return session.run(None, feed)[0]

        return encode_one


def inputs(rows):
    """A batch, padded to its longest text."""
    longest = max(map(len, rows))
    ids = numpy.zeros((len(rows), longest), dtype=numpy.int64)
    mask = numpy.zeros_like(ids)
    for place, row in enumerate(rows):
        ids[place, : len(row)] = row
        mask[place, : len(row)] = 1
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": numpy.zeros_like(ids)}


if __name__ == "__main__":
    os.environ["TOKENIZERS_PARALLELISM"] = "true"
    driver.main(OnnxRuntime)
