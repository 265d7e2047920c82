"""Short run of benchmarks/library_chaos.py: every song once, an exact manifest, nothing half-written."""

import random
from pathlib import Path

import pytest

from benchmarks import library_chaos

SONGS, KILLS = 4, 1


@pytest.mark.timeout(300)
def test_each_song_is_separated_once_although_processes_die(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = random.SystemRandom().randrange(1 << 16)
    outcome = library_chaos.run(tmp_path, SONGS, (0.0, 2.0), seed, KILLS)
    with capsys.disabled():
        print(f"\nseed {seed}: {outcome}")
    assert outcome.problems == []
    assert outcome.kills > 0
