"""Downmix of channel layouts to stereo and mono."""

import numpy as np
import pytest

from stemsplitter.audio.downmix import stereo_matrix, to_channels

HALF_POWER = 2**-0.5


def test_matrix_for_5_1_is_that_of_bs_775():
    matrix = stereo_matrix(("FL", "FR", "FC", "LFE", "SL", "SR"))
    expected = [[1, 0, HALF_POWER, 0, HALF_POWER, 0], [0, 1, HALF_POWER, 0, 0, HALF_POWER]]
    np.testing.assert_allclose(matrix, expected, rtol=1e-6)


@pytest.mark.parametrize(
    "names",
    [("FL", "FR", "FC"), ("FL", "FR", "BL", "BR"), ("FL", "FR", "FC", "LFE", "BL", "BR", "SL", "SR")],
)
def test_left_and_right_coefficients_are_symmetric(names):
    mirrored = [name.translate(str.maketrans("LR", "RL")) if name != "LFE" else name for name in names]
    order = [names.index(name) for name in mirrored]
    matrix = stereo_matrix(names)
    np.testing.assert_array_equal(matrix[0], matrix[1][order])


def test_unknown_channels_use_the_default_layout():
    np.testing.assert_array_equal(
        stereo_matrix(("AMBI0", "AMBI1", "AMBI2")), stereo_matrix(("FL", "FR", "FC"))
    )


def test_mono_and_stereo_are_converted_to_each_other():
    mono = np.array([[1, 2, 3]], np.float32)
    stereo = np.array([[1, 2, 3], [3, 2, 1]], np.float32)
    np.testing.assert_array_equal(to_channels(mono, ("FC",), 2), [[1, 2, 3], [1, 2, 3]])
    np.testing.assert_array_equal(to_channels(stereo, ("FL", "FR"), 1), [[2, 2, 2]])
    assert to_channels(stereo, ("FL", "FR"), 2) is stereo
