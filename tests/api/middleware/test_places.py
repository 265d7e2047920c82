import asyncio

import pytest

from stemsplitter.api.middleware.places import PLACES_PER_ACCOUNT, REQUESTS_PER_ACCOUNT, Places
from stemsplitter.service_errors import RateLimited


def test_h3_an_account_has_a_bounded_number_of_waiting_requests() -> None:
    """Each holds a connection, so that one account could otherwise take all of them."""
    places = Places()

    async def main() -> None:
        go = asyncio.Event()

        async def request(account: str) -> None:
            places.check(account)
            async with places.place(account):
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
