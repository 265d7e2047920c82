"""Saved endpoints: choice of events, fan-out, their secrets, and how they are disabled."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from stemsplitter.accounts.models import Account, WebhookSecret
from stemsplitter.clock import now
from stemsplitter.database import Database, new_id
from stemsplitter.fetching import Fetcher
from stemsplitter.notices.models import ENDPOINT, Notice
from stemsplitter.service_errors import Conflict, NotFound, ValidationFailed
from stemsplitter.settings import Settings
from stemsplitter.webhooks import endpoints as module
from stemsplitter.webhooks.attempts import (
    DELAYS_S,
    DISABLED_AFTER,
    ENDPOINT_DELETED,
    ENDPOINT_DISABLED,
)
from stemsplitter.webhooks.endpoints import WebhookEndpoints
from stemsplitter.webhooks.models import ALL, JOB_KINDS, WebhookEndpoint
from stemsplitter.webhooks.service import WebhookService
from stemsplitter.webhooks.signatures import HEADER, verify
from tests.loopback import Site
from tests.webhooks.world import SPLIT, Clock, World

DONE = "audio.split.completed"
URL = "http://127.0.0.1/"


@pytest.fixture
def endpoints(world: World) -> WebhookEndpoints:
    return WebhookEndpoints(world.service, world.secrets)


def add(
    world: World, endpoints: WebhookEndpoints, url: str = URL, events: Any = (ALL,), account_id: str = "acc_1"
) -> tuple[str, str]:
    with world.database.write() as session:
        made, secret = endpoints.create(session, account_id, url, events)
        return made.id, secret


def end_split(
    world: World, url: str | None = None, account_id: str = "acc_1", job: str = "split", **data: Any
) -> list[str]:
    data = {**SPLIT, **data}
    with world.database.write() as session:
        chosen = world.service.endpoints_of(session, account_id, job, data["status"])
        return list(world.service.create_event(session, job, data, url, account_id, chosen))


def stored(world: World, endpoint_id: str) -> WebhookEndpoint:
    with world.database.read() as session:
        return session.get_one(WebhookEndpoint, endpoint_id)


def test_event_goes_to_the_request_and_to_endpoints_that_chose_it(
    world: World, endpoints: WebhookEndpoints
) -> None:
    every, _ = add(world, endpoints)
    chosen, _ = add(world, endpoints, events=[DONE])
    add(world, endpoints, events=["audio.split.failed", "audio.speech.completed"])
    disabled, _ = add(world, endpoints)
    add(world, endpoints, account_id="acc_2")
    with world.database.write() as session:
        endpoints.disable(session, "acc_1", disabled)
    made = [world.delivery(each) for each in end_split(world, "http://127.0.0.1/request")]
    assert {each.endpoint_id for each in made} == {None, every, chosen}
    assert {each.url for each in made} == {"http://127.0.0.1/request", URL}
    assert len({each.event.id for each in made}) == 1


def test_event_is_created_once_for_each_job(world: World, endpoints: WebhookEndpoints) -> None:
    add(world, endpoints)
    first = end_split(world)
    add(world, endpoints)
    assert end_split(world) == first and len(first) == 1


def test_rolled_back_end_of_a_job_sends_nothing(world: World, endpoints: WebhookEndpoints) -> None:
    add(world, endpoints)
    with pytest.raises(RuntimeError), world.database.write() as session:
        chosen = world.service.endpoints_of(session, "acc_1", "split", "succeeded")
        world.service.create_event(session, "split", SPLIT, None, "acc_1", chosen)
        raise RuntimeError
    assert world.due() == {}


def test_each_endpoint_signs_with_its_own_secret(
    world: World, endpoints: WebhookEndpoints, receiver: Site, clock: Clock
) -> None:
    account_secret = world.rotate()
    endpoint_id, first = add(world, endpoints, receiver.url)
    with world.database.write() as session:
        second = endpoints.rotate_secret(session, "acc_1", endpoint_id)
    [delivery_id] = end_split(world)
    assert world.service.attempt(delivery_id) is None
    headers, body = receiver.requests[-1]
    assert headers[HEADER].count("v1=") == 2
    for secret in (first, second):
        assert verify(body, {HEADER: headers[HEADER]}, secret, now()) == [HEADER]
    with world.database.read() as session:
        assert world.secrets.active_secrets(session, "acc_1") == [account_secret]
    clock.forward(hours=25)
    with world.database.read() as session:
        assert world.secrets.active_secrets(session, "acc_1", endpoint_id) == [second]


def test_pending_deliveries_follow_the_url(world: World, endpoints: WebhookEndpoints, receiver: Site) -> None:
    endpoint_id, _ = add(world, endpoints, "http://127.0.0.1:1/")
    [delivery_id] = end_split(world)
    assert world.service.attempt(delivery_id) is not None
    assert stored(world, endpoint_id).failing_since is not None
    with world.database.write() as session:
        endpoints.update(session, "acc_1", endpoint_id, url=receiver.url)
    assert stored(world, endpoint_id).failing_since is None
    assert world.service.attempt(delivery_id) is None
    assert len(receiver.requests) == 1 and world.delivery(delivery_id).status == "delivered"


@pytest.mark.parametrize("action", ["delete", "disable"])
def test_deleting_and_disabling_end_pending_deliveries(
    world: World, endpoints: WebhookEndpoints, receiver: Site, action: str
) -> None:
    endpoint_id, _ = add(world, endpoints, receiver.url)
    [delivery_id] = end_split(world)
    with world.database.write() as session:
        getattr(endpoints, action)(session, "acc_1", endpoint_id)
    delivery = world.delivery(delivery_id)
    reason = ENDPOINT_DELETED if action == "delete" else ENDPOINT_DISABLED
    assert (delivery.status, delivery.last_error, delivery.next_attempt_at) == ("failed", reason, None)
    assert world.service.attempt(delivery_id) is None and receiver.requests == []
    with world.database.write() as session, pytest.raises(Conflict):
        world.service.replay(session, "acc_1", delivery_id)
    with world.database.read() as session:
        left = session.scalars(select(WebhookSecret).where(WebhookSecret.endpoint_id == endpoint_id)).all()
    assert bool(left) == (action == "disable")


def test_delivery_created_while_its_endpoint_is_deleted_is_not_sent(
    world: World, endpoints: WebhookEndpoints, receiver: Site
) -> None:
    endpoint_id, _ = add(world, endpoints, receiver.url)
    with world.database.read() as session:
        chosen = world.service.endpoints_of(session, "acc_1", "split", "succeeded")
    with world.database.write() as session:
        endpoints.delete(session, "acc_1", endpoint_id)
    with world.database.write() as session:
        [delivery_id] = world.service.create_event(session, "split", SPLIT, None, "acc_1", chosen)
    assert world.service.attempt(delivery_id) is None and receiver.requests == []
    assert world.delivery(delivery_id).last_error == ENDPOINT_DELETED


def test_replay_goes_to_the_url_that_the_endpoint_has_now(
    world: World, endpoints: WebhookEndpoints, receiver: Site
) -> None:
    endpoint_id, _ = add(world, endpoints, "http://127.0.0.1:1/")
    [delivery_id] = end_split(world)
    with world.database.write() as session:
        endpoints.update(session, "acc_1", endpoint_id, url=receiver.url)
        again = world.service.replay(session, "acc_1", delivery_id).id
    assert world.service.attempt(again) is None and len(receiver.requests) == 1


def fail_for(world: World, clock: Clock, receiver: Site, **time: float) -> str:
    """Fail a delivery now and another after ``time``, and return the id of the second."""
    receiver.answers = [500]
    for number in range(2):
        [delivery_id] = end_split(world, id=new_id("split"))
        world.service.attempt(delivery_id)
        if not number:
            clock.forward(**time)
    return delivery_id


def test_endpoint_is_disabled_after_days_of_failure(
    world: World, database: Database, receiver: Site, clock: Clock
) -> None:
    settings = Settings(
        allowed_networks="127.0.0.0/8", smtp_url="smtp://127.0.0.1", mail_from="a@example.com"
    )
    world.service = WebhookService(database, Fetcher(settings), world.secrets, settings)
    endpoints = WebhookEndpoints(world.service, world.secrets)
    with database.write() as session:
        session.get_one(Account, "acc_1").verified_at = now()
    endpoint_id, _ = add(world, endpoints, receiver.url)
    waiting = end_split(world, id="split_9")[0]
    delivery_id = fail_for(world, clock, receiver, days=DISABLED_AFTER.days, minutes=1)
    endpoint = stored(world, endpoint_id)
    assert endpoint.disabled_at is not None and "3 days" in (endpoint.disabled_reason or "")
    assert {world.delivery(each).status for each in (waiting, delivery_id)} == {"failed"}
    assert end_split(world, id="split_3") == []
    with database.read() as session:
        [notice] = session.scalars(select(Notice)).all()
    assert notice.kind == ENDPOINT and notice.due_at is not None
    assert notice.items == [
        {"name": receiver.url, "path": f"/developer/endpoints/{endpoint_id}", "failed": False}
    ]
    with database.write() as session:
        assert endpoints.enable(session, "acc_1", endpoint_id).failing_since is None
    assert len(end_split(world, id="split_4")) == 1


def test_success_restarts_the_time_until_an_endpoint_is_disabled(
    world: World, endpoints: WebhookEndpoints, receiver: Site, clock: Clock
) -> None:
    endpoint_id, _ = add(world, endpoints, receiver.url)
    fail_for(world, clock, receiver, days=2)
    receiver.answers = [204]
    [delivery_id] = end_split(world)
    world.service.attempt(delivery_id)
    assert stored(world, endpoint_id).failing_since is None
    fail_for(world, clock, receiver, days=2)
    assert stored(world, endpoint_id).disabled_at is None


def test_410_disables_the_endpoint(world: World, endpoints: WebhookEndpoints, receiver: Site) -> None:
    endpoint_id, _ = add(world, endpoints, receiver.url)
    receiver.answers = [410]
    [delivery_id] = end_split(world)
    assert world.service.attempt(delivery_id) is None
    assert world.delivery(delivery_id).status == "gone" and stored(world, endpoint_id).disabled_at


def test_test_event_reaches_a_disabled_endpoint_and_its_failure_does_not_count(
    world: World, endpoints: WebhookEndpoints, receiver: Site
) -> None:
    endpoint_id, _ = add(world, endpoints, receiver.url)
    receiver.answers = [500]
    with world.database.write() as session:
        failing = endpoints.send_test(session, "acc_1", endpoint_id).id
        endpoints.disable(session, "acc_1", endpoint_id)
        sent = endpoints.send_test(session, "acc_1", endpoint_id).id
    assert world.delivery(failing).status == "failed"
    assert world.service.attempt(sent) is None and len(receiver.requests) == 1
    assert stored(world, endpoint_id).failing_since is None


def test_number_of_endpoints_is_limited(world: World, endpoints: WebhookEndpoints) -> None:
    for _ in range(module.MAX_ENDPOINTS):
        add(world, endpoints)
    with pytest.raises(Conflict):
        add(world, endpoints)
    add(world, endpoints, account_id="acc_2")
    assert len(end_split(world)) == module.MAX_ENDPOINTS


@pytest.mark.parametrize(
    "url",
    ["ftp://example.com/", "http://10.0.0.1/", "http://[::1]/", "http://user@127.0.0.1/", "javascript:alert(1)",
     "http://", "", "http://169.254.169.254/latest/meta-data/", "http://127.0.0.1/\r\nX: y", "http://2130706434/"],
)  # fmt: skip
def test_nasty_url_is_refused(world: World, endpoints: WebhookEndpoints, url: str) -> None:
    service = world.with_fetcher(Fetcher(Settings(allowed_networks="127.0.0.1/32")))
    endpoints = WebhookEndpoints(service, world.secrets)
    with pytest.raises(ValidationFailed):
        add(world, endpoints, url)
    endpoint_id, _ = add(world, endpoints)
    with world.database.write() as session, pytest.raises(ValidationFailed):
        endpoints.update(session, "acc_1", endpoint_id, url=url)
    assert stored(world, endpoint_id).url == URL


@pytest.mark.parametrize("events", [[], ["webhook.test"], ["audio.split.completed", "nothing"], ["'; DROP"]])
def test_unknown_events_are_refused(world: World, endpoints: WebhookEndpoints, events: list[str]) -> None:
    with pytest.raises(ValidationFailed):
        add(world, endpoints, events=events)


def test_events_are_stored_in_order_and_once(world: World, endpoints: WebhookEndpoints) -> None:
    endpoint_id, _ = add(world, endpoints, events=[*reversed(JOB_KINDS), DONE])
    assert stored(world, endpoint_id).events == list(JOB_KINDS)
    endpoint_id, _ = add(world, endpoints, events=[DONE, ALL])
    assert stored(world, endpoint_id).events == [ALL]


def test_endpoints_of_other_accounts_are_not_found(world: World, endpoints: WebhookEndpoints) -> None:
    endpoint_id, _ = add(world, endpoints)
    for name in ("get", "update", "enable", "disable", "delete", "rotate_secret", "send_test"):
        with world.database.write() as session, pytest.raises(NotFound):
            getattr(endpoints, name)(session, "acc_2", endpoint_id)
    assert stored(world, endpoint_id).disabled_at is None
    with world.database.read() as session:
        assert endpoints.all(session, "acc_2") == []
        assert world.service.deliveries(session, "acc_2", limit=9, endpoint_id=endpoint_id)[0] == []


def test_disabling_time_exceeds_that_of_retries() -> None:
    assert timedelta(seconds=sum(DELAYS_S) * 2) < DISABLED_AFTER
