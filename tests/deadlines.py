"""A deadline that comes when an answer's body is waited for, however slow the machine was before."""

from collections.abc import Callable
from typing import Any

import pytest

from stemsplitter.fetching import connections, fetcher

UntilTheBody = Callable[[float], None]


@pytest.fixture
def until_the_body(monkeypatch: pytest.MonkeyPatch) -> UntilTheBody:
    """Call it to leave each post so many seconds from when its status has come, whatever it was given."""

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
