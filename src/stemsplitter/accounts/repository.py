"""Queries of accounts, links that verify addresses, API keys and webhook secrets."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import Session

from stemsplitter import account_ids
from stemsplitter.accounts.models import Account, AddressLink, ApiKey, WebhookSecret
from stemsplitter.database import is_one_of
from stemsplitter.database.paging import page
from stemsplitter.service_errors import NotFound

_IS_LIVE = ~Account.id.startswith(account_ids.TEST_PREFIX, autoescape=True)


def account(session: Session, account_id: str) -> Account:
    """Return an account that is no test account. Raises NotFound."""
    if not account_ids.is_test(account_id) and (found := session.get(Account, account_id)):
        return found
    raise NotFound(f"There is no account {account_id}: check the id.")


def lock_account(session: Session, account_id: str) -> Account:
    """Lock the account's row until the transaction ends. Raises NotFound."""
    found = session.scalar(select(Account).where(Account.id == account_id).with_for_update(key_share=True))
    if found is None:
        raise NotFound(f"There is no account {account_id}: check the id.")
    return found


def account_of_email(session: Session, email: str) -> Account | None:
    """Return the account with an address in lower case."""
    return session.scalar(select(Account).where(Account.email == email))


def accounts(session: Session) -> Sequence[Account]:
    """Return all accounts but test accounts, oldest first."""
    return session.scalars(select(Account).where(_IS_LIVE).order_by(Account.created_at, Account.id)).all()


def search(
    session: Session, text: str, *, limit: int, cursor: str | None
) -> tuple[Sequence[Account], str | None]:
    """Return a page of the accounts, test accounts aside, whose address or name contains ``text`` or whose id it is."""
    order = (Account.created_at, Account.id)
    contains = (column.icontains(text, autoescape=True) for column in (Account.email, Account.name))
    only = [or_(*contains, Account.id == text)] if text else []
    return page(session, select(Account).where(_IS_LIVE), order, limit=limit, cursor=cursor, only=only)


def emails(session: Session, account_ids: Collection[str]) -> dict[str, str]:
    """Return the addresses of accounts, by id."""
    query = select(Account.id, Account.email).where(Account.id.in_(account_ids))
    return {row.id: row.email for row in session.execute(query)}


def has_accounts(session: Session) -> bool:
    """True if there is any account."""
    return session.scalar(select(Account.id).limit(1)) is not None


def address_link(session: Session, token_hash: str, at: datetime) -> tuple[Account, str] | None:
    """Return the account of a valid link and the address that it verifies."""
    row = session.execute(
        select(Account, AddressLink.email)
        .join(AddressLink, AddressLink.account_id == Account.id)
        .where(
            AddressLink.token_hash == token_hash, AddressLink.expires_at > at, Account.disabled_at.is_(None)
        )
    ).one_or_none()
    return None if row is None else (row[0], row[1])


def use_address_link(session: Session, token_hash: str) -> bool:
    """Delete a link; False if another request was faster."""
    used = delete(AddressLink).where(AddressLink.token_hash == token_hash).returning(AddressLink.account_id)
    return session.scalar(used) is not None


def delete_address_link(session: Session, account_id: str) -> None:
    """Delete the account's link, if it has one."""
    session.execute(delete(AddressLink).where(AddressLink.account_id == account_id))


def delete_expired_address_links(session: Session, at: datetime) -> None:
    """Delete the links that ended before a time."""
    session.execute(delete(AddressLink).where(AddressLink.expires_at <= at))


def keys_of_hashes(
    session: Session, key_hashes: Collection[str]
) -> dict[str, tuple[str, str, datetime | None]]:
    """Return account, id and last use of the valid keys among these, by hash."""
    query = (
        select(ApiKey.key_hash, ApiKey.account_id, ApiKey.id, ApiKey.last_used_at)
        .join(Account, Account.id == ApiKey.account_id)
        .where(
            is_one_of(session, ApiKey.key_hash, key_hashes),
            ApiKey.revoked_at.is_(None),
            Account.disabled_at.is_(None),
        )
    )
    return {row[0]: (row[1], row[2], row[3]) for row in session.execute(query)}


def keys(session: Session, account_id: str) -> Sequence[ApiKey]:
    """Return the account's keys, oldest first, including revoked ones."""
    return session.scalars(
        select(ApiKey).where(ApiKey.account_id == account_id).order_by(ApiKey.created_at, ApiKey.id)
    ).all()


def key(session: Session, key_id: str) -> ApiKey | None:
    """Return a key."""
    return session.get(ApiKey, key_id)


def has_test_account(session: Session, owner: str) -> bool:
    """Return true if an account has a test account."""
    return session.get(Account, account_ids.of_tests(owner)) is not None


def add_test_account(session: Session, owner: str) -> None:
    """Create the test account of an account, which the caller has locked, unless it exists."""
    if not has_test_account(session, owner):
        # without "@" nobody can sign in with it
        session.add(Account(id=account_ids.of_tests(owner), email=f"test:{owner}", mail_low_credits=False))
        session.flush()


def record_use(session: Session, key_id: str, at: datetime, unless_since: datetime) -> None:
    """Record the use of a key, unless it was recorded since ``unless_since``."""
    session.execute(
        update(ApiKey)
        .where(ApiKey.id == key_id, or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at < unless_since))
        .values(last_used_at=at)
    )


def active_secrets(
    session: Session, account_id: str, endpoint_id: str | None, at: datetime
) -> Sequence[WebhookSecret]:
    """Return the webhook secrets of an endpoint, or of the URLs of requests, that sign at a time, newest first."""
    return session.scalars(
        select(WebhookSecret)
        .where(
            WebhookSecret.account_id == account_id,
            WebhookSecret.endpoint_id.is_not_distinct_from(endpoint_id),
            or_(WebhookSecret.expires_at.is_(None), WebhookSecret.expires_at > at),
        )
        # the one without an end is the newest, even if the clock was set back
        .order_by(WebhookSecret.expires_at.is_not(None), WebhookSecret.created_at.desc())
    ).all()


def delete_expired_secrets(session: Session, account_id: str, at: datetime) -> None:
    """Delete the webhook secrets that ended before a time."""
    session.execute(
        delete(WebhookSecret).where(WebhookSecret.account_id == account_id, WebhookSecret.expires_at <= at)
    )


def delete_endpoint_secrets(session: Session, account_id: str, endpoint_id: str) -> None:
    """Delete the webhook secrets of an endpoint."""
    session.execute(
        delete(WebhookSecret).where(
            WebhookSecret.account_id == account_id, WebhookSecret.endpoint_id == endpoint_id
        )
    )
