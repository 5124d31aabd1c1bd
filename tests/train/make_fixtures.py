"""Writes what PyTorch computes for the tests of training: gradients and loss curves. See README.md.

    python make_fixtures.py [gradients] [curves]
"""

import os
import sys

# Nothing here comes from a hub.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import torch
import transformers

import fixture_curves
import fixture_gradients

PARTS = {
    "gradients": fixture_gradients.write_gradients,
    "curves": fixture_curves.write_curves,
}


def main() -> None:
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    chosen = sys.argv[1:] or list(PARTS)
    unknown = [part for part in chosen if part not in PARTS]
    if unknown:
        sys.exit(f"expected parts among {', '.join(PARTS)}, found {', '.join(unknown)}")
    for part in chosen:
        PARTS[part]()


if __name__ == "__main__":
    main()
