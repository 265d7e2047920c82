"""The header ``Idempotency-Key`` of create requests."""

import hashlib
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from fastapi import Depends, Header, Request
from pydantic import BaseModel

from stemsplitter.api.dependencies import CallerDep, ServicesDep
from stemsplitter.api.envelope import JsonResponse, success
from stemsplitter.idempotency import service
from stemsplitter.idempotency.service import Record
from stemsplitter.service_errors import ValidationFailed

MAX_KEY = 255


class Idempotency:
    """Runs a create request; requests with the same idempotency key run once. A dependency of routes."""

    def __init__(
        self,
        request: Request,
        services: ServicesDep,
        caller: CallerDep,
        idempotency_key: Annotated[
            str | None,
            Header(
                min_length=1,
                json_schema_extra={"maxLength": MAX_KEY},  # without the quotes that it may have
                description="A unique key of up to 255 characters. A request with the same key and body within 48 "
                "hours creates nothing and returns the first response.",
            ),
        ] = None,
    ) -> None:
        self._service = services.idempotency
        self._account_id = caller.account_id
        self._route = f"{request.method} {request.url.path}"
        self._key = None if idempotency_key is None else parse_key(idempotency_key)

    def run(self, body: BaseModel, create: Callable[[Record], Mapping[str, Any]]) -> JsonResponse:
        """Return the response to ``body``, with the data that ``create`` returns or returned to the first request.

        ``create`` must call its argument with the data, in the transaction that creates.
        """
        if self._key is None:
            return success(create(lambda session, data: None))
        digest = hashlib.sha256(body.model_dump_json().encode()).hexdigest()
        request = service.Request(self._account_id, self._route, self._key, digest)
        data, replayed = self._service.run(request, create)
        return success(data, {"Idempotency-Replayed": "true"} if replayed else None)


IdempotencyDep = Annotated[Idempotency, Depends()]


def parse_key(header: str) -> str:
    """Return the key in ``header``, with or without the quotes of a structured field (RFC 9651 §3.3.3).

    Raises:
        ValidationFailed: the key is empty or longer than 255 characters.
    """
    key = header.strip()
    if len(key) >= 2 and key[0] == key[-1] == '"':
        key = key[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    if not 0 < len(key) <= MAX_KEY:
        raise ValidationFailed(
            f"The idempotency key has {len(key)} characters: use 1 to {MAX_KEY}.",
            param="Idempotency-Key",
        )
    return key
