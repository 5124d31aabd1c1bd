"""Runs the examples of the README."""

from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def main():
    blocks = [block.split("```")[0] for block in README.read_text().split("```python\n")[1:]]
    assert blocks
    for block in blocks:
        exec(compile(block, str(README), "exec"), {"__name__": "__main__"})


if __name__ == "__main__":
    main()
