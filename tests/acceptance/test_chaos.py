"""Short run of benchmarks/chaos.py: after random SIGKILLs every split ends and every ledger balances."""

import random
from pathlib import Path

import pytest

from benchmarks import chaos

KILLS, SPLITS = 6, 8


@pytest.mark.timeout(540)
def test_ledger_and_splits_are_consistent_after_kills(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = random.SystemRandom().randrange(1 << 16)
    outcome = chaos.run(tmp_path, KILLS, SPLITS, seed)
    with capsys.disabled():
        print(f"\nseed {seed}\n{outcome}")
    assert outcome.problems == []
    assert outcome.kills.total() == KILLS
    assert outcome.statuses.total() == outcome.events == SPLITS
    assert outcome.deliveries >= SPLITS
