import io
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from stemsplitter.cli import main as module
from stemsplitter.webhooks.signatures import signed_headers

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="
BODY = '{"event":"audio.split.completed","data":{"filename":"Größe ♫.wav"}}'.encode()


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEMSPLITTER_WEBHOOK_SECRET", SECRET)


@pytest.fixture
def body(tmp_path: Path) -> Path:
    path = tmp_path / "body.json"
    path.write_bytes(BODY)
    return path


def signed(age: float = 0) -> list[str]:
    headers = signed_headers("evt_1", BODY, [SECRET], datetime.now(UTC) - timedelta(seconds=age))
    return [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["stemsplitter", "webhooks", "verify", *arguments])
    with pytest.raises(SystemExit) as caught:
        module.run()
    return int(caught.value.code or 0)


def test_valid_delivery(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], body: Path
) -> None:
    assert run(monkeypatch, str(body), *signed()) == 0
    assert capsys.readouterr() == ("valid: AIStemSplitter-Signature and webhook-signature\n", "")


@pytest.mark.parametrize("argument", [[], ["-"]])
def test_body_is_read_from_standard_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], argument: list[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(BODY)))
    assert run(monkeypatch, *argument, *signed()) == 0
    assert capsys.readouterr().out.startswith("valid: ")


def test_other_secret_is_invalid(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], body: Path
) -> None:
    assert run(monkeypatch, str(body), "--secret", SECRET[:-5] + "AAAA=", *signed()) == 1
    out, err = capsys.readouterr()
    assert out.startswith("invalid: AIStemSplitter-Signature: no signature matches") and not err


def test_changed_body_is_invalid(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], body: Path
) -> None:
    body.write_bytes(BODY + b"\n")
    assert run(monkeypatch, str(body), *signed()) == 1
    assert "trailing newline" in capsys.readouterr().out


def test_tolerance_limits_age_of_delivery(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], body: Path
) -> None:
    assert run(monkeypatch, str(body), *signed(age=3600)) == 1
    assert re.search(r"36\d\d s old", capsys.readouterr().out)  # plus the time since
    assert run(monkeypatch, str(body), "--tolerance", "4000", *signed(age=3600)) == 0


@pytest.mark.parametrize(
    "arguments, why",
    [
        (["BODY", "-H", "nonsense"], "The header 'nonsense' has no name"),
        (["BODY", "-H", ": x"], "has no name"),
        (["nowhere.json"], "cannot be read from nowhere.json: No such file"),
        (["BODY", "--secret", ""], "The secret is missing: set STEMSPLITTER_WEBHOOK_SECRET"),
    ],
)
def test_invalid_arguments_are_reported(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    body: Path,
    arguments: list[str],
    why: str,
) -> None:
    assert run(monkeypatch, *(str(body) if each == "BODY" else each for each in arguments)) == 1
    out, err = capsys.readouterr()
    assert not out and err.startswith("error: ") and why in err and err.count("\n") == 1
    assert SECRET not in err


def test_missing_headers_are_invalid(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], body: Path
) -> None:
    assert run(monkeypatch, str(body)) == 1
    assert "invalid: The headers contain no signature" in capsys.readouterr().out
