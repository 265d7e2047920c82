"""The client for asyncio."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from .client import Json, StemSplitter
from .uploads import Progress
from .waiting import Split

T = TypeVar("T")


class AsyncStemSplitter:
    """Client for asyncio: the methods and options of :class:`StemSplitter`, awaited.

    Requests run in threads. If the task is canceled, an upload and a wait end after their present request. Callbacks
    run in the event loop.
    """

    def __init__(self, api_key: str = "", **options: Any) -> None:
        self._client = StemSplitter(api_key, **options)
        self.base_url = self._client.base_url

    async def get_credits(self) -> Json:
        return await asyncio.to_thread(self._client.get_credits)

    async def list_models(self) -> list[Json]:
        return await asyncio.to_thread(self._client.list_models)

    async def create_upload(self, **what: Any) -> Json:
        return await asyncio.to_thread(self._client.create_upload, **what)

    async def upload_audio(self, data: bytes, *, filename: str, content_type: str = "") -> Json:
        return await asyncio.to_thread(
            self._client.upload_audio, data, filename=filename, content_type=content_type
        )

    async def upload_file(
        self, path: str | os.PathLike[str], *, on_progress: Progress | None = None, **what: Any
    ) -> Json:
        return await self._run(
            on_progress, lambda call: self._client.upload_file(path, on_progress=call, **what)
        )

    async def create_split(self, request: Mapping[str, Any], *, idempotency_key: str | None = None) -> Json:
        return await asyncio.to_thread(self._client.create_split, request, idempotency_key=idempotency_key)

    async def get_split(self, split_id: str) -> Split:
        return await asyncio.to_thread(self._client.get_split, split_id)

    async def list_splits(self, **query: Any) -> Json:
        return await asyncio.to_thread(self._client.list_splits, **query)

    def iterate_splits(self, **query: Any) -> AsyncIterator[Split]:
        return _iterate(self._client.iterate_splits(**query))

    async def wait_for_split(
        self,
        split_id: str,
        *,
        timeout: float = 300,
        interval: float = 2,
        on_update: Callable[[Split], None] | None = None,
    ) -> Split:
        def wait(call: Callable[..., None]) -> Split:
            return self._client.wait_for_split(split_id, timeout=timeout, interval=interval, on_update=call)

        return await self._run(on_update, wait)

    async def cancel_split(self, split_id: str) -> Split:
        return await asyncio.to_thread(self._client.cancel_split, split_id)

    async def delete_split(self, split_id: str) -> Json:
        return await asyncio.to_thread(self._client.delete_split, split_id)

    async def download_stems(
        self, split: str | Mapping[str, Any], folder: str | os.PathLike[str]
    ) -> dict[str, Path]:
        return await asyncio.to_thread(self._client.download_stems, split, folder)

    async def download_archive(self, split_id: str, path: str | os.PathLike[str]) -> Path:
        return await asyncio.to_thread(self._client.download_archive, split_id, path)

    async def rotate_webhook_secret(self) -> str:
        return await asyncio.to_thread(self._client.rotate_webhook_secret)

    async def list_webhook_secrets(self) -> list[Json]:
        return await asyncio.to_thread(self._client.list_webhook_secrets)

    async def send_test_webhook(self, url: str) -> Json:
        return await asyncio.to_thread(self._client.send_test_webhook, url)

    def iterate_deliveries(self, **query: Any) -> AsyncIterator[Json]:
        return _iterate(self._client.iterate_deliveries(**query))

    async def get_delivery(self, delivery_id: str) -> Json:
        return await asyncio.to_thread(self._client.get_delivery, delivery_id)

    async def replay_delivery(self, delivery_id: str) -> Json:
        return await asyncio.to_thread(self._client.replay_delivery, delivery_id)

    async def _run(self, callback: Callable[..., None] | None, work: Callable[[Callable[..., None]], T]) -> T:
        """Run ``work`` in a thread, with a function that calls ``callback`` in the loop and raises after a cancel."""
        loop, canceled = asyncio.get_running_loop(), threading.Event()

        def call(*values: Any) -> None:
            if canceled.is_set():
                raise asyncio.CancelledError
            if callback:
                loop.call_soon_threadsafe(callback, *values)

        try:
            return await asyncio.to_thread(work, call)
        except asyncio.CancelledError:
            canceled.set()
            raise


async def _iterate(items: Iterator[Json]) -> AsyncIterator[Json]:
    end = object()
    while (item := await asyncio.to_thread(next, items, end)) is not end:
        yield item  # type: ignore[misc]
