"""The language of the request or message that is being answered or written."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from stemsplitter.languages.catalogs import SOURCE, catalog

_current = ContextVar("language", default=SOURCE)


def current() -> str:
    """Return the code of the language."""
    return _current.get()


def choose(language: str) -> None:
    """Set the language until the end of the task, such as a request."""
    _current.set(language)


@contextmanager
def using(language: str) -> Iterator[None]:
    """Set the language within a block."""
    token = _current.set(language)
    try:
        yield
    finally:
        _current.reset(token)


def marked(text: str) -> str:
    """Mark a text for translation where there is no language yet, such as in a module. It is translated when it is
    shown."""
    return text


def gettext(text: str) -> str:
    """Translate a text."""
    return catalog(current()).translations.gettext(text)


def ngettext(one: str, many: str, number: int) -> str:
    """Translate a text with a number: the form of the language for it."""
    return catalog(current()).translations.ngettext(one, many, number)


def pgettext(context: str, text: str) -> str:
    """Translate a text that has several meanings; ``context`` tells them apart."""
    return catalog(current()).translations.pgettext(context, text)


def error_text(text: str) -> str:
    """Translate the message of an error, with its values filled in."""
    return catalog(current()).error(text)
