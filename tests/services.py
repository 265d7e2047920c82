"""Fixtures for services without processes. Import them to use them; override ``settings`` to change them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from stemsplitter.database import Database
from stemsplitter.services import Services
from stemsplitter.settings import Settings


@pytest.fixture
def settings(tmp_path: Path, database: Database) -> Settings:
    return Settings(data_dir=tmp_path / "data", database_url=database.url)


@pytest.fixture
def services(settings: Settings) -> Iterator[Services]:
    made = Services(settings)
    yield made
    made.close()
