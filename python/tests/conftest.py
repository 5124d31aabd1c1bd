from pathlib import Path

import pytest

from esparsa import Column, Index, Schema, Stored, Text

MODELS = Path(__file__).parents[2] / "tests" / "neural" / "models"

SHOP = [
    {"_id": "cup", "name": "A tea cup", "price": 4.5, "color": ["red", "white"], "since": "2024-02-01"},
    {"_id": "pot", "name": "A tea pot", "price": 20, "color": ["red"], "since": "2024-02-29"},
    {"_id": "jug", "name": "A milk jug", "price": 12.25, "color": ["blue"], "since": "2024-04-30"},
]


@pytest.fixture
def shop():
    """An index with columns, positions and stored documents."""
    schema = Schema(
        name=Text("en", positions=True),
        price=Column("f64"),
        color=Column("keyword", several=True),
        since=Column("date"),
        source=Stored(),
    )
    index = Index.in_memory(schema)
    with index.writer() as writer:
        writer.add_many(SHOP)
    return index


@pytest.fixture
def models():
    """A folder of tiny models."""
    return MODELS
