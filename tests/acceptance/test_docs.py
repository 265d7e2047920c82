"""Documentation is correct: its Python code runs, and it lists the command's options and events."""

import re
import shutil
from pathlib import Path

import pytest

from stemsplitter import errors
from stemsplitter.separation.layouts import SIX_STEMS

from .command import Command
from .songs import encode, sung

DOCS = Path(__file__).parents[2] / "docs"


def test_library_page_runs(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Run all code blocks in order, in a folder with a short song."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STEMSPLITTER_CACHE_DIR", environment["STEMSPLITTER_CACHE_DIR"])
    monkeypatch.setenv("STEMSPLITTER_OFFLINE", "1")
    encode(tmp_path / "song.mp3", sung(60_000), 44_100, "libmp3lame")
    blocks = re.findall(
        r"^```python\n(.*?)^```$", (DOCS / "library.md").read_text(), re.DOTALL | re.MULTILINE
    )
    assert len(blocks) >= 8
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "docs/library.md", "exec"), names)  # ours
    printed = capsys.readouterr().out
    assert "builtin_6s MIT on " in printed
    assert "vocals stems/song/vocals.flac 60000 " in printed
    assert "There is no file missing.mp3: check the path." in printed
    assert printed.count("× real time") == 0 and "\nstopped\n" in printed
    written = sorted(path.name for path in (tmp_path / "stems").rglob("*"))
    assert written == sorted(["song", *(f"{stem}.flac" for stem in SIX_STEMS)])


def test_documented_errors_exist() -> None:
    told = re.findall(r"^\| `(\w+)` \|", (DOCS / "library.md").read_text(), re.MULTILINE)
    assert len(told) == 6
    assert all(issubclass(getattr(errors, name), errors.StemSplitterError) for name in told)


@pytest.mark.parametrize("name", ["split", "analyze", "isolate-voice", "speak", "doctor"])
def test_page_lists_exactly_the_options(name: str, command: Command) -> None:
    command.environment = command.environment | {"COLUMNS": "200"}
    options = set(re.findall(r"(?<![\w-])--[a-z]+", command(name, "--help").out)) - {"--help"}
    page = (DOCS / "cli.md").read_text()
    section = re.search(rf"^## {name}\n(.*?)(?=^## )", page, re.DOTALL | re.MULTILINE)
    assert section is not None
    assert set(re.findall(r"(?<![\w-])--[a-z]+", section[1])) - {"--offline", "--verbose"} == options


def test_page_lists_every_json_field(command: Command, song: Path) -> None:
    shutil.copy(song, command.folder / "song.flac")
    done = command("split", "song.flac", "missing.flac", "--stems", "2s", "--json")
    page = (DOCS / "cli.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", page, re.MULTILINE))
    told = {event["event"]: event for event in done.events}
    assert set(told) | {"fetching"} <= set(rows)
    for name, event in told.items():
        assert all(f"`{field}`" in rows[name] for field in event if field != "event"), name
    (shown,) = re.findall(r'^    \{"event": "separated".*$', page, re.MULTILINE)
    assert set(re.findall(r'"(\w+)": ', shown)) == set(re.findall(r'"(\w+)": ', done.out.splitlines()[-4]))
