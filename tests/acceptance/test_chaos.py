"""kill -9 at random moments, in a short form of benchmarks/chaos.py: every split ends, and every account adds up."""

import random
from pathlib import Path

import pytest

from benchmarks import chaos

KILLS, SPLITS = 6, 8


@pytest.mark.timeout(540)
def test_everything_adds_up_after_kills(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seed = random.SystemRandom().randrange(1 << 16)
    outcome = chaos.run(tmp_path, KILLS, SPLITS, seed)
    with capsys.disabled():
        print(f"\nseed {seed}\n{outcome}")
    assert outcome.problems == []
    assert outcome.kills.total() == KILLS
    assert outcome.statuses.total() == outcome.events == SPLITS
    assert outcome.deliveries >= SPLITS
