"""Suggestions for misspelt names."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

_SHOWN = 64  # characters of an unknown name


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is most similar to ``name``, regardless of case and underscores; None if none is."""
    plain = {_plain(each): each for each in known}
    found = get_close_matches(_plain(name), plain, n=1)
    return plain[found[0]] if found else None


def unknown(kind: str, name: str, known: Sequence[str]) -> str:
    """Return a sentence that says that there is no ``name`` among the ``known`` ones, and suggests one or all."""
    match = nearest(name, known)
    rest = f"did you mean {match}?" if match else f"choose from {', '.join(known)}."
    return f"Unknown {kind} {shown(name)}: {rest}"


def shown(name: str) -> str:
    """Return the start of an unknown name, without NUL and lone surrogates: JSON can hold them, a response cannot."""
    return name[:_SHOWN].encode("utf-8", "replace").decode().replace("\0", "?")


def _plain(name: str) -> str:
    return name.lower().replace("_", "")
