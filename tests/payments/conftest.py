"""Services of a server that sells packs through a fake of Stripe."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from stemsplitter.database import Database
from stemsplitter.services import Services
from stemsplitter.settings import Settings
from tests.payments.checkout import KEY, SECRET, Checkout, stand_in
from tests.services import services

__all__ = ["services"]


@pytest.fixture
def checkout() -> Iterator[Checkout]:
    with stand_in() as made:
        yield made


@pytest.fixture
def settings(tmp_path: Path, database: Database, checkout: Checkout) -> Settings:
    return Settings(
        data_dir=tmp_path / "data",
        database_url=database.url,
        free_credits=0,
        packs="50=5.00, 150",
        stripe_secret_key=KEY,
        stripe_webhook_secret=SECRET,
        stripe_api_base=checkout.url,
    )


@pytest.fixture
def account_id(services: Services) -> str:
    with services.database.write() as session:
        return services.accounts.create_account(session, "buyer@example.org").id
