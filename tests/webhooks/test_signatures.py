import base64
import hashlib
import hmac
import string
import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from stemsplitter.webhooks.signatures import HEADER, InvalidSignature, signed_headers, verify

AT = datetime(2026, 5, 3, 10, 20, 30, 999_000, tzinfo=UTC)
BODY = '{"event":"audio.split.completed","data":{"filename":"Größe ♫.wav"}}'.encode()

keys = st.binary(min_size=32, max_size=32).map(lambda key: "whsec_" + base64.b64encode(key).decode())
ids = st.text(string.ascii_letters + string.digits, min_size=22, max_size=22).map("evt_".__add__)
bodies = st.text().map(lambda text: text.encode("utf-8", "replace"))
times = st.datetimes(
    datetime(2020, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC), allow_imaginary=False
)
SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
OTHER = "whsec_" + base64.b64encode(bytes(32)).decode()


def reason(body: bytes, headers: dict[str, str], secret: str = SECRET, at: datetime = AT) -> str:
    with pytest.raises(InvalidSignature) as caught:
        verify(body, headers, secret, at)
    return str(caught.value)


@given(ids, bodies, st.lists(keys, min_size=1, max_size=3, unique=True), times)
def test_every_active_secret_verifies(event_id: str, body: bytes, secrets: list[str], at: datetime) -> None:
    headers = signed_headers(event_id, body, secrets, at)
    for secret in secrets:
        assert verify(body, headers, secret, at) == [HEADER, "webhook-signature"]


@given(bodies, keys, keys)
def test_no_other_secret_verifies(body: bytes, secret: str, other: str) -> None:
    if secret != other:
        headers = signed_headers("evt_1", body, [secret], AT)
        assert "no signature matches" in reason(body, headers, other)


@given(bodies, bodies)
def test_no_other_body_verifies(body: bytes, other: bytes) -> None:
    headers = signed_headers("evt_1", body, [SECRET], AT)
    if body != other:
        assert "no signature matches" in reason(other, headers)
    assert "no signature matches" in reason(body + b"\n", headers)


@given(st.data())
def test_no_changed_header_verifies(data: st.DataObject) -> None:
    """One changed character of the signed data or of a signature."""
    headers = signed_headers("evt_1", BODY, [SECRET], AT)
    name = data.draw(st.sampled_from(sorted(headers)))
    value = headers[name]
    at = data.draw(st.integers(0, len(value) - 1))
    # no space or comma, which would add an empty signature to the valid one
    new = data.draw(st.sampled_from(sorted(set(string.ascii_letters + string.digits + "+/=") - {value[at]})))
    changed = headers | {name: value[:at] + new + value[at + 1 :]}
    assert reason(BODY, changed)


@given(st.floats(-400, 400, allow_nan=False))
def test_stale_and_future_times_are_refused(seconds: float) -> None:
    whole = AT.replace(microsecond=0)
    headers = signed_headers("evt_1", BODY, [SECRET], whole)
    at = whole + timedelta(seconds=seconds)
    if abs(at - whole) <= timedelta(seconds=300):
        assert verify(BODY, headers, SECRET, at)
    else:
        assert ("in the future" if seconds < 0 else "old") in reason(BODY, headers, at=at)


def test_tolerance_can_be_set() -> None:
    headers = signed_headers("evt_1", BODY, [SECRET], AT)
    day_later = AT + timedelta(days=1)
    assert verify(BODY, headers, SECRET, day_later, tolerance_s=90_000)
    assert "86401 s old" in reason(BODY, headers, at=day_later)


@given(ids, bodies, keys, times)
def test_signature_follows_the_contract(event_id: str, body: bytes, secret: str, at: datetime) -> None:
    """t=<unix>,v1=<hex HMAC-SHA256 of "<t>.<raw body>" keyed with the string as shown>."""
    unix = str(int(at.timestamp()))
    digest = hmac.new(secret.encode(), unix.encode() + b"." + body, hashlib.sha256).hexdigest()
    assert signed_headers(event_id, body, [secret], at)[HEADER] == f"t={unix},v1={digest}"


@given(ids, bodies, keys, times)
def test_signature_follows_standard_webhooks(event_id: str, body: bytes, secret: str, at: datetime) -> None:
    """Computed from the specification: base64 HMAC-SHA256 of "<id>.<timestamp>.<body>"."""
    headers = signed_headers(event_id, body, [secret], at)
    signed = f"{event_id}.{headers['webhook-timestamp']}.".encode() + body
    digest = hmac.new(base64.b64decode(secret[6:]), signed, hashlib.sha256).digest()
    assert headers["webhook-signature"] == "v1," + base64.b64encode(digest).decode()


