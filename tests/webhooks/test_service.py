import json
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from itertools import chain, repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from stemsplitter.accounts.secret_box import SecretBox
from stemsplitter.accounts.secrets_service import WebhookSecrets
from stemsplitter.clock import now
from stemsplitter.database import Database
from stemsplitter.fetching import PostResult
from stemsplitter.service_errors import NotFound, ValidationFailed
from stemsplitter.settings import Settings
from stemsplitter.webhooks import attempts
from stemsplitter.webhooks import service as module
from stemsplitter.webhooks.attempts import DELAYS_S, JITTER, decide
from stemsplitter.webhooks.models import TEST, WebhookEvent
from stemsplitter.webhooks.service import WebhookService
from stemsplitter.webhooks.signatures import HEADER, InvalidSignature, verify
from tests.deadlines import UntilTheBody, until_the_body
from tests.loopback import Handler, Site
from tests.webhooks.world import SPLIT, Clock, World

__all__ = ["until_the_body"]

LIMIT_S = 60.0  # for operations that are fast


def test_event_is_created_once_and_due_at_once(world: World) -> None:
    delivery_id = world.create("http://127.0.0.1/hook")
    assert world.create("http://127.0.0.1/hook") == delivery_id
    assert world.due() == {delivery_id: "acc_1"}
    delivery = world.delivery(delivery_id)
    assert delivery.status == "pending" and delivery.attempts == 0
    assert delivery.event.payload == (
        '{"event":"audio.split.completed","data":'
        '{"id":"split_1","status":"succeeded","filename":"Größe ♫.wav","error":null}}'
    )


def test_failed_split_has_its_own_event(world: World) -> None:
    error = {"code": "CANCELED", "message": "You canceled it."}
    delivery_id = world.create("http://127.0.0.1/", {**SPLIT, "status": "failed", "error": error})
    payload = json.loads(world.delivery(delivery_id).event.payload)
    assert payload["event"] == "audio.split.failed" and payload["data"]["error"] == error


def test_rolled_back_transaction_creates_no_event(world: World) -> None:
    with pytest.raises(RuntimeError), world.database.write() as session:
        [delivery_id] = world.service.create_event(session, "split", SPLIT, "http://127.0.0.1/", "acc_1")
        raise RuntimeError
    with pytest.raises(NotFound):
        world.delivery(delivery_id)


@given(st.text(st.characters(categories=None)))
def test_body_is_utf_8_for_any_filename(name: str) -> None:
    """Filenames may contain a lone surrogate, which JSON can escape."""
    event = module._event("acc_1", TEST, {"filename": name})
    assert json.loads(event.payload.encode())["data"] == {"filename": name}
    assert "\0" not in event.payload


def test_delivery_is_signed_byte_for_byte(world: World, receiver: Site) -> None:
    secret = world.rotate()
    delivery_id = world.create(receiver.url)
    assert world.service.attempt(delivery_id) is None
    delivery = world.delivery(delivery_id)
    [(headers, body)] = receiver.requests
    assert body == delivery.event.payload.encode()
    assert verify(body, headers, secret, now()) == [HEADER, "webhook-signature"]
    assert headers["webhook-id"] == delivery.event.id
    assert headers["Content-Type"] == "application/json"
    assert headers["User-Agent"].startswith("stemsplitter/")
    assert (delivery.status, delivery.attempts, delivery.last_status) == ("delivered", 1, 200)
    assert delivery.last_error is None and delivery.next_attempt_at is None
    [attempt] = world.log(delivery_id)
    assert (attempt.status_code, attempt.error) == (200, None) and 0 <= attempt.duration_ms < LIMIT_S * 1000


@pytest.mark.parametrize("status", [201, 202, 204, 299])
def test_any_2xx_is_delivered(world: World, receiver: Site, status: int) -> None:
    receiver.answers = [status]
    delivery_id = world.create(receiver.url)
    assert world.service.attempt(delivery_id) is None
    assert world.delivery(delivery_id).status == "delivered"


