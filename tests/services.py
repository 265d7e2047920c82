"""Fixtures for services without processes. Import them to use them; override ``settings`` to change them."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stemsplitter.accounts.service import AccountService, Caller
from stemsplitter.credits.service import CreditService
from stemsplitter.database import Database
from stemsplitter.jobs.claims import Jobs
from stemsplitter.jobs.models import Job
from stemsplitter.quotas.disk import Disk
from stemsplitter.quotas.service import Quotas
from stemsplitter.service_errors import Unauthorized
from stemsplitter.services import Services
from stemsplitter.settings import Settings
from stemsplitter.splits.derived.maker import FileMaker


@pytest.fixture
def settings(tmp_path: Path, database: Database) -> Settings:
    return Settings(
        data_dir=tmp_path / "data", database_url=database.url, allowed_hosts=("stems.example.org",)
    )


@pytest.fixture
def services(settings: Settings) -> Iterator[Services]:
    made = Services(settings)
    yield made
    made.close()


def file_maker(services: Services) -> FileMaker:
    """Return a maker of derived files, which is not started."""
    return FileMaker(services.database, services.storage, services.quotas, services.settings)


@pytest.fixture
def files_are_made(services: Services) -> Iterator[None]:
    """Make derived files while the test runs, as a worker does."""
    maker = file_maker(services)
    maker.start("wrk_1")
    yield
    maker.stop()
    maker.wait_idle(10)


def upload_file(services: Services, account: str, filename: str, data: bytes) -> dict[str, str]:
    """Upload a FLAC file and return the ``input`` of a request."""
    with services.database.write() as session:
        made, token = services.uploads.reserve(session, account, filename, "audio/flac", len(data))
    incoming = services.uploads.begin(made.id, token, "audio/flac", len(data))
    incoming.write(data)
    incoming.finish()
    return {
        "type": "uploaded_file",
        "uploadId": made.id,
        "fileUrl": services.uploads.url(made.id),
        "storageKey": incoming.key,
    }


def quotas(settings: Settings) -> Quotas:
    """Return quotas with no regard for the disk."""
    return Quotas(settings, CreditService(settings), Disk([], 0))


def authenticate(accounts: AccountService, database: Database, key: str) -> Caller:
    """Return the caller with an API key, as the admission middleware does. Raises Unauthorized."""
    with database.read() as session:
        (caller,) = accounts.authenticate(session, [key])
    if caller is None:
        raise Unauthorized
    accounts.record_use([caller])
    return caller


def run_all(jobs: Jobs, claim: Callable[[str], Job | None]) -> int:
    """Run the jobs that a worker can claim, one after the other, and return their number."""
    count = 0
    while (job := claim("wrk_1")) is not None:
        jobs.run(job, threading.Event())
        count += 1
    return count