@given(st.sampled_from([0, -290, 290, -310, 310]), st.booleans(), st.lists(keys, max_size=2), st.booleans())
def test_standard_webhooks_library_verifies(age: int, changed: bool, others: list[str], first: bool) -> None:
    """The library reads the system clock."""
    now = datetime.now(UTC)
    secrets = [SECRET, *others] if first else [*others, SECRET]
    headers = signed_headers("evt_1", BODY, secrets, now - timedelta(seconds=age))
    body = BODY.replace(b"completed", b"failed") if changed else BODY
    try:
        Webhook(SECRET).verify(body, headers)
        theirs = True
    except WebhookVerificationError:
        theirs = False
    try:
        ours = bool(verify(body, headers, SECRET, datetime.now(UTC)))
    except InvalidSignature:
        ours = False
    assert ours == theirs == (abs(age) <= 300 and not changed)


def test_attempts_have_different_signatures() -> None:
    first = signed_headers("evt_1", BODY, [SECRET], AT)
    later = signed_headers("evt_1", BODY, [SECRET], AT + timedelta(hours=8))
    assert first["webhook-id"] == later["webhook-id"]
    assert all(first[name] != later[name] for name in (HEADER, "webhook-timestamp", "webhook-signature"))


def test_headers_without_a_secret_have_no_signature() -> None:
    headers = signed_headers("evt_1", BODY, [], AT)
    assert headers == {"webhook-id": "evt_1", "webhook-timestamp": str(int(AT.timestamp()))}
    assert "contain no signature" in reason(BODY, headers)


def test_header_names_are_case_insensitive() -> None:
    headers = {name.upper(): f" {value} " for name, value in signed_headers("e", BODY, [SECRET], AT).items()}
    assert len(verify(BODY, headers, SECRET, AT)) == 2


@pytest.mark.parametrize("kept", [[HEADER], ["webhook-id", "webhook-timestamp", "webhook-signature"]])
def test_one_valid_scheme_is_enough(kept: list[str]) -> None:
    headers = signed_headers("evt_1", BODY, [SECRET], AT)
    assert len(verify(BODY, {name: headers[name] for name in kept}, SECRET, AT)) == 1


@pytest.mark.parametrize(
    "headers, secret, body, why",
    [
        ({}, SECRET, BODY, "contain no signature"),
        ({HEADER: ""}, SECRET, BODY, "malformed"),
        ({HEADER: "v1=00"}, SECRET, BODY, "malformed"),
        ({HEADER: "t=1,t=2,v1=00"}, SECRET, BODY, "malformed"),
        ({HEADER: "t=-1,v1=00"}, SECRET, BODY, "malformed"),
        ({HEADER: "t=१२,v1=00"}, SECRET, BODY, "malformed"),
        ({HEADER: f"t={'9' * 5000},v1=00"}, SECRET, BODY, "malformed"),
        ({HEADER: "t=1760000000"}, SECRET, BODY, "no signature matches"),
        ({HEADER: "t=1760000000,v1=é"}, SECRET, BODY, "no signature matches"),
        ({HEADER: "t=1760000000,v1=00"}, "\udcff", BODY, "no signature matches"),
        ({"webhook-signature": "v1,AA"}, SECRET, BODY, "requires webhook-id"),
        (
            {"webhook-id": "e", "webhook-timestamp": "1", "webhook-signature": ""},
            SECRET,
            BODY,
            "no signature",
        ),
        (
            {"webhook-id": "e", "webhook-timestamp": "1", "webhook-signature": "é"},
            SECRET,
            BODY,
            "no signature",
        ),
        (
            {"webhook-id": "e", "webhook-timestamp": "1", "webhook-signature": "v1,A"},
            "",
            BODY,
            "requires a secret",
        ),
        (
            {"webhook-id": "e", "webhook-timestamp": "1", "webhook-signature": "v1,A"},
            "whsec_a",
            BODY,
            "requires a",
        ),
        (
            {"webhook-id": "e", "webhook-timestamp": "1", "webhook-signature": "v1,A"},
            SECRET,
            b"\xff",
            "UTF-8",
        ),
    ],
)
def test_malformed_signatures_are_refused_with_a_message(
    headers: dict[str, str], secret: str, body: bytes, why: str
) -> None:
    assert why in reason(body, headers, secret)


def test_one_invalid_scheme_is_refused() -> None:
    headers = signed_headers("evt_1", BODY, [SECRET], AT)
    wrong = signed_headers("evt_1", BODY, [OTHER], AT)
    assert reason(BODY, headers | {HEADER: wrong[HEADER]}).startswith(HEADER)
    assert reason(BODY, headers | {"webhook-signature": wrong["webhook-signature"]}).startswith("webhook-sig")


def test_long_headers_are_refused() -> None:
    started = time.thread_time()  # excludes the load of the machine
    assert reason(BODY, {HEADER: "t=1760000000" + ",v1=00" * 10_000})
    assert time.thread_time() - started < 2
