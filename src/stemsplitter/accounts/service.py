"""Accounts: sign-up, passwords and API keys."""

import re
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from stemsplitter import account_ids, refusals
from stemsplitter.accounts import keys, passwords, repository
from stemsplitter.accounts.models import ROLES, Account, ApiKey
from stemsplitter.clock import now
from stemsplitter.database import Database
from stemsplitter.database.best_effort import BestEffort
from stemsplitter.service_errors import Conflict, NotFound, Unauthorized, ValidationFailed
from stemsplitter.settings import Settings

USE_INTERVAL = timedelta(minutes=1)  # between two records of a key's use
MAX_NAME_LENGTH = 100
VISITORS = "visitors"  # in the place of an address; without "@" nobody can sign up or sign in with it

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_MAX_EMAIL_LENGTH = 254  # RFC 5321


@dataclass(frozen=True)
class Caller:
    """The account and the API key of a request; the test account if it is a test key."""

    account_id: str
    key_id: str
    last_used_at: datetime | None

    @property
    def owner_id(self) -> str:
        """The account whose limits apply, and which sees the requests of its keys."""
        return account_ids.owner(self.account_id)


class AccountService:
    """Creates, changes and authenticates accounts and their API keys.

    Args:
        grant_free_credits: called with the session and the id of each new account, except those that a visitor
            creates while addresses are verified: see :class:`~stemsplitter.accounts.addresses.AddressProofs`.
    """

    def __init__(
        self,
        database: Database,
        settings: Settings,
        grant_free_credits: Callable[[Session, str], object],
    ) -> None:
        self._database = database
        self.uses = BestEffort()
        self._signup_open = settings.signup_open
        self._max_api_keys = settings.max_api_keys
        self._grant_free_credits = grant_free_credits

    def sign_up(self, email: str, password: str, *, verifies: bool, language: str = "") -> Account:
        """Create an account for a visitor, whose address is not verified.

        Args:
            verifies: if it will be; the free credits are granted then, otherwise now.
            language: of its mails, as a code such as ``de``.

        Raises:
            Conflict: sign-up is closed, or the address has an account.
            ValidationFailed: the address or the password is invalid.
        """
        if not self._signup_open:
            raise Conflict("Sign-up is closed on this server: ask its operator for an account.")
        password_hash = passwords.hash_password(password)
        with self._database.write() as session:
            account = self._add(session, email, password_hash)
            account.language = language
            if not verifies:
                self._grant_free_credits(session, account.id)
                session.refresh(account, ["balance"])
            return account

    def create_account(
        self,
        session: Session,
        email: str,
        password_hash: str | None = None,
        *,
        name: str = "",
        role: str = "user",
    ) -> Account:
        """Create an account for an operator, who vouches for the address, and grant it the free credits.

        Without a password it is used through API keys only.

        Args:
            password_hash: of :func:`passwords.hash_password`, which takes too long for a transaction.

        Raises:
            ValidationFailed: the address, name or role is invalid.
            Conflict: the address has an account, in any case of letters.
        """
        if role not in ROLES:
            raise ValidationFailed(f"{role!r} is not a role: use {' or '.join(ROLES)}.", param="role")
        account = self._add(session, email, password_hash, _checked_name(name), role)
        account.verified_at = now()
        self._grant_free_credits(session, account.id)
        session.flush()
        session.refresh(account, ["balance"])
        return account

    def visitors(self) -> str:
        """Return the id of the account that has the jobs of visitors without an account; it is created when needed."""
        with self._database.read() as session:
            found = repository.account_of_email(session, VISITORS)
        if found is None:
            with self._database.write() as session, suppress(IntegrityError), session.begin_nested():
                name = "Visitors without an account"
                session.add(Account(email=VISITORS, name=name, mail_low_credits=False))
            return self.visitors()
        return found.id

    def _add(
        self, session: Session, email: str, password_hash: str | None, name: str = "", role: str = "user"
    ) -> Account:
        email = checked_email(email)
        account = Account(email=email, password_hash=password_hash, name=name, role=role)
        try:
            with session.begin_nested():
                session.add(account)
        except IntegrityError as error:
            raise Conflict(f"An account with the address {email} exists: use another address.") from error
        return account

    def has_accounts(self, session: Session) -> bool:
        """True if there is any account."""
        return repository.has_accounts(session)

    def list_accounts(self, session: Session) -> Sequence[Account]:
        """Return all accounts, oldest first."""
        return repository.accounts(session)

    def page(
        self, session: Session, *, search: str, limit: int, cursor: str | None
    ) -> tuple[Sequence[Account], str | None]:
        """Return a page of the accounts found by address, name or id, and the next cursor.

        See :func:`~stemsplitter.database.paging.page`.
        """
        return repository.search(session, search.strip().replace("\0", ""), limit=limit, cursor=cursor)

    def emails(self, session: Session, account_ids: Collection[str]) -> dict[str, str]:
        """Return the addresses of accounts, by id."""
        return repository.emails(session, account_ids)

    def find_account(self, session: Session, email_or_id: str) -> Account:
        """Return an account. Raises NotFound."""
        wanted = email_or_id.strip()
        if "@" not in wanted:
            return repository.account(session, wanted)
        if found := repository.account_of_email(session, wanted.lower()):
            return found
        raise NotFound(f"There is no account with the address {wanted}: check the address.")

    def checked_new_password(self, account: Account, current: str, new: str) -> str:
        """Check the current password, if the account has one, and return the hash of the new one.

        Raises:
            ValidationFailed: the current password is wrong, or the new one is too short or too long.
        """
        self.check_password(account, current)
        return passwords.hash_password(new)

    def check_password(self, account: Account, password: str) -> None:
        """Raise ValidationFailed if the account has a password and it is another one."""
        if account.password_hash is not None and not passwords.matches(password, account.password_hash):
            raise ValidationFailed("The current password is wrong: enter it again.", param="current")

    def set_password(self, session: Session, account_id: str, password_hash: str) -> None:
        """Set the hash of the account's password. Raises NotFound."""
        repository.account(session, account_id).password_hash = password_hash

    def set_email(
        self, session: Session, account_id: str, email: str, verified_at: datetime | None = None
    ) -> None:
        """Set the account's address, and the time at which it was verified, if it was.

        Raises:
            ValidationFailed: the address is invalid.
            Conflict: another account has it.
            NotFound: there is no such account.
        """
        account = repository.account(session, account_id)
        account.email = self.checked_new_email(session, account_id, email)
        account.verified_at = verified_at

    def set_language(self, session: Session, account_id: str, language: str) -> None:
        """Set the language of the account's pages and mails. Raises NotFound."""
        repository.account(session, account_id).language = language

    def checked_new_email(self, session: Session, account_id: str, email: str) -> str:
        """Return an address in lower case that the account may have. Raises like :meth:`set_email`."""
        email = checked_email(email)
        if (holder := repository.account_of_email(session, email)) and holder.id != account_id:
            raise Conflict(f"An account with the address {email} exists: use another address.")
        return email

    def choose_messages(self, session: Session, account_id: str, *, done: bool, low_credits: bool) -> None:
        """Set which messages the account gets. Raises NotFound."""
        account = repository.account(session, account_id)
        account.mail_done, account.mail_low_credits = done, low_credits

    def verify_password(self, session: Session, email: str, password: str) -> Account:
        """Return the account with this address and password, in the same time for an unknown address.

        Raises:
            Unauthorized: the address or password is wrong, or the account is disabled.
        """
        account = repository.account_of_email(session, email.strip().lower())
        matches = passwords.matches(password, account.password_hash if account else None)
        if account is None or not matches or account.disabled_at is not None:
            raise Unauthorized("Wrong email address or password")
        return account

    def disable_account(self, session: Session, account_id: str, by: str | None = None) -> None:
        """Disable the account's keys, sessions and password; its data stays.

        Raises:
            NotFound: there is no such account.
            Conflict: ``by``, the operator who disables it, has this account and could not enable it again.
        """
        if account_id == by:
            raise Conflict("This is your own account: only another operator can disable it.")
        account = repository.account(session, account_id)
        account.disabled_at = account.disabled_at or now()

    def enable_account(self, session: Session, account_id: str) -> None:
        """Enable the account's keys and password again. Raises NotFound."""
        repository.account(session, account_id).disabled_at = None

    def create_key(
        self, session: Session, account_id: str, name: str, *, is_test: bool = False
    ) -> tuple[ApiKey, str]:
        """Create an API key. The second value is the key itself, which is not stored and shown once.

        Raises:
            ValidationFailed: the name is too long.
            NotFound: there is no such account.
            Conflict: the account has as many keys as it may have.
        """
        account = repository.lock_account(session, account_id)
        if sum(key.revoked_at is None for key in repository.keys(session, account_id)) >= self._max_api_keys:
            refusals.count("API keys")
            raise Conflict(f"The account has {self._max_api_keys} API keys: revoke one that is not used.")
        if is_test:
            repository.add_test_account(session, account.id)
        shown = keys.new_key(is_test=is_test)
        key = ApiKey(
            account_id=account.id,
            name=_checked_name(name),
            prefix=shown[: keys.SHOWN],
            key_hash=keys.hash_key(shown),
        )
        session.add(key)
        session.flush()
        return key, shown

    def test_account(self, account_id: str) -> str:
        """Return the id of the account's test account; it is created when needed. Raises NotFound."""
        with self._database.read() as session:
            if repository.has_test_account(session, account_id):
                return account_ids.of_tests(account_id)
        with self._database.write() as session:
            repository.lock_account(session, account_id)
            repository.add_test_account(session, account_id)
        return account_ids.of_tests(account_id)

    def list_keys(self, session: Session, account_id: str) -> Sequence[ApiKey]:
        """Return the account's keys, oldest first, including revoked ones."""
        return repository.keys(session, account_id)

    def rename_key(self, session: Session, account_id: str, key_id: str, name: str) -> ApiKey:
        """Rename a key.

        Raises:
            ValidationFailed: the name is too long.
            NotFound: the account has no such key.
        """
        key = self._key(session, account_id, key_id)
        key.name = _checked_name(name)
        return key

    def revoke_key(self, session: Session, account_id: str, key_id: str) -> ApiKey:
        """Revoke a key. Raises NotFound if the account has no such key."""
        key = self._key(session, account_id, key_id)
        key.revoked_at = key.revoked_at or now()
        return key

    def authenticate(self, session: Session, api_keys: Sequence[str]) -> list[Caller | None]:
        """Return the caller of each key; None if the key is malformed, unknown or revoked, or its account disabled."""
        hashes = [keys.hash_key(key) if keys.is_key(key) else "" for key in api_keys]
        found = repository.keys_of_hashes(session, set(hashes) - {""}) if any(hashes) else {}
        return [
            _caller(key, *found[key_hash]) if key_hash in found else None
            for key, key_hash in zip(api_keys, hashes, strict=True)
        ]

    def record_use_later(self, callers: Collection[Caller]) -> None:
        """Record that keys are used now, as :meth:`record_use` does, without waiting for the database."""
        if any(_is_use_due(caller, now()) for caller in callers):
            self.uses.run(lambda: self.record_use(callers))

    def record_use(self, callers: Collection[Caller]) -> None:
        """Record that keys are used now, at most once a minute for each, in transactions of their own."""
        at = now()
        for caller in set(callers):
            if _is_use_due(caller, at):
                with self._database.write() as session:
                    repository.record_use(session, caller.key_id, at, at - USE_INTERVAL)

    def _key(self, session: Session, account_id: str, key_id: str) -> ApiKey:
        key = repository.key(session, key_id)
        if key is None or key.account_id != account_id:
            raise NotFound(f"There is no API key {key_id}: check the id.")
        return key


def _caller(key: str, account_id: str, key_id: str, last_used_at: datetime | None) -> Caller:
    is_test = keys.is_test_key(key)
    return Caller(account_ids.of_tests(account_id) if is_test else account_id, key_id, last_used_at)


def _is_use_due(caller: Caller, at: datetime) -> bool:
    return caller.last_used_at is None or caller.last_used_at < at - USE_INTERVAL


def checked_email(email: str) -> str:
    """Return an address in lower case. Raises ValidationFailed if it is none."""
    email = email.strip().lower()
    if not _EMAIL.fullmatch(email) or len(email) > _MAX_EMAIL_LENGTH or not email.isprintable():
        raise ValidationFailed(
            f"{email[:60]!r} is not an email address: use the form name@example.com.", param="email"
        )
    return email


def _checked_name(name: str) -> str:
    name = name.strip()
    if len(name) > MAX_NAME_LENGTH or not name.isprintable():
        raise ValidationFailed(
            f"The name must be one line of at most {MAX_NAME_LENGTH} characters.", param="name"
        )
    return name
