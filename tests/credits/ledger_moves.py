"""Concurrent moves on one ledger, with crashes; also run as a separate process.

    python tests/credits/ledger_moves.py URL SEED MOVES

prints how many of the moves were committed.
"""

import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from stemsplitter.accounts.models import Account
from stemsplitter.credits.models import LedgerEntry
from stemsplitter.credits.service import CreditService
from stemsplitter.database import Database
from stemsplitter.service_errors import Conflict, InsufficientCredits
from stemsplitter.settings import Settings

SPLITS = 12
COSTS = (1, 40, 250, 599)


class Crashed(Exception):
    """Raised in a transaction to roll it back, like the death of the process."""


@dataclass(frozen=True)
class Move:
    """A change of the ledger; with ``crash``, the transaction is rolled back at its end."""

    kind: str  # hold, settle, release, grant, purchase
    split: int
    amount: int
    crash: bool = False


def random_moves(seed: int, count: int) -> list[Move]:
    """Return a random move: mostly holds, and one in five crashes."""
    dice = random.Random(seed)
    kinds = ("hold", "hold", "settle", "release", "grant", "purchase")
    return [
        Move(dice.choice(kinds), dice.randrange(SPLITS), dice.choice(COSTS), dice.random() < 0.2)
        for _ in range(count)
    ]


def split_account(accounts: Sequence[str], split: int) -> str:
    """Return the account of a split."""
    return accounts[split % len(accounts)]


def cost_of(split: int) -> int:
    """Return the cost of a split."""
    return COSTS[split % len(COSTS)]


def make(database: Database, credits: CreditService, accounts: Sequence[str], move: Move) -> bool:
    """Make the move in its own transaction; False if it was refused or rolled back."""
    account, split_id = split_account(accounts, move.split), f"split_{move.split}"
    reference = f"pay_{move.split}"
    call = {
        "hold": partial(credits.hold, account_id=account, split_id=split_id, cost=cost_of(move.split)),
        "settle": partial(credits.settle, split_id=split_id),
        "release": partial(credits.release, split_id=split_id),
        # every other grant deducts
        "grant": partial(
            credits.grant, account_id=account, amount=move.amount if move.split % 2 else -move.amount
        ),
        "purchase": partial(
            credits.purchase, account_id=account, amount=cost_of(move.split), reference=reference
        ),
    }[move.kind]
    try:
        with database.write() as session:
            call(session)
            if move.crash:
                raise Crashed
    except (InsufficientCredits, Conflict, Crashed):
        return False
    except LookupError:  # settle or release without a hold
        return False
    return True


def check(session: Session, credits: CreditService) -> None:
    """Assert the invariants in the snapshot of a transaction."""
    assert credits.audit(session) == []
    assert session.scalar(select(func.min(Account.balance))) >= 0  # type: ignore[operator]
    by_split: dict[str, dict[str, int]] = {}
    for entry in session.scalars(select(LedgerEntry).where(LedgerEntry.split_id.is_not(None))):
        assert entry.split_id is not None
        kinds = by_split.setdefault(entry.split_id, {})
        assert entry.kind not in kinds
        kinds[entry.kind] = entry.amount
    for split_id, kinds in by_split.items():
        cost = cost_of(int(split_id.removeprefix("split_")))
        assert kinds["hold"] == -cost
        assert not {"settle", "release"} <= kinds.keys()
        assert sum(kinds.values()) == (0 if "release" in kinds else -cost)
    references = session.scalars(select(LedgerEntry.reference).where(LedgerEntry.kind == "purchase")).all()
    assert len(references) == len(set(references))


def main(url: str, seed: str, moves: str) -> None:
    database = Database(url)
    with database.read() as session:
        accounts = session.scalars(select(Account.id).order_by(Account.email)).all()
    credits = CreditService(Settings(metering=True))
    print("ready", flush=True)
    done = sum(make(database, credits, accounts, move) for move in random_moves(int(seed), int(moves)))
    print(done, flush=True)
    database.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
