"""Identifiers: unique, unguessable and ordered by creation."""

import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from stemsplitter.database import new_id


def test_id_has_prefix_and_22_characters() -> None:
    assert re.fullmatch(r"split_[0-9A-Za-z]{22}", new_id("split"))


@pytest.mark.parametrize("seconds", [0, -3600], ids=["clock stands still", "clock was put back"])
def test_ids_sort_by_creation(monkeypatch: pytest.MonkeyPatch, seconds: int) -> None:
    before = new_id("led")
    instant = time.time_ns() + seconds * 1_000_000_000
    monkeypatch.setattr(time, "time_ns", lambda: instant)
    made = [before, *(new_id("led") for _ in range(5000))]
    assert made == sorted(set(made))


def test_random_part_differs() -> None:
    assert len({new_id("key")[-12:] for _ in range(1000)}) == 1000


def test_threads_get_different_moments() -> None:
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: new_id("evt"), range(4000)))
    assert len({each[:14] for each in made}) == 4000
