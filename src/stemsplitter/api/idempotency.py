"""The header ``Idempotency-Key`` of requests that create."""

import hashlib
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from fastapi import Header, Request
from pydantic import BaseModel

from stemsplitter.api.dependencies import CallerDep, ServicesDep
from stemsplitter.api.envelope import JsonResponse, success
from stemsplitter.idempotency import service
from stemsplitter.idempotency.service import Record
from stemsplitter.service_errors import ValidationFailed

MAX_KEY = 255


class Once:
    """Answers a request that creates; one with an idempotency key creates once. A dependency of endpoints."""

    def __init__(
        self,
        request: Request,
        services: ServicesDep,
        caller: CallerDep,
        idempotency_key: Annotated[
            str | None,
            Header(
                min_length=1,
                json_schema_extra={"maxLength": MAX_KEY},  # without the quotes it may come in
                description="A key of your own making, up to 255 characters. The same key with the same body "
                "within 48 hours creates nothing new: it gets the first answer again.",
            ),
        ] = None,
    ) -> None:
        self._service = services.idempotency
        self._account_id = caller.account_id
        self._route = f"{request.method} {request.url.path}"
        self._key = None if idempotency_key is None else parse_key(idempotency_key)

    def answer(self, body: BaseModel, create: Callable[[Record], Mapping[str, Any]]) -> JsonResponse:
        """The answer to ``body``: what ``create`` returns now, or returned at the first time.

        ``create`` is given the function that it must call, with the `data` of the answer, in the transaction
        that creates.
        """
        if self._key is None:
            return success(create(lambda session, data: None))
        digest = hashlib.sha256(body.model_dump_json().encode()).hexdigest()
        request = service.Request(self._account_id, self._route, self._key, digest)
        data, replayed = self._service.run(request, create)
        return success(data, {"Idempotency-Replayed": "true"} if replayed else None)


def parse_key(header: str) -> str:
    """The key in ``header``, which may be bare or in the quotes of a structured field (RFC 8941 §3.3.3).

    Raises:
        ValidationFailed: it is empty or longer than 255 characters.
    """
    key = header.strip()
    if len(key) >= 2 and key[0] == key[-1] == '"':
        key = key[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    if not 0 < len(key) <= MAX_KEY:
        raise ValidationFailed(
            f"An idempotency key has 1 to {MAX_KEY} characters: this one has {len(key)}.",
            param="Idempotency-Key",
        )
    return key
