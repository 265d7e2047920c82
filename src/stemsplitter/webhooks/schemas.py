"""Webhooks in JSON."""

from pydantic import Field

from stemsplitter.schemas import CamelModel, RequestModel, Time
from stemsplitter.webhooks.models import DeliveryStatus


class Delivery(CamelModel):
    """One effort to bring an event to its URL. `status` is `pending` until it was `delivered` (2xx), has `failed`
    (for a day), or the receiver said `gone` (410)."""

    id: str = Field(examples=["dlv_0Yx3kQpAb2Jd7MfTn5Rv8W"])
    event: str = Field(examples=["audio.split.completed"])
    event_id: str = Field(description="The header webhook-id: the same in every delivery of an event.")
    split_id: str | None = Field(description="null where the event is a test.")
    url: str
    status: DeliveryStatus
    attempts: int
    last_status: int | None = Field(description="What the receiver answered last.")
    last_error: str | None = Field(description="Why the last attempt did not deliver.")
    next_attempt_at: Time | None
    created_at: Time
    updated_at: Time


class Attempt(CamelModel):
    """One POST: `statusCode` where the receiver answered, `error` where that was not 2xx."""

    at: Time
    status_code: int | None
    error: str | None
    duration_ms: int
    response_excerpt: str | None = Field(description="The first kilobyte of the answer's body.")


class DeliveryWithLog(Delivery):
    """A delivery, the exact body that it sends, and all its attempts, the first one first."""

    payload: str
    log: list[Attempt]


class DeliveryPage(CamelModel):
    """The newest first; `nextCursor` is null on the last page."""

    items: list[Delivery]
    next_cursor: str | None


class TestRequest(RequestModel):
    """Where to send a test event."""

    __test__ = False  # not a test of pytest's

    url: str = Field(max_length=8192, examples=["https://example.com/webhooks/stems"])


class Secret(CamelModel):
    """A signing secret, without the secret. `expiresAt` is when one that was rotated out stops to sign."""

    id: str
    prefix: str = Field(description="How the secret begins.", examples=["whsec_MfKQ9r"])
    created_at: Time
    expires_at: Time | None


class SecretList(CamelModel):
    """The secrets that sign now, the newest first."""

    items: list[Secret]


class NewSecret(CamelModel):
    """A new signing secret, shown this once."""

    secret: str = Field(examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="])
