"""The tensors of a file of ``torch.save``: views of storages, each of which is a member of the zip.

As in ``torch/serialization.py`` and ``torch/_utils.py`` of PyTorch 2, a tensor is a storage, an offset, a shape and
strides, all counted in values.
"""

import math
import re
import zipfile
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stemsplitter.checkpoints.pickles import Global, Opaque, UnreadablePickle

_STORAGE_TYPES = {
    "torch.HalfStorage": "f2", "torch.FloatStorage": "f4", "torch.DoubleStorage": "f8",
    "torch.BFloat16Storage": "bfloat16", "torch.CharStorage": "i1", "torch.ByteStorage": "u1",
    "torch.ShortStorage": "i2", "torch.IntStorage": "i4", "torch.LongStorage": "i8", "torch.BoolStorage": "?",
}  # fmt: skip
_KEY = re.compile(r"\d{1,9}")
_MAX_DIMENSIONS = 16


@dataclass(frozen=True)
class Storage:
    """``count`` consecutive values of the type ``code``, a NumPy type code or ``bfloat16``."""

    key: str
    code: str
    count: int


@dataclass(frozen=True)
class TensorView(Opaque):
    """A tensor as a checked view of a storage; ``offset`` and ``strides`` in values."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def size(self) -> int:
        return math.prod(self.shape)


def rebuild_tensor(storage: object, offset: object, shape: object, strides: object, *_: object) -> TensorView:
    """Read a call of ``torch._utils._rebuild_tensor_v2``; UnreadablePickle if the tensor exceeds its storage."""
    if not isinstance(storage, Storage) or not _counts((offset,)):
        raise UnreadablePickle("has a tensor without a storage")
    if not _counts(shape) or not _counts(strides):
        raise UnreadablePickle("has a tensor with a malformed shape")
    assert isinstance(offset, int) and isinstance(shape, tuple) and isinstance(strides, tuple)
    view = TensorView(storage, offset, shape, strides)
    if len(shape) != len(strides) or len(shape) > _MAX_DIMENSIONS:
        raise UnreadablePickle("has a tensor with a malformed shape")
    last = offset + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))
    if view.size and last >= storage.count:
        raise UnreadablePickle("has a tensor that reaches outside its storage")
    if view.size > storage.count:
        raise UnreadablePickle("has a tensor with more values than its storage")
    return view


def rebuild_parameter(tensor: object, *_: object) -> object:
    """Read a call of ``torch._utils._rebuild_parameter``: the tensor itself."""
    return tensor


class StorageReader:
    """Reads the storages of one archive whose whole file has ``file_size`` bytes.

    Attributes:
        order: byte order of all storages, ``<`` or ``>``.
    """

    def __init__(self, archive: zipfile.ZipFile, file_size: int) -> None:
        self._archive = archive
        self._bytes_left = file_size
        self._read: dict[str, bytes] = {}
        try:
            self.order = {b"little": "<", b"big": ">"}[read_member(archive, "byteorder")]
        except KeyError:
            self.order = "<"  # files of versions before PyTorch 2.1 have no byte order

    def reference(self, identifier: object) -> Storage:
        """Return the storage of a persistent identifier of ``torch.save``."""
        match identifier:
            case ("storage", Global(name), str(key), str(), int(count)) if _KEY.fullmatch(key) and count >= 0:
                if name in _STORAGE_TYPES:
                    return Storage(key, _STORAGE_TYPES[name], count)
        raise UnreadablePickle("refers to a storage in a form that torch does not write")

    def array(self, view: TensorView) -> npt.NDArray[np.float32]:
        """Return the values of a tensor as a contiguous float32 array of its shape."""
        values = to_float32(self._bytes(view.storage), view.storage.code, self.order)
        if len(values) != view.storage.count:
            raise UnreadablePickle("has a storage of another size than declared")
        window = np.lib.stride_tricks.as_strided(
            values[view.offset :] if view.size else values[:0],
            view.shape,
            tuple(stride * values.itemsize for stride in view.strides),
        )
        return np.array(window, order="C")

    def _bytes(self, storage: Storage) -> bytes:
        if storage.key not in self._read:
            data = read_member(self._archive, f"data/{storage.key}")
            self._bytes_left -= len(data)
            if self._bytes_left < 0:
                raise UnreadablePickle("has storages that share their bytes")
            self._read[storage.key] = data
        return self._read[storage.key]


def find_member(archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    """Find a member of the archive's only folder; KeyError if there is none.

    Members must be stored without compression, so that none is larger than the file.
    """
    folder = archive.namelist()[0].split("/", 1)[0]
    info = archive.getinfo(f"{folder}/{name}")
    if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
        raise UnreadablePickle("is compressed, which torch never does")
    return info


def read_member(archive: zipfile.ZipFile, name: str, limit: int | None = None) -> bytes:
    """Read a member of at most ``limit`` bytes; see `find_member`."""
    info = find_member(archive, name)
    if limit is not None and info.file_size > limit:
        raise UnreadablePickle(f"describes its content with more than {limit} bytes")
    data = archive.read(info)
    if len(data) != info.file_size:
        raise UnreadablePickle("ends too early")
    return data


def to_float32(data: bytes | memoryview, code: str, order: str = "<") -> npt.NDArray[np.float32]:
    """Convert raw values of a NumPy type code, or ``bfloat16`` (the upper half of a float32), to float32."""
    if code == "bfloat16":
        upper = np.frombuffer(data, f"{order}u2").astype(np.uint32)
        return (upper << np.uint32(16)).view(np.float32)
    return np.frombuffer(data, f"{order}{code}").astype(np.float32)


def _counts(values: object) -> bool:
    return isinstance(values, tuple) and all(type(value) is int and 0 <= value < 1 << 40 for value in values)
