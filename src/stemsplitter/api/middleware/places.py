"""Places of requests: those that create, from the API and from pages alike, and the reads of each account."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from starlette.types import Message, Send

from stemsplitter.service_errors import RateLimited

# a request that creates may wait long for a source: polls and pages need threads, and other accounts need places
PLACES = 32
PLACES_PER_ACCOUNT = 8
PLACES_PER_NETWORK = 24  # of an address, or its IPv6 /64: anybody can have several accounts
REQUESTS_PER_ACCOUNT = 32  # with those that wait
RETRY_AFTER_S = 10
# reads at once: a burst of one account waits in its own queue, not in front of the requests of others
READS_PER_ACCOUNT = 8
# threads of the process, of which those without a place remain for all other requests
THREADS = PLACES + 40


class Places:
    """Bounds the requests in progress of all accounts together, of each network and of each account. Requests wait in
    their order, without a thread; an account has a bounded number of them, as each holds a connection."""

    def __init__(self) -> None:
        self.in_use = 0
        self._all = asyncio.Semaphore(PLACES)
        self._of_account: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._of_network: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._requests: Counter[str] = Counter()
        self._reads: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    def check(self, account: str) -> None:
        """Raise RateLimited if too many requests of ``account`` are in progress or waiting."""
        if self._requests[account] >= REQUESTS_PER_ACCOUNT:
            raise RateLimited(
                f"{REQUESTS_PER_ACCOUNT} of your requests are in progress: wait until some have ended.",
                "create",
                {"retryAfter": RETRY_AFTER_S},
            )

    @asynccontextmanager
    async def place(self, account: str, network: str) -> AsyncIterator[None]:
        """Wait for a place of ``account``, an account's id or the client's network if it has none, and of
        ``network``."""
        self._requests[account] += 1
        own = self._of_account.setdefault(account, asyncio.Semaphore(PLACES_PER_ACCOUNT))
        shared = self._of_network.setdefault(network, asyncio.Semaphore(PLACES_PER_NETWORK))
        try:
            async with own, shared, self._all:
                self.in_use += 1
                try:
                    yield
                finally:
                    self.in_use -= 1
        finally:
            self._requests[account] -= 1
            if not self._requests[account]:
                del self._requests[account]

    async def read(self, account: str, run: Callable[[Send], Awaitable[None]], send: Send) -> None:
        """Run a request that reads when ``account`` has a place, which it leaves with the start of its response: a
        download or a stream of events may take an hour."""
        place = self._reads.setdefault(account, asyncio.Semaphore(READS_PER_ACCOUNT))
        await place.acquire()
        held = True

        def leave() -> None:
            nonlocal held
            if held:
                held = False
                place.release()

        async def send_and_leave(message: Message) -> None:
            leave()
            await send(message)

        try:
            await run(send_and_leave)
        finally:
            leave()
