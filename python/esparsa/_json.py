"""JSON of what applications give: dates, paths and scalars of NumPy too."""

import json


def _plain(value):
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if hasattr(value, "tolist"):
        return value.tolist()
    if hasattr(value, "__fspath__"):
        return value.__fspath__()
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise TypeError(f"expected numbers, strings, lists, dicts and dates, found {type(value).__name__}")


def dumps(value):
    """An object as JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_plain, allow_nan=False)


def loads(data):
    """An object from JSON, in bytes of UTF-8."""
    return json.loads(data)
