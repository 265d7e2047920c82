import json
import struct
import zipfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stemsplitter.checkpoints import readers
from stemsplitter.checkpoints.readers import (
    Checkpoint,
    read_checkpoint,
    read_numpy_pickle,
    read_safetensors,
    read_torch_checkpoint,
)
from stemsplitter.errors import ModelError

# An assembler for pickles: each function returns the instructions that push one value.


def name(module: str, attribute: str) -> bytes:
    return f"c{module}\n{attribute}\n".encode()


def put(value: object) -> bytes:
    match value:
        case bytes():
            return value
        case None:
            return b"N"
        case bool():
            return b"\x88" if value else b"\x89"
        case int():
            raw = value.to_bytes(16, "little", signed=True)
            return b"\x8a\x10" + raw
        case float():
            return b"G" + struct.pack(">d", value)
        case str():
            return b"X" + struct.pack("<I", len(value.encode())) + value.encode()
        case tuple():
            return b"(" + b"".join(map(put, value)) + b"t"
        case list():
            return b"](" + b"".join(map(put, value)) + b"e"
        case dict():
            return b"}(" + b"".join(put(key) + put(item) for key, item in value.items()) + b"u"
    raise TypeError(value)


def call(function: bytes, *arguments: object) -> bytes:
    return function + put(arguments) + b"R"


def storage(key: object = "0", count: object = 6, kind: str = "FloatStorage") -> bytes:
    return put(("storage", name("torch", kind), key, "cpu", count)) + b"Q"


def tensor(store: bytes, offset: object, shape: object, strides: object) -> bytes:
    hooks = call(name("collections", "OrderedDict"))
    return call(name("torch._utils", "_rebuild_tensor_v2"), store, offset, shape, strides, False, hooks)


def package(state: object, **more: object) -> dict[str, object]:
    return {
        "klass": name("demucs.htdemucs", "HTDemucs"),
        "args": (),
        "kwargs": {"sources": ["drums", "bass"], "segment": call(name("fractions", "Fraction"), "39/5")},
        "state": state,
        "training_args": call(name("omegaconf.dictconfig", "DictConfig"))
        + put({"lr": 3e-4, "x": [None]})
        + b"b",
        **more,
    }


def write(path: Path, value: object, storages: dict[str, bytes] | None = None, **members: bytes) -> Path:
    compression = zipfile.ZIP_DEFLATED if members.pop("compressed", b"") else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02" + put(value) + b".")
        for member, data in members.items():
            archive.writestr(f"archive/{member}", data)
        for key, data in (storages or {}).items():
            archive.writestr(f"archive/data/{key}", data)
    return path


SIX = np.arange(6, dtype="<f4").tobytes()
GRID = tensor(storage(), 0, (2, 3), (3, 1))


def test_a_demucs_package_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "x.th", package({"a": GRID, "b.c": tensor(storage(), 5, (), ())}), {"0": SIX})
    checkpoint = read_torch_checkpoint(path)
    assert checkpoint.class_name == "demucs.htdemucs.HTDemucs"
    assert checkpoint.args == ()
    assert checkpoint.kwargs == {"sources": ["drums", "bass"], "segment": Fraction(39, 5)}
    assert list(checkpoint.state) == ["a", "b.c"]
    assert np.array_equal(checkpoint.state["a"], [[0, 1, 2], [3, 4, 5]])
    assert checkpoint.state["a"].dtype == np.float32 and checkpoint.state["a"].flags.c_contiguous
    assert checkpoint.state["b.c"].shape == () and checkpoint.state["b.c"] == 5
    assert read_checkpoint(path).state.keys() == checkpoint.state.keys()


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("Half", "f2"),
        ("Float", "f4"),
        ("Double", "f8"),
        ("Long", "i8"),
        ("Int", "i4"),
        ("Byte", "u1"),
        ("Bool", "?"),
    ],
)
def test_types_and_byte_orders_are_converted(tmp_path: Path, kind: str, code: str, order: str) -> None:
    values = np.array([0, 1, 1, 0, 1, 0] if code == "?" else [0, 1, 2, 77, 4, 5])
    data = values.astype(f"{order}{code}").tobytes()
    state = {"a": tensor(storage(kind=f"{kind}Storage"), 0, (6,), (1,))}
    byteorder = {"<": b"little", ">": b"big"}[order]
    path = write(tmp_path / "x.th", package(state), {"0": data}, byteorder=byteorder)
    assert np.array_equal(read_torch_checkpoint(path).state["a"], values)


