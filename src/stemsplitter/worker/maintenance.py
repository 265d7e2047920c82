"""Maintenance tasks, which the leader of the workers runs periodically."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class MaintenanceTask:
    """A task that runs every ``seconds``. Two processes may run it at the same time."""

    name: str
    seconds: float
    run: Callable[[], object]


class Maintenance:
    """Runs each task when it is due; all are due at first."""

    def __init__(self, tasks: Sequence[MaintenanceTask]) -> None:
        self._tasks = tasks
        self._due = dict.fromkeys((task.name for task in tasks), 0.0)

    def run_due(self, is_stopping: Callable[[], bool]) -> None:
        """Run the tasks that are due. A failure is logged, and the task is due again after its interval."""
        for task in self._tasks:
            if time.monotonic() < self._due[task.name] or is_stopping():
                continue
            self._due[task.name] = time.monotonic() + task.seconds
            try:
                task.run()
            except Exception:
                _log.exception("maintenance task %r failed, retrying in %d s", task.name, task.seconds)
