"""Parameters that are read one by one equal those that are read at once, and bad files are rejected."""

import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from stemsplitter.checkpoints.readers import read_torch_checkpoint
from stemsplitter.checkpoints.states import open_state
from stemsplitter.errors import ModelError
from tests.checkpoints.test_readers import (
    GRID,
    SIX,
    call,
    entry,
    name,
    package,
    put,
    safetensors,
    storage,
    tensor,
    write,
)


@pytest.mark.parametrize("wrapper", [None, "state", "state_dict", "model_state_dict"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_parameters_are_found(tmp_path: Path, wrapper: str | None, prefix: str) -> None:
    state = {f"{prefix}a": GRID, f"{prefix}b.c": tensor(storage(), 5, (), ())}
    value = state if wrapper is None else {"epoch": 3, wrapper: state}
    found = open_state(write(tmp_path / "x.ckpt", value, {"0": SIX}))
    assert found.shapes == {"a": (2, 3), "b.c": ()}
    assert np.array_equal(found["a"], [[0, 1, 2], [3, 4, 5]]) and found["a"].dtype == np.float32
    assert found["b.c"] == 5


@pytest.mark.parametrize(
    ("offset", "shape", "strides"),
    [(0, (3, 2), (1, 3)), (1, (2, 2), (2, 1)), (4, (0, 3), (3, 1)), (2, (2,), (2,))],
)
@pytest.mark.parametrize("order", [b"little", b"big"])
def test_views_equal_those_of_the_whole_file(
    tmp_path: Path, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], order: bytes
) -> None:
    state = {"a": tensor(storage(kind="HalfStorage"), offset, shape, strides)}
    data = np.arange(6).astype("<f2" if order == b"little" else ">f2").tobytes()
    path = write(tmp_path / "x.ckpt", package(state), {"0": data}, byteorder=order)
    np.testing.assert_array_equal(open_state(path)["a"], read_torch_checkpoint(path).state["a"])


@pytest.mark.parametrize(
    "value",
    [
        {},
        [1],
        {"a": 1},
        {"a": GRID, 3: GRID},
        {"a": tensor(storage(count=7), 0, (7,), (1,))},
        {"a": tensor(storage(key="1"), 0, (6,), (1,))},
        {"a": tensor(storage(), 0, (6,), (1,)), "b": call(name("os", "system"), "touch /tmp/x")},
    ],
)
def test_files_without_parameters_are_rejected(tmp_path: Path, value: object) -> None:
    path = write(tmp_path / "x.ckpt", value, {"0": SIX})
    with pytest.raises(ModelError, match=r"x\.ckpt"):
        open_state(path)


def test_damaged_files_are_rejected(tmp_path: Path) -> None:
    whole = write(tmp_path / "x.ckpt", {"a": GRID}, {"0": SIX}).read_bytes()
    for length in range(0, len(whole), 7):
        (tmp_path / "cut.ckpt").write_bytes(whole[:length])
        with pytest.raises(ModelError):
            open_state(tmp_path / "cut.ckpt")["a"]


def test_a_file_that_shrinks_is_rejected(tmp_path: Path) -> None:
    state = open_state(write(tmp_path / "x.ckpt", {"a": GRID}, {"0": SIX}))
    (tmp_path / "x.ckpt").write_bytes(b"PK")
    with pytest.raises(ModelError, match="ends too early"):
        state["a"]


def test_a_compressed_member_is_rejected(tmp_path: Path) -> None:
    path = write(tmp_path / "x.ckpt", {"a": GRID}, {"0": bytes(24)}, compressed=b"yes")
    with pytest.raises(ModelError, match="compressed"):
        open_state(path)


def test_a_huge_description_is_rejected_unread(tmp_path: Path) -> None:
    path = tmp_path / "x.ckpt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02" + b"N0" * (9 << 20) + b".")
    with pytest.raises(ModelError, match="more than 16777216 bytes"):
        open_state(path)


def test_many_instructions_are_rejected(tmp_path: Path) -> None:
    path = tmp_path / "x.ckpt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02" + b"N0" * (2 << 20) + put({}) + b".")
    with pytest.raises(ModelError, match="instructions"):
        open_state(path)


@pytest.mark.parametrize(
    "header",
    [
        {"a": entry(shape=(2, 3), offsets=(0, 20))},
        {"a": entry(shape=(2, 3), offsets=(4, 28))},
        {"a": entry(shape=(-2, -3))},
        {"a": entry(shape=(1 << 40,))},
        {"a": {"dtype": "F32"}},
        {"a": 3},
    ],
)
def test_invalid_safetensors_are_rejected(tmp_path: Path, header: object) -> None:
    with pytest.raises(ModelError):
        open_state(safetensors(tmp_path / "x.safetensors", header))


def test_a_safetensors_scalar_and_matrix_are_read(tmp_path: Path) -> None:
    header = {"a": entry(shape=(2, 2), offsets=(8, 24)), "b": entry(shape=(), offsets=(0, 4))}
    state = open_state(safetensors(tmp_path / "x.safetensors", header))
    assert np.array_equal(state["a"], [[2, 3], [4, 5]]) and state["b"] == 0


def test_other_files_are_rejected(tmp_path: Path) -> None:
    for data in (b"", b"PK\x03\x04", b"text" * 20, struct.pack("<Q", 1 << 40) + b"{}"):
        (tmp_path / "x").write_bytes(data)
        with pytest.raises(ModelError):
            open_state(tmp_path / "x")
