"""Deadlines that expire while a response body is read, independent of the machine's speed."""

from collections.abc import Callable
from typing import Any

import pytest

from stemsplitter.fetching import connections, fetcher

UntilTheBody = Callable[[float], None]


@pytest.fixture
def until_the_body(monkeypatch: pytest.MonkeyPatch) -> UntilTheBody:
    """Function that sets the seconds that each POST has left after its status has arrived."""

    def set_to(seconds: float) -> None:
        read = fetcher._excerpt
        made: list[connections.Deadline] = []

        class Remembered(connections.Deadline):
            def __init__(self, given: float) -> None:
                super().__init__(given)
                made.append(self)

        def read_for_so_long(response: Any) -> bytes:
            made[-1]._end = connections.Deadline(seconds)._end
            return read(response)

        monkeypatch.setattr(fetcher, "Deadline", Remembered)
        monkeypatch.setattr(fetcher, "_excerpt", read_for_so_long)

    return set_to
