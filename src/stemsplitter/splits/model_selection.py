"""Which model a split gets, and which stems it has."""

from collections.abc import Iterator
from contextlib import suppress

from stemsplitter.catalogue.entries import ModelEntry, provides
from stemsplitter.catalogue.selection import candidates_for, default_model_for
from stemsplitter.catalogue.store import ModelStore
from stemsplitter.errors import ModelError, RequestError, SettingsError
from stemsplitter.separation.layouts import INSTRUMENTAL, LAYOUTS
from stemsplitter.service_errors import ValidationFailed
from stemsplitter.settings import Settings

# names under which clients of other services know the layouts
ALIASES = {"htdemucs": "4s", "htdemucs_ft": "4s", "htdemucs_6s": "6s"}
_FINER = {"2s": ("2s", "4s", "6s"), "4s": ("4s", "6s"), "6s": ("6s",)}


def model_for(layout: str, settings: Settings, store: ModelStore) -> ModelEntry:
    """The model for a layout: the one that the settings name for it, or else for a finer one; where they name none, the
    default one (`catalogue.choosing`).

    Raises:
        ValidationFailed: this server has none.
        SettingsError: the settings name a model that is unknown, not ready, or does not give the layout.
    """
    if name := _name_for(layout, settings):
        return _named(name, layout, store)
    if entry := _default_for(layout, store):
        return entry
    others = ready_layouts(settings, store)
    raise ValidationFailed(
        f"This server has no model for {layout}: "
        + (f"choose {' or '.join(others)}." if others else "ask its operator to set one up."),
        param="stemModel",
    )


def ready_layouts(settings: Settings, store: ModelStore) -> list[str]:
    """The layouts that this server can give, the finest first."""
    return [layout for layout in LAYOUTS if _name_for(layout, settings) or _default_for(layout, store)]


def wanted_models(settings: Settings, store: ModelStore) -> Iterator[list[ModelEntry]]:
    """For each layout the models that could serve it, in the order of preference, whether they are here or not."""
    for layout, stems in LAYOUTS.items():
        if name := _name_for(layout, settings):
            yield [store.entry(name)]
        else:
            with suppress(RequestError):
                yield candidates_for(stems, store.entries())


def check_models(settings: Settings, store: ModelStore) -> None:
    """Refuse settings that name a model which cannot be used. Raises SettingsError."""
    for layout in LAYOUTS:
        if name := getattr(settings, f"model_{layout}"):
            _named(name, layout, store)


def choose_stems(layout: str, wanted: list[str] | None) -> tuple[str, ...]:
    """The stems to give, in the layout's order, ``instrumental`` last: all of the layout's where none are named.

    Raises:
        ValidationFailed: a name is not of the layout, or comes twice.
    """
    there = tuple(dict.fromkeys((*LAYOUTS[layout], INSTRUMENTAL)))
    if wanted is None:
        return LAYOUTS[layout]
    for position, name in enumerate(wanted):
        if name not in there:
            raise ValidationFailed(
                f"{layout} has no stem {name!r}: choose of {', '.join(there)}.", param="stems"
            )
        if name in wanted[:position]:
            raise ValidationFailed(f"The stem {name!r} is asked for twice: name each once.", param="stems")
    return tuple(name for name in there if name in wanted)


def separated_stems(layout: str, stems: tuple[str, ...]) -> tuple[str, ...]:
    """The stems to separate so that ``stems`` mean what they mean in the layout.

    What ``other`` holds depends on what stands beside it: it takes the whole layout to make it.
    """
    return tuple(dict.fromkeys((*LAYOUTS[layout], *stems))) if "other" in stems else stems


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
            f"A setting names the model {name}, which is not here: run `stemsplitter models pull {name}`."
        )
    if not provides(entry, LAYOUTS[layout]):
        raise SettingsError(
            f"A setting names the model {name} for {layout}, which gives {', '.join(entry.stems)}: name another."
        )
    return entry
