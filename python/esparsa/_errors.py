"""Exceptions of this package: all of them are `Error`."""


class Error(Exception):
    """Whatever this package raises. Its message says what was expected, what was found, and what to do."""


class InvalidInputError(Error, ValueError):
    """A document, a query or an option is not what was expected."""


class LimitError(Error, ValueError):
    """Something is larger than an index can hold."""


class NoIndexError(Error, FileNotFoundError):
    """There is no index at a path."""


class StorageError(Error, OSError):
    """Reading or writing a file failed."""


class LockedError(Error):
    """Another writer has the index."""


class CorruptError(Error):
    """A file of the index is damaged."""


class VersionError(Error):
    """The index was written in a format that this version does not read."""


class PoisonedError(Error):
    """A writer refuses further work after an error; open another one."""


class ModelError(Error, ValueError):
    """A folder holds no model that can be run."""


class DeviceError(Error, RuntimeError):
    """A device failed, or there is none."""


class CancelledError(Error):
    """Work was cancelled."""
