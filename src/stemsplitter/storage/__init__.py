"""Files of users: sources, stems, archives. On disk or in S3, behind one interface."""

from stemsplitter.storage.errors import FileMissing, StorageError
from stemsplitter.storage.storage import FileWriter, Storage, StoredFile

__all__ = ["FileMissing", "FileWriter", "Storage", "StorageError", "StoredFile"]
