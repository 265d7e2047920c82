import pytest

from stemsplitter.library.outputs import limited_rate


@pytest.mark.parametrize(
    ("rate", "highest", "limited"),
    [
        (44_100, 48_000, 44_100),
        (48_000, 48_000, 48_000),
        (8_000, 48_000, 8_000),
        (96_000, 48_000, 48_000),
        (192_000, 48_000, 48_000),
        (88_200, 48_000, 44_100),
        (176_400, 48_000, 44_100),
        (64_000, 48_000, 48_000),
        (192_000, 96_000, 96_000),
        (192_000, 192_000, 192_000),
    ],
)
def test_h2_sample_rate_is_limited(rate: int, highest: int, limited: int) -> None:
    assert limited_rate(rate, highest) == limited
