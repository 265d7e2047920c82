from collections.abc import Iterator

import pytest

from tests.loopback import Site


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("NO_PROXY", "*")
    with Site() as running:
        yield running
