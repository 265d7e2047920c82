"""Selection of the model and the stems of a split."""

from collections.abc import Iterator
from contextlib import suppress

from stemsplitter.catalogue.entries import ModelEntry, provides
from stemsplitter.catalogue.qualities import better_model_for
from stemsplitter.catalogue.selection import candidates_for, default_model_for
from stemsplitter.catalogue.store import ModelStore
from stemsplitter.errors import ModelError, RequestError, SettingsError
from stemsplitter.separation.layouts import INSTRUMENTAL, LAYOUTS, complement
from stemsplitter.service_errors import ValidationFailed
from stemsplitter.settings import Settings

# names of the layouts in other services
ALIASES = {"htdemucs": "4s", "htdemucs_ft": "4s", "htdemucs_6s": "6s"}
_FINER = {"2s": ("2s", "4s", "6s"), "4s": ("4s", "6s"), "6s": ("6s",)}


def model_for(layout: str, settings: Settings, store: ModelStore, quality: str | None = None) -> ModelEntry:
    """Return the model for a layout: without a quality the one set for the layout or for a finer one, otherwise that of
    :mod:`stemsplitter.catalogue.qualities` or :mod:`stemsplitter.catalogue.selection`.

    Raises:
        ValidationFailed: the server has no model for it.
        SettingsError: a setting names a model that is unknown, not installed, or does not have the stems of the layout.
    """
    if quality is None and (name := _name_for(layout, settings)):
        return _named(name, layout, store)
    if better := better_model_for(LAYOUTS[layout], store, quality, settings.device):
        return better
    if entry := _default_for(layout, store):
        return entry
    others = ready_layouts(settings, store)
    raise ValidationFailed(
        f"This server has no model for {layout}: "
        + (f"choose {' or '.join(others)}." if others else "ask its operator to set one up."),
        param="stemModel",
    )


def ready_layouts(settings: Settings, store: ModelStore) -> list[str]:
    """Return the layouts that this server can separate, the one with the most stems first."""
    return [layout for layout in LAYOUTS if _name_for(layout, settings) or _default_for(layout, store)]


def better_layouts(store: ModelStore) -> list[str]:
    """Return the layouts for which this server has a better model than that of the quality ``fast``."""
    return [layout for layout, stems in LAYOUTS.items() if better_model_for(stems, store, "balanced")]


def wanted_models(settings: Settings, store: ModelStore) -> Iterator[list[ModelEntry]]:
    """Yield for each layout the models that can separate it, in order of preference, installed or not."""
    for layout, stems in LAYOUTS.items():
        if name := _name_for(layout, settings):
            yield [store.entry(name)]
        else:
            with suppress(RequestError):
                yield candidates_for(stems, store.entries())


def check_models(settings: Settings, store: ModelStore) -> None:
    """Check the models that the settings name. Raises SettingsError."""
    for layout in LAYOUTS:
        if name := getattr(settings, f"model_{layout}"):
            _named(name, layout, store)


def choose_stems(layout: str, wanted: list[str] | None) -> tuple[str, ...]:
    """Return the stems of a split in the order of the layout, ``instrumental`` and complements last; by default all of
    the layout.

    Raises:
        ValidationFailed: a name is not in the layout, or is repeated.
    """
    complements = (complement(name) for name in LAYOUTS[layout] if name != INSTRUMENTAL)
    there = tuple(dict.fromkeys((*LAYOUTS[layout], INSTRUMENTAL, *complements)))
    if wanted is None:
        return LAYOUTS[layout]
    for position, name in enumerate(wanted):
        if name not in there:
            raise ValidationFailed(
                f"{layout} has no stem {name!r}: choose from {', '.join(there)}.", param="stems"
            )
        if name in wanted[:position]:
            raise ValidationFailed(f"The stem {name!r} is repeated: name each stem once.", param="stems")
    return tuple(name for name in there if name in wanted)


def separated_stems(layout: str, stems: tuple[str, ...]) -> tuple[str, ...]:
    """Return the stems to separate so that ``stems`` have the meaning of the layout.

    The content of ``other`` depends on the other stems: it needs the whole layout.
    """
    return (
        tuple(dict.fromkeys((*LAYOUTS[layout], *stems)))
        if {"other", complement("other")} & set(stems)
        else stems
    )


def _name_for(layout: str, settings: Settings) -> str:
    return next((name for finer in _FINER[layout] if (name := getattr(settings, f"model_{finer}"))), "")


def _default_for(layout: str, store: ModelStore) -> ModelEntry | None:
    with suppress(RequestError):
        entry = default_model_for(LAYOUTS[layout], store)
        return entry if store.is_ready(entry.name) else None
    return None


def _named(name: str, layout: str, store: ModelStore) -> ModelEntry:
    try:
        entry = store.entry(name)
        ready = store.is_ready(name)
    except ModelError as error:
        raise SettingsError(f"A setting names the model {name}: {error}") from error
    if not ready:
        raise SettingsError(
            f"A setting names the model {name}, which is not installed: run `stemsplitter models pull {name}`."
        )
    if not provides(entry, LAYOUTS[layout]):
        raise SettingsError(
            f"A setting names the model {name} for {layout}, but its stems are {', '.join(entry.stems)}: name another."
        )
    return entry
