from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from stemsplitter.api.routes.stripe import MAX_EVENT_BYTES, PATH
from stemsplitter.processes.app import create_app
from stemsplitter.services import Services
from stemsplitter.settings import Settings
from tests.payments.checkout import event, signature
from tests.payments.conftest import account_id, checkout, services, settings
from tests.payments.test_service import balance, begin

__all__ = ["account_id", "checkout", "services", "settings"]


@pytest.fixture
def stripe(services: Services) -> Iterator[TestClient]:
    with TestClient(create_app(services), raise_server_exceptions=False) as client:
        yield client


def send(client: TestClient, body: bytes, header: str | None = None) -> int:
    headers = {"Content-Type": "application/json", "Stripe-Signature": header or signature(body)}
    return client.post(PATH, content=body, headers=headers).status_code


def test_paid_event_grants_credits_once(stripe: TestClient, services: Services, account_id: str) -> None:
    body = event(begin(services, account_id))
    assert [send(stripe, body), send(stripe, body)] == [200, 200]
    assert balance(services, account_id) == 3000


def test_unsigned_and_mismatched_events_are_refused(
    stripe: TestClient, services: Services, account_id: str
) -> None:
    payment = begin(services, account_id)
    assert send(stripe, event(payment), "t=1,v1=00") == 401
    assert stripe.post(PATH, content=event(payment)).status_code == 401
    assert send(stripe, event(payment, amount=1)) == 409
    assert send(stripe, b" " * (MAX_EVENT_BYTES + 1)) == 413
    assert balance(services, account_id) == 0


def test_webhook_is_not_found_when_payments_are_disabled(
    services: Services, empty_application: Services
) -> None:
    with TestClient(create_app(empty_application)) as client:
        assert send(client, event("pay_1")) == 404


@pytest.fixture
def empty_application(services: Services) -> Iterator[Services]:
    settings = Settings(data_dir=services.settings.data_dir, database_url=services.settings.database_url)
    made = Services(settings)
    yield made
    made.close()
