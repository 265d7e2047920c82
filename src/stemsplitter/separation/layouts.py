"""Stem names, layouts, and how a requested stem is made from what a model gives.

A model's stems always partition the mixture: each part of a song is in exactly one of them. So every stem
that can be asked for is a plain sum of some of the model's own, without gains and without the mixture.

`other` is what is left beside the named stems. What that takes in depends on what stands next to it: with
guitar and piano asked for it leaves them out (`6s`), without them it holds them (`4s`). The request alone
decides, so the same request means the same whatever the model. `instrumental` is everything but vocals.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from stemsplitter.errors import ModelError, RequestError

SIX_STEMS: Final = ("vocals", "drums", "bass", "guitar", "piano", "other")
INSTRUMENTAL: Final = "instrumental"
STEM_NAMES: Final = (*SIX_STEMS, INSTRUMENTAL)
LAYOUTS: Final[dict[str, tuple[str, ...]]] = {
    "6s": SIX_STEMS,
    "4s": ("vocals", "drums", "bass", "other"),
    "2s": ("vocals", INSTRUMENTAL),
}


def parse_stems(text: str) -> tuple[str, ...]:
    """The stems named by a layout (`6s`, `4s`, `2s`) or by a comma-separated list, in the order given.

    Upper case and space around a name are accepted.

    Raises:
        RequestError: a name that is empty, unknown, or given twice.
    """
    names = tuple(name.strip().lower() for name in text.split(","))
    if len(names) == 1 and names[0] in LAYOUTS:
        return LAYOUTS[names[0]]
    choice = f"choose a layout ({', '.join(LAYOUTS)}) or a list of {', '.join(STEM_NAMES)}"
    for position, name in enumerate(names):
        if not name:
            raise RequestError(f"The list of stems {text!r} has an empty name: {choice}.")
        if name not in STEM_NAMES:
            raise RequestError(f"There is no stem or list of stems called {name!r}: {choice}.")
        if name in names[:position]:
            raise RequestError(f"The stem {name!r} is asked for twice: name each stem once.")
    return names


@dataclass(frozen=True)
class StemPlan:
    """How each requested stem is made from the stems of a model; see `plan_stems`.

    Attributes:
        requested: names of the stems to give, in order (R of them).
        model_stems: names of the stems the model gives, in its order (S of them).
        sources: for each requested stem the indexes of the model's stems that are added up to make it.
    """

    requested: tuple[str, ...]
    model_stems: tuple[str, ...]
    sources: tuple[tuple[int, ...], ...]

    @cached_property
    def sums_to_mixture(self) -> bool:
        """Whether the requested stems, too, hold each part of the song exactly once."""
        used = sorted(index for group in self.sources for index in group)
        return used == list(range(len(self.model_stems)))

    def apply(self, stems: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Turn model stems [S, C, n] into the requested stems [R, C, n].

        Gives back `stems` itself, not a copy, where the request is just what the model gives.
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
    """Say how each of the `requested` stems (from `parse_stems`) is made from a model's own stems.

    Raises:
        RequestError: the model cannot give one of the requested stems.
        ModelError: the model's stems do not partition a song.
    """
    given = _partition(model_stems)
    wanted = [_parts(stem, requested) for stem in requested]
    sources = tuple(tuple(i for i, parts in enumerate(given) if parts <= stem) for stem in wanted)
    missing = [
        stem
        for stem, parts, group in zip(requested, wanted, sources, strict=True)
        if frozenset[str]().union(*(given[i] for i in group)) != parts
    ]
    if missing:
        raise RequestError(
            f"A model with the stems {', '.join(model_stems)} cannot give {', '.join(missing)}: "
            "ask for other stems or choose another model."
        )
    return StemPlan(requested, model_stems, sources)


def rest_stem(model_stems: tuple[str, ...]) -> int:
    """Index of the stem that takes what belongs to none: `other`, else `instrumental`, else the last."""
    for name in ("other", INSTRUMENTAL):
        if name in model_stems:
            return model_stems.index(name)
    return len(model_stems) - 1


def _parts(stem: str, beside: tuple[str, ...]) -> frozenset[str]:
    """Which of the six finest stems `stem` holds when it stands `beside` others."""
    if stem == INSTRUMENTAL:
        return frozenset(SIX_STEMS) - {"vocals"}
    if stem == "other":
        return frozenset({"guitar", "piano"} - set(beside)) | {"other"}
    return frozenset({stem})


def _partition(model_stems: tuple[str, ...]) -> list[frozenset[str]]:
    """Which of the six finest stems each stem of a model holds; all six are held exactly once."""
    parts = [_parts(stem, model_stems) for stem in model_stems]
    if sorted(part for stem in parts for part in stem) != sorted(SIX_STEMS):
        raise ModelError(
            f"The model's stems ({', '.join(model_stems)}) do not make up a whole song: "
            f"they must be those of a layout ({', '.join(LAYOUTS)}) or of 4s with guitar or piano."
        )
    return parts
