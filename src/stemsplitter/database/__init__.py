"""The database: one declarative base, one way to open it, one way to run a transaction."""

from stemsplitter.database.base import Base, UtcDateTime, new_id, now
from stemsplitter.database.engine import Database

__all__ = ["Base", "Database", "UtcDateTime", "new_id", "now"]
