"""Verification of addresses (M3)."""

import pytest

from stemsplitter.service_errors import Unauthorized
from stemsplitter.services import Services
from tests.services import services, settings

__all__ = ["services", "settings"]


def test_m3_link_grants_the_free_credits_once(services: Services) -> None:
    def balance(account_id: str) -> int:
        with services.database.read() as session:
            return services.credits.balance(session, account_id)

    accounts = []
    for email in ("some@example.org", "some+more@example.org"):
        account = services.accounts.sign_up(email, "a good password", verifies=True)
        assert account.verified_at is None and balance(account.id) == 0
        with services.database.write() as session:
            token = services.address_proofs.make_link(session, account.id, email)
        with services.database.write() as session:
            assert services.address_proofs.use(session, token) == account.id
        with services.database.write() as session, pytest.raises(Unauthorized):
            services.address_proofs.use(session, token)
        accounts.append(account.id)
    assert [balance(account_id) for account_id in accounts] == [600, 0]
    with services.database.write() as session:
        token = services.address_proofs.make_link(session, accounts[0], "new@example.org")
    with services.database.write() as session:
        services.address_proofs.use(session, token)
    assert balance(accounts[0]) == 600
    with services.database.read() as session:
        assert services.accounts.find_account(session, accounts[0]).email == "new@example.org"
        assert services.credits.audit(session) == []
