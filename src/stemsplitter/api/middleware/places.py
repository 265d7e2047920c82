"""Places of requests that take long: those that create, from the API and from pages alike."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

# a request that creates may wait long for a source: polls and pages need threads, and other accounts need places
PLACES = 32
PLACES_PER_ACCOUNT = 8
# threads of the process, of which those without a place remain for all other requests
THREADS = PLACES + 40


class Places:
    """Bounds the requests in progress of all accounts together and of each account. Requests wait in their order,
    without a thread."""

    def __init__(self) -> None:
        self.in_use = 0
        self._all = asyncio.Semaphore(PLACES)
        self._of_account: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    @asynccontextmanager
    async def place(self, account: str) -> AsyncIterator[None]:
        """Wait for a place of ``account``: an account's id, or a client's network if it has none."""
        own = self._of_account.setdefault(account, asyncio.Semaphore(PLACES_PER_ACCOUNT))
        async with own, self._all:
            self.in_use += 1
            try:
                yield
            finally:
                self.in_use -= 1
