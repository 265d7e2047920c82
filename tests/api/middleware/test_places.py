import asyncio
from collections import Counter

import pytest
from starlette.types import Message, Send

from stemsplitter.api.middleware.places import (
    PLACES,
    PLACES_PER_ACCOUNT,
    PLACES_PER_NETWORK,
    READS_PER_ACCOUNT,
    REQUESTS_PER_ACCOUNT,
    Places,
)
from stemsplitter.service_errors import RateLimited


def test_h3_an_account_has_a_bounded_number_of_waiting_requests() -> None:
    """Each holds a connection, so that one account could otherwise take all of them."""
    places = Places()

    async def main() -> None:
        go = asyncio.Event()

        async def request(account: str) -> None:
            places.check(account)
            async with places.place(account, "192.0.2.1"):
                await go.wait()

        running = [asyncio.create_task(request("acc_1")) for _ in range(REQUESTS_PER_ACCOUNT)]
        await asyncio.sleep(0.01)
        assert places.in_use == PLACES_PER_ACCOUNT
        with pytest.raises(RateLimited, match="32 of your requests are in progress"):
            await request("acc_1")
        other = asyncio.create_task(request("acc_2"))
        go.set()
        await asyncio.gather(*running, other)
        await request("acc_1")
        assert places.in_use == 0 and not places._requests

    asyncio.run(main())


def test_h3_accounts_of_one_network_leave_places_for_others() -> None:
    """Anybody can have several accounts, and a request may wait for a source for most of a minute."""
    places = Places()

    async def main() -> None:
        go = asyncio.Event()

        async def request(account: str, network: str) -> None:
            async with places.place(account, network):
                await go.wait()

        names = [f"acc_{number % 10}" for number in range(10 * PLACES_PER_ACCOUNT)]
        running = [asyncio.create_task(request(name, "2001:db8::/64")) for name in names]
        await asyncio.sleep(0.01)
        assert places.in_use == PLACES_PER_NETWORK < PLACES
        running.append(asyncio.create_task(request("acc_honest", "192.0.2.1")))
        await asyncio.sleep(0.01)
        assert places.in_use == PLACES_PER_NETWORK + 1
        go.set()
        await asyncio.gather(*running)

    asyncio.run(main())


def test_m4_a_burst_of_reads_of_one_account_waits_in_its_own_queue() -> None:
    """A place is held until the response starts, so that open streams and downloads hold none."""
    places, running = Places(), Counter[str]()

    async def main() -> None:
        go, end = asyncio.Event(), asyncio.Event()

        async def request(account: str) -> None:
            async def run(send: Send) -> None:
                running[account] += 1
                await go.wait()
                await send({"type": "http.response.start"})
                await end.wait()

            await places.read(account, run, ignored)

        async def ignored(_: Message) -> None:
            pass

        burst = [asyncio.create_task(request("acc_1")) for _ in range(100)]
        other = asyncio.create_task(request("acc_2"))
        await asyncio.sleep(0.01)
        assert running == {"acc_1": READS_PER_ACCOUNT, "acc_2": 1}
        burst.pop().cancel()  # a client that leaves
        go.set()
        while running["acc_1"] < 99:
            await asyncio.sleep(0.01)
        end.set()
        await asyncio.gather(*burst, other)
        assert not places._reads

    asyncio.run(asyncio.wait_for(main(), 60))
