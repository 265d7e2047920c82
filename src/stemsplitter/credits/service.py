"""Credits: balances, purchases, and the holds of splits.

An account's balance is the sum of its ledger entries. The entries of a split are a hold and then a settle (credits are
spent) or a release (credits are returned): their sum is minus the cost, or zero. Every change locks the account first
and is idempotent.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from stemsplitter import account_ids
from stemsplitter.clock import now
from stemsplitter.credits import repository
from stemsplitter.credits.models import LedgerEntry
from stemsplitter.notices import service as notices
from stemsplitter.service_errors import Conflict, InsufficientCredits, NotFound, ValidationFailed
from stemsplitter.settings import Settings

LOW_BALANCE = 300  # credits; about one song
TEST_BALANCE = 100_000  # of a test account, always
FREE = "free:"  # begins the references of free credits
MAX_AMOUNT = 10**12  # in seconds; sums stay far below 64 bits


@dataclass(frozen=True)
class Discrepancy:
    """An account whose balance is not the sum of its entries, which indicates a fault."""

    account_id: str
    email: str
    balance: int
    sum_of_entries: int


class CreditService:
    """Changes and reads balances. All amounts are whole credits, which are seconds of audio."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._metering = settings.metering
        self._free_credits = settings.free_credits

    def balance(self, session: Session, account_id: str) -> int:
        """Return the balance, holds deducted; that of a test account is always :data:`TEST_BALANCE`.

        Raises:
            NotFound: there is no such account.
        """
        if account_ids.is_test(account_id):
            return TEST_BALANCE
        found = repository.balance(session, account_id)
        if found is None:
            raise _no_account(account_id)
        return found

    def grant(self, session: Session, account_id: str, amount: int, note: str = "") -> LedgerEntry:
        """Grant credits, or deduct some if ``amount`` is negative.

        Raises:
            ValidationFailed: the amount is zero or too large.
            Conflict: the balance is smaller than the amount to deduct.
            NotFound: there is no such account.
        """
        _check_amount(abs(amount))
        self.lock(session, account_id)
        entry = LedgerEntry(account_id=account_id, kind="grant", amount=amount, note=note)
        if not repository.append(session, entry):
            balance = self.balance(session, account_id)
            raise Conflict(f"The account has {balance} credits: deduct at most that many, not {-amount}.")
        return entry

    def grant_free_credits(self, session: Session, account_id: str, owner: str = "") -> bool:
        """Grant the free credits of the settings, once to an account and once to an ``owner``.

        Args:
            owner: tells people apart, whichever accounts they create: a keyed hash of the verified address.
        """
        if not self._free_credits:
            return False
        self.lock(session, account_id)
        reference = f"{FREE}{owner or account_id}"
        if repository.has_reference(session, account_id, FREE) or repository.entry_of(session, reference):
            return False
        entry = LedgerEntry(
            account_id=account_id,
            kind="grant",
            amount=self._free_credits,
            reference=reference,
            note="free credits of a new account",
        )
        try:
            with session.begin_nested():
                return repository.append(session, entry)
        except IntegrityError:  # another account of the owner was faster
            return False

    def purchase(
        self, session: Session, account_id: str, amount: int, reference: str, note: str = ""
    ) -> LedgerEntry:
        """Add purchased credits, once for each ``reference`` (the id of the payment).

        Raises:
            ValidationFailed: the amount is not positive or too large, or the reference is empty.
            Conflict: the reference was used for another account or amount.
            NotFound: there is no such account.
        """
        _check_amount(amount)
        if not reference:
            raise ValidationFailed(
                "The reference of the payment is empty: give its id at the payment provider.",
                param="reference",
            )
        self.lock(session, account_id)
        if earlier := repository.entry_of(session, reference):
            if (earlier.account_id, earlier.amount) != (account_id, amount):
                raise Conflict(
                    f"The purchase {reference} is recorded with another account or amount: check both."
                )
            return earlier
        entry = LedgerEntry(
            account_id=account_id, kind="purchase", amount=amount, reference=reference, note=note
        )
        repository.append(session, entry)
        return entry

    def lock(self, session: Session, account_id: str) -> None:
        """Lock the account's ledger until the transaction ends; splits of the account are created under this lock.

        Raises:
            NotFound: there is no such account.
        """
        if not repository.lock_account(session, account_id):
            raise _no_account(account_id)

    def has_bought(self, session: Session, account_id: str) -> bool:
        """True if the account, or the owner of a test account, has purchased credits."""
        return repository.has_purchase(session, account_ids.owner(account_id))

    def check_some(self, session: Session, account_id: str) -> None:
        """Raise InsufficientCredits if the account has no credits and splits cost some."""
        if self._metering and (has := self.balance(session, account_id)) < 1:
            raise InsufficientCredits(1, has)

    def hold(self, session: Session, account_id: str, split_id: str, cost: int) -> int:
        """Reserve the cost of a split and return it: ``cost``, or 0 if metering is off.

        A second call for the same split changes nothing and returns the first amount. Nothing is reserved from a test
        account, nor settled or released.

        Raises:
            InsufficientCredits: the balance is smaller than the cost.
            NotFound: there is no such account.
            ValueError: the cost is negative, or the split belongs to another account.
        """
        if cost < 0:
            raise ValueError(f"a split cannot cost {cost}")
        if account_ids.is_test(account_id):
            return cost if self._metering else 0
        self.lock(session, account_id)
        if earlier := repository.hold_of(session, split_id):
            if earlier.account_id != account_id:
                raise ValueError(f"{split_id} belongs to another account")
            return -earlier.amount
        charged = cost if self._metering else 0
        entry = LedgerEntry(account_id=account_id, kind="hold", amount=-charged, split_id=split_id)
        if not repository.append(session, entry):
            raise InsufficientCredits(cost, self.balance(session, account_id))
        if (
            charged
            and self.is_low(left := self.balance(session, account_id))
            and not self.is_low(left + charged)
        ):
            notices.add_low_credits(session, self._settings, account_id)
        return charged

    def is_low(self, balance: int) -> bool:
        """True if accounts get a message about their balance."""
        return balance < LOW_BALANCE

    def settle(self, session: Session, split_id: str) -> bool:
        """Spend the hold of a split. True if it is settled, by this call or an earlier one; False if it was released.

        Raises:
            LookupError: the split has no hold.
        """
        return self._end(session, split_id, "settle")

    def release(self, session: Session, split_id: str) -> bool:
        """Return the hold of a split. True if it is released, by this call or an earlier one; False if it was settled.

        Raises:
            LookupError: the split has no hold.
        """
        return self._end(session, split_id, "release")

    def page(
        self, session: Session, account_id: str, *, limit: int, cursor: str | None = None
    ) -> tuple[Sequence[LedgerEntry], str | None]:
        """Return a page of the account's entries and the next cursor.

        See :func:`~stemsplitter.database.paging.page`.
        """
        return repository.entries(session, account_id, limit=limit, cursor=cursor)

    def usage(self, session: Session, account_id: str, days: int) -> list[tuple[date, int]]:
        """Return the credits spent on each of the last ``days`` days (UTC), today last. Released holds do not count."""
        first = now().date() - timedelta(days=days - 1)
        spent = repository.spent_by_day(session, account_id, datetime.combine(first, time(), UTC))
        epoch = date(1970, 1, 1)
        dates = [first + timedelta(days=each) for each in range(days)]
        return [(each, spent.get((each - epoch).days, 0)) for each in dates]

    def audit(self, session: Session) -> list[Discrepancy]:
        """Return the accounts whose balance is not the sum of their entries: none, unless there is a fault."""
        return [Discrepancy(*row) for row in repository.sums_beside_balances(session)]

    def _end(self, session: Session, split_id: str, kind: str) -> bool:
        hold = repository.hold_of(session, split_id)
        if hold is None:
            raise LookupError(f"{split_id} has no hold")
        self.lock(session, hold.account_id)
        if ended := repository.end_of(session, split_id):
            return ended.kind == kind
        repository.append(
            session,
            LedgerEntry(
                account_id=hold.account_id,
                kind=kind,
                amount=-hold.amount if kind == "release" else 0,
                split_id=split_id,
            ),
        )
        return True


def _no_account(account_id: str) -> NotFound:
    return NotFound(f"There is no account {account_id}: check the id.")


def _check_amount(amount: int) -> None:
    if not 0 < amount <= MAX_AMOUNT:
        raise ValidationFailed(
            f"{amount} is not an amount of credits: use a whole number from 1 to {MAX_AMOUNT}.",
            param="amount",
        )
