"""Points in time of columns."""

from datetime import datetime, timedelta, timezone

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def of_milliseconds(milliseconds, written):
    """The point in time this many milliseconds after 1970, or, where Python has no such year, as RFC 3339 writes it."""
    try:
        return _EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:
        return written
