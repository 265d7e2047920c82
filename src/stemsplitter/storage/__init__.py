"""Files of users: sources, stems, archives. On disk or in S3, behind one interface."""

from stemsplitter.storage.errors import FileMissing, StorageError
from stemsplitter.storage.storage import Storage, StoredFile
from stemsplitter.storage.writers import FileWriter

__all__ = ["FileMissing", "FileWriter", "Storage", "StorageError", "StoredFile"]
