"""Concurrent queries, coalesced into batches."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Generic, TypeVar

THREADS = 2
MAX_BATCH = 64
# most batches take less time than this, and a query costs a fraction when it is part of a batch
MAX_WAIT_S = 0.01

Query = TypeVar("Query")
Result = TypeVar("Result")


class Batcher(Generic[Query, Result]):
    """Runs concurrent queries together, at most :data:`MAX_BATCH` at once.

    A query runs in a batch that starts after the query was made. A single query does not wait; queries made while a
    batch runs wait for its end, or for :data:`MAX_WAIT_S` if a thread is free. To be used from one event loop at a
    time.

    Args:
        run: answers a batch with one result per query, in :data:`THREADS` threads. Its error is the error of every
            query of the batch.
        name: prefix of the names of the threads.
    """

    def __init__(self, run: Callable[[Sequence[Query]], Sequence[Result]], name: str) -> None:
        self._run = run
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix=name)
        self._waiting: list[tuple[Query, asyncio.Future[Result]]] = []
        self._running = 0
        self._started = 0.0

    async def query(self, query: Query) -> Result:
        """Return the result of a query."""
        loop = asyncio.get_running_loop()
        result: asyncio.Future[Result] = loop.create_future()
        self._waiting.append((query, result))
        # after other tasks that are ready, which may make queries too
        loop.call_soon(self._start, loop)
        return await result

    def _start(self, loop: asyncio.AbstractEventLoop, may_wait: bool = True) -> None:
        if not self._waiting or self._running == THREADS:
            return
        if self._running and may_wait and loop.time() < self._started + MAX_WAIT_S:
            return  # called again at the end of the running batch or of the wait
        self._started = loop.time()
        loop.call_later(MAX_WAIT_S, self._start, loop, False)
        batch, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
        self._running += 1
        done = self._threads.submit(self._run, [query for query, _ in batch])
        done.add_done_callback(
            lambda done: loop.call_soon_threadsafe(partial(self._finish, loop, batch, done))
        )

    def _finish(
        self,
        loop: asyncio.AbstractEventLoop,
        batch: Sequence[tuple[Query, asyncio.Future[Result]]],
        done: "Future[Sequence[Result]]",
    ) -> None:
        self._running -= 1
        self._start(loop)
        error = done.exception()
        results = [] if error else done.result()
        for number, (_, future) in enumerate(batch):
            if future.done():  # canceled: the client is gone
                continue
            if error:
                future.set_exception(error)
            else:
                future.set_result(results[number])
