"""Terminal output: a progress bar that fits the width and is erased at the end, with or without color."""

import contextlib
import fcntl
import os
import re
import struct
import subprocess
import termios
from collections.abc import Callable
from pathlib import Path

import pytest

from .command import COMMAND, LIMIT_S, MODEL, Command
from .songs import encode, sung

COLOR = re.compile(r"\x1b\[[0-9;]*[34][0-9](;[0-9;]*)?m")
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def on_terminal(command: Command, columns: int, *arguments: str, **environment: str) -> str:
    """Run a command on a terminal of this width. Returns all that it writes."""
    master, terminal = os.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with subprocess.Popen(
        [COMMAND, *arguments],
        cwd=command.folder,
        env=command.environment | {"TERM": "xterm-256color"} | environment,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
    ) as process:
        os.close(terminal)
        written = b""
        with contextlib.suppress(OSError):  # EIO: the command has closed the terminal
            while data := os.read(master, 1 << 16):
                written += data
        process.wait(LIMIT_S)
    os.close(master)
    return written.decode()


def screen(written: str) -> list[str]:
    """Lines down to the cursor that remain visible after carriage returns and erasures; there are none below."""
    lines, row = [""], 0
    for part in re.findall(r"\r|\n|\x1b\[[0-9;?]*[A-Za-z]|[^\r\n\x1b]+", written):
        if part == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif part == "\x1b[2K":
            lines[row] = ""
        elif (up := re.fullmatch(r"\x1b\[(\d+)A", part)) is not None:
            row -= int(up[1])
        elif part != "\r" and not part.startswith("\x1b"):
            lines[row] += part
    assert not any(lines[row + 1 :])
    return lines[: row + 1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("terminal")
    encode(
        folder / "A song with quite a long name, 日本語, by an artist.wav",
        sung(60 * 8_000, 1, 8_000),
        8_000,
        "pcm_s16le",
    )
    return folder


@pytest.mark.parametrize("columns", [40, 100])
def test_progress_bar_fits_width_and_is_erased(
    columns: int, folder: Path, command_in: Callable[[Path], Command]
) -> None:
    (song,) = (path.name for path in folder.glob("*.wav"))
    written = on_terminal(
        command_in(folder), columns, "split", song, "missing.mp3", "--verify", "--overwrite"
    )
    assert COLOR.search(written)
    assert "━" in written and "1/2 A " in written and f"Loading {MODEL}" in written
    drawn = [part for part in re.split(r"[\r\n]", ESCAPE.sub("", written)) if "━" in part]
    assert drawn and all(len(line) <= columns for line in drawn)
    assert "real time" in "".join(drawn) or columns < 60
    assert written.rfind("\x1b[?25h") > written.rfind("\x1b[?25l"), "the cursor stays hidden"
    shown = screen(written)
    first, *stems, checked, sums, failed, last, end = shown
    assert first.startswith(f"{song}: 1 min 0 s of audio in ")
    assert len(stems) == 6 and all(line.endswith(".wav") for line in stems)
    assert checked.startswith("  Verified: ") and sums.startswith("  The decoded stems sum to the song")
    assert (failed, last) == (
        "error: There is no file missing.mp3: check the path.",
        "1 of 2 songs separated, 1 failed.",
    )
    assert end == ""


def test_no_color_setting_disables_color(folder: Path, command_in: Callable[[Path], Command]) -> None:
    (song,) = (path.name for path in folder.glob("*.wav"))
    plain = on_terminal(command_in(folder), 60, "split", song, "--overwrite", NO_COLOR="1")
    assert "━" in plain and not COLOR.search(plain)


def test_dumb_terminal_gets_no_escape_sequences(folder: Path, command_in: Callable[[Path], Command]) -> None:
    (song,) = (path.name for path in folder.glob("*.wav"))
    written = on_terminal(command_in(folder), 80, "split", song, "--overwrite", TERM="dumb")
    assert "\x1b" not in written
    assert f"{song}: 1 min 0 s of audio in " in written
