"""Measurements when a model is installed: its precision and its speed on this machine.

``python -m stemsplitter.catalogue.checks ROOT NAME DEVICE`` runs them in a process of its own, for servers.
"""

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from stemsplitter.catalogue.entries import TOOL_ARCHITECTURES, ModelEntry
from stemsplitter.catalogue.precision import check_precision, needs_check, recorded_checks
from stemsplitter.catalogue.speeds import measure_speed, record_speed, recorded_speed
from stemsplitter.catalogue.store import ModelStore

Report = Callable[[str], None]

NICE = 10


def check_model(name: str, store: ModelStore, report: Report, device: str = "auto") -> None:
    """Measure the precision of a model and of those in its chain, and the speed of all that a quality may use.

    Speeds that were not measured before are measured as well, such as that of a chain with this model.

    Raises:
        RequestError: the device is not available.
        ModelError: the weights are missing or damaged, or a result cannot be written.
    """
    parts = store.parts(name)
    for part in parts:
        compare_precisions(part, store, report, device)
    models = {entry.name: entry for entry in (*parts, store.entry(name)) if entry.permissive}
    unmeasured = (
        entry
        for entry in store.entries()
        if entry.permissive and store.is_ready(entry.name) and recorded_speed(entry, store, device) is None
    )
    for entry in [*models.values(), *(entry for entry in unmeasured if entry.name not in models)]:
        if entry.architecture not in TOOL_ARCHITECTURES:
            time_model(entry, store, report, device)


def is_checked(name: str, store: ModelStore) -> bool:
    """Return True if precision and speed of a model are known on this machine, by this version."""
    entry = store.entry(name)
    timed = not entry.permissive or entry.architecture in TOOL_ARCHITECTURES
    return (timed or recorded_speed(entry, store) is not None) and all(
        not needs_check(part) or bool(recorded_checks(part, store)) for part in store.parts(name)
    )


def compare_precisions(entry: ModelEntry, store: ModelStore, report: Report, device: str = "auto") -> None:
    """Compare the precisions of this machine for a model that needs it, keep and report the result."""
    if needs_check(entry):
        report(f"{entry.name}: checking the precision, which takes up to some minutes.")
        report(f"{entry.name}: {check_precision(entry, store, device)}.")


def time_model(entry: ModelEntry, store: ModelStore, report: Report, device: str = "auto") -> None:
    """Measure the speed of a model, keep and report it."""
    speed = measure_speed(entry, store, device)
    record_speed(entry, store, speed)
    report(f"{entry.name}: {speed.times_real_time:.1f}× real time on {speed.device}.")


def main() -> None:
    """Check a model; end when the parent ends."""
    root, name, device = sys.argv[1:]
    os.nice(NICE)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    check_model(name, ModelStore(Path(root), offline=True), lambda line: print(line, file=sys.stderr), device)


def _end_with_parent() -> None:
    sys.stdin.read()  # ends when the parent closes the pipe or dies
    os._exit(1)


if __name__ == "__main__":
    main()
