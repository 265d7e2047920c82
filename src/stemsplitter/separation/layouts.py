"""Stem names, layouts, and plans that make requested stems from a model's stems.

A model's stems always partition the mixture: each part of a song is in exactly one of them. So each requested stem
is a plain sum of some of the model's stems, without gains and without the mixture.

`other` is the rest beside the other requested stems: without guitar and piano if those are requested (`6s`), with
them otherwise (`4s`). It depends on the request alone, so the same request means the same for every model.
`no_drums` is everything except the drums, and so on for each of the six stems; `instrumental` is `no_vocals`.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from stemsplitter.errors import ModelError, RequestError

SIX_STEMS: Final = ("vocals", "drums", "bass", "guitar", "piano", "other")
INSTRUMENTAL: Final = "instrumental"
WITHOUT: Final = "no_"
COMPLEMENTS: Final = tuple(WITHOUT + name for name in SIX_STEMS)
STEM_NAMES: Final = (*SIX_STEMS, INSTRUMENTAL, *COMPLEMENTS)
LAYOUTS: Final[dict[str, tuple[str, ...]]] = {
    "6s": SIX_STEMS,
    "4s": ("vocals", "drums", "bass", "other"),
    "2s": ("vocals", INSTRUMENTAL),
}


def parse_stems(text: str) -> tuple[str, ...]:
    """Parse a layout (`6s`, `4s`, `2s`) or a comma-separated list of stem names, keeping its order.

    Case and space around a name are ignored.

    Raises:
        RequestError: a name is empty, unknown, or repeated.
    """
    names = tuple(name.strip().lower() for name in text.split(","))
    if len(names) == 1 and names[0] in LAYOUTS:
        return LAYOUTS[names[0]]
    choice = f"choose a layout ({', '.join(LAYOUTS)}) or a list of {', '.join(STEM_NAMES)}"
    for position, name in enumerate(names):
        if not name:
            raise RequestError(f"The list of stems {text!r} has an empty name: {choice}.")
        if name not in STEM_NAMES:
            raise RequestError(f"There is no stem or layout {name!r}: {choice}.")
        if name in names[:position]:
            raise RequestError(f"The stem {name!r} is requested twice: name each stem once.")
    return names


def complement(name: str) -> str:
    """Return the name of the song without the stem ``name``.

    Raises:
        RequestError: there is no stem of this name.
    """
    stem = name.strip().lower()
    if stem not in SIX_STEMS:
        raise RequestError(f"There is no stem {name!r} to leave out: choose from {', '.join(SIX_STEMS)}.")
    return WITHOUT + stem


def left_out(name: str) -> str | None:
    """Return the stem that a complement leaves out: `drums` for `no_drums`. None for the name of a stem."""
    if name == INSTRUMENTAL:
        return "vocals"
    return name.removeprefix(WITHOUT) if name.startswith(WITHOUT) else None


def parse_instruments(text: str) -> tuple[str, ...]:
    """Parse a comma-separated list of the instruments that a song has, in the order of `SIX_STEMS`.

    The names are those of the six stems; case and space around a name are ignored.

    Raises:
        RequestError: a name is empty or unknown.
    """
    names = {name.strip().lower() for name in text.split(",")}
    for name in sorted(names - set(SIX_STEMS)):
        raise RequestError(f"There is no instrument {name!r}: list some of {', '.join(SIX_STEMS)}.")
    return tuple(name for name in SIX_STEMS if name in names)


@dataclass(frozen=True)
class StemPlan:
    """The sums of a model's stems that make the requested stems; see `plan_stems`.

    Attributes:
        requested: names of the requested stems, in order (R of them).
        model_stems: names of the model's stems, in its order (S of them).
        sources: for each requested stem, the indexes of the model's stems that are added up.
    """

    requested: tuple[str, ...]
    model_stems: tuple[str, ...]
    sources: tuple[tuple[int, ...], ...]

    @cached_property
    def sums_to_mixture(self) -> bool:
        """True if the requested stems contain each part of the song exactly once."""
        used = sorted(index for group in self.sources for index in group)
        return used == list(range(len(self.model_stems)))

    def apply(self, stems: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Turn model stems ``[S, C, n]`` into the requested stems ``[R, C, n]``.

        Returns `stems` itself, not a copy, if the requested stems are the model's.
        """
        if self.requested == self.model_stems:
            return stems
        requested = np.empty((len(self.sources), *stems.shape[1:]), stems.dtype)
        for row, (first, *more) in zip(requested, self.sources, strict=True):
            row[...] = stems[first]
            for index in more:
                row += stems[index]
        return requested


def plan_stems(model_stems: tuple[str, ...], requested: tuple[str, ...]) -> StemPlan:
    """Plan each of the `requested` stems (from `parse_stems`) as a sum of a model's stems.

    Raises:
        RequestError: a requested stem is not a sum of the model's stems.
        ModelError: the model's stems do not partition a song.
    """
    available = _partition(model_stems)
    wanted = [_parts(stem, requested) for stem in requested]
    sources = tuple(tuple(i for i, parts in enumerate(available) if parts <= stem) for stem in wanted)
    missing = [
        stem
        for stem, parts, group in zip(requested, wanted, sources, strict=True)
        if frozenset[str]().union(*(available[i] for i in group)) != parts
    ]
    if missing:
        raise RequestError(
            f"A model with the stems {', '.join(model_stems)} cannot provide {', '.join(missing)}: "
            "request other stems or choose another model."
        )
    return StemPlan(requested, model_stems, sources)


def absent_stems(model_stems: tuple[str, ...], instruments: tuple[str, ...]) -> list[int]:
    """Return the indexes of a model's stems that contain none of the `instruments` (from `parse_instruments`)."""
    return [i for i, parts in enumerate(_partition(model_stems)) if not parts & set(instruments)]


def rest_stem(model_stems: tuple[str, ...], instruments: tuple[str, ...] = SIX_STEMS) -> int:
    """Return the index of the stem that gets the remainder: `other`, else `instrumental`, else the last.

    Stems that contain none of the `instruments` are left out.
    """
    absent = absent_stems(model_stems, instruments)
    present = [name for i, name in enumerate(model_stems) if i not in absent]
    for name in ("other", INSTRUMENTAL):
        if name in present:
            return model_stems.index(name)
    return model_stems.index(present[-1])


def _parts(stem: str, beside: tuple[str, ...]) -> frozenset[str]:
    """Return the parts (of the six stems) that `stem` contains when it is `beside` other stems."""
    if (without := left_out(stem)) is not None:
        return frozenset(SIX_STEMS) - _parts(without, beside)
    if stem == "other":
        return frozenset({"guitar", "piano"} - set(beside)) | {"other"}
    return frozenset({stem})


def _partition(model_stems: tuple[str, ...]) -> list[frozenset[str]]:
    """Return the parts that each stem of a model contains; together they are the six stems, each once."""
    parts = [_parts(stem, model_stems) for stem in model_stems]
    if sorted(part for stem in parts for part in stem) != sorted(SIX_STEMS):
        raise ModelError(
            f"The model's stems ({', '.join(model_stems)}) do not make up a whole song: "
            f"they must be those of a layout ({', '.join(LAYOUTS)}) or of 4s with guitar or piano."
        )
    return parts
