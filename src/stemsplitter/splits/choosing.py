"""Which model a split gets, and which stems it has."""

from stemsplitter.catalogue.entries import ModelEntry, can_give
from stemsplitter.catalogue.store import ModelStore
from stemsplitter.errors import ModelError, SettingsError
from stemsplitter.separation.layouts import INSTRUMENTAL, LAYOUTS
from stemsplitter.service_errors import ValidationFailed
from stemsplitter.settings import Settings

# names under which clients of other services know the layouts
ALIASES = {"htdemucs": "4s", "htdemucs_ft": "4s", "htdemucs_6s": "6s"}
_FINER = {"2s": ("2s", "4s", "6s"), "4s": ("4s", "6s"), "6s": ("6s",)}


def model_for(layout: str, settings: Settings, store: ModelStore) -> ModelEntry:
    """The model for a layout: the one that the settings name, else the first of the catalogue that is ready and may be
    used for anything, else one that the settings name for a finer layout.

    Raises:
        ValidationFailed: this server has none.
        SettingsError: the settings name a model that is unknown, not ready, or does not give the layout.
    """
    if name := getattr(settings, f"model_{layout}"):
        return _named(name, layout, store)
    for entry in store.entries():
        if entry.permissive and can_give(entry, LAYOUTS[layout]) and store.is_ready(entry.name):
            return entry
    for finer in _FINER[layout][1:]:
        if name := getattr(settings, f"model_{finer}"):
            return _named(name, layout, store)
    others = ready_layouts(settings, store)
    raise ValidationFailed(
        f"This server has no model for {layout}: "
        + (f"choose {' or '.join(others)}." if others else "ask its operator to set one up."),
        param="stemModel",
    )


def ready_layouts(settings: Settings, store: ModelStore) -> list[str]:
    """The layouts that this server can give, the finest first."""
    ready = []
    for layout in LAYOUTS:
        named = any(getattr(settings, f"model_{finer}") for finer in _FINER[layout])
        if named or any(
            entry.permissive and can_give(entry, LAYOUTS[layout]) and store.is_ready(entry.name)
            for entry in store.entries()
        ):
            ready.append(layout)
    return ready


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
    if not can_give(entry, LAYOUTS[layout]):
        raise SettingsError(
            f"A setting names the model {name} for {layout}, which gives {', '.join(entry.stems)}: name another."
        )
    return entry
