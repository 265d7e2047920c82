"""Services on their own database, with a model of six stems that separates nothing."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from stemsplitter.catalogue.store import ModelStore
from stemsplitter.database import Database
from stemsplitter.services import Services
from stemsplitter.settings import Settings
from stemsplitter.splits.schemas import CreateSplit
from tests.acceptance.songs import encode, sung
from tests.acceptance.tiny_model import write_tiny_model
from tests.services import upload_file

MODEL = "tiny_6s"
BALANCE = 100


@pytest.fixture(scope="session")
def tiny_store(tmp_path_factory: pytest.TempPathFactory) -> ModelStore:
    folder = tmp_path_factory.mktemp("models")
    store = ModelStore(folder / "models")
    store.add(MODEL, write_tiny_model(folder / "tiny.safetensors"))
    return store


@pytest.fixture(scope="session")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A song of a little over two seconds: three credits."""
    return encode(tmp_path_factory.mktemp("song") / "Lied.flac", sung(90_000), 44_100, "flac")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        data_dir=tmp_path / "data",
        model_6s=MODEL,
        free_credits=BALANCE,
        max_queued_splits=5,
        allowed_networks="127.0.0.0/8",
    )


@pytest.fixture
def services(database: Database, settings: Settings, tiny_store: ModelStore) -> Iterator[Services]:
    services = Services(settings)
    settings.data_dir.mkdir()
    services.__dict__["database"] = database
    services.__dict__["models"] = tiny_store
    yield services
    services.close()


@pytest.fixture
def account(services: Services) -> str:
    with services.database.write() as session:
        return services.accounts.create_account(session, "someone@example.com").id


@pytest.fixture
def upload(services: Services, account: str, song: Path) -> Callable[[], dict[str, str]]:
    """Return a function that uploads the song and returns the `input` of a request."""

    def send() -> dict[str, str]:
        return upload_file(services, account, song.name, song.read_bytes())

    return send


Create = Callable[..., str]


@pytest.fixture
def create(services: Services, account: str, upload: Callable[[], dict[str, str]]) -> Create:
    """Return a function that creates a split of the uploaded song and returns its id."""

    def make(**wanted: Any) -> str:
        body = CreateSplit.model_validate({"input": upload(), **wanted})
        return str(services.splits.create(account, body, lambda session, data: None)["id"])

    return make


@pytest.fixture
def ledger(services: Services) -> Callable[[str], list[tuple[str, int]]]:
    """Return a function that reads kinds and amounts of a split's ledger entries."""
    from sqlalchemy import select

    from stemsplitter.credits.models import LedgerEntry

    def read(split_id: str) -> list[tuple[str, int]]:
        with services.database.read() as session:
            query = select(LedgerEntry.kind, LedgerEntry.amount).where(LedgerEntry.split_id == split_id)
            return sorted((kind, amount) for kind, amount in session.execute(query))

    return read
