"""Durable jobs: put into the caller's transaction, run by workers, taken over when a worker dies.

The only package that knows DBOS, the durable engine, and the only one that runs separation in a process of its own.
"""

from stemsplitter.jobs.queue import JobQueue, migrate

__all__ = ["JobQueue", "migrate"]
