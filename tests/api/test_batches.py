"""Questions that are asked at the same time are answered together, each as if it had been asked alone."""

import asyncio
import queue
import threading
import time
from collections.abc import Sequence

import pytest

from stemsplitter.api.middleware import batching
from stemsplitter.api.middleware.batching import Batches

LIMIT_S = 60.0


def test_what_is_asked_at_once_is_answered_together() -> None:
    seen: list[int] = []

    def work(questions: Sequence[int]) -> list[int]:
        seen.append(len(questions))
        return [each * 10 for each in questions]

    async def ask_all() -> list[int]:
        asked = Batches(work, "test")
        return await asyncio.gather(*(asked.ask(number) for number in range(100)))

    assert asyncio.run(ask_all()) == [number * 10 for number in range(100)]
    assert sum(seen) == 100
    assert max(seen) == batching.LARGEST
    assert len(seen) == 2


def test_no_more_threads_work_than_there_are() -> None:
    """While all of them are at work, whoever asks waits."""
    began: queue.SimpleQueue[Sequence[int]] = queue.SimpleQueue()
    go_on = threading.Event()

    def work(questions: Sequence[int]) -> Sequence[int]:
        began.put(questions)
        assert go_on.wait(LIMIT_S)
        return questions

    async def ask_all() -> list[int]:
        asked = Batches(work, "test")
        answers = []
        for number in range(batching.AT_ONCE):
            answers.append(asyncio.ensure_future(asked.ask(number)))
            assert await asyncio.to_thread(began.get, timeout=LIMIT_S) == [number]
        answers += [asyncio.ensure_future(asked.ask(number)) for number in range(batching.AT_ONCE, 60)]
        await asyncio.sleep(5 * batching.PATIENCE_S)
        assert began.empty()
        go_on.set()
        return await asyncio.gather(*answers)

    assert asyncio.run(ask_all()) == list(range(60))


def test_an_answer_is_younger_than_its_question() -> None:
    began = [0.0]

    def work(questions: Sequence[float]) -> list[bool]:
        began[0] = time.monotonic()
        time.sleep(0.01)
        return [asked <= began[0] for asked in questions]

    async def ask(asked: "Batches[float, bool]", number: int) -> bool:
        await asyncio.sleep(number / 500)
        return await asked.ask(time.monotonic())

    async def ask_all() -> list[bool]:
        asked = Batches(work, "test")
        return await asyncio.gather(*(ask(asked, number) for number in range(30)))

    assert all(asyncio.run(ask_all()))


def test_a_failure_is_everybodys_and_what_is_asked_later_is_answered() -> None:
    def work(questions: Sequence[int]) -> Sequence[int]:
        if 3 in questions:
            raise RuntimeError("three")
        return questions

    async def ask_all() -> list[object]:
        asked = Batches(work, "test")
        first = await asyncio.gather(*(asked.ask(number) for number in range(5)), return_exceptions=True)
        return [*first, await asked.ask(7)]

    *first, later = asyncio.run(ask_all())
    assert [str(each) for each in first] == ["three"] * 5
    assert later == 7


def test_who_has_gone_keeps_nobody_from_an_answer() -> None:
    began, go_on = threading.Event(), threading.Event()

    def work(questions: Sequence[int]) -> Sequence[int]:
        began.set()
        assert go_on.wait(LIMIT_S)
        return questions

    async def ask_all() -> int:
        asked = Batches(work, "test")
        gone = asyncio.ensure_future(asked.ask(1))
        stays = asyncio.ensure_future(asked.ask(2))
        assert await asyncio.to_thread(began.wait, LIMIT_S)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        go_on.set()
        return await stays

    assert asyncio.run(ask_all()) == 2


def test_a_look_that_hangs_does_not_hold_up_what_comes_later() -> None:
    hangs = threading.Event()

    def work(questions: Sequence[int]) -> Sequence[int]:
        if 0 in questions:
            assert hangs.wait(2 * LIMIT_S)
        return questions

    async def ask_all() -> list[int]:
        asked = Batches(work, "test")
        first = asyncio.ensure_future(asked.ask(0))
        await asyncio.sleep(0.001)
        soon = await asyncio.wait_for(asked.ask(1), LIMIT_S)
        await asyncio.sleep(2 * batching.PATIENCE_S)
        later = await asyncio.wait_for(asked.ask(2), LIMIT_S)
        hangs.set()
        return [soon, later, await first]

    assert asyncio.run(ask_all()) == [1, 2, 0]
