"""Share links."""

from datetime import timedelta

import pytest

from stemsplitter.clock import now
from stemsplitter.service_errors import Conflict, NotFound, ValidationFailed
from stemsplitter.services import Services
from tests.services import services, settings
from tests.splits.rows import new_split

__all__ = ["services", "settings"]


def test_link_is_created_found_and_revoked(services: Services) -> None:
    with services.database.write() as session:
        account, other = (
            services.accounts.create_account(session, f"{name}@example.org").id for name in "ab"
        )
        ended = {"status": "succeeded", "finished_at": now(), "expires_at": now() + timedelta(days=2)}
        splits = [new_split(account, **ended), new_split(account)]
        session.add_all(splits)
        session.flush()
        done, queued = (split.id for split in splits)
        token = services.shares.create(session, account, done, 7)
        for split_id, owner, days, error in (
            (queued, account, 7, Conflict),
            (done, other, 7, NotFound),
            (done, account, 8, ValidationFailed),
        ):
            with pytest.raises(error):
                services.shares.create(session, owner, split_id, days)
    shared = services.shares.find(token)
    assert (shared.account_id, shared.split_id) == (account, done)
    assert shared.expires_at < now() + timedelta(days=3)
    services.shares.delete_expired()
    with services.database.write() as session:
        (link,) = services.shares.links(session, account, done)
        with pytest.raises(NotFound):
            services.shares.revoke(session, other, link.id)
        services.shares.revoke(session, account, link.id)
    with pytest.raises(NotFound):
        services.shares.find(token)
