"""What tests of deploy/ know of the program: its variables, and the limits that what runs it must leave."""

import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from stemsplitter.processes.api import GRACE_S
from stemsplitter.processes.loop import HAND_BACK_SECONDS
from stemsplitter.settings import FILE_VARIABLE, PREFIX, Settings, load_settings

ROOT = Path(__file__).parents[2]
# those that are no settings of the server: where they are in a file, and those of the library and the command
OTHERS = {FILE_VARIABLE, f"{PREFIX}CACHE_DIR", f"{PREFIX}OFFLINE", f"{PREFIX}LOG"}
KNOWN = OTHERS | {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
API_ENDS_S = GRACE_S
NUMBER = re.compile(r"(\d+)(h|ms|m|s)")
UNITS = {"h": "hours", "m": "minutes", "s": "seconds", "ms": "milliseconds"}
SIZES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 2**10, "mi": 2**20, "gi": 2**30}


def ours(environment: Mapping[str, Any]) -> dict[str, str]:
    """The variables of the program, all of which it must know."""
    found = {name: str(value) for name, value in environment.items() if name.startswith(PREFIX)}
    assert set(found) <= KNOWN
    return found


def settings_of(environment: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch, file: Path) -> Settings:
    """The settings that a process with these variables has, with the secrets of ``file``."""
    for name, value in ours(environment).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv(FILE_VARIABLE, str(file))
    return load_settings()


def worker_ends_s(settings: Settings) -> float:
    """Seconds that a worker takes to end at most."""
    return settings.stop_seconds + HAND_BACK_SECONDS


def seconds(duration: str) -> float:
    """``2m30s`` in seconds."""
    assert "".join("".join(part) for part in NUMBER.findall(duration)) == duration
    parts = [timedelta(**{UNITS[unit]: int(number)}) for number, unit in NUMBER.findall(duration)]
    return sum(parts, timedelta()).total_seconds()


def size(text: str) -> int:
    """``510m``, ``2Gi`` or ``510MB`` in bytes."""
    number, unit = re.fullmatch(r"(\d+)([a-z]*)", text.lower()).groups()  # type: ignore[union-attr]
    return int(number) * SIZES[unit.removesuffix("b")]
