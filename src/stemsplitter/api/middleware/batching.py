"""Looks at the database that are asked for at the same time, done as one."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Generic, TypeVar

AT_ONCE = 2
LARGEST = 64
# how long a look has to itself: most take less, and what is asked meanwhile costs a fraction when it is asked together
PATIENCE_S = 0.01

Question = TypeVar("Question")
Answer = TypeVar("Answer")


class Batches(Generic[Question, Answer]):
    """Gives questions to ``work`` together: at most :data:`LARGEST` that came while others were being answered.

    Each is answered by a call of ``work`` that began after it was asked; one that is asked alone does not wait, and the
    others for no longer than :data:`PATIENCE_S`, while a thread is free. ``work`` runs in :data:`AT_ONCE` threads, and
    returns as many answers as it is given questions; where it raises, all of them are answered so. To be used from one
    event loop at a time.
    """

    def __init__(self, work: Callable[[Sequence[Question]], Sequence[Answer]], name: str) -> None:
        self._work = work
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix=name)
        self._waiting: list[tuple[Question, asyncio.Future[Answer]]] = []
        self._running = 0
        self._began = 0.0

    async def ask(self, question: Question) -> Answer:
        """The answer to a question."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Answer] = loop.create_future()
        self._waiting.append((question, answer))
        # after what else is ready to run, which may ask, too
        loop.call_soon(self._begin, loop)
        return await answer

    def _begin(self, loop: asyncio.AbstractEventLoop, patient: bool = True) -> None:
        if not self._waiting or self._running == AT_ONCE:
            return
        if self._running and patient and loop.time() < self._began + PATIENCE_S:
            return  # the end of what runs, or of the patience with it, comes here again
        self._began = loop.time()
        loop.call_later(PATIENCE_S, self._begin, loop, False)
        batch, self._waiting = self._waiting[:LARGEST], self._waiting[LARGEST:]
        self._running += 1
        done = self._threads.submit(self._work, [question for question, _ in batch])
        done.add_done_callback(
            lambda answered: loop.call_soon_threadsafe(partial(self._end, loop, batch, answered))
        )

    def _end(
        self,
        loop: asyncio.AbstractEventLoop,
        batch: Sequence[tuple[Question, asyncio.Future[Answer]]],
        answered: "Future[Sequence[Answer]]",
    ) -> None:
        self._running -= 1
        self._begin(loop)
        error = answered.exception()
        answers = [] if error else answered.result()
        for number, (_, future) in enumerate(batch):
            if future.done():  # whoever asked has gone
                continue
            if error:
                future.set_exception(error)
            else:
                future.set_result(answers[number])
