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
from stemsplitter.stopping import SIGNALS, watched


@pytest.fixture(autouse=True)
def _restored(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Restore the process state that commands change."""
    monkeypatch.setenv("STEMSPLITTER_OFFLINE", "")
    monkeypatch.delenv("STEMSPLITTER_LOG", raising=False)
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    level = logging.getLogger("stemsplitter").level
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)
    logging.getLogger("stemsplitter").setLevel(level)


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["stemsplitter", *arguments])
    with pytest.raises(SystemExit) as caught, watched():
        module.run()
    return int(caught.value.code or 0)


def fail_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def entries(_: ModelStore) -> None:
        raise error

    monkeypatch.setattr(ModelStore, "entries", entries)


def test_version_is_printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "--version") == 0
    assert capsys.readouterr().out == f"stemsplitter {__version__}\n"


@pytest.mark.parametrize("arguments", [["--help"], ["models", "--help"], ["models", "pull", "--help"]])
def test_help_shows_usage(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert run(monkeypatch, *arguments) == 0
    assert "Usage: stemsplitter" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["nonsense"], ["--nonsense"], ["models", "pull"]])
def test_wrong_usage_exits_with_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert run(monkeypatch, *arguments) == 2
    assert "Error: " in capsys.readouterr().err


def test_error_is_printed_on_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fail_with(monkeypatch, ModelError("The file a\nb is damaged: get it again."))
    assert run(monkeypatch, "models", "list") == 1
    assert capsys.readouterr() == ("", "error: The file a b is damaged: get it again.\n")


def test_unexpected_error_is_printed_on_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fail_with(monkeypatch, ZeroDivisionError("oh"))
    assert run(monkeypatch, "models", "list") == 70
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "ZeroDivisionError" in err and "--verbose" in err


@pytest.mark.parametrize("how", ["-v", "--verbose", "environment"])
def test_verbose_shows_cause(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    error = ModelError("short")
    error.__cause__ = OSError("the deep reason")
    fail_with(monkeypatch, error)
    if how == "environment":
        monkeypatch.setenv("STEMSPLITTER_LOG", "debug")
    assert run(monkeypatch, *([] if how == "environment" else [how]), "models", "list") == 1
    assert "the deep reason" in caplog.text


def test_cause_is_hidden_without_verbose(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fail_with(monkeypatch, ModelError("short"))
    assert run(monkeypatch, "models", "list") == 1
    assert caplog.text == ""


def test_unknown_log_level_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STEMSPLITTER_LOG", "loud")
    assert run(monkeypatch, "models", "list") == 1
    assert "STEMSPLITTER_LOG is 'loud'" in capsys.readouterr().err


@pytest.mark.parametrize("number", SIGNALS)
def test_signal_stops_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: signal.Signals
) -> None:
    def entries(_: ModelStore) -> None:
        os.kill(os.getpid(), number)
        time.sleep(10)

    monkeypatch.setattr(ModelStore, "entries", entries)
    assert run(monkeypatch, "models", "list") == 130
    assert capsys.readouterr().err == "stopped\n"


def test_signal_that_arrives_twice_does_not_interrupt_cleanup(
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


def test_ignored_signal_stays_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    assert run(monkeypatch, "--version") == 0
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN


def test_closed_output_pipe_exits_silently() -> None:
    """Like `stemsplitter models list | head -0`."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "stemsplitter", "models", "list", "--json"]
    with os.fdopen(writer, "wb") as pipe:
        done = subprocess.run(command, stdout=pipe, stderr=subprocess.PIPE, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (1, b"")


def test_unencodable_output_is_escaped() -> None:
    code = "import sys; sys.argv = ['x', '--version']; import stemsplitter.cli.main as m; m.__version__ = '×'; m.main()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        timeout=60,
        check=True,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
    )
    assert done.stdout == b"stemsplitter \\xd7\n"


def test_stopped_separation_exits_with_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fail_with(monkeypatch, Stopped("nothing was written"))
    assert run(monkeypatch, "models", "list") == 130
    assert capsys.readouterr().err == "stopped: nothing was written\n"


def test_offline_option_reaches_store(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, "--offline", "models", "list") == 0
    assert ModelStore().offline


def test_command_imports_no_heavy_packages() -> None:
    separation = {"openvino", "av", "numpy", "httpx", "soundfile", "torch", "rich"}
    server = {"sqlalchemy", "alembic", "pydantic", "fastapi", "argon2", "cryptography"}
    heavy = separation | server
    code = f"import sys, stemsplitter.cli.main; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "[]\n"
