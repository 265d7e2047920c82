"""The rules of accounts: who there is, how they prove it, and with which keys."""

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from stemsplitter.accounts import keys, passwords, repository
from stemsplitter.accounts.models import ROLES, Account, ApiKey
from stemsplitter.clock import now
from stemsplitter.database import Database
from stemsplitter.service_errors import Conflict, NotFound, Unauthorized, ValidationFailed
from stemsplitter.settings import Settings

USE_NOTED_EVERY = timedelta(minutes=1)
LONGEST_NAME = 100

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_LONGEST_EMAIL = 254  # RFC 5321


@dataclass(frozen=True)
class Caller:
    """Who a request comes from."""

    account_id: str
    key_id: str
    last_used_at: datetime | None


class AccountService:
    """Accounts and API keys. Changes join the caller's transaction.

    Args:
        grant_free_credits: called with the session and the id of each new account.
    """

    def __init__(
        self,
        database: Database,
        settings: Settings,
        grant_free_credits: Callable[[Session, str], object],
    ) -> None:
        self._database = database
        self._signup_open = settings.signup_open
        self._max_api_keys = settings.max_api_keys
        self._grant_free_credits = grant_free_credits

    def sign_up(self, email: str, password: str) -> Account:
        """Make an account for somebody who comes by, in a transaction of its own.

        Raises:
            Conflict: the operator alone makes accounts here, or there is one with that address.
            ValidationFailed: the address or password cannot be.
        """
        if not self._signup_open:
            raise Conflict("Accounts of this server are made by its operator: ask for one.")
        password_hash = passwords.hash_password(password)
        with self._database.write() as session:
            return self.create_account(session, email, password_hash)

    def create_account(
        self,
        session: Session,
        email: str,
        password_hash: str | None = None,
        *,
        name: str = "",
        role: str = "user",
    ) -> Account:
        """Make an account and grant it the free credits. Without a password it has API keys only.

        The password comes hashed (:func:`passwords.hash_password`): hashing takes too long for a transaction.

        Raises:
            ValidationFailed: the address, name or role cannot be.
            Conflict: there is an account with that address, in whatever case.
        """
        email = _checked_email(email)
        if role not in ROLES:
            raise ValidationFailed(f"{role!r} is not a role: use {' or '.join(ROLES)}.", param="role")
        account = Account(
            email=email,
            password_hash=password_hash,
            name=_checked_name(name),
            role=role,
        )
        try:
            with session.begin_nested():
                session.add(account)
        except IntegrityError as error:
            raise Conflict(f"There is an account {email} already: use another address.") from error
        self._grant_free_credits(session, account.id)
        session.refresh(account, ["balance"])
        return account

    def has_accounts(self, session: Session) -> bool:
        """Whether any account was ever made."""
        return repository.has_accounts(session)

    def list_accounts(self, session: Session) -> Sequence[Account]:
        """All accounts, the oldest first."""
        return repository.accounts(session)

    def page(
        self, session: Session, *, search: str, limit: int, cursor: str | None
    ) -> tuple[Sequence[Account], str | None]:
        """A page of the accounts that ``search`` finds by address, name or id, and the next cursor: see
        :func:`~stemsplitter.database.paging.page`.
        """
        return repository.search(session, search.strip().replace("\0", ""), limit=limit, cursor=cursor)

    def emails(self, session: Session, account_ids: Collection[str]) -> dict[str, str]:
        """The addresses of those accounts, by id."""
        return repository.emails(session, account_ids)

    def find_account(self, session: Session, email_or_id: str) -> Account:
        """Raises NotFound."""
        wanted = email_or_id.strip()
        if "@" not in wanted:
            return repository.account(session, wanted)
        if found := repository.account_of_email(session, wanted.lower()):
            return found
        raise NotFound(f"There is no account {wanted}: check the address.")

    def checked_new_password(self, account: Account, current: str, new: str) -> str:
        """The hash of the password that the account's owner chose, who must know the current one, if there is one.

        Raises:
            ValidationFailed: the current password is wrong, or the new one too short or too long.
        """
        self.check_password(account, current)
        return passwords.hash_password(new)

    def check_password(self, account: Account, password: str) -> None:
        """Raise ValidationFailed where the account has a password and this is not it."""
        if account.password_hash is not None and not passwords.matches(password, account.password_hash):
            raise ValidationFailed("The current password is wrong: type it again.", param="current")

    def set_password(self, session: Session, account_id: str, password_hash: str) -> None:
        """Give the account another password, which comes hashed. Raises NotFound."""
        repository.account(session, account_id).password_hash = password_hash

    def set_email(self, session: Session, account_id: str, email: str) -> None:
        """Give the account another address.

        Raises:
            ValidationFailed: it is none.
            Conflict: another account has it.
            NotFound: there is no such account.
        """
        account = repository.account(session, account_id)
        email = _checked_email(email)
        if (holder := repository.account_of_email(session, email)) and holder.id != account_id:
            raise Conflict(f"There is an account {email} already: use another address.")
        account.email = email

    def verify_password(self, session: Session, email: str, password: str) -> Account:
        """The account that address and password belong to. Takes as long for an address that nobody has.

        Raises:
            Unauthorized: they do not fit, or the account is disabled.
        """
        account = repository.account_of_email(session, email.strip().lower())
        fits = passwords.matches(password, account.password_hash if account else None)
        if account is None or not fits or account.disabled_at is not None:
            raise Unauthorized("Wrong email address or password")
        return account

    def disable_account(self, session: Session, account_id: str, by: str | None = None) -> None:
        """Refuse the account's keys, sessions and password from now on; its data stays.

        Raises:
            NotFound: there is no such account.
            Conflict: it is the one of who disables it, ``by``, who could not undo that.
        """
        if account_id == by:
            raise Conflict("This is your own account: another operator has to disable it.")
        account = repository.account(session, account_id)
        account.disabled_at = account.disabled_at or now()

    def enable_account(self, session: Session, account_id: str) -> None:
        """Accept the account's keys and password again. Raises NotFound."""
        repository.account(session, account_id).disabled_at = None

    def create_key(self, session: Session, account_id: str, name: str) -> tuple[ApiKey, str]:
        """Make an API key. The second value is the key itself, which is kept nowhere and shown once.

        Raises:
            ValidationFailed: the name is too long.
            NotFound: there is no such account.
            Conflict: the account has as many keys as it may have.
        """
        account = repository.lock_account(session, account_id)
        if sum(key.revoked_at is None for key in repository.keys(session, account_id)) >= self._max_api_keys:
            raise Conflict(f"The account has {self._max_api_keys} API keys: revoke one that is not used.")
        shown = keys.new_key()
        key = ApiKey(
            account_id=account.id,
            name=_checked_name(name),
            prefix=shown[: keys.SHOWN],
            key_hash=keys.hash_key(shown),
        )
        session.add(key)
        session.flush()
        return key, shown

    def list_keys(self, session: Session, account_id: str) -> Sequence[ApiKey]:
        """The account's keys, the oldest first, revoked ones too."""
        return repository.keys(session, account_id)

    def rename_key(self, session: Session, account_id: str, key_id: str, name: str) -> ApiKey:
        """Call the key something else.

        Raises:
            ValidationFailed: the name is too long.
            NotFound: the account has no such key.
        """
        key = self._key(session, account_id, key_id)
        key.name = _checked_name(name)
        return key

    def revoke_key(self, session: Session, account_id: str, key_id: str) -> ApiKey:
        """Refuse the key from now on. Raises NotFound where the account has no such key."""
        key = self._key(session, account_id, key_id)
        key.revoked_at = key.revoked_at or now()
        return key

    def authenticate(self, key: str) -> Caller:
        """Who the key belongs to; notes the key's use once a minute, in a transaction of its own.

        Raises:
            Unauthorized: the key is malformed, unknown or revoked, or its account disabled: which, is not told.
        """
        with self._database.read() as session:
            (caller,) = self.authenticate_all(session, [key])
        if caller is None:
            raise Unauthorized
        return caller

    def authenticate_all(self, session: Session, given: Sequence[str]) -> list[Caller | None]:
        """Who the keys belong to, None where :meth:`authenticate` would refuse one; notes their use as it does."""
        hashes = [keys.hash_key(key) if keys.is_key(key) else "" for key in given]
        found = repository.keys_of_hashes(session, set(hashes) - {""}) if any(hashes) else {}
        at = now()
        for key_id, _, last_used_at in found.values():
            if last_used_at is None or last_used_at < at - USE_NOTED_EVERY:
                with self._database.write() as writing:
                    repository.record_use(writing, key_id, at, at - USE_NOTED_EVERY)
        callers = []
        for key_hash in hashes:
            known = found.get(key_hash)
            callers.append(None if known is None else Caller(known[1], known[0], known[2]))
        return callers

    def _key(self, session: Session, account_id: str, key_id: str) -> ApiKey:
        key = repository.key(session, key_id)
        if key is None or key.account_id != account_id:
            raise NotFound(f"There is no API key {key_id}: check the id.")
        return key


def _checked_email(email: str) -> str:
    email = email.strip().lower()
    if not _EMAIL.fullmatch(email) or len(email) > _LONGEST_EMAIL or not email.isprintable():
        raise ValidationFailed(
            f"{email[:60]!r} is not an email address: write name@example.com.", param="email"
        )
    return email


def _checked_name(name: str) -> str:
    name = name.strip()
    if len(name) > LONGEST_NAME or not name.isprintable():
        raise ValidationFailed(
            f"The name is not a line of at most {LONGEST_NAME} characters: shorten it.", param="name"
        )
    return name
