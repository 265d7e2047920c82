"""Quotas of stored bytes: the check, concurrent reservations, and the free space of the disk."""

import threading
from datetime import timedelta
from pathlib import Path

import pytest

from stemsplitter import refusals
from stemsplitter.clock import now
from stemsplitter.database import Database
from stemsplitter.quotas.disk import Disk
from stemsplitter.quotas.service import Quotas
from stemsplitter.service_errors import Busy, QuotaExceeded
from stemsplitter.services import Services
from stemsplitter.settings import Settings
from tests.services import services

__all__ = ["services"]

LIMIT_S = 60.0


@pytest.fixture
def settings(tmp_path: Path, database: Database) -> Settings:
    return Settings(
        data_dir=tmp_path / "data", database_url=database.url, quota_bytes=1000, paid_quota_bytes=5000
    )


@pytest.fixture
def account(services: Services) -> str:
    with services.database.write() as session:
        return services.accounts.create_account(session, "someone@example.org").id


def used(services: Services, account: str) -> int:
    with services.database.read() as session:
        return services.quotas.used(session, account)


def reserve(services: Services, account: str, owner: str, size: int, **more: object) -> None:
    with services.database.write() as session:
        services.quotas.reserve(session, account, owner, size, **more)  # type: ignore[arg-type]


def test_h2_reservation_over_the_quota_is_refused_with_the_figures(services: Services, account: str) -> None:
    reserve(services, account, "upl_1", 600)
    before = refusals.counts()["bytes"]
    with pytest.raises(QuotaExceeded) as refused:
        reserve(services, account, "upl_2", 401)
    assert str(refused.value) == (
        "Your files use 600 B of 1.0 kB and this needs 401 B more: delete splits that you no longer need, or "
        "wait until unused uploads, mixes and splits expire."
    )
    assert refused.value.details == {"usedBytes": 600, "neededBytes": 401, "limitBytes": 1000}
    assert (refused.value.status, refused.value.code) == (409, "CONFLICT")
    assert refusals.counts()["bytes"] == before + 1
    reserve(services, account, "upl_2", 400)
    assert used(services, account) == 1000


def test_h2_only_growth_is_checked(services: Services, account: str) -> None:
    reserve(services, account, "split_1", 1000)
    reserve(services, account, "split_1", 1000)
    reserve(services, account, "split_1", 900)
    with services.database.write() as session:
        assert services.quotas.record(session, "split_1", 1100)
        assert not services.quotas.record(session, "split_2", 1)
    assert used(services, account) == 1100
    reserve(services, account, "split_1", 1050)
    with pytest.raises(QuotaExceeded):
        reserve(services, account, "split_1", 1051)


def test_h2_quota_depends_on_purchases_and_metering(services: Services, account: str) -> None:
    with pytest.raises(QuotaExceeded):
        reserve(services, account, "split_1", 5000)
    with services.database.write() as session:
        services.credits.purchase(session, account, 1, "pay_1")
    reserve(services, account, "split_1", 5000)
    unmetered = Quotas(
        services.settings.model_copy(update={"metering": False}), services.credits, services.disk
    )
    with services.database.read() as session:
        assert unmetered.limit(session, "acc_other") == 5000


def test_h2_accounts_do_not_share_a_quota(services: Services, account: str) -> None:
    with services.database.write() as session:
        other = services.accounts.create_account(session, "other@example.org").id
    reserve(services, account, "split_1", 1000)
    reserve(services, other, "split_2", 1000)
    with services.database.read() as session:
        assert services.quotas.used_by_all(session) == 2000


def test_h2_concurrent_reservations_stay_within_the_quota(services: Services, account: str) -> None:
    """Eight threads with their own connections, like processes, reserve a third of the quota each."""
    together = threading.Barrier(8)
    outcomes: list[str] = []

    def work(number: int) -> None:
        own = Database(services.database.url)
        try:
            together.wait(LIMIT_S)
            with own.write() as session:
                services.quotas.reserve(session, account, f"upl_{number}", 333)
            outcomes.append("reserved")
        except QuotaExceeded:
            outcomes.append("refused")
        finally:
            own.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT_S)
    assert sorted(outcomes) == ["refused"] * 5 + ["reserved"] * 3
    assert used(services, account) == 999


def test_h2_release_includes_mixes_of_the_owner_only(services: Services, account: str) -> None:
    soon = now() + timedelta(seconds=60)
    reserve(services, account, "split_1", 10)
    for name in ("b", "a"):
        reserve(services, account, "split_1", 10, name=name, expires_at=soon)
    reserve(services, account, "split_12", 10)
    with services.database.write() as session:
        assert services.quotas.reserved(session, "split_1") == 10
        services.quotas.expire(session, "split_1", "a")
    with services.database.write() as session:
        assert services.quotas.expired(session, 9) == [("split_1", "a")]
        services.quotas.release_expired(session, "split_1", "a")
    assert used(services, account) == 30
    with services.database.write() as session:
        services.quotas.release(session, "split_1")
    assert used(services, account) == 10


def test_h2_renewed_reservation_does_not_expire(services: Services, account: str) -> None:
    past = now() - timedelta(seconds=1)
    for owner in ("split_1", "split_2"):
        reserve(services, account, owner, 10, expires_at=past)
    with services.database.read() as session:
        expired = services.quotas.expired(session, 9)
    assert sorted(expired) == [("split_1", ""), ("split_2", "")]
    reserve(services, account, "split_2", 10)
    with services.database.write() as session:
        for owner, name in expired:
            services.quotas.release_expired(session, owner, name)
    assert used(services, account) == 10


def test_h2_nothing_is_reserved_below_the_floor_of_free_space(services: Services, account: str) -> None:
    free = {"data": 5000, "files": 300}
    disk = Disk([Path("data"), Path("files")], 250, lambda folder: free[str(folder)])
    quotas = Quotas(services.settings, services.credits, disk)
    with services.database.write() as session:
        quotas.reserve(session, account, "split_1", 50)
        before = refusals.counts()["free space"]
        with pytest.raises(Busy, match="disk of the server is almost full") as refused:
            quotas.reserve(session, account, "split_1", 101)
        assert refused.value.details == {"retryAfter": 60}
        assert refusals.counts()["free space"] == before + 1
        free["files"] = 0
        quotas.reserve(session, account, "split_1", 50)
        with pytest.raises(Busy):
            quotas.check_some(session, account)
    Disk([Path("data"), Path("files")], 0, lambda folder: 0).check(10**9)
