"""Behavior that is particular to Python; the conformance suite tests the rest."""

import asyncio
import json
import logging

import pytest
import stemsplitter_client
from stemsplitter_client import (
    AsyncStemSplitter,
    ConfigError,
    ConnectionFailed,
    NotFound,
    StemSplitter,
    WaitTimeout,
)

DONE = {"id": "s", "status": "succeeded", "progress": 100}


def transport_of(*responses):
    """Transport of the kind of the package aistemsplitter, which plays responses and records requests."""
    left, seen = list(responses), []

    def transport(method, url, headers, body):
        seen.append((method, url))
        status, data = left.pop(0)
        error = {"success": False, "error": {"code": "NOT_FOUND", "message": "No."}}
        return status, {}, json.dumps({"success": True, "data": data} if status < 300 else error).encode()

    transport.seen = seen
    return transport


def client(*responses, **options):
    return StemSplitter("key", base_url="http://x/v1/", transport=transport_of(*responses), **options)


def test_names_of_the_other_package_exist():
    assert stemsplitter_client.AIStemSplitter is StemSplitter
    assert issubclass(NotFound, stemsplitter_client.AIStemSplitterError)


def test_missing_key_or_address_is_reported(monkeypatch):
    monkeypatch.delenv("STEMSPLITTER_KEY", raising=False)
    monkeypatch.delenv("STEMSPLITTER_URL", raising=False)
    for arguments, options in (((), {"base_url": "http://x"}), (("key",), {})):
        with pytest.raises(ConfigError) as raised:
            StemSplitter(*arguments, **options)
        assert raised.value.code == "CONFIG_ERROR"


def test_environment_configures(monkeypatch):
    monkeypatch.setenv("STEMSPLITTER_KEY", "k")
    monkeypatch.setenv("STEMSPLITTER_URL", "http://x/")
    made = StemSplitter()
    assert (made.api_key, made.base_url) == ("k", "http://x/v1")


def test_given_transport_and_sleep_are_used():
    slept = []
    made = client((200, DONE | {"status": "queued"}), (200, DONE), sleep=slept.append)
    assert made.wait_for_split("s", timeout=10, interval=1.5)["status"] == "succeeded"
    assert made.http.transport.seen == [("GET", "http://x/v1/audio/splits/s")] * 2
    assert slept == [1.5]


def test_wait_ends_by_the_clock():
    with pytest.raises(WaitTimeout):
        client((200, DONE | {"status": "queued"})).wait_for_split("s", timeout=0)


def test_exception_in_the_callback_ends_the_wait():
    def stop(split):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        client((200, DONE)).wait_for_split("s", on_update=stop)


def test_retries_are_logged_without_the_key(caplog):
    caplog.set_level(logging.INFO, "stemsplitter_client")

    def broken(*_):
        raise ConnectionResetError("reset")

    with pytest.raises(stemsplitter_client.ConnectionFailed):
        StemSplitter("secret", base_url="http://x", transport=broken, sleep=lambda _: None).get_credits()
    assert len(caplog.records) == 4
    assert "secret" not in caplog.text


def test_async_client_awaits():
    page = {"items": [DONE], "nextCursor": None}

    async def use():
        transport = transport_of((200, {"balance": 3}), (200, page), (200, DONE), (404, 0))
        made = AsyncStemSplitter("key", base_url="http://x", transport=transport)
        updates = []
        assert (await made.get_credits())["balance"] == 3
        assert [split["id"] async for split in made.splits.iterate()] == ["s"]
        assert (await made.wait_for_split("s", on_update=updates.append))["progress"] == 100
        with pytest.raises(NotFound):
            await made.get_split("other")
        assert updates == [DONE]

    asyncio.run(use())


def test_canceled_task_ends_the_wait():
    async def use():
        asleep = asyncio.Event()
        loop = asyncio.get_running_loop()
        states = iter(range(100))

        def transport(*_):
            loop.call_soon_threadsafe(asleep.set)
            data = {"id": "s", "status": "processing", "progress": next(states)}
            return 200, {}, json.dumps({"success": True, "data": data})

        made = AsyncStemSplitter("key", base_url="http://x", transport=transport, sleep=lambda _: None)
        task = asyncio.create_task(made.wait_for_split("s", interval=0))
        await asleep.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(use())


def test_refused_connection_has_a_plain_reason():
    refused = StemSplitter("k", base_url="http://127.0.0.1:1", max_retries=0)
    with pytest.raises(ConnectionFailed, match=r"failed: \[Errno \d+\] Connection refused\.$"):
        refused.get_credits()
