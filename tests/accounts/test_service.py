from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from stemsplitter.accounts import service as module
from stemsplitter.accounts.models import Account, ApiKey
from stemsplitter.accounts.passwords import hash_password
from stemsplitter.accounts.service import AccountService
from stemsplitter.clock import now
from stemsplitter.credits.service import CreditService
from stemsplitter.database import Database
from stemsplitter.service_errors import Conflict, InvalidCursor, NotFound, Unauthorized, ValidationFailed
from stemsplitter.settings import Settings
from tests.services import authenticate

PASSWORD = "correct horse"
PASSWORD_HASH = hash_password(PASSWORD)


def new_service(database: Database, settings: Settings) -> AccountService:
    return AccountService(database, settings, CreditService(settings).grant_free_credits)


@pytest.fixture
def accounts(database: Database) -> AccountService:
    return new_service(database, Settings(free_credits=600))


def made(accounts: AccountService, database: Database, email: str = "song@example.com") -> Account:
    with database.write() as session:
        return accounts.create_account(session, email, PASSWORD_HASH)


def test_new_account_has_the_free_credits(database: Database, accounts: AccountService) -> None:
    account = made(accounts, database)
    assert account.balance == 600
    with database.read() as session:
        credits = CreditService(Settings())
        assert credits.balance(session, account.id) == 600
        assert [(entry.kind, entry.amount) for entry in credits.page(session, account.id, limit=50)[0]] == [
            ("grant", 600)
        ]
        assert credits.audit(session) == []


def test_new_account_without_free_credits_has_none(database: Database) -> None:
    account = made(new_service(database, Settings(free_credits=0)), database)
    assert account.balance == 0


def test_addresses_are_unique_regardless_of_case(database: Database, accounts: AccountService) -> None:
    account = made(accounts, database, " Song@Example.COM ")
    assert account.email == "song@example.com"
    with database.write() as session:
        with pytest.raises(Conflict, match=r"with the address song@example\.com exists"):
            accounts.create_account(session, "SONG@example.com")
        # the transaction continues
        accounts.create_account(session, "other@example.com")
    with database.read() as session:
        emails = [each.email for each in accounts.list_accounts(session)]
        assert emails == ["song@example.com", "other@example.com"]
        assert accounts.find_account(session, "SONG@example.com ").id == account.id
        assert accounts.find_account(session, account.id).email == "song@example.com"


@pytest.mark.parametrize(
    "email", ["", "song", "@", "song@", "@x", "a b@c", "a@b@c", "a\x1b@b", "x" * 250 + "@b.de"]
)
def test_invalid_address_is_refused(database: Database, accounts: AccountService, email: str) -> None:
    with pytest.raises(ValidationFailed, match=r"use the form name@example\.com") as caught:
        made(accounts, database, email)
    assert caught.value.param == "email"


def test_invalid_role_name_and_password_are_refused(database: Database, accounts: AccountService) -> None:
    with database.write() as session:
        with pytest.raises(ValidationFailed, match="not a role"):
            accounts.create_account(session, "a@b", role="king")
        with pytest.raises(ValidationFailed, match="at most 100"):
            accounts.create_account(session, "a@b", name="x" * 101)
        with pytest.raises(ValidationFailed, match="password"):
            hash_password("short")
        assert not accounts.has_accounts(session)
        accounts.create_account(session, "a@b", role="operator")
        assert accounts.has_accounts(session)


def test_password_is_verified(database: Database, accounts: AccountService) -> None:
    account = made(accounts, database)
    with database.write() as session:
        assert accounts.verify_password(session, " SONG@example.com", PASSWORD).id == account.id
        accounts.set_password(session, account.id, hash_password("battery staple"))
        accounts.create_account(session, "keys@example.com")
    with database.read() as session:
        assert accounts.verify_password(session, "song@example.com", "battery staple").id == account.id
        messages = set()
        for email, password in (
            ("song@example.com", PASSWORD),
            ("nobody@example.com", PASSWORD),
            ("keys@example.com", ""),
            ("keys@example.com", PASSWORD),
        ):
            with pytest.raises(Unauthorized) as caught:
                accounts.verify_password(session, email, password)
            messages.add(str(caught.value))
    assert messages == {"Wrong email address or password"}  # the message does not reveal who has an account


