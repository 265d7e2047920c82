"""Draws that every module needs, quicker than numpy's for single values."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")


def pick(random: np.random.Generator, options: Sequence[T]) -> T:
    """One of the options, all equally likely."""
    return options[int(random.integers(len(options)))]


def draw(random: np.random.Generator, weights: Mapping[T, float]) -> T:
    """A key drawn with its weight."""
    rest = random.random() * sum(weights.values())
    for option, weight in weights.items():
        rest -= weight
        if rest < 0:
            return option
    return next(reversed(list(weights)))


def chance(random: np.random.Generator, probability: float) -> bool:
    """True with a probability."""
    return bool(random.random() < probability)


def steps(pattern: str) -> tuple[int, ...]:
    """The places of a written rhythm that are struck: ``x..x`` gives 0 and 3."""
    return tuple(place for place, sign in enumerate(pattern) if sign != ".")
