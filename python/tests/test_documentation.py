"""The examples of the documentation, and the type stubs."""

import doctest
import importlib
import subprocess
import sys
from pathlib import Path

import esparsa



def examples(documentation, name):
    return doctest.DocTestParser().get_doctest(documentation or "", {"esparsa": esparsa}, name, None, 0)


def test_examples_of_docstrings():
    assert doctest.testmod(esparsa).failed == 0
    runner = doctest.DocTestRunner()
    for name in esparsa.__all__:
        thing = getattr(esparsa, name)
        runner.run(examples(thing.__doc__, name))
        for attribute, member in vars(thing).items() if isinstance(thing, type) else []:
            if isinstance(member.__doc__, str) and not attribute.startswith("_"):
                runner.run(examples(member.__doc__, f"{name}.{attribute}"))
    for name in ("pyterrier", "sentence_transformers"):
        try:
            module = importlib.import_module(f"esparsa.{name}")
        except ImportError:
            continue
        assert doctest.testmod(module).failed == 0
    results = runner.summarize()
    assert results.failed == 0 and results.attempted >= 20


def test_everything_public_has_documentation():
    for name in esparsa.__all__:
        thing = getattr(esparsa, name)
        assert thing.__doc__, name
        for attribute, member in vars(thing).items() if isinstance(thing, type) else []:
            if not attribute.startswith("_"):
                assert getattr(member, "__doc__", None), f"{name}.{attribute}"


def test_examples_of_the_readme():
    subprocess.run([sys.executable, Path(__file__).with_name("readme.py")], check=True)


def test_stubs_are_those_of_the_module():
    project = Path(__file__).parents[1] / "pyproject.toml"
    # Modules whose packages are not installed cannot be imported.
    allowed = Path(__file__).with_name("stubtest-allowlist")
    command = [sys.executable, "-m", "mypy.stubtest", "esparsa", "--ignore-missing-stub", "--mypy-config-file", project]
    command += ["--allowlist", allowed, "--ignore-unused-allowlist"]
    check = subprocess.run(command, capture_output=True, text=True)
    assert check.returncode == 0, check.stdout + check.stderr