def test_ended_delivery_is_not_sent_again(world: World, receiver: Site) -> None:
    delivery_id = world.create(receiver.url)
    assert world.service.attempt(delivery_id) is None
    assert world.service.attempt(delivery_id) is None
    assert world.service.attempt("dlv_unknown") is None
    assert len(receiver.requests) == 1


def test_failed_attempt_is_retried(world: World, receiver: Site, clock: Clock) -> None:
    secret = world.rotate()
    receiver.answers = [500, 200]
    delivery_id = world.create(receiver.url)
    delay = world.service.attempt(delivery_id)
    assert delay is not None and 4.5 <= delay <= 5.5
    between = world.delivery(delivery_id)
    assert (between.status, between.last_status) == ("pending", 500) and world.due() == {}
    assert between.last_error == "The receiver responded with 500: it must respond with 2xx."

    clock.forward(seconds=6)
    assert world.due() == {delivery_id: "acc_1"}
    assert world.service.attempt(delivery_id) is None
    (first, body), (second, same) = receiver.requests
    assert body == same and first["webhook-id"] == second["webhook-id"]
    assert first[HEADER] != second[HEADER] and first["webhook-signature"] != second["webhook-signature"]
    assert verify(same, second, secret, clock())
    assert [each.status_code for each in world.log(delivery_id)] == [500, 200]
    assert world.delivery(delivery_id).attempts == 2


class AlwaysDown:
    """A fetcher whose receivers respond with 503."""

    def __init__(self) -> None:
        self.posts = 0

    def post(self, url: str, body: bytes, headers: Mapping[str, str], timeout_s: float) -> PostResult:
        self.posts += 1
        assert timeout_s == 15
        return PostResult(503, {}, "down")


def test_delivery_fails_after_a_day(world: World, clock: Clock) -> None:
    down = AlwaysDown()
    service = world.with_fetcher(down)
    delivery_id = world.create("http://127.0.0.1/")
    delays: list[float] = []
    while (delay := service.attempt(delivery_id)) is not None:
        delays.append(delay)
        clock.forward(seconds=delay + 0.001)
        assert len(delays) < 20
    assert down.posts == len(delays) + 1 == len(DELAYS_S) + 1
    assert sum(DELAYS_S) == pytest.approx(86_400, rel=0.02)
    for delay, planned in zip(delays, DELAYS_S, strict=True):
        assert planned * (1 - JITTER) <= delay <= planned * (1 + JITTER)
    delivery = world.delivery(delivery_id)
    assert (delivery.status, delivery.attempts, delivery.next_attempt_at) == ("failed", 11, None)
    assert len(world.log(delivery_id)) == 11


def test_delays_have_jitter() -> None:
    assert len({decide(500, 1, "audio.split.failed")[1] for _ in range(20)}) > 15


