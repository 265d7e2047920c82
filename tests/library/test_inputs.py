"""Sources of the Separator: arrays of several libraries, file objects and bytes (row 16)."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from stemsplitter.errors import AudioError
from stemsplitter.library import Separator

Waveform = NDArray[np.float32]


@pytest.fixture
def toy(make: Callable[..., Separator]) -> Separator:
    return make()


@pytest.fixture
def mixture(noise: Callable[..., Waveform]) -> Waveform:
    return noise(9_000)


class Tensor:
    """A tensor that, like one of torch with a gradient on a GPU, is readable only when detached and on the CPU."""

    def __init__(self, values: Any, steps: tuple[str, ...] = ()) -> None:
        self.values, self.steps = values, steps

    def detach(self) -> "Tensor":
        return Tensor(self.values, (*self.steps, "detach"))

    def cpu(self) -> "Tensor":
        return Tensor(self.values, (*self.steps, "cpu"))

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        if self.steps != ("detach", "cpu"):
            raise TypeError("convert to a CPU tensor first")
        if self.values is None:
            raise TypeError("Got unsupported ScalarType BFloat16")
        return self.values


class Capsule:
    """An array that can be read by DLPack only."""

    def __init__(self, values: Waveform) -> None:
        self.values = values

    def __dlpack__(self, **_: Any) -> Any:
        return self.values.__dlpack__()

    def __dlpack_device__(self) -> Any:
        return self.values.__dlpack_device__()


def vocals(toy: Separator, source: Any) -> Waveform:
    return toy.separate(source).stems["vocals"]


@pytest.mark.parametrize(
    "convert",
    [Tensor, Capsule, np.transpose, lambda array: array.astype(np.float64), np.asfortranarray],
    ids=["torch", "dlpack", "[n, 2]", "float64", "column-major"],
)
def test_row_16_arrays_of_other_libraries_are_separated(
    convert: Callable[[Waveform], Any], toy: Separator, mixture: Waveform
) -> None:
    np.testing.assert_array_equal(vocals(toy, convert(mixture)), vocals(toy, mixture))


@pytest.mark.torch
def test_row_16_tensor_of_torch_is_separated(toy: Separator, mixture: Waveform) -> None:
    import torch

    tensor = torch.from_numpy(mixture).requires_grad_()
    np.testing.assert_array_equal(vocals(toy, tensor), vocals(toy, mixture))


@pytest.mark.parametrize(("dtype", "scale"), [(np.int16, 2**15), (np.int32, 2**31), (">i2", 2**15)])
def test_row_16_integers_are_fractions_of_full_scale(
    dtype: Any, scale: int, toy: Separator, mixture: Waveform
) -> None:
    integers = (mixture.astype(np.float64) * (scale - 1)).astype(dtype)
    floats = (integers.astype(np.float64) / scale).astype(np.float32)
    np.testing.assert_allclose(vocals(toy, integers), vocals(toy, floats), atol=1e-7)


def test_row_16_mono_columns_are_separated(toy: Separator, mixture: Waveform) -> None:
    np.testing.assert_array_equal(vocals(toy, mixture[:1].T), vocals(toy, mixture[0]))


@pytest.mark.parametrize(
    "read",
    [
        lambda path: path.open("rb"),
        lambda path: io.BytesIO(path.read_bytes()),
        Path.read_bytes,
        lambda path: bytearray(path.read_bytes()),
        lambda path: memoryview(path.read_bytes()),
    ],
    ids=["file", "BytesIO", "bytes", "bytearray", "memoryview"],
)
def test_row_16_file_objects_and_bytes_are_separated(
    read: Callable[[Path], Any], toy: Separator, song: Path, tmp_path: Path
) -> None:
    source = read(song)
    np.testing.assert_array_equal(vocals(toy, source), vocals(toy, song))
    if hasattr(source, "seek"):
        source.seek(0)
    files = toy.separate_to(source, tmp_path / "out", filename="{track}/{stem}.{ext}").files
    track = "Ein Lied" if isinstance(getattr(source, "name", None), str) else "song"
    assert [file.path for file in files] == [tmp_path / "out" / track / f"{stem}.wav" for stem in toy.stems]
    if hasattr(source, "close"):
        assert not source.closed
        source.close()


@pytest.mark.parametrize(
    ("source", "remedy"),
    [
        (np.zeros((1, 2, 100), np.float32), "pass array[0]"),
        (np.zeros((6, 100), np.float32), "mix other channels down first"),
        (np.zeros((2, 0), np.float32), "give [samples], [1, samples] or [2, samples]"),
        (np.zeros((2, 100), np.int64), "give floats, full scale being ±1, or int16 or int32"),
        (np.zeros((2, 100), np.complex64), "give floats"),
        (np.zeros((2, 100), bool), "give floats"),
        ([0.0, 0.1], "give a path, a binary file object, bytes, or an array"),
        (None, "give a path"),
        (Tensor(None), "convert it to float32 first"),
        (io.StringIO("text"), "open it in binary mode"),
        (io.BytesIO(), "is empty (0 bytes)"),
        (b"", "is empty (0 bytes)"),
        (b"only text", "song is not audio that can be read: choose a wav"),
    ],
    ids=str,
)
def test_row_16_other_sources_are_rejected_with_remedy(source: Any, remedy: str, toy: Separator) -> None:
    with pytest.raises(AudioError) as caught:
        toy.separate(source)
    assert remedy in str(caught.value) and str(caught.value).endswith(".")


def test_row_16_samples_out_of_range_are_counted(toy: Separator, mixture: Waveform) -> None:
    doubles = mixture.astype(np.float64)
    doubles[0, 5] = 1e300
    result = toy.separate(doubles)
    assert result.warnings == (
        "1 samples were not numbers (NaN or infinite) or out of range; they are set to zero.",
    )
    assert all(np.isfinite(stem).all() for stem in result.stems.values())
