import threading

import pytest

from stemsplitter.database.best_effort import BestEffort


def test_m8_a_write_is_not_waited_for_and_others_are_dropped_meanwhile() -> None:
    go, written = threading.Event(), []
    writes = BestEffort()

    def slow() -> None:
        assert go.wait(60)
        written.append("slow")

    writes.run(slow)
    writes.run(lambda: written.append("dropped"))
    assert written == []
    go.set()
    assert writes.wait(60)
    writes.run(lambda: written.append("next"))
    assert writes.wait(60) and written == ["slow", "next"]


def test_a_write_that_fails_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    writes = BestEffort()
    writes.run(lambda: [][0])
    assert writes.wait(60)
    assert caplog.messages == ["a task in the background failed: IndexError"]
