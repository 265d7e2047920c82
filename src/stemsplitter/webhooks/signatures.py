"""Signatures of webhooks in two schemes, and their verification.

``AIStemSplitter-Signature: t=<unix>,v1=<hex>`` is the HMAC-SHA256 of ``<t>.<raw body>``, keyed with the secret as it is
shown, including ``whsec_``. The other scheme is Standard Webhooks (https://www.standardwebhooks.com: ``webhook-id``,
``webhook-timestamp``, ``webhook-signature``), keyed with the base64-decoded part after ``whsec_``. While two secrets
are active, both sign, as a receiver may know either.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from standardwebhooks.webhooks import EmptyWebhookSecretError, Webhook

from stemsplitter.errors import StemSplitterError

HEADER = "AIStemSplitter-Signature"
TOLERANCE_S = 300

_UNIX = re.compile(r"[0-9]{1,11}")
_MISMATCH = (
    "no signature matches the body and the secret: pass the raw bytes as received (not parsed and serialized JSON; "
    "a trailing newline counts) and the secret that was active then"
)


class InvalidSignature(StemSplitterError):
    """The signature of a delivery is missing, malformed, wrong or too old."""


def signed_headers(event_id: str, body: bytes, secrets: Sequence[str], at: datetime) -> dict[str, str]:
    """Return the headers of an attempt; without a secret, only those that identify it.

    Args:
        event_id: ``webhook-id``, the same in every attempt.
        body: the raw body, in UTF-8.
        secrets: the active secrets, newest first, each ``whsec_`` and base64.
        at: the time of the attempt, with a time zone.
    """
    unix = int(at.timestamp())
    headers = {"webhook-id": event_id, "webhook-timestamp": str(unix)}
    if secrets:
        own = (f"v1={_own(secret, unix, body)}" for secret in secrets)
        headers[HEADER] = ",".join((f"t={unix}", *own))
        headers["webhook-signature"] = " ".join(_standard(secret, event_id, unix, body) for secret in secrets)
    return headers


def verify(
    body: bytes, headers: Mapping[str, str], secret: str, at: datetime, tolerance_s: float = TOLERANCE_S
) -> list[str]:
    """Verify a delivery received at ``at``: every signature header must be valid.

    Returns:
        The valid signature headers, at least one.

    Raises:
        InvalidSignature: a header is invalid, or there is none.
    """
    lower = {name.lower(): value.strip() for name, value in headers.items()}
    found = []
    if HEADER.lower() in lower:
        verify_timed(HEADER, body, lower[HEADER.lower()], secret, at, tolerance_s)
        found.append(HEADER)
    if "webhook-signature" in lower:
        _verify_standard(body, lower, secret, at, tolerance_s)
        found.append("webhook-signature")
    if not found:
        raise InvalidSignature(f"The headers contain no signature: pass {HEADER} or webhook-signature.")
    return found


def verify_timed(
    name: str, body: bytes, value: str, secret: str, at: datetime, tolerance_s: float = TOLERANCE_S
) -> None:
    """Verify a header ``name`` of the form ``t=<unix>,v1=<hex>[,v1=<hex>…]``, which Stripe uses too.

    Raises:
        InvalidSignature: the header is malformed, has no matching signature, or is too old.
    """
    parts = [part.strip().partition("=") for part in value.split(",")]
    times = [each for key, _, each in parts if key == "t"]
    if len(times) != 1 or not _UNIX.fullmatch(times[0]):
        raise InvalidSignature(f"{name} is malformed: the form is t=<unix seconds>,v1=<hex>.")
    unix = int(times[0])
    given = [each for key, _, each in parts if key == "v1"]
    if not _matches(_own(secret, unix, body), given):
        raise InvalidSignature(f"{name}: {_MISMATCH}.")
    _check_age(name, unix, at, tolerance_s)


def _verify_standard(
    body: bytes, headers: Mapping[str, str], secret: str, at: datetime, tolerance_s: float
) -> None:
    event_id, time = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not event_id or not _UNIX.fullmatch(time):
        raise InvalidSignature(
            "webhook-signature requires webhook-id and webhook-timestamp in whole Unix seconds: pass all three."
        )
    unix = int(time)
    try:
        expected = _standard(secret, event_id, unix, body)
    except (ValueError, EmptyWebhookSecretError) as error:
        raise InvalidSignature(
            "webhook-signature requires a secret of whsec_ and base64, and a body in UTF-8."
        ) from error
    if not _matches(expected, headers["webhook-signature"].split()):
        raise InvalidSignature(f"webhook-signature: {_MISMATCH}. Check webhook-id, too.")
    _check_age("webhook-signature", unix, at, tolerance_s)


def _check_age(header: str, unix: int, at: datetime, tolerance_s: float) -> None:
    age = at.timestamp() - unix
    if abs(age) > tolerance_s:
        when = f"{age:.0f} s old" if age > 0 else f"{-age:.0f} s in the future"
        raise InvalidSignature(
            f"{header} matches but is {when}: more than {tolerance_s:g} s are refused to prevent replays."
        )


def _own(secret: str, unix: int, body: bytes) -> str:
    return hmac.new(
        secret.encode(errors="surrogateescape"), b"%d.%b" % (unix, body), hashlib.sha256
    ).hexdigest()


def _standard(secret: str, event_id: str, unix: int, body: bytes) -> str:
    return Webhook(secret).sign(event_id, datetime.fromtimestamp(unix, UTC), body.decode())


def _matches(expected: str, given: Iterable[str]) -> bool:
    # as bytes, as compare_digest accepts only ASCII text
    return any(hmac.compare_digest(expected.encode(), each.encode(errors="replace")) for each in given)
