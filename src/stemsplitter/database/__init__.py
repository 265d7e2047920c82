"""The database: declarative base, connections, transactions and pagination."""

from stemsplitter.database.base import Base, UtcDateTime, new_id
from stemsplitter.database.engine import Database, is_one_of, one_at_a_time

__all__ = ["Base", "Database", "UtcDateTime", "is_one_of", "new_id", "one_at_a_time"]
