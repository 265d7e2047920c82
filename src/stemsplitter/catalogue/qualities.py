"""Qualities that users choose instead of a model.

``fast`` is the model of `selection.default_model_for`. ``balanced`` is the best installed model with an unrestricted
license, and ``best`` is the same with segments that overlap by half. Without a better model, both use that of ``fast``.
Without a quality, the model is the best of these that was measured to be fast enough on this machine.
"""

from collections.abc import Iterable
from typing import Final

from stemsplitter.catalogue.entries import ModelEntry, provides
from stemsplitter.catalogue.selection import default_model_for
from stemsplitter.catalogue.speeds import recorded_speed
from stemsplitter.catalogue.store import ModelStore
from stemsplitter.errors import RequestError

QUALITIES: Final = ("fast", "balanced", "best")
BEST_OVERLAP: Final = 0.5
BEST_COST: Final = 1.5
"""Time of ``best`` relative to ``balanced``: the models overlap by a quarter otherwise."""
DEFAULT_SPEED: Final = 1.5
"""Seconds of audio that a better model separates in a second, at least, to be used without a quality."""
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


def better_model_for(
    stems: Iterable[str], store: ModelStore, quality: str | None, device: str = "auto"
) -> ModelEntry | None:
    """Return the installed model of a quality other than ``fast`` for these stems, if there is one.

    Without a quality, it separates at least ``DEFAULT_SPEED`` seconds of audio in a second on this machine.
    """
    for entry in _better(stems, store, quality):
        if store.is_ready(entry.name) and (
            quality is not None or (recorded_speed(entry, store, device) or 0) >= DEFAULT_SPEED
        ):
            return entry
    return None


def quality_notes(stems: Iterable[str], store: ModelStore, quality: str | None) -> tuple[str, ...]:
    """Return a sentence for users if no model of the quality is installed."""
    better = _better(stems, store, quality)
    if quality is None or not better or any(store.is_ready(entry.name) for entry in better):
        return ()
    return (
        f"No model of the quality {quality} is installed for these stems, so that of fast is used: "
        f"run `stemsplitter models pull {better[0].name}`.",
    )


def quality_times(stems: Iterable[str], store: ModelStore, device: str = "auto") -> dict[str, float]:
    """Return the seconds of processing for a second of audio of each quality, where its model was measured."""
    requested, times = tuple(stems), {}
    for quality in QUALITIES:
        entry = better_model_for(requested, store, quality) or default_model_for(requested, store)
        if speed := recorded_speed(entry, store, device):
            times[quality] = (BEST_COST if quality == "best" else 1.0) / speed
    return times


def _better(stems: Iterable[str], store: ModelStore, quality: str | None) -> list[ModelEntry]:
    if quality == "fast":
        return []
    entries, requested = {entry.name: entry for entry in store.entries()}, tuple(stems)
    known = [entries[name] for name in BETTER if name in entries]
    return [entry for entry in known if entry.permissive and provides(entry, requested)]