def test_key_authenticates_until_it_is_revoked(database: Database, accounts: AccountService) -> None:
    account = made(accounts, database)
    with database.write() as session:
        key, shown = accounts.create_key(session, account.id, " laptop ")
        second, _ = accounts.create_key(session, account.id, "server")
    assert (key.name, key.prefix) == ("laptop", shown[:12])
    assert shown not in str(vars(key))
    caller = authenticate(accounts, database, shown)
    assert (caller.account_id, caller.key_id) == (account.id, key.id)
    with database.read() as session:
        assert {each.id for each in accounts.list_keys(session, account.id)} == {key.id, second.id}
    with database.write() as session:
        revoked_at = accounts.revoke_key(session, account.id, key.id).revoked_at
        assert revoked_at is not None
        assert accounts.revoke_key(session, account.id, key.id).revoked_at == revoked_at
    with pytest.raises(Unauthorized):
        authenticate(accounts, database, shown)


def test_disabled_account_cannot_authenticate(database: Database, accounts: AccountService) -> None:
    account = made(accounts, database)
    with database.write() as session:
        _, shown = accounts.create_key(session, account.id, "")
        accounts.disable_account(session, account.id)
        with pytest.raises(Unauthorized):
            accounts.verify_password(session, account.email, PASSWORD)
    with pytest.raises(Unauthorized, match="Missing or invalid API key"):
        authenticate(accounts, database, shown)
    with database.write() as session:
        accounts.enable_account(session, account.id)
        assert accounts.verify_password(session, account.email, PASSWORD).id == account.id
    assert authenticate(accounts, database, shown).account_id == account.id


@pytest.mark.parametrize(
    "key", ["", "Bearer", "ast_live_" + "0" * 32, "ast_live_", "x" * 100_000, "ast_live_\0"]
)
def test_malformed_key_is_unauthorized(database: Database, accounts: AccountService, key: str) -> None:
    made(accounts, database)
    with pytest.raises(Unauthorized) as caught:
        authenticate(accounts, database, key)
    assert (caught.value.code, caught.value.status) == ("UNAUTHORIZED", 401)
    assert str(caught.value) == "Missing or invalid API key"


def test_hash_of_a_key_is_unauthorized(database: Database, accounts: AccountService) -> None:
    account = made(accounts, database)
    with database.write() as session:
        key, _ = accounts.create_key(session, account.id, "")
    with pytest.raises(Unauthorized):
        authenticate(accounts, database, key.key_hash)


def last_used(session: Session) -> object:
    return session.scalar(select(ApiKey.last_used_at))


