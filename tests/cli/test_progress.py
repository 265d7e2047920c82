import sys

import pytest

from stemsplitter.cli import progress as module


def test_progress_lines_are_throttled(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "LINE_INTERVAL_S", 0.0)
    show = module._download_lines("m")
    show(500_000, None)
    show(1_000_000, 2_000_000)
    assert capsys.readouterr().err == "m: 0.5 MB\nm: 1.0 of 2.0 MB\n"


def test_terminal_gets_progress_bar(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    with module.download_progress("there") as progress:
        progress(1_000_000, 4_000_000)
        progress(4_000_000, 4_000_000)
    err = capsys.readouterr().err
    assert "there" in err and "4.0" in err and "MB" in err
