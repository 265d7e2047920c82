"""Structured logs: a line of JSON for each event, or readable lines on a terminal."""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

# keys, secrets and tokens anywhere in a line
_SECRET = re.compile(r"(ast_(?:live|test)_|whsec_|Bearer\s+)[A-Za-z0-9+/=_.\-]{4,}")


def configure(level: str) -> None:
    """Write the records of all Python loggers, at ``level`` and above, to standard error.

    Fields bound with ``structlog.contextvars`` (``request_id``, ``split_id``) are added to every line.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[structlog.typing.Processor]
    if sys.stderr.isatty():
        last = [hide_secrets, structlog.dev.ConsoleRenderer()]
    else:
        last = [structlog.processors.format_exc_info, hide_secrets, structlog.processors.JSONRenderer()]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("stemsplitter").setLevel(level.upper())  # the command line may have set another level
    for library in ("alembic", "httpcore", "httpx"):  # they log each step at `info`
        logging.getLogger(library).setLevel(max(logging.WARNING, logging.getLogger().level))


def hide_secrets(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Mask keys and secrets in the texts of ``event``."""
    event.pop("color_message", None)  # a copy of uvicorn's message with colors
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = _SECRET.sub(r"\1…", value)
    return event
