"""The rules of credits: what an account has, what a split reserves, and how that ends.

An account's balance is the sum of its ledger entries. A split's entries are a hold, and then either a settle
(nothing comes back) or a release (all comes back): their sum is minus the cost, or zero. Every change joins
the caller's transaction, takes the account's lock first, and may be repeated without a second effect.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy.orm import Session

from stemsplitter.clock import now
from stemsplitter.credits import repository
from stemsplitter.credits.models import LedgerEntry
from stemsplitter.service_errors import Conflict, InsufficientCredits, NotFound, ValidationFailed
from stemsplitter.settings import Settings

LARGEST_AMOUNT = 10**12  # seconds; far from what a column of 64 bits holds, however many are added


@dataclass(frozen=True)
class Discrepancy:
    """An account whose balance is not the sum of its entries: a fault, which the audit looks for."""

    account_id: str
    email: str
    balance: int
    sum_of_entries: int


class CreditService:
    """Changes and reads balances. All amounts are whole credits, that is seconds of audio."""

    def __init__(self, settings: Settings) -> None:
        self._metering = settings.metering
        self._free_credits = settings.free_credits

    def balance(self, session: Session, account_id: str) -> int:
        """What the account has left, holds taken off.

        Raises:
            NotFound: there is no such account.
        """
        found = repository.balance(session, account_id)
        if found is None:
            raise _no_account(account_id)
        return found

    def grant(self, session: Session, account_id: str, amount: int, note: str = "") -> LedgerEntry:
        """Give credits, or take some back where ``amount`` is negative.

        Raises:
            ValidationFailed: the amount is zero or absurd.
            Conflict: the balance is smaller than what is to be taken back.
            NotFound: there is no such account.
        """
        _check_amount(abs(amount))
        self.lock(session, account_id)
        entry = LedgerEntry(account_id=account_id, kind="grant", amount=amount, note=note)
        if not repository.append(session, entry):
            has = self.balance(session, account_id)
            raise Conflict(f"The account has {has} credits: take back at most that many, not {-amount}.")
        return entry

    def grant_free_credits(self, session: Session, account_id: str) -> None:
        """Grant a new account what the settings give for free, if anything."""
        if self._free_credits:
            self.grant(session, account_id, self._free_credits, "free credits of a new account")

    def purchase(
        self, session: Session, account_id: str, amount: int, reference: str, note: str = ""
    ) -> LedgerEntry:
        """Add bought credits, once for each ``reference`` (the payment's number): a repetition changes nothing.

        Raises:
            ValidationFailed: the amount is not positive or absurd, or the reference is empty.
            Conflict: the reference was used for another account or amount.
            NotFound: there is no such account.
        """
        _check_amount(amount)
        if not reference:
            raise ValidationFailed(
                "A purchase needs the payment's reference: give one that is not empty.", param="reference"
            )
        self.lock(session, account_id)
        if earlier := repository.purchase_of(session, reference):
            if (earlier.account_id, earlier.amount) != (account_id, amount):
                raise Conflict(
                    f"The purchase {reference} is already recorded with another account or amount: check both."
                )
            return earlier
        entry = LedgerEntry(
            account_id=account_id, kind="purchase", amount=amount, reference=reference, note=note
        )
        repository.append(session, entry)
        return entry

    def lock(self, session: Session, account_id: str) -> None:
        """Let nobody else change the account's ledger, or begin a split, until this transaction ends.

        Raises:
            NotFound: there is no such account.
        """
        if not repository.lock_account(session, account_id):
            raise _no_account(account_id)

    def has_bought(self, session: Session, account_id: str) -> bool:
        """Whether the account has ever bought credits."""
        return repository.has_purchase(session, account_id)

    def hold(self, session: Session, account_id: str, split_id: str, cost: int) -> int:
        """Reserve what a split costs, and return it: ``cost``, or 0 where metering is off.

        Repeating it for the same split changes nothing and returns what was reserved then.

        Raises:
            InsufficientCredits: the balance is smaller than the cost.
            NotFound: there is no such account.
            ValueError: the cost is negative, or the split is another account's.
        """
        if cost < 0:
            raise ValueError(f"a split cannot cost {cost}")
        self.lock(session, account_id)
        if earlier := repository.hold_of(session, split_id):
            if earlier.account_id != account_id:
                raise ValueError(f"{split_id} belongs to another account")
            return -earlier.amount
        charged = cost if self._metering else 0
        entry = LedgerEntry(account_id=account_id, kind="hold", amount=-charged, split_id=split_id)
        if not repository.append(session, entry):
            raise InsufficientCredits(cost, self.balance(session, account_id))
        return charged

    def settle(self, session: Session, split_id: str) -> bool:
        """Keep what the split reserved. True if it is settled now, by this call or an earlier one.

        False: it was released before, and stays so.

        Raises:
            LookupError: nothing was ever reserved for the split.
        """
        return self._end(session, split_id, "settle")

    def release(self, session: Session, split_id: str) -> bool:
        """Give back what the split reserved. True if it is released now, by this call or an earlier one.

        False: it was settled before, and stays so.

        Raises:
            LookupError: nothing was ever reserved for the split.
        """
        return self._end(session, split_id, "release")

    def page(
        self, session: Session, account_id: str, *, limit: int, cursor: str | None = None
    ) -> tuple[Sequence[LedgerEntry], str | None]:
        """A page of the account's entries and the next cursor: see :func:`~stemsplitter.database.paging.page`."""
        return repository.entries(session, account_id, limit=limit, cursor=cursor)

    def usage(self, session: Session, account_id: str, days: int) -> list[tuple[date, int]]:
        """What splits have cost on each of the last ``days`` days (UTC), today last. What came back is not counted."""
        first = now().date() - timedelta(days=days - 1)
        spent = repository.spent_by_day(session, account_id, datetime.combine(first, time(), UTC))
        epoch = date(1970, 1, 1)
        dates = [first + timedelta(days=each) for each in range(days)]
        return [(each, spent.get((each - epoch).days, 0)) for each in dates]

    def audit(self, session: Session) -> list[Discrepancy]:
        """Add up all ledgers, and return the accounts whose balance differs: none, unless something is wrong."""
        return [Discrepancy(*row) for row in repository.sums_beside_balances(session)]

    def _end(self, session: Session, split_id: str, kind: str) -> bool:
        hold = repository.hold_of(session, split_id)
        if hold is None:
            raise LookupError(f"no credits were reserved for {split_id}")
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
    if not 0 < amount <= LARGEST_AMOUNT:
        raise ValidationFailed(
            f"{amount} is not an amount of credits: give a whole number from 1 to {LARGEST_AMOUNT}.",
            param="amount",
        )
