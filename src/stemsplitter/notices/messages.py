"""Texts of notices, as plain text and HTML."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from stemsplitter.languages import current, ngettext, using
from stemsplitter.languages import gettext as _
from stemsplitter.languages.formats import count
from stemsplitter.notices.models import DONE, ENDPOINT

SHOWN = 20  # splits that a message lists
_NAME = 80  # characters of a file name


@dataclass(frozen=True)
class Message:
    """A message: subject, plain text and HTML."""

    subject: str
    text: str
    html: str


def message(
    kind: str, items: Sequence[dict[str, Any]], balance: int, base_url: str, language: str
) -> Message:
    """Return the message of a notice."""
    with using(language):
        if kind == ENDPOINT:
            return _endpoint_disabled(items, base_url)
        return _done(items, base_url) if kind == DONE else _low_credits(balance, base_url)


def _done(items: Sequence[dict[str, Any]], base_url: str) -> Message:
    failed, number = sum(item["failed"] for item in items), len(items)
    if failed:
        subject = ngettext("Your split failed", "%(number)s splits have ended", number)
    else:
        subject = ngettext("Your split is ready", "%(number)s splits are ready", number)
    subject %= {"number": number}
    lines = [(_line(item), f"{base_url}{item['path']}") for item in items[-SHOWN:]]
    if number > SHOWN:
        more = ngettext("And %(number)s more", "And %(number)s more", number - SHOWN)
        lines.append((more % {"number": number - SHOWN}, f"{base_url}/splits"))
    return _message(f"{subject}.", subject, lines, base_url)


def _low_credits(balance: int, base_url: str) -> Message:
    text = ngettext(
        "Your balance is %(number)s credit, which is a second of audio.",
        "Your balance is %(number)s credits, which is %(number)s seconds of audio.",
        balance,
    ) % {"number": count(balance)}
    return _message(text, _("Your credits are low"), [(_("Credits"), f"{base_url}/credits")], base_url)


def _endpoint_disabled(items: Sequence[dict[str, Any]], base_url: str) -> Message:
    text = _(
        "A webhook endpoint was disabled, because its deliveries have failed for a long time. It gets no more events. "
        "Check its deliveries, correct the receiver, and enable the endpoint again."
    )
    lines = [(_line(item), f"{base_url}{item['path']}") for item in items[-SHOWN:]]
    return _message(text, _("A webhook endpoint was disabled"), lines, base_url)


def _line(item: dict[str, Any]) -> str:
    name = " ".join(str(item["name"]).split())[:_NAME]
    return _("%(name)s (failed)") % {"name": name} if item["failed"] else name


def _message(text: str, subject: str, lines: Sequence[tuple[str, str]], base_url: str) -> Message:
    choose, url = _("Choose which messages you get"), f"{base_url}/account#messages"
    plain = "\n\n".join([text, *(f"{label}\n{place}" for label, place in lines), f"{choose}: {url}"]) + "\n"
    links = "".join(f'<li><a href="{escape(place)}">{escape(label)}</a></li>\n' for label, place in lines)
    html = (
        f'<!doctype html>\n<html lang="{current()}">\n<body>\n<p>{escape(text)}</p>\n<ul>\n{links}</ul>\n'
        f'<p><a href="{escape(url)}">{escape(choose)}</a></p>\n</body>\n</html>\n'
    )
    return Message(subject, plain, html)