def test_use_of_a_key_is_recorded_once_a_minute(
    database: Database, accounts: AccountService, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = made(accounts, database)
    with database.write() as session:
        key, shown = accounts.create_key(session, account.id, "")
    start = now()
    seen = []
    for seconds in (0, 30, 60, 61, 90):
        monkeypatch.setattr(module, "now", lambda seconds=seconds: start + timedelta(seconds=seconds))
        assert authenticate(accounts, database, shown).key_id == key.id
        with database.read() as session:
            seen.append(last_used(session))
    first, later = start, start + timedelta(seconds=61)
    assert seen == [first, first, first, later, later]


def test_use_recorded_by_another_process_is_kept(database: Database, accounts: AccountService) -> None:
    """Both processes read an old last use; the second finds a recent one when it writes."""
    account = made(accounts, database)
    with database.write() as session:
        key, _ = accounts.create_key(session, account.id, "")
        at = now()
        for later in (timedelta(), timedelta(seconds=5)):
            module.repository.record_use(session, key.id, at + later, at + later - module.USE_INTERVAL)
        session.expire_all()
        assert last_used(session) == at


def test_missing_accounts_and_keys_are_not_found(database: Database, accounts: AccountService) -> None:
    account, other = made(accounts, database), made(accounts, database, "other@example.com")
    with database.write() as session:
        key, _ = accounts.create_key(session, account.id, "")
        for call in (
            lambda: accounts.find_account(session, "acc_x"),
            lambda: accounts.find_account(session, "nobody@example.com"),
            lambda: accounts.disable_account(session, "acc_x"),
            lambda: accounts.set_password(session, "acc_x", PASSWORD),
            lambda: accounts.create_key(session, "acc_x", ""),
            lambda: accounts.revoke_key(session, account.id, "key_x"),
            lambda: accounts.revoke_key(session, other.id, key.id),  # of another account
        ):
            with pytest.raises(NotFound):
                call()
        assert key.revoked_at is None


def test_key_is_renamed(database: Database, accounts: AccountService) -> None:
    account, other = made(accounts, database), made(accounts, database, "other@example.com")
    with database.write() as session:
        key, shown = accounts.create_key(session, account.id, "laptop")
        accounts.rename_key(session, account.id, key.id, " phone 📱 ")
        with pytest.raises(NotFound):
            accounts.rename_key(session, other.id, key.id, "mine")
        with pytest.raises(ValidationFailed):
            accounts.rename_key(session, account.id, key.id, "x" * 101)
    with database.read() as session:
        assert [key.name for key in accounts.list_keys(session, account.id)] == ["phone 📱"]
    assert authenticate(accounts, database, shown).key_id == key.id


def test_operator_cannot_disable_the_own_account(database: Database, accounts: AccountService) -> None:
    account, other = made(accounts, database), made(accounts, database, "other@example.com")
    with database.write() as session:
        with pytest.raises(Conflict, match="your own"):
            accounts.disable_account(session, account.id, by=account.id)
        accounts.disable_account(session, other.id, by=account.id)
    with database.read() as session:
        assert [each.disabled_at is None for each in accounts.list_accounts(session)] == [True, False]


def test_accounts_are_searched_and_paged(database: Database, accounts: AccountService) -> None:
    with database.write() as session:
        for name in ("Ämilia", "", "100%_Rock", "", ""):
            number = len(accounts.list_accounts(session))
            accounts.create_account(session, f"song{number}@example.com", None, name=name)
        everybody = {account.email: account.id for account in accounts.list_accounts(session)}
        wanted = accounts.find_account(session, "song3@example.com").id
    with database.read() as session:

        def found(text: str) -> list[str]:
            page, _ = accounts.page(session, search=text, limit=50, cursor=None)
            return [account.email[4] for account in page]

        assert found("") == found("example.com") == ["4", "3", "2", "1", "0"]
        assert found(" SONG1@") == ["1"] and found("rock") == ["2"] and found(wanted) == ["3"]
        assert found("%") == found("0%_r") == ["2"] and found("_") == ["2"]
        assert found("nobody") == found("acc_") == [] and found("\0") == found("")
        seen, cursor = list[str](), None
        for _ in range(3):
            page, cursor = accounts.page(session, search="", limit=2, cursor=cursor)
            seen += [account.id for account in page]
        assert cursor is None and sorted(seen) == sorted(everybody.values())
        with pytest.raises(InvalidCursor):
            accounts.page(session, search="", limit=2, cursor="acc_0")
        assert accounts.emails(session, [wanted, "acc_0"]) == {wanted: "song3@example.com"}


def test_m2_keys_that_are_not_revoked_are_limited(database: Database) -> None:
    accounts = new_service(database, Settings(max_api_keys=2))
    account = made(accounts, database)
    with database.write() as session:
        first, _ = accounts.create_key(session, account.id, "1")
        accounts.create_key(session, account.id, "2")
        with pytest.raises(Conflict, match=r"^The account has 2 API keys: revoke one that is not used.$"):
            accounts.create_key(session, account.id, "3")
        accounts.revoke_key(session, account.id, first.id)
        accounts.create_key(session, account.id, "3")
