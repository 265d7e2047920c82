"""Parameters that are read from a checkpoint one by one, when they are used.

The file of a large network is never in memory as a whole, and parameters that are not used are never read. As with
the other readers, no code of the file runs.
"""

import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stemsplitter.checkpoints.pickles import UnreadablePickle
from stemsplitter.checkpoints.readers import (
    MAX_VALUES,
    SAFETENSORS_TYPES,
    TORCH_READINGS,
    Array,
    is_torch_file,
    read_data,
    read_safetensors_header,
    reading,
)
from stemsplitter.checkpoints.tensors import StorageReader, TensorView, find_member, to_float32

_WRAPPERS = ("state", "state_dict", "model_state_dict")  # keys of the parameters in a training checkpoint
_PREFIX = "module."  # of parameters that were trained on several GPUs
_LOCAL_HEADER = struct.Struct("<4s22xHH")


@dataclass(frozen=True)
class _Place:
    """A tensor in a file: ``count`` consecutive values at byte ``begin``, and a view of them."""

    begin: int
    count: int
    code: str
    order: str
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class LazyState(Mapping[str, Array]):
    """The parameters of a network by name, as float32 arrays. An access reads the file.

    Attributes:
        shapes: shape of each parameter, known without reading it.
    """

    def __init__(self, path: Path, places: Mapping[str, _Place]) -> None:
        self._path, self._places = path, places
        self.shapes = {name: place.shape for name, place in places.items()}

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __getitem__(self, name: str) -> Array:
        """Return a parameter; KeyError if there is none, ModelError if the file is damaged."""
        place = self._places[name]
        with reading(self._path), self._path.open("rb") as file:
            file.seek(place.begin)
            size = place.count * _size_of(place.code)
            data = file.read(size)
            if len(data) != size:
                raise UnreadablePickle("ends too early")
            values = to_float32(data, place.code, place.order)
        strides = tuple(stride * values.itemsize for stride in place.strides)
        return np.array(np.lib.stride_tricks.as_strided(values, place.shape, strides), order="C")


def open_state(path: Path) -> LazyState:
    """Open the parameters of a file of ``torch.save`` (1.6 or later) or safetensors; ModelError if it is neither.

    A file of ``torch.save`` is a dictionary of tensors, or a training checkpoint that contains one.
    """
    places = _torch_places if is_torch_file(path) else _safetensors_places
    with reading(path):
        return LazyState(path, places(path))


def _torch_places(path: Path) -> dict[str, _Place]:
    with zipfile.ZipFile(path) as archive:
        storages = StorageReader(archive, path.stat().st_size)
        state: Any = read_data(archive, TORCH_READINGS, storages.reference)
        for wrapper in _WRAPPERS:
            if isinstance(state, dict) and isinstance(state.get(wrapper), dict):
                state = state[wrapper]
        if not isinstance(state, dict) or not state:
            raise UnreadablePickle("is not a dictionary of parameters")
        if not all(isinstance(name, str) and isinstance(view, TensorView) for name, view in state.items()):
            raise UnreadablePickle("has something other than arrays where its parameters should be")
        cut = len(_PREFIX) if all(name.startswith(_PREFIX) for name in state) else 0
        with path.open("rb") as file:
            begins: dict[str, int] = {}

            def begin_of(view: TensorView) -> int:
                key = view.storage.key
                if key not in begins:
                    begins[key] = _data_begin(archive, view, file.seek, file.read)
                return begins[key]

            return {
                name[cut:]: _torch_place(view, begin_of(view), storages.order) for name, view in state.items()
            }


def _data_begin(
    archive: zipfile.ZipFile, view: TensorView, seek: Callable[[int], int], read: Callable[[int], bytes]
) -> int:
    """Return the position of a storage's data in the file."""
    info = find_member(archive, f"data/{view.storage.key}")
    if info.file_size != view.storage.count * _size_of(view.storage.code):
        raise UnreadablePickle("has a storage of another size than declared")
    seek(info.header_offset)
    magic, name_length, extra_length = _LOCAL_HEADER.unpack(read(_LOCAL_HEADER.size))
    if magic != b"PK\x03\x04":
        raise UnreadablePickle("is damaged")
    return int(info.header_offset + _LOCAL_HEADER.size + name_length + extra_length)


def _torch_place(view: TensorView, begin: int, order: str) -> _Place:
    last = sum((n - 1) * stride for n, stride in zip(view.shape, view.strides, strict=True))
    count = last + 1 if view.size else 0
    code = view.storage.code
    return _Place(begin + view.offset * _size_of(code), count, code, order, view.shape, view.strides)


def _safetensors_places(path: Path) -> dict[str, _Place]:
    with path.open("rb") as file:
        header = read_safetensors_header(file)
        start = file.tell()
    header.pop("__metadata__", None)
    total = path.stat().st_size - start
    return {name: _safetensors_place(entry, start, total) for name, entry in header.items()}


def _safetensors_place(entry: Mapping[str, Any], start: int, total: int) -> _Place:
    code, shape = SAFETENSORS_TYPES[entry["dtype"]], tuple(entry["shape"])
    begin, end = entry["data_offsets"]
    if not all(type(n) is int and 0 <= n <= MAX_VALUES for n in shape):
        raise UnreadablePickle("has a tensor with a malformed shape")
    strides = np.cumprod((1, *reversed(shape[1:])))[::-1].tolist() if shape else []
    count = int(np.prod(shape, dtype=object))
    if not 0 <= begin <= end <= total or end - begin != count * _size_of(code):
        raise UnreadablePickle("has a tensor outside its data")
    return _Place(start + begin, count, code, "<", shape, tuple(strides))


def _size_of(code: str) -> int:
    return 2 if code == "bfloat16" else np.dtype(code).itemsize
