import pytest
from argon2 import PasswordHasher

from stemsplitter.accounts import passwords


@pytest.fixture(autouse=True)
def _quick_passwords(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Use fast hash parameters, except in tests of the cost of hashes."""
    if "slow_passwords" not in request.fixturenames:
        monkeypatch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        passwords._dummy_hash.cache_clear()


@pytest.fixture
def slow_passwords() -> None:
    """Use the hash parameters of production."""
    passwords._dummy_hash.cache_clear()
