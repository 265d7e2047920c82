"""Bar charts for templates, drawn as SVG without a script."""

from collections.abc import Sequence
from dataclasses import dataclass

STEP, BAR, HEIGHT = 10, 8, 100  # in units of the drawing, which the page scales
_MIN_HEIGHT = 1.5  # of a bar with a value above 0


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar: its upper left corner and its height."""

    x: float
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Plot:
    """One bar per value in a drawing ``width`` wide and 100 high; ``top`` is the value at its upper edge."""

    bars: tuple[Bar, ...]
    width: int
    top: int


def plot(values: Sequence[int]) -> Plot:
    """Return the chart of non-negative ``values``."""
    top = round_up(max((*values, 1)))
    heights = [max(HEIGHT * value / top, _MIN_HEIGHT) if value else 0.0 for value in values]
    bars = tuple(
        Bar(x=STEP * place + (STEP - BAR) / 2, y=HEIGHT - height, height=height)
        for place, height in enumerate(heights)
    )
    return Plot(bars, STEP * len(values), top)


def round_up(value: int) -> int:
    """Round a positive ``value`` up to the next of 2, 4, 6, 8, 10, 20, 40, …; its half is an integer too."""
    power = 1
    while True:
        for digit in (2, 4, 6, 8, 10):
            if digit * power >= value:
                return digit * power
        power *= 10
