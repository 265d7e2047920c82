"""Storage of users' files (sources, stems, archives) on disk or in S3."""

from stemsplitter.storage.errors import FileMissing, StorageError
from stemsplitter.storage.storage import Storage, StoredFile
from stemsplitter.storage.writers import FileWriter

__all__ = ["FileMissing", "FileWriter", "Storage", "StorageError", "StoredFile"]
