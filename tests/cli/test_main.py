import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from stemsplitter import __version__
from stemsplitter.catalogue.store import ModelStore
from stemsplitter.cli import main as module
from stemsplitter.errors import ModelError, Stopped


@pytest.fixture(autouse=True)
def _restored(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a command changes in its process is put back."""
    monkeypatch.setenv("STEMSPLITTER_OFFLINE", "")
    monkeypatch.delenv("STEMSPLITTER_LOG", raising=False)
    handlers = {number: signal.getsignal(number) for number in module.STOPPING}
    level = logging.getLogger("stemsplitter").level
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)
    logging.getLogger("stemsplitter").setLevel(level)


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["stemsplitter", *arguments])
    with pytest.raises(SystemExit) as caught:
        module.main()
    return int(caught.value.code or 0)


def fail_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def entries(_: ModelStore) -> None:
        raise error

    monkeypatch.setattr(ModelStore, "entries", entries)


def test_version(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "--version") == 0
    assert capsys.readouterr().out == f"stemsplitter {__version__}\n"


@pytest.mark.parametrize("arguments", [["--help"], ["models", "--help"], ["models", "pull", "--help"]])
def test_help(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert run(monkeypatch, *arguments) == 0
    assert "Usage: stemsplitter" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["nonsense"], ["--nonsense"], ["models", "pull"]])
def test_wrong_usage(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert run(monkeypatch, *arguments) == 2
    assert "Error: " in capsys.readouterr().err


def test_a_failure_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    fail_with(monkeypatch, ModelError("The file a\nb is damaged: get it again."))
    assert run(monkeypatch, "models", "list") == 1
    assert capsys.readouterr() == ("", "error: The file a b is damaged: get it again.\n")


def test_a_fault_of_the_program_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fail_with(monkeypatch, ZeroDivisionError("oh"))
    assert run(monkeypatch, "models", "list") == 70
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "ZeroDivisionError" in err and "--verbose" in err


@pytest.mark.parametrize("how", ["-v", "--verbose", "environment"])
def test_verbose_shows_what_led_to_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    error = ModelError("short")
    error.__cause__ = OSError("the deep reason")
    fail_with(monkeypatch, error)
    if how == "environment":
        monkeypatch.setenv("STEMSPLITTER_LOG", "debug")
    assert run(monkeypatch, *([] if how == "environment" else [how]), "models", "list") == 1
    assert "the deep reason" in caplog.text


def test_without_verbose_nothing_more_is_shown(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fail_with(monkeypatch, ModelError("short"))
    assert run(monkeypatch, "models", "list") == 1
    assert caplog.text == ""


def test_an_unknown_log_level(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("STEMSPLITTER_LOG", "loud")
    assert run(monkeypatch, "models", "list") == 1
    assert "STEMSPLITTER_LOG is 'loud'" in capsys.readouterr().err


@pytest.mark.parametrize("number", module.STOPPING)
def test_signals_stop_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: signal.Signals
) -> None:
    def entries(_: ModelStore) -> None:
        os.kill(os.getpid(), number)
        time.sleep(10)

    monkeypatch.setattr(ModelStore, "entries", entries)
    assert run(monkeypatch, "models", "list") == 130
    assert capsys.readouterr().err == "stopped\n"


def test_a_second_signal_does_not_disturb_the_stop(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tidied = []

    def entries(_: ModelStore) -> None:
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(10)
        finally:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGTERM)
            tidied.append(True)

    monkeypatch.setattr(ModelStore, "entries", entries)
    assert run(monkeypatch, "models", "list") == 130
    assert tidied and capsys.readouterr().err == "stopped\n"


def test_an_ignored_signal_stays_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    assert run(monkeypatch, "--version") == 0
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN


def test_nobody_reads_the_output() -> None:
    """As `stemsplitter models list | head -0` does."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "stemsplitter", "models", "list", "--json"]
    with os.fdopen(writer, "wb") as pipe:
        done = subprocess.run(command, stdout=pipe, stderr=subprocess.PIPE, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (1, b"")


def test_what_the_terminal_cannot_show_is_escaped() -> None:
    code = "import sys; sys.argv = ['x', '--version']; import stemsplitter.cli.main as m; m.__version__ = '×'; m.main()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        timeout=60,
        check=True,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
    )
    assert done.stdout == b"stemsplitter \\xd7\n"


def test_a_separation_that_was_stopped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fail_with(monkeypatch, Stopped("nothing was written"))
    assert run(monkeypatch, "models", "list") == 130
    assert capsys.readouterr().err == "stopped: nothing was written\n"


def test_offline_reaches_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, "--offline", "models", "list") == 0
    assert ModelStore().offline


def test_the_command_starts_without_what_it_does_not_need() -> None:
    separation = {"openvino", "av", "numpy", "httpx", "soundfile", "torch", "rich"}
    server = {"sqlalchemy", "alembic", "pydantic", "fastapi", "argon2", "cryptography"}
    heavy = separation | server
    code = f"import sys, stemsplitter.cli.main; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "[]\n"
