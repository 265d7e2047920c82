"""Logs are JSON lines with context and without secrets."""

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from stemsplitter import logs


@pytest.fixture(autouse=True)
def restore_logging() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("stemsplitter")
    handlers, level, own = list(root.handlers), root.level, ours.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    ours.setLevel(own)
    for library in ("alembic", "httpcore", "httpx"):
        logging.getLogger(library).setLevel(logging.NOTSET)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, str]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_line_has_fields_and_context(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info")
    with structlog.contextvars.bound_contextvars(request_id="req_1"):
        logging.getLogger("stemsplitter.test").info("done %s", "é", extra={"split_id": "split_1"})
    (line,) = lines(capsys)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "done é",
        "logger": "stemsplitter.test",
        "level": "info",
        "request_id": "req_1",
        "split_id": "split_1",
    }


def test_level_filters_lines(capsys: pytest.CaptureFixture[str]) -> None:
    logging.getLogger("stemsplitter").setLevel(logging.DEBUG)
    logs.configure("warning")
    logging.getLogger("stemsplitter.test").info("no")
    logging.getLogger("alembic").info("no")
    logging.getLogger("alembic").warning("yes")
    assert [line["event"] for line in lines(capsys)] == ["yes"]


@pytest.mark.parametrize(
    "secret", ["ast_live_0123456789abcdefABCDEF", "whsec_MfKQ9r8G+KYqrTwj/UPD8=", "Bearer eyJhbGciOi.x-y_z"]
)
def test_secrets_are_redacted_in_message_extra_and_traceback(
    secret: str, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure("info")
    log = logging.getLogger("stemsplitter.test")
    log.info("got %s", secret, extra={"header": f"x {secret} y"})
    try:
        raise ValueError(f"not {secret}!")
    except ValueError:
        log.exception("failed")
    text = capsys.readouterr().err
    assert "ValueError: not " in text and "Traceback" in text
    assert secret.split("_")[-1].split()[-1] not in text
