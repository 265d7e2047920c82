"""Bars to be drawn by a template as SVG, without a script."""

from collections.abc import Sequence
from dataclasses import dataclass

STEP, BAR, HEIGHT = 10, 8, 100  # of the drawing, which the page stretches to its own size
_LEAST = 1.5  # height of a bar that is not nothing


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar's place in the drawing, from its upper left corner."""

    x: float
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Plot:
    """One bar for each value in a drawing ``width`` wide and 100 high, whose upper edge stands for ``top``."""

    bars: tuple[Bar, ...]
    width: int
    top: int


def plot(values: Sequence[int]) -> Plot:
    """Bars of these values, none of which is negative."""
    top = round_up(max((*values, 1)))
    heights = [max(HEIGHT * value / top, _LEAST) if value else 0.0 for value in values]
    bars = tuple(
        Bar(x=STEP * place + (STEP - BAR) / 2, y=HEIGHT - height, height=height)
        for place, height in enumerate(heights)
    )
    return Plot(bars, STEP * len(values), top)


def round_up(value: int) -> int:
    """The next of 2, 4, 6, 8, 10, 20, 40, … from a positive ``value``, so that its half is whole too."""
    power = 1
    while True:
        for digit in (2, 4, 6, 8, 10):
            if digit * power >= value:
                return digit * power
        power *= 10
