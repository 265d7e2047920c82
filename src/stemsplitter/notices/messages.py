"""Texts of notices, as plain text and HTML."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from stemsplitter.notices.models import DONE, ENDPOINT

SHOWN = 20  # splits that a message lists
_NAME = 80  # characters of a file name


@dataclass(frozen=True)
class Message:
    """A message: subject, plain text and HTML."""

    subject: str
    text: str
    html: str


def message(kind: str, items: Sequence[dict[str, Any]], balance: int, base_url: str) -> Message:
    """Return the message of a notice."""
    if kind == ENDPOINT:
        return _endpoint_disabled(items, base_url)
    return _done(items, base_url) if kind == DONE else _low_credits(balance, base_url)


def _done(items: Sequence[dict[str, Any]], base_url: str) -> Message:
    failed = sum(item["failed"] for item in items)
    subject = "Your split failed" if failed else "Your split is ready"
    if len(items) > 1:
        subject = f"{len(items)} splits have ended" if failed else f"{len(items)} splits are ready"
    lines = [(_line(item), f"{base_url}{item['path']}") for item in items[-SHOWN:]]
    if len(items) > SHOWN:
        lines.append((f"And {len(items) - SHOWN} more", f"{base_url}/splits"))
    return _message(f"{subject}.", subject, lines, base_url)


def _low_credits(balance: int, base_url: str) -> Message:
    text = f"Your balance is {balance:,} credits, which is {balance:,} seconds of audio."
    return _message(text, "Your credits are low", [("Credits", f"{base_url}/credits")], base_url)


def _endpoint_disabled(items: Sequence[dict[str, Any]], base_url: str) -> Message:
    text = (
        "A webhook endpoint was disabled, because its deliveries have failed for a long time. It gets no more events. "
        "Check its deliveries, correct the receiver, and enable the endpoint again."
    )
    lines = [(_line(item), f"{base_url}{item['path']}") for item in items[-SHOWN:]]
    return _message(text, "A webhook endpoint was disabled", lines, base_url)


def _line(item: dict[str, Any]) -> str:
    name = " ".join(str(item["name"]).split())[:_NAME]
    return f"{name} (failed)" if item["failed"] else name


def _message(text: str, subject: str, lines: Sequence[tuple[str, str]], base_url: str) -> Message:
    choose = f"Choose which messages you get: {base_url}/account#messages"
    plain = "\n\n".join([text, *(f"{label}\n{url}" for label, url in lines), choose]) + "\n"
    links = "".join(f'<li><a href="{escape(url)}">{escape(label)}</a></li>\n' for label, url in lines)
    html = (
        f'<!doctype html>\n<html lang="en">\n<body>\n<p>{escape(text)}</p>\n<ul>\n{links}</ul>\n'
        f'<p><a href="{escape(base_url)}/account#messages">Choose which messages you get</a></p>\n</body>\n</html>\n'
    )
    return Message(subject, plain, html)
