"""The client for asyncio."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any, Concatenate, ParamSpec, TypeVar

from .client import StemSplitter
from .jobs import Collection, Jobs, WebhookEndpoints
from .transport import CANCELED

P = ParamSpec("P")
T = TypeVar("T")


def _awaited(
    method: Callable[Concatenate[Any, P], T],
) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]:
    """Return a method that runs ``method`` of ``self._sync`` in a thread, and callbacks in the event loop."""

    async def call(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> T:
        canceled = threading.Event()
        in_loop = functools.partial(functools.partial, asyncio.get_running_loop().call_soon_threadsafe)
        for name in kwargs.keys() & {"on_progress", "on_update"}:
            kwargs[name] = kwargs[name] and in_loop(kwargs[name])
        token = CANCELED.set(canceled)
        try:
            return await asyncio.to_thread(method, self._sync, *args, **kwargs)
        finally:
            canceled.set()
            CANCELED.reset(token)

    functools.update_wrapper(call, method)
    return call


def _iterated(
    method: Callable[Concatenate[Any, P], Iterator[T]],
) -> Callable[Concatenate[Any, P], AsyncIterator[T]]:
    async def call(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[T]:
        end = object()
        items = method(self._sync, *args, **kwargs)
        while (item := await asyncio.to_thread(next, items, end)) is not end:
            yield item  # type: ignore[misc]

    functools.update_wrapper(call, method)
    return call


class AsyncCollection:
    """Objects of one kind: the methods of :class:`Collection`, awaited."""

    def __init__(self, collection: Collection) -> None:
        self._sync = collection

    get, list, iterate = _awaited(Collection.get), _awaited(Collection.list), _iterated(Collection.iterate)


class AsyncJobs(AsyncCollection):
    """Jobs of one kind: the methods of :class:`Jobs`, awaited."""

    create, wait = _awaited(Jobs.create), _awaited(Jobs.wait)
    cancel, delete = _awaited(Jobs.cancel), _awaited(Jobs.delete)
    download = _awaited(Jobs.download)


class AsyncWebhookEndpoints:
    """Saved URLs of webhooks: the methods of :class:`WebhookEndpoints`, awaited."""

    def __init__(self, endpoints: WebhookEndpoints) -> None:
        self._sync = endpoints

    create, list = _awaited(WebhookEndpoints.create), _awaited(WebhookEndpoints.list)
    get, update = _awaited(WebhookEndpoints.get), _awaited(WebhookEndpoints.update)
    delete, rotate_secret = _awaited(WebhookEndpoints.delete), _awaited(WebhookEndpoints.rotate_secret)
    send_test = _awaited(WebhookEndpoints.send_test)


class AsyncStemSplitter:
    """Client for asyncio: the methods and options of :class:`StemSplitter`, awaited.

    Requests run in threads. If the task is canceled, an upload and a wait end after their present request. Callbacks
    run in the event loop.
    """

    def __init__(self, api_key: str = "", **options: Any) -> None:
        self._sync = StemSplitter(api_key, **options)
        self.base_url = self._sync.base_url
        self.splits, self.analyses = AsyncJobs(self._sync.splits), AsyncJobs(self._sync.analyses)
        self.effects, self.speech = AsyncJobs(self._sync.effects), AsyncJobs(self._sync.speech)
        self.webhook_endpoints = AsyncWebhookEndpoints(self._sync.webhook_endpoints)
        self.deliveries = AsyncCollection(self._sync.deliveries)

    def mixes(self, split_id: str) -> AsyncJobs:
        """Return the mixes of a split."""
        return AsyncJobs(self._sync.mixes(split_id))

    get_credits = _awaited(StemSplitter.get_credits)
    list_models = _awaited(StemSplitter.list_models)
    list_voices = _awaited(StemSplitter.list_voices)
    create_upload = _awaited(StemSplitter.create_upload)
    upload_audio = _awaited(StemSplitter.upload_audio)
    upload_file = _awaited(StemSplitter.upload_file)
    create_split = _awaited(StemSplitter.create_split)
    get_split = _awaited(StemSplitter.get_split)
    wait_for_split = _awaited(StemSplitter.wait_for_split)
    download_stem = _awaited(StemSplitter.download_stem)
    download_archive = _awaited(StemSplitter.download_archive)
    download_cover = _awaited(StemSplitter.download_cover)
    get_peaks = _awaited(StemSplitter.get_peaks)
    get_previews = _awaited(StemSplitter.get_previews)
    rotate_webhook_secret = _awaited(StemSplitter.rotate_webhook_secret)
    list_webhook_secrets = _awaited(StemSplitter.list_webhook_secrets)
    send_test_webhook = _awaited(StemSplitter.send_test_webhook)
    replay_delivery = _awaited(StemSplitter.replay_delivery)
    request = _awaited(StemSplitter.request)
