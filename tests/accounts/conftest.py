import pytest
from argon2 import PasswordHasher

from stemsplitter.accounts import passwords


@pytest.fixture(autouse=True)
def _quick_passwords(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Hashes that cost nothing, but for the tests that are about what they cost."""
    if "slow_passwords" not in request.fixturenames:
        monkeypatch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        passwords._nobodys.cache_clear()


@pytest.fixture
def slow_passwords() -> None:
    """As in production."""
    passwords._nobodys.cache_clear()
