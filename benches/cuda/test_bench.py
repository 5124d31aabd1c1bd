"""Tests of what `run` and `carry` do on a machine without a GPU: python3 -m unittest discover -s benches/cuda"""

import contextlib
import io
import os
import subprocess
import sys
import tempfile
import types
import unittest
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.dont_write_bytecode = True

import plan  # noqa: E402
import sides  # noqa: E402


def program(name):
    """A script without an ending, as a module."""
    loader = SourceFileLoader(name, str(HERE / name))
    module = module_from_spec(spec_from_loader(name, loader))
    loader.exec_module(module)
    return module


def bench(script, part):
    """A bench whose cuda_speed is this script."""
    folder = Path(tempfile.mkdtemp())
    (folder / "cuda_speed").write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    (folder / "cuda_speed").chmod(0o755)
    options = types.SimpleNamespace(python=sys.executable, torch_arguments=[], quick=True, folder=folder)
    made = program("run").Bench(options, folder)
    with contextlib.redirect_stderr(io.StringIO()) as messages:
        made.attempt(part)
    return made, messages.getvalue()


class Plans(unittest.TestCase):
    def test_limits_of_parts_add_up_to_less_than_a_call_may_take(self):
        for name, call in plan.CALLS.items():
            self.assertLessEqual(call.sum_s, call.limit_s, name)
        # What two calls may take of the quarter of an hour for which a machine is lent; the rest is for starting it.
        self.assertLessEqual(plan.CALLS["first"].limit_s, 170)
        self.assertLessEqual(plan.CALLS["second"].limit_s, 480)

    def test_a_dry_run_fails_if_the_sum_is_over(self):
        call = plan.CALLS["first"]
        self.assertTrue(plan.table("first", call.parts)[1])
        lines, fits = plan.table("first", [*call.parts, plan.Part("one more", 60)])
        self.assertFalse(fits)
        self.assertIn("too much", lines[-1])

    def test_a_dry_run_needs_neither_a_gpu_nor_files(self):
        for name in plan.CALLS:
            done = subprocess.run([HERE / "run", "--call", name, "--dry-run"], capture_output=True, text=True, env={"PATH": os.environ["PATH"]}, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("fits", done.stdout)

    def test_every_part_has_code(self):
        made = program("run").Bench
        for call in plan.CALLS.values():
            for part in call.parts:
                self.assertTrue(callable(getattr(made, part.kind.replace("-", "_"), None)), part)


class Outputs(unittest.TestCase):
    def test_a_timeout_shows_the_last_output(self):
        with contextlib.redirect_stderr(io.StringIO()) as messages, self.assertRaises(sides.TookTooLong) as raised:
            sides.output(["sh", "-c", "echo '{\"what\": \"failure\"}'; echo 'wide: product_hopper_256, 16384 x 768 x 768' >&2; sleep 60"], 1)
        self.assertIn("product_hopper_256", messages.getvalue())
        self.assertIn("product_hopper_256", str(raised.exception))
        self.assertEqual(sides.json_lines(raised.exception.found), [{"what": "failure"}])

    def test_a_line_that_was_cut_short_is_left_out(self):
        with contextlib.redirect_stderr(io.StringIO()):
            self.assertEqual(sides.json_lines('{"a": 1}\n{"b": '), [{"a": 1}])


FAILURE = '{"what": "failure", "part": "wide", "operation": "product_hopper_256", "kernels": ["product_hopper_256"], "shape": "1 x 1 x 1", "message": "wrong"}'
SUMMARY = '{"what": "wide", "failures": 1, "launches": {}, "missed": []}'


class Failures(unittest.TestCase):
    def test_failures_are_noted_and_the_part_goes_on(self):
        made, messages = bench(f"echo '{FAILURE}'; echo '{SUMMARY}'; exit 1", plan.Part("wide", 20))
        self.assertEqual([line["operation"] for line in made.failures["wide"]], ["product_hopper_256"])
        self.assertEqual(made.found["wide"]["failures"], 1)
        self.assertIn("product_hopper_256, 1 x 1 x 1: wrong", messages)

    def test_failures_before_a_timeout_are_noted(self):
        made, _ = bench(f"echo '{FAILURE}'; echo 'wide: attention' >&2; sleep 60", plan.Part("wide", 1))
        self.assertEqual(len(made.failures["wide"]), 1)
        self.assertIn("wide: attention", made.missing["wide"])

    def test_a_program_that_ends_without_a_summary_has_found_nothing(self):
        made, _ = bench("echo 'error: no NVIDIA driver' >&2; exit 1", plan.Part("wide", 20))
        self.assertEqual(made.missing["wide"], "no NVIDIA driver")

    def test_only_what_is_not_timed_waits_for_launches(self):
        script = 'echo "{\\"what\\": \\"$1\\", \\"failures\\": 0, \\"kernels\\": [], \\"launches\\": {}, \\"missed\\": [], \\"env\\": \\"$CUDA_LAUNCH_BLOCKING $ESPARSA_CUDA_KERNELS $ESPARSA_CUDA_GUARD\\"}"'
        for name, expected in (("conformance mma", "1 mma "), ("conformance wgmma", "1 wgmma 1"), ("wide", "1  ")):
            made, _ = bench(script, plan.Part(name, 20))
            self.assertEqual(made.found[name]["env"], expected)
        made, _ = bench(script, plan.Part("own-gemm", 20))
        self.assertEqual(made.found["own-gemm"][0]["env"], "  ")


class Carrying(unittest.TestCase):
    def test_what_is_too_large_is_refused(self):
        carry = program("carry")
        lines, fits = carry.report({"esparsa": 40 << 20, "the repository": 23 << 20}, 64.0)
        self.assertTrue(fits, lines)
        lines, fits = carry.report({"esparsa": 42 << 20, "the repository": 23 << 20}, 64.0)
        self.assertFalse(fits)
        self.assertIn("65.0 MiB of 64: too much", lines[-1])

    def test_programs_of_another_folder_are_not_said_to_be_of_this_commit(self):
        carry = program("carry")
        given = types.SimpleNamespace(binaries=Path("elsewhere"), commit=None)
        self.assertEqual(carry.commit_of(given), "unknown")
        given.commit = "1234567"
        self.assertEqual(carry.commit_of(given), "1234567")


if __name__ == "__main__":
    unittest.main()
