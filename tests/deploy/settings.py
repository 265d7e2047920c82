"""Variables and shutdown times of the processes, to compare with the deployment files."""

import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from stemsplitter.processes.api import GRACE_S
from stemsplitter.processes.loop import RELEASE_SECONDS
from stemsplitter.settings import FILE_VARIABLE, PREFIX, Settings, load_settings

ROOT = Path(__file__).parents[2]
# variables that are not settings of the server: the path of the settings file, and those of the library and command
OTHERS = {FILE_VARIABLE, f"{PREFIX}CACHE_DIR", f"{PREFIX}OFFLINE", f"{PREFIX}LOG"}
KNOWN = OTHERS | {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
API_ENDS_S = GRACE_S
NUMBER = re.compile(r"(\d+)(h|ms|m|s)")
UNITS = {"h": "hours", "m": "minutes", "s": "seconds", "ms": "milliseconds"}
SIZES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 2**10, "mi": 2**20, "gi": 2**30}


def ours(environment: Mapping[str, Any]) -> dict[str, str]:
    """Return the variables with the program's prefix; unknown ones fail the test."""
    found = {name: str(value) for name, value in environment.items() if name.startswith(PREFIX)}
    assert set(found) <= KNOWN
    return found


def settings_of(environment: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch, file: Path) -> Settings:
    """Load the settings of a process with these variables and the settings file ``file``."""
    for name, value in ours(environment).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv(FILE_VARIABLE, str(file))
    return load_settings()


def worker_ends_s(settings: Settings) -> float:
    """Maximum seconds until a worker exits."""
    return settings.stop_seconds + RELEASE_SECONDS


def seconds(duration: str) -> float:
    """Convert a duration such as ``2m30s`` to seconds."""
    assert "".join("".join(part) for part in NUMBER.findall(duration)) == duration
    parts = [timedelta(**{UNITS[unit]: int(number)}) for number, unit in NUMBER.findall(duration)]
    return sum(parts, timedelta()).total_seconds()


def size(text: str) -> int:
    """Convert a size such as ``510m``, ``2Gi`` or ``510MB`` to bytes."""
    number, unit = re.fullmatch(r"(\d+)([a-z]*)", text.lower()).groups()  # type: ignore[union-attr]
    return int(number) * SIZES[unit.removesuffix("b")]