@given(st.none() | st.integers(100, 599), st.integers(1, 11), st.sampled_from(["audio.split.failed", TEST]))
def test_response_decides_the_status(status: int | None, attempts: int, kind: str) -> None:
    decided, delay = decide(status, attempts, kind)
    assert (decided == "delivered") == (status is not None and status // 100 == 2)
    assert (decided == "gone") == (status == 410)
    assert (decided == "pending") == (delay is not None)
    if decided == "failed":
        assert attempts == 11 or kind == TEST
    if delay is not None:
        assert 4 < delay < 9 * 3600 and kind != TEST


def test_gone_stops_retries(world: World, receiver: Site) -> None:
    receiver.answers = [410]
    delivery_id = world.create(receiver.url)
    assert world.service.attempt(delivery_id) is None
    delivery = world.delivery(delivery_id)
    assert (delivery.status, delivery.last_status) == ("gone", 410)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(world: World, receiver: Site, status: int) -> None:
    elsewhere = receiver.url.replace("/hook", "/elsewhere")
    receiver.answers = [lambda handler: handler.reply(status, Location=elsewhere)]
    delivery_id = world.create(receiver.url)
    assert world.service.attempt(delivery_id) is not None
    assert len(receiver.requests) == 1
    assert "Redirects are not followed" in str(world.delivery(delivery_id).last_error)


def test_refused_connection_is_retried(world: World) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        delivery_id = world.create(f"http://127.0.0.1:{bound.getsockname()[1]}/")
        assert world.service.attempt(delivery_id) is not None
    delivery = world.delivery(delivery_id)
    assert delivery.status == "pending" and delivery.last_status is None
    assert "cannot be connected to" in str(delivery.last_error)


def silent(handler: Handler, over: threading.Event) -> None:
    over.wait(LIMIT_S)


def dripping(handler: Handler, over: threading.Event) -> None:
    """Send a header slowly, each byte within the timeout of a read."""
    with suppress(OSError):  # disconnected
        for letter in chain(b"HTTP/1.1 200 OK\r\nX: ", repeat(ord("y"))):
            handler.wfile.write(bytes([letter]))
            handler.wfile.flush()
            if over.wait(0.05):
                return


@pytest.mark.parametrize("answer", [silent, dripping])
def test_slow_receiver_times_out(
    world: World, receiver: Site, monkeypatch: pytest.MonkeyPatch, answer: Callable[..., None]
) -> None:
    monkeypatch.setattr(module, "TIMEOUT_S", 0.4)
    over = threading.Event()
    receiver.answers = [lambda handler: answer(handler, over)]
    delivery_id = world.create(receiver.url)
    try:
        assert world.service.attempt(delivery_id) is not None
    finally:
        over.set()
    delivery = world.delivery(delivery_id)
    assert delivery.last_status is None and "too slow" in str(delivery.last_error)
    assert 400 <= world.log(delivery_id)[0].duration_ms < LIMIT_S * 1000


def endless(handler: Handler) -> None:
    """Send an endless binary body."""
    handler.send_response(200)
    handler.end_headers()
    try:
        for _ in range(2000):
            handler.wfile.write(b"\0\xff" * 50_000)
    except OSError:
        pass


def test_excerpt_of_a_large_response_is_stored(world: World, receiver: Site) -> None:
    receiver.answers = [endless]
    delivery_id = world.create(receiver.url)
    assert world.service.attempt(delivery_id) is None
    [attempt] = world.log(delivery_id)
    excerpt = str(attempt.response_excerpt)
    assert 0 < len(excerpt) <= 1024 and "\0" not in excerpt
    assert world.delivery(delivery_id).status == "delivered"


def test_slow_body_after_2xx_is_delivered(world: World, receiver: Site, until_the_body: UntilTheBody) -> None:
    over = threading.Event()

    def answer(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "10")
        handler.end_headers()
        over.wait(LIMIT_S)

    receiver.answers = [answer]
    until_the_body(0.4)
    delivery_id = world.create(receiver.url)
    try:
        assert world.service.attempt(delivery_id) is None
    finally:
        over.set()
    assert world.delivery(delivery_id).status == "delivered"
    assert world.log(delivery_id)[0].duration_ms >= 400


def test_private_address_is_refused_unless_allowed(database: Database, receiver: Site) -> None:
    """Only an allowed private network is connected to."""
    world = World(database, "10.1.2.0/24")
    delivery_id = world.create(receiver.url)
    assert world.service.attempt(delivery_id) is not None
    assert receiver.requests == []
    assert "not at a public address" in str(world.delivery(delivery_id).last_error)
    with pytest.raises(ValidationFailed) as caught, world.database.write() as session:
        world.service.send_test(session, "acc_1", receiver.url)
    assert caught.value.param == "url"


def test_crash_after_the_post_sends_it_again(
    world: World, receiver: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery_id = world.create(receiver.url)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(attempts, "record", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        world.service.attempt(delivery_id)
    assert world.delivery(delivery_id).status == "pending"
    assert world.service.attempt(delivery_id) is None
    (first, body), (second, same) = receiver.requests
    assert first["webhook-id"] == second["webhook-id"] and body == same
    assert world.delivery(delivery_id).status == "delivered"


def test_concurrent_attempts_end_once(world: World, receiver: Site) -> None:
    """A worker presumed dead ends its attempt after another worker has delivered."""
    delivery_id = world.create(receiver.url)

    def late(handler: Handler) -> None:
        assert world.service.attempt(delivery_id) is None
        handler.reply(500)

    receiver.answers = [late, 200]
    assert world.service.attempt(delivery_id) is None
    delivery = world.delivery(delivery_id)
    assert (delivery.status, delivery.attempts) == ("delivered", 1)
    assert [each.status_code for each in world.log(delivery_id)] == [500, 200]


def test_deleted_event_is_not_sent(world: World, receiver: Site) -> None:
    delivery_id = world.create(receiver.url)

    def answer(handler: Handler) -> None:
        with world.database.write() as session:
            session.delete(session.merge(world.delivery(delivery_id)))
        handler.reply(500)

    receiver.answers = [answer]
    assert world.service.attempt(delivery_id) is None


def test_both_secrets_sign_for_a_day_after_a_rotation(world: World, receiver: Site, clock: Clock) -> None:
    old = world.rotate()
    new = world.rotate()
    assert world.service.attempt(world.create(receiver.url)) is None
    headers, body = receiver.requests[-1]
    assert headers[HEADER].count("v1=") == 2
    for secret in (old, new):
        assert len(verify(body, headers, secret, clock())) == 2

    clock.forward(hours=24, seconds=1)
    assert world.service.attempt(world.create(receiver.url, {**SPLIT, "id": "split_2"})) is None
    headers, body = receiver.requests[-1]
    assert len(verify(body, headers, new, clock())) == 2
    with pytest.raises(InvalidSignature):
        verify(body, headers, old, clock())


def test_account_signs_with_its_own_secret(world: World, receiver: Site) -> None:
    mine, other = world.rotate("acc_1"), world.rotate("acc_2")
    assert world.service.attempt(world.create(receiver.url, account_id="acc_2")) is None
    headers, body = receiver.requests[-1]
    assert verify(body, headers, other, now())
    with pytest.raises(InvalidSignature):
        verify(body, headers, mine, now())


def test_delivery_without_a_secret_is_unsigned(world: World, receiver: Site) -> None:
    assert world.service.attempt(world.create(receiver.url)) is None
    headers, _ = receiver.requests[-1]
    assert "webhook-id" in headers and not {HEADER, "webhook-signature"} & set(headers)


def test_server_with_another_secret_key_retries(world: World, receiver: Site) -> None:
    """The operator can restore a lost secret key within a day; nothing is sent unsigned until then."""
    world.rotate()
    wrong = WebhookSecrets(SecretBox(b"another key, 32 characters long!"))
    service = WebhookService(world.database, AlwaysDown(), wrong, Settings())
    delivery_id = world.create(receiver.url)
    assert service.attempt(delivery_id) is not None
    assert receiver.requests == [] and world.delivery(delivery_id).last_error


def test_replay_is_a_new_delivery_of_the_same_event(world: World, receiver: Site) -> None:
    first = world.create(receiver.url)
    world.service.attempt(first)
    with world.database.write() as session:
        again = world.service.replay(session, "acc_1", first).id
    assert again != first and world.due() == {again: "acc_1"}
    assert world.service.attempt(again) is None
    (one, body), (two, same) = receiver.requests
    assert one["webhook-id"] == two["webhook-id"] and body == same
    assert world.delivery(first).attempts == world.delivery(again).attempts == 1
    # the first delivery of the event is unchanged
    assert world.create(receiver.url) == first


def test_test_event_is_signed_and_attempted_once(world: World, receiver: Site) -> None:
    secret = world.rotate()
    receiver.answers = [500]
    with world.database.write() as session:
        delivery = world.service.send_test(session, "acc_1", receiver.url)
    assert world.due() == {delivery.id: "acc_1"}
    assert world.service.attempt(delivery.id) is None
    headers, body = receiver.requests[0]
    assert verify(body, headers, secret, now())
    assert json.loads(body) == {"event": "webhook.test", "data": {"id": delivery.event.id}}
    assert world.delivery(delivery.id).status == "failed"


@pytest.mark.parametrize(
    "url",
    ["", "ftp://example.com/", "http://u:p@example.com/", "http://10.0.0.1/", "http://0x7f.1/", "x" * 9000],
)
def test_invalid_url_is_refused(world: World, url: str) -> None:
    with pytest.raises(ValidationFailed) as caught:
        world.service.check_url(url, "webhookUrl")
    assert caught.value.param == "webhookUrl"


def test_deliveries_of_another_account_are_not_found(world: World) -> None:
    delivery_id = world.create("http://127.0.0.1/")
    with world.database.write() as session:
        for ask in (world.service.delivery, world.service.replay):
            with pytest.raises(NotFound):
                ask(session, "acc_2", delivery_id)
        assert world.service.deliveries(session, "acc_2", limit=10) == ([], None)
        with pytest.raises(ValidationFailed):
            world.service.deliveries(session, "acc_2", limit=10, cursor=delivery_id)


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 7])
def test_deliveries_are_paged_newest_first(world: World, clock: Clock, limit: int) -> None:
    made = []
    for number in range(5):
        made.append(world.create("http://127.0.0.1/", {**SPLIT, "id": f"split_{number}"}))
        clock.forward(seconds=number % 2)  # some with the same time
    world.create("http://127.0.0.1/", {**SPLIT, "id": "split_x"}, account_id="acc_2")
    seen: list[str] = []
    cursor = None
    with world.database.read() as session:
        for _ in range(6):
            page, cursor = world.service.deliveries(session, "acc_1", limit=limit, cursor=cursor)
            seen += [each.id for each in page]
            if cursor is None:
                break
    assert cursor is None and len(seen) == 5 and set(seen) == set(made)
    times = [world.delivery(each).created_at for each in seen]
    assert times == sorted(times, reverse=True)


def test_deliveries_are_filtered(world: World, receiver: Site) -> None:
    one = world.create(receiver.url)
    two = world.create(receiver.url, {**SPLIT, "id": "split_2"})
    world.service.attempt(one)
    with world.database.read() as session:

        def found(**wanted: str) -> list[str]:
            return [each.id for each in world.service.deliveries(session, "acc_1", limit=9, **wanted)[0]]  # type: ignore[arg-type]

        assert found(status="delivered") == [one] and found(status="pending") == [two]
        assert found(split_id="split_2") == [two] and found(split_id="split_3") == []


def test_old_events_are_deleted_with_their_log(world: World, receiver: Site, clock: Clock) -> None:
    old = world.create(receiver.url)
    world.service.attempt(old)
    waiting = world.create(receiver.url, {**SPLIT, "id": "split_2"})
    replayed = world.create(receiver.url, {**SPLIT, "id": "split_3"})
    world.service.attempt(replayed)
    clock.forward(days=31)
    with world.database.write() as session:
        again = world.service.replay(session, "acc_1", replayed).id
    assert world.service.attempt(again) is None
    with world.database.write() as session:
        assert world.service.delete_old(session) == 1
        assert world.service.delete_old(session) == 0
    with pytest.raises(NotFound):
        world.log(old)
    assert world.delivery(waiting).status == "pending"
    assert world.delivery(replayed).created_at < clock() - timedelta(days=30)


def test_h2_log_of_an_account_is_bounded(
    world: World, receiver: Site, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log is no part of the account's quota, and a job that is canceled at once costs nothing."""
    monkeypatch.setattr(module, "KEPT", 2)
    other = world.create(receiver.url, {**SPLIT, "id": "split_9"}, "acc_2")
    made = []
    for number in range(4):
        clock.forward(seconds=1)
        made.append(world.create(receiver.url, {**SPLIT, "id": f"split_{number}"}))
    world.service.attempt(made[0])
    clock.forward(seconds=1)
    with world.database.write() as session:
        replayed = world.service.replay(session, "acc_1", made[0]).id
        world.service.delete_old(session)
    for gone in made[:3]:
        with pytest.raises(NotFound):
            world.delivery(gone)
    assert [world.delivery(each).status for each in (made[3], replayed)] == ["pending"] * 2
    assert world.delivery(other, "acc_2").status == "pending"
    assert world.service.attempt(made[1]) is None  # a worker had claimed it
    with world.database.read() as session:
        events = session.scalars(select(WebhookEvent.split_id)).all()
    assert sorted(events) == ["split_0", "split_3", "split_9"]
