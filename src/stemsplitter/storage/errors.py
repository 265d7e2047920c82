"""What can go wrong with stored files."""

from stemsplitter.errors import StemSplitterError


class StorageError(StemSplitterError):
    """The store cannot be reached, read or written."""


class FileMissing(StorageError):
    """There is no file under that key."""
