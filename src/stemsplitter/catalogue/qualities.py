"""Qualities that users choose instead of a model.

``fast`` is the default model. ``balanced`` is the best installed model with an unrestricted license, and ``best`` is
the same with segments that overlap by half. Without a better model, both use that of ``fast``.
"""

from collections.abc import Iterable
from typing import Final

from stemsplitter.catalogue.entries import ModelEntry, provides
from stemsplitter.catalogue.store import ModelStore
from stemsplitter.errors import RequestError

QUALITIES: Final = ("fast", "balanced", "best")
BEST_OVERLAP: Final = 0.5
BETTER: Final = ("melband_kim", "scnet_large", "best_6s", "mega53")
"""Models better than those of ``fast``, in order of preference: the first that provides the stems has fewest others."""


def check_quality_choice(quality: str | None, model: str | None) -> None:
    """Raise RequestError if there is no such quality, or a model is named as well."""
    if quality is None:
        return
    if quality not in QUALITIES:
        raise RequestError(f"There is no quality {quality!r}: choose {', '.join(QUALITIES)}.")
    if model is not None:
        raise RequestError(
            f"The model {model} and the quality {quality} exclude each other: choose one of them."
        )


def overlap_of(quality: str | None) -> float | None:
    """Return the overlap of segments of a quality; None for that of the model."""
    return BEST_OVERLAP if quality == "best" else None


def better_model_for(stems: Iterable[str], store: ModelStore, quality: str | None) -> ModelEntry | None:
    """Return the installed model of a quality other than ``fast`` for these stems, if there is one."""
    return next((entry for entry in _better(stems, store, quality) if store.is_ready(entry.name)), None)


def quality_notes(stems: Iterable[str], store: ModelStore, quality: str | None) -> tuple[str, ...]:
    """Return a sentence for users if no model of the quality is installed."""
    better = _better(stems, store, quality)
    if not better or any(store.is_ready(entry.name) for entry in better):
        return ()
    return (
        f"No model of the quality {quality} is installed for these stems, so that of fast is used: "
        f"run `stemsplitter models pull {better[0].name}`.",
    )


def _better(stems: Iterable[str], store: ModelStore, quality: str | None) -> list[ModelEntry]:
    if quality in (None, "fast"):
        return []
    entries, requested = {entry.name: entry for entry in store.entries()}, tuple(stems)
    known = [entries[name] for name in BETTER if name in entries]
    return [entry for entry in known if entry.permissive and provides(entry, requested)]
