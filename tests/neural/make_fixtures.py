"""Writes the models, expected outputs and token ids of this folder. See README.md.

    python make_fixtures.py [models] [heads] [tokens]
"""

import os
import sys
import tempfile

# Nothing here comes from a hub.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import torch
import transformers

import fixture_heads
import fixture_models
import fixture_strings

PARTS = {
    "models": fixture_models.write_models,
    "heads": fixture_heads.write_heads,
    "tokens": fixture_strings.write_all_strings,
}


def main() -> None:
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    chosen = sys.argv[1:] or list(PARTS)
    unknown = [part for part in chosen if part not in PARTS]
    if unknown:
        sys.exit(f"expected parts among {', '.join(PARTS)}, found {', '.join(unknown)}")
    with tempfile.TemporaryDirectory() as scratch:
        tempfile.tempdir = scratch
        for part in chosen:
            PARTS[part]()
        tempfile.tempdir = None


if __name__ == "__main__":
    main()
