from hypothesis import given
from hypothesis import strategies as st

from stemsplitter.console.plot import BAR, HEIGHT, STEP, plot, round_up


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=40))
def test_bars_start_at_zero_and_fit_drawing(values: list[int]) -> None:
    made = plot(values)
    assert len(made.bars) == len(values) and made.width == STEP * len(values)
    assert made.top >= max(values)
    for bar, value in zip(made.bars, values, strict=True):
        assert (bar.height > 0) == (value > 0)
        assert bar.y >= 0 and abs(bar.y + bar.height - HEIGHT) < 1e-9
        assert 0 <= bar.x <= made.width - BAR
    highest = max(made.bars, key=lambda bar: bar.height)
    assert not any(values) or highest.height > HEIGHT / 3


@given(st.integers(1, 10**12))
def test_scale_is_round_number(value: int) -> None:
    top = round_up(value)
    assert value <= top < 2.5 * value + 2 and top % 2 == 0
    assert set(str(top)[1:]) <= {"0"}
