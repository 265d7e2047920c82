"""Webhooks in the API."""

from typing import Annotated, Literal

from pydantic import Field

from stemsplitter.schemas import CamelModel, RequestModel, Time
from stemsplitter.webhooks.endpoints import MAX_DESCRIPTION
from stemsplitter.webhooks.models import ALL, JOB_KINDS, DeliveryStatus

EndpointStatus = Literal["enabled", "disabled"]
# the service validates them, with a message that names the events that exist
_Event = Annotated[str, Field(max_length=64, json_schema_extra={"enum": [*JOB_KINDS, ALL]})]
Events = Annotated[
    list[_Event],
    Field(
        min_length=1,
        max_length=len(JOB_KINDS) + 1,
        description=f"Kinds of events, or `{ALL}` for all, those of later versions too: {', '.join(JOB_KINDS)}.",
        examples=[["audio.split.completed", "audio.split.failed"]],
    ),
]
EndpointUrl = Annotated[str, Field(max_length=8192, examples=["https://example.com/webhooks/stems"])]
Description = Annotated[str, Field(max_length=MAX_DESCRIPTION, examples=["Production"])]


class Delivery(CamelModel):
    """The delivery of an event to its URL. `status` is `pending`, then `delivered` (a 2xx response), `failed` (no 2xx
    response in a day) or `gone` (a 410 response)."""

    id: str = Field(examples=["dlv_0Yx3kQpAb2Jd7MfTn5Rv8W"])
    event: str = Field(examples=["audio.split.completed"])
    event_id: str = Field(description="The header `webhook-id`, the same in every delivery of an event.")
    split_id: str | None = Field(description="null for a test event.")
    url: str
    endpoint_id: str | None = Field(description="The saved endpoint; null if a request gave the URL.")
    status: DeliveryStatus
    attempts: int
    last_status: int | None = Field(description="Status of the last response.")
    last_error: str | None = Field(description="Error of the last attempt.")
    next_attempt_at: Time | None
    created_at: Time
    updated_at: Time


class Attempt(CamelModel):
    """One POST: `statusCode` if the receiver responded, `error` unless the response was 2xx."""

    at: Time
    status_code: int | None
    error: str | None
    duration_ms: int
    response_excerpt: str | None = Field(description="The first kilobyte of the response.")


class DeliveryWithLog(Delivery):
    """A delivery with its raw body and its attempts, oldest first."""

    payload: str
    log: list[Attempt]


class DeliveryPage(CamelModel):
    """A page of deliveries, newest first. `nextCursor` is null on the last page."""

    items: list[Delivery]
    next_cursor: str | None


class TestRequest(RequestModel):
    """The URL for a test event."""

    __test__ = False  # not a test class of pytest

    url: str = Field(max_length=8192, examples=["https://example.com/webhooks/stems"])


class Secret(CamelModel):
    """A signing secret, without its value. `expiresAt` is the end of a rotated secret."""

    id: str
    prefix: str = Field(description="The first characters of the secret.", examples=["whsec_MfKQ9r"])
    created_at: Time
    expires_at: Time | None


class SecretList(CamelModel):
    """The active secrets, newest first."""

    items: list[Secret]


class NewSecret(CamelModel):
    """A new signing secret, shown only once."""

    secret: str = Field(examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="])


class EndpointRequest(RequestModel):
    """A new endpoint."""

    url: EndpointUrl
    events: Events
    description: Description = ""


class EndpointChanges(RequestModel):
    """Changes of an endpoint. What is left out stays as it is."""

    url: EndpointUrl | None = None
    events: Events | None = None
    description: Description | None = None
    status: EndpointStatus | None = None


class Endpoint(CamelModel):
    """A saved endpoint, which gets the chosen events of all jobs of the account.

    The server disables it when no delivery has succeeded for 3 days, or a response was 410; `disabledReason` tells.
    """

    id: str = Field(examples=["whe_0Yx3kQpAb2Jd7MfTn5Rv8W"])
    url: str
    description: str
    events: list[str]
    status: EndpointStatus
    disabled_reason: str | None
    failing_since: Time | None = Field(description="Time of the first failed attempt since the last success.")
    created_at: Time
    updated_at: Time


class NewEndpoint(Endpoint):
    """A new endpoint with its signing secret, which is shown only once."""

    secret: str = Field(examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="])


class EndpointList(CamelModel):
    """All endpoints of the account, newest first."""

    items: list[Endpoint]


class DeletedEndpoint(CamelModel):
    """The id of the deleted endpoint."""

    id: str
    deleted: bool = True