def test_bfloat16_is_the_upper_half_of_a_float(tmp_path: Path) -> None:
    values = np.array([1.0, -2.5, 3.140625, 0, np.inf, 1e30], np.float32)
    upper = (values.view(np.uint32) >> 16).astype("<u2")
    state = {"a": tensor(storage(kind="BFloat16Storage"), 0, (6,), (1,))}
    path = write(tmp_path / "x.th", package(state), {"0": upper.tobytes()})
    assert np.allclose(read_torch_checkpoint(path).state["a"], values, rtol=2**-7)


@given(st.data())
@settings(max_examples=50, deadline=None)
def test_views_equal_those_of_numpy(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    shape = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    whole = np.arange(np.prod(shape), dtype="<f4").reshape(shape)
    view = whole.transpose(data.draw(st.permutations(range(len(shape)))))
    view = view[
        tuple(slice(data.draw(st.integers(0, n)), None, data.draw(st.integers(1, 3))) for n in view.shape)
    ]
    offset = (
        (view.__array_interface__["data"][0] - whole.__array_interface__["data"][0]) // 4 if view.size else 0
    )
    made = tensor(
        storage(count=whole.size), offset, view.shape, tuple(stride // 4 for stride in view.strides)
    )
    path = tmp_path_factory.mktemp("view") / "x.th"
    write(path, package({"a": made}), {"0": whole.tobytes()})
    assert np.array_equal(read_torch_checkpoint(path).state["a"], view)


@pytest.mark.parametrize(
    "state",
    [
        {"a": tensor(storage(), 0, (7,), (1,))},
        {"a": tensor(storage(), 1, (2, 3), (3, 1))},
        {"a": tensor(storage(), 0, (2, 3), (4, 1))},
        {"a": tensor(storage(), -1, (2,), (1,))},
        {"a": tensor(storage(), 0, (2,), (-1,))},
        {"a": tensor(storage(), 0, (-2,), (1,))},
        {"a": tensor(storage(), 0, (1 << 100,), (0,))},
        {"a": tensor(storage(), 0, (1 << 20, 1 << 20), (0, 0))},
        {"a": tensor(storage(), 0, (2,), (1, 1))},
        {"a": tensor(storage(), 0, (1,) * 17, (1,) * 17)},
        {"a": tensor(storage(), 0, [2], [1])},
        {"a": tensor(storage(), "0", (2,), (1,))},
        {"a": tensor(storage(count=7), 0, (2,), (1,))},
        {"a": tensor(storage(count=1 << 62), 0, (1 << 30,), (1,))},
        {"a": tensor(storage(count=True), 0, (1,), (1,))},
        {"a": tensor(storage(kind="NoStorage"), 0, (2,), (1,))},
        {"a": tensor(storage(key="../data.pkl"), 0, (2,), (1,))},
        {"a": tensor(storage(key="1"), 0, (2,), (1,))},
        {"a": tensor(storage(key=0), 0, (2,), (1,))},
        {"a": tensor(put("storage") + b"Q", 0, (2,), (1,))},
        {"a": tensor(put(3), 0, (2,), (1,))},
        {"a": call(name("torch._utils", "_rebuild_tensor_v2"))},
        {"a": call(name("os", "system"), "exit")},
        {"a": 3},
        {3: GRID},
        [GRID],
    ],
)
def test_inconsistent_tensors_are_rejected(tmp_path: Path, state: object) -> None:
    path = write(tmp_path / "x.th", package(state), {"0": SIX})
    with pytest.raises(ModelError, match=r"^The checkpoint .*x\.th .*: download it again\.$"):
        read_torch_checkpoint(path)


@pytest.mark.parametrize(
    "more",
    [
        {"klass": "HTDemucs"},
        {"klass": None},
        {"args": None},
        {"args": (call(name("os", "system"), "exit"),)},
        {"kwargs": {"sources": name("os", "system")}},
        {"kwargs": {"segment": call(name("fractions", "Fraction"), "1e999999999")}},
        {"kwargs": {"segment": call(name("fractions", "Fraction"), 1, 0)}},
        {"kwargs": {"many": [0] * 10_001}},
        {"kwargs": {"doubled": put(0) + b"q\x00" + 100 * b"0h\x00h\x00\x86q\x00"}},
        {"kwargs": {"itself": b"]q\x00h\x00a"}},
    ],
)
@pytest.mark.timeout(60)
def test_invalid_packages_are_rejected(tmp_path: Path, more: dict[str, object]) -> None:
    path = write(tmp_path / "x.th", package({"a": GRID}, **more), {"0": SIX})
    with pytest.raises(ModelError, match="download it again"):
        read_torch_checkpoint(path)


@pytest.mark.timeout(60)
def test_a_storage_with_many_names_is_rejected(tmp_path: Path) -> None:
    count = 1 << 16
    big = tensor(storage(count=count), 0, (count,), (1,))
    state = {"first": big + b"q\x05"} | {f"{n}": b"h\x05" for n in range((1 << 29) // count)}
    path = write(tmp_path / "x.th", package(state), {"0": bytes(4 * count)})
    with pytest.raises(ModelError, match="more than 536870912 values"):
        read_torch_checkpoint(path)


def test_compressed_members_are_rejected(tmp_path: Path) -> None:
    path = write(tmp_path / "x.th", package({"a": GRID}), {"0": SIX}, compressed=b"yes")
    with pytest.raises(ModelError, match="compressed"):
        read_torch_checkpoint(path)


def test_truncated_and_corrupted_files_are_read_or_rejected(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole.th", package({"a": GRID}), {"0": SIX}).read_bytes()
    path = tmp_path / "x.th"
    for cut in range(0, len(whole) - 1, 7):
        path.write_bytes(whole[:cut])
        with pytest.raises(ModelError):
            read_checkpoint(path)
    for position in range(0, len(whole), 3):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x41]) + whole[position + 1 :])
        try:
            assert isinstance(read_checkpoint(path), Checkpoint)
        except ModelError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize(
    "data", [b"", b"PK\x03\x04", b"hello, this is text", b"\x80\x02}q\x00.", b"PK\x05\x06" + bytes(18)]
)
def test_other_files_are_rejected(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.th"
    path.write_bytes(data)
    for read in (read_checkpoint, read_torch_checkpoint, read_numpy_pickle, read_safetensors):
        with pytest.raises(ModelError, match=r"x\.th"):
            read(path)


def test_a_missing_file_and_a_folder_are_rejected(tmp_path: Path) -> None:
    for path in (tmp_path / "none.th", tmp_path):
        with pytest.raises(ModelError, match="There is no checkpoint"):
            read_checkpoint(path)


def numpy_array(
    array: np.ndarray, fortran: bool = False, data: object = None, module: str = "numpy.core"
) -> bytes:
    made = call(name(f"{module}.multiarray", "_reconstruct"), name("numpy", "ndarray"), (0,), put("b"))
    code = array.dtype.str[1:]
    dtype = call(name("numpy", "dtype"), code, False, True)
    dtype += put((3, array.dtype.str[0], None, None, None, -1, -1, 0)) + b"b"
    text = array.tobytes("F" if fortran else "C").decode("latin-1")
    raw = call(name("_codecs", "encode"), text, "latin1") if data is None else put(data)
    return made + put((1, array.shape, dtype, fortran, raw)) + b"b"


@pytest.mark.parametrize("module", ["numpy.core", "numpy._core"])
@pytest.mark.parametrize("fortran", [False, True])
@pytest.mark.parametrize("code", ["<f4", ">f4", "<f8", "<f2", "|i1", "<i8"])
def test_numpy_arrays_are_read(tmp_path: Path, code: str, fortran: bool, module: str) -> None:
    array = np.arange(24).reshape(2, 3, 4).astype(code)
    path = write(tmp_path / "x.ckpt", {"w": numpy_array(array, fortran, module=module)})
    read = read_numpy_pickle(path)["w"]
    assert np.array_equal(read, array) and read.dtype == np.float32 and read.flags.c_contiguous


def test_pickle_that_contains_large_arrays_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That of Spleeter has 59 MB, with all its weights."""
    monkeypatch.setattr(readers, "MAX_PICKLE_BYTES", 1000)
    array = np.arange(10_000, dtype="<f4")
    assert np.array_equal(
        read_numpy_pickle(write(tmp_path / "x.ckpt", {"w": numpy_array(array)}))["w"], array
    )


@pytest.mark.parametrize(
    "value",
    [
        [1],
        {"w": 1},
        {"w": numpy_array(np.zeros(3, "<f4"), data=call(name("_codecs", "encode"), "short", "latin1"))},
        {"w": numpy_array(np.zeros(3, "<f4"), data="text")},
        {"w": call(name("numpy", "dtype"), "O8", False, True)},
        {"w": call(name("numpy.core.multiarray", "scalar"), 1)},
        {"w": call(name("numpy", "load"), "/etc/passwd")},
        {"w": call(name("_codecs", "encode"), "x", "rot13")},
        {
            "w": call(name("numpy.core.multiarray", "_reconstruct"), 1, 2, 3)
            + put((1, (1 << 50,), 2, 3, 4))
            + b"b"
        },
    ],
)
def test_invalid_numpy_pickles_are_rejected(tmp_path: Path, value: object) -> None:
    with pytest.raises(ModelError, match="download it again"):
        read_numpy_pickle(write(tmp_path / "x.ckpt", value))


def safetensors(path: Path, header: object, data: bytes = SIX) -> Path:
    raw = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(raw)) + raw + data)
    return path


def entry(
    dtype: str = "F32", shape: tuple[int, ...] = (2, 3), offsets: tuple[int, int] = (0, 24)
) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def test_safetensors_with_the_metadata_of_demucs_are_read(tmp_path: Path) -> None:
    metadata = {
        "klass": "demucs.htdemucs.HTDemucs",
        "args": "[]",
        "kwargs": '{"sources": ["a"], "segment": {"_type": "fraction", "numerator": 39, "denominator": 5}}',
    }
    path = safetensors(tmp_path / "x.safetensors", {"__metadata__": metadata, "w": entry()})
    checkpoint = read_checkpoint(path)
    assert checkpoint.class_name == "demucs.htdemucs.HTDemucs"
    assert checkpoint.kwargs == {"sources": ["a"], "segment": Fraction(39, 5)}
    assert np.array_equal(checkpoint.state["w"], np.arange(6).reshape(2, 3))
    assert read_safetensors(safetensors(tmp_path / "y.safetensors", {"w": entry()})).class_name == ""


def test_safetensors_in_half_precision_are_converted(tmp_path: Path) -> None:
    half = np.arange(6, dtype="<f2").tobytes()
    path = safetensors(tmp_path / "x.safetensors", {"w": entry("F16", offsets=(0, 12))}, half)
    assert np.array_equal(read_safetensors(path).state["w"], np.arange(6).reshape(2, 3))


@pytest.mark.parametrize(
    "header",
    [
        {"w": entry(offsets=(0, 28))},
        {"w": entry(offsets=(-4, 20))},
        {"w": entry(offsets=(24, 0))},
        {"w": entry(shape=(2, 4))},
        {"w": entry(shape=(-1, -1))},
        {"w": entry(dtype="F4")},
        {"w": entry(), "v": entry()},
        {"w": {}},
        {"w": 3},
        {"__metadata__": {"kwargs": "{"}},
        {"__metadata__": {"kwargs": '{"segment": {"_type": "fraction", "numerator": 1, "denominator": 0}}'}},
        {"__metadata__": 3},
        [],
    ],
)
def test_invalid_safetensors_are_rejected(tmp_path: Path, header: object) -> None:
    with pytest.raises(ModelError, match="download it again"):
        read_safetensors(safetensors(tmp_path / "x.safetensors", header))


def test_a_huge_safetensors_header_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(struct.pack("<Q", 1 << 62) + b"{}")
    with pytest.raises(ModelError, match="header"):
        read_safetensors(path)
