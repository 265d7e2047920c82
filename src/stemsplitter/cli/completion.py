"""Completion of option values in the shell."""

from collections.abc import Iterable

DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("auto", "fp32", "bf16", "fp16")


def formats(incomplete: str) -> list[str]:
    """Complete an output format."""
    from stemsplitter.audio.formats import FORMATS, STEM_FILE

    names = [name + depth for name, entry in FORMATS.items() for depth in ("", *sorted(entry.depths))]
    return _starting(incomplete, (*names, STEM_FILE))


def stems(incomplete: str) -> list[str]:
    """Complete a layout, or the last name of a list of stems."""
    from stemsplitter.separation.layouts import LAYOUTS, STEM_NAMES

    before, comma, last = incomplete.rpartition(",")
    if not comma:
        return _starting(last, (*LAYOUTS, *STEM_NAMES))
    left = (name for name in STEM_NAMES if name not in before.split(","))
    return [f"{before},{name}" for name in _starting(last, left)]


def instruments(incomplete: str) -> list[str]:
    """Complete the last name of a list of instruments."""
    from stemsplitter.separation.layouts import SIX_STEMS

    before, comma, last = incomplete.rpartition(",")
    left = (name for name in SIX_STEMS if name not in before.split(","))
    return [f"{before}{comma}{name}" for name in _starting(last, left)]


def models(incomplete: str) -> list[str]:
    """Complete a model, or the last name of a list of models."""
    from stemsplitter.catalogue.store import ModelStore

    before, comma, last = incomplete.rpartition(",")
    names = (entry.name for entry in ModelStore().entries())
    return [f"{before}{comma}{name}" for name in _starting(last, names)]


def qualities(incomplete: str) -> list[str]:
    """Complete a quality."""
    from stemsplitter.catalogue.qualities import QUALITIES

    return _starting(incomplete, QUALITIES)


def devices(incomplete: str) -> list[str]:
    """Complete a compute device."""
    return _starting(incomplete, DEVICES)


def precisions(incomplete: str) -> list[str]:
    """Complete a compute precision."""
    return _starting(incomplete, PRECISIONS)


def _starting(incomplete: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
