"""Segmentation and overlap-add reconstruct the song for any blocks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemsplitter.separation.segments import OverlapAdd, Segment, Segmenter, trapezoid, triangle


def _blocks(song: np.ndarray, cuts: list[int]) -> list[np.ndarray]:
    return np.split(song, sorted(cut for cut in cuts if cut < song.shape[1]), axis=1)


def _segments(song: np.ndarray, segment: int, hop: int, cuts: list[int], border: int = 0) -> list[Segment]:
    segmenter = Segmenter(len(song), segment, hop, border)
    found = [made for block in _blocks(song, cuts) for made in segmenter.push(block)]
    return found + list(segmenter.flush())


@given(
    length=st.integers(1, 400),
    segment=st.integers(8, 60),
    overlap=st.floats(0, 0.75, allow_subnormal=False),
    cuts=st.lists(st.integers(1, 400), max_size=5),
)
def test_an_identity_network_reconstructs_the_song(
    length: int, segment: int, overlap: float, cuts: list[int]
) -> None:
    hop = max(1, int(segment * (1 - overlap)))
    song = np.random.default_rng(length).standard_normal((2, length)).astype(np.float32)
    overlap_add = OverlapAdd(triangle(segment), hop)
    pieces = [overlap_add.add(made, made.audio[None]) for made in _segments(song, segment, hop, cuts)]
    pieces.append(overlap_add.flush())
    out = np.concatenate([piece for piece in pieces if piece.size], axis=-1)
    assert out.shape == (1, 2, length)
    np.testing.assert_allclose(out[0], song, atol=1e-5)


@given(
    length=st.integers(1, 400),
    segment=st.integers(20, 60),
    overlap=st.floats(0.2, 0.75),
    cuts=st.lists(st.integers(1, 400), max_size=5),
)
def test_an_identity_network_with_a_border_reconstructs_the_song(
    length: int, segment: int, overlap: float, cuts: list[int]
) -> None:
    border = int(segment * overlap)
    hop = segment - border
    song = np.random.default_rng(length).standard_normal((2, length)).astype(np.float32)
    overlap_add = OverlapAdd(trapezoid(segment), hop, border)
    pieces = [overlap_add.add(made, made.audio[None]) for made in _segments(song, segment, hop, cuts, border)]
    pieces.append(overlap_add.flush())
    out = np.concatenate([piece for piece in pieces if piece.size], axis=-1)
    assert out.shape == (1, 2, length)
    np.testing.assert_allclose(out[0], song, atol=1e-5)


@given(length=st.integers(1, 300), cuts=st.lists(st.integers(1, 300), max_size=6))
def test_segments_with_a_border_are_those_of_the_reflected_song(length: int, cuts: list[int]) -> None:
    """As in MSST's demix, for songs that are longer than both borders."""
    song = np.random.default_rng(length).standard_normal((2, length)).astype(np.float32)
    made = _segments(song, 40, 20, cuts, 20)
    assert [segment.start for segment in made] == list(range(-20, length, 20))
    if length <= 40:
        return
    reflected = np.pad(song, ((0, 0), (20, 20)), mode="reflect")
    for segment in made:
        part = reflected[:, segment.start + 20 : segment.start + 60]
        missing = 40 - part.shape[1]
        mode = "reflect" if part.shape[1] > 20 else "constant"
        np.testing.assert_array_equal(segment.audio, np.pad(part, ((0, 0), (0, missing)), mode=mode))


@given(length=st.integers(1, 300), cuts=st.lists(st.integers(1, 300), max_size=6))
def test_segments_do_not_depend_on_the_blocks(length: int, cuts: list[int]) -> None:
    song = np.arange(2 * length, dtype=np.float32).reshape(2, length)
    whole, cut = _segments(song, 40, 30, []), _segments(song, 40, 30, cuts)
    assert [(made.start, made.length, made.offset) for made in whole] == [
        (made.start, made.length, made.offset) for made in cut
    ]
    for one, other in zip(whole, cut, strict=True):
        np.testing.assert_array_equal(one.audio, other.audio)


def test_a_short_last_segment_is_centered_in_the_audio_before_it() -> None:
    song = np.arange(1, 51, dtype=np.float32)[None]
    *_, last = _segments(song, 40, 30, [])
    assert (last.start, last.length, last.offset) == (30, 20, 10)
    np.testing.assert_array_equal(last.audio[0, :30], song[0, 20:])
    np.testing.assert_array_equal(last.audio[0, 30:], 0)


def test_a_song_shorter_than_a_segment_is_centered() -> None:
    (only,) = _segments(np.ones((1, 10), np.float32), 40, 30, [])
    np.testing.assert_array_equal(np.flatnonzero(only.audio[0]), np.arange(15, 25))


def test_no_audio_gives_no_segments() -> None:
    assert _segments(np.zeros((2, 0), np.float32), 40, 30, []) == []
    assert OverlapAdd(triangle(40), 30).flush().size == 0


@pytest.mark.parametrize("length", [1, 2, 7, 8])
def test_the_triangle_has_a_maximum_of_one_and_no_zero(length: int) -> None:
    window = triangle(length)
    assert window.shape == (length,)
    assert window.max() == 1
    assert window.min() > 0


def test_the_trapezoid_fades_in_the_first_and_the_last_tenth() -> None:
    np.testing.assert_allclose(trapezoid(30), [0, 0.5, 1, *[1] * 24, 1, 0.5, 0])
