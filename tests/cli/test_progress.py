import re
import sys
from collections.abc import Callable

import pytest

from stemsplitter.cli import progress as module
from stemsplitter.cli.song_bars import SongBars
from stemsplitter.library import Progress


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """Make standard error a terminal of 100 columns. Returns what was drawn on it, without colors."""
    # the class: pytest replaces the object between setup and call
    monkeypatch.setattr(type(sys.stderr), "isatty", lambda _: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    return lambda: re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", capsys.readouterr().err)


def test_progress_lines_are_throttled(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "LINE_INTERVAL_S", 0.0)
    show = module._download_lines("m")
    show(500_000, None)
    show(1_000_000, 2_000_000)
    assert capsys.readouterr().err == "m: 0.5 MB\nm: 1.0 of 2.0 MB\n"


def test_terminal_gets_progress_bar(drawn: Callable[[], str]) -> None:
    with module.download_progress("there") as progress:
        progress(1_000_000, 4_000_000)
        progress(4_000_000, 4_000_000)
    err = drawn()
    assert "there" in err and "4.0" in err and "MB" in err


def test_row_17_bar_shows_percentage_and_time_before_first_segment(drawn: Callable[[], str]) -> None:
    with module.separation_progress("Lied", "cpu"):
        pass
    assert re.search(r"Lied ━+ +0% +0:00:00 elapsed", drawn())


def test_row_17_bar_of_undeclared_length_shows_elapsed_time(drawn: Callable[[], str]) -> None:
    with module.separation_progress("Lied", "cpu") as show:
        show(Progress(0.0, 10.0, 2.0))
    last = drawn().rsplit("Lied", 1)[1]
    assert "5.0× real time" in last and "elapsed" in last and "%" not in last


def test_bar_of_a_run_counts_songs_and_audio(drawn: Callable[[], str]) -> None:
    with SongBars(3) as bars:
        bars.finished()
        with bars.song("Lied") as show, bars.song("Tanz") as other:
            show(Progress(0.5, 60.0, 2.0))
            other(Progress(0.5, 30.0, 2.0))
        bars.print("  stems/[bold]/" + "x" * 200)
    text = drawn()
    assert "1 of 3 songs" in text and "2 min 0 s of audio" not in text and "1 min 30 s of audio" in text
    assert "Lied" in text and "Tanz" in text
    assert "  stems/[bold]/" + "x" * 200 in text
    assert re.search(r"songs, .* 67%", text)
