import pytest

from stemsplitter.audio.ac3 import frame_bytes

# sync, CRC, then sample rate and frame size code; bsid 8
HEADER = b"\x0b\x77\0\0%c\x40"


@pytest.mark.parametrize(
    ("rate", "code", "size"),
    [
        (0, 20, 768),
        (0, 37, 2560),
        (1, 20, 834),
        (1, 21, 836),
        (2, 20, 1152),
        (0, 0, 128),
        (3, 20, 0),
        (0, 63, 0),
    ],
)
def test_length_follows_from_rate_and_code(rate: int, code: int, size: int) -> None:
    assert frame_bytes(HEADER % (rate << 6 | code)) == size


def test_length_of_e_ac_3_is_in_words() -> None:
    assert frame_bytes(b"\x0b\x77\x01\x7f\0\x80") == 768


@pytest.mark.parametrize("data", [b"", b"\x0b\x77\0", b"RIFF\0\0\0\0"])
def test_other_data_has_no_length(data: bytes) -> None:
    assert frame_bytes(data) == 0
