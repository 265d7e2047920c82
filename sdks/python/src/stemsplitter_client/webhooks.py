"""Verification of webhooks."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
import time
from collections.abc import Mapping
from typing import Any

from .errors import InvalidSignature

HEADER = "aistemsplitter-signature"
_UNIX = re.compile(r"[0-9]{1,11}")


def verify_webhook(
    body: bytes,
    headers: Mapping[str, str] | str,
    secret: str,
    tolerance: float = 300,
    *,
    now: float | None = None,
) -> dict[str, Any]:
    """Verify a webhook and return its event.

    Args:
        body: the raw body, as received.
        headers: the headers of the request, or the value of ``AIStemSplitter-Signature``. The headers of Standard
            Webhooks are verified too, if present.
        secret: the signing secret, ``whsec_…``.
        tolerance: the largest age in seconds.
        now: Unix time of the arrival; the present by default.

    Raises:
        InvalidSignature: a signature is missing, wrong or too old.
    """
    if not secret:
        raise InvalidSignature("The secret is empty.")
    if isinstance(headers, str):
        headers = {HEADER: headers}
    lower = {name.lower(): value.strip() for name, value in headers.items()}
    now = time.time() if now is None else now
    if HEADER not in lower and "webhook-signature" not in lower:
        raise InvalidSignature("The request has no signature.")
    if HEADER in lower:
        _verify_own(body, lower[HEADER], secret, tolerance, now)
    if "webhook-signature" in lower:
        _verify_standard(body, lower, secret, tolerance, now)
    try:
        event: dict[str, Any] = json.loads(body.decode("utf-8"))
    except ValueError as error:
        raise InvalidSignature("The body is not JSON.") from error
    return event


def _verify_own(body: bytes, value: str, secret: str, tolerance: float, now: float) -> None:
    parts = [part.strip().partition("=") for part in value.split(",")]
    times = [each for name, _, each in parts if name == "t"]
    if len(times) != 1:
        raise InvalidSignature("AIStemSplitter-Signature is malformed.")
    _check_age(times[0], tolerance, now)
    expected = hmac.new(secret.encode(), times[0].encode() + b"." + body, hashlib.sha256).hexdigest()
    _match(expected, [each for name, _, each in parts if name == "v1"])


def _verify_standard(
    body: bytes, headers: Mapping[str, str], secret: str, tolerance: float, now: float
) -> None:
    event_id, unix = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    _check_age(unix, tolerance, now)
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error as error:
        raise InvalidSignature("The secret must be whsec_ and base64.") from error
    signed = f"{event_id}.{unix}.".encode() + body
    digest = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    _match(f"v1,{digest}", headers["webhook-signature"].split())


def _check_age(unix: str, tolerance: float, now: float) -> None:
    if not _UNIX.fullmatch(unix):
        raise InvalidSignature("The timestamp is missing or malformed.")
    if abs(now - int(unix)) > tolerance:
        raise InvalidSignature(f"The timestamp differs from the time by more than {tolerance:g} seconds.")


def _match(expected: str, given: list[str]) -> None:
    if not any(hmac.compare_digest(expected.encode(), each.encode(errors="replace")) for each in given):
        raise InvalidSignature("No signature matches the body and the secret.")
