import pytest

from stemsplitter.sizes import size


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (9_949, "9.9 kB"), (9_950, "10 kB"), (999_499, "999 kB"),
        (999_500, "1.0 MB"), (999_600_000, "1.0 GB"), (2 * 10**9, "2.0 GB"), (10**15, "1000 TB"),
    ],
)  # fmt: skip
def test_sizes_have_two_or_three_digits(octets: int, text: str) -> None:
    assert size(octets) == text
