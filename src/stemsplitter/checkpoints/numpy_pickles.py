"""Reads NumPy arrays in pickles, as written by ``ndarray.__reduce__``, without NumPy's unpickling."""

import math

import numpy as np
import numpy.typing as npt

from stemsplitter.checkpoints.pickles import Buildable, Reading, UnreadablePickle
from stemsplitter.checkpoints.tensors import to_float32

_CODES = frozenset({"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"})


class PickledDtype(Buildable):
    """A numeric type; its state is a tuple whose second item is the byte order."""

    def __init__(self, code: object) -> None:
        if code not in _CODES:
            raise UnreadablePickle(f"has an array of the type {code!r}")
        self.code = str(code)
        self.order = "<"

    def build(self, state: object) -> None:
        match state:
            case (int(), "<" | ">" | "|" as order, *_):
                self.order = "<" if order == "|" else str(order)
            case _:
                raise UnreadablePickle("has a malformed type")


class PickledArray(Buildable):
    """An array; its state is (version, shape, type, Fortran order, raw bytes)."""

    def __init__(self) -> None:
        self.shape: tuple[int, ...] = (0,)
        self.dtype = PickledDtype("f4")
        self.fortran = False
        self.data = b""

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def build(self, state: object) -> None:
        match state:
            case (int(), tuple() as shape, PickledDtype() as dtype, bool() as fortran, bytes() as data):
                if not all(type(n) is int and 0 <= n < 1 << 40 for n in shape):
                    raise UnreadablePickle("has an array with a malformed shape")
                self.shape, self.dtype, self.fortran, self.data = shape, dtype, fortran, data
            case _:
                raise UnreadablePickle("has a malformed array")

    def read(self) -> npt.NDArray[np.float32]:
        """Return the values as a contiguous float32 array."""
        values = to_float32(self.data, self.dtype.code, self.dtype.order)
        array = values.reshape(self.shape, order="F" if self.fortran else "C")
        return np.ascontiguousarray(array).reshape(self.shape)


def _read_array(*_: object) -> PickledArray:
    return PickledArray()


def _read_dtype(code: object, *_: object) -> PickledDtype:
    return PickledDtype(code)


def _read_bytes(text: object, encoding: object) -> bytes:
    """Read bytes, which protocol 2 writes as Latin-1 text and a call of ``_codecs.encode``."""
    if not isinstance(text, str) or encoding != "latin1":
        raise UnreadablePickle("has malformed bytes")
    return text.encode("latin-1")


NUMPY_READINGS: dict[str, Reading] = {
    "numpy.core.multiarray._reconstruct": _read_array,
    "numpy._core.multiarray._reconstruct": _read_array,
    "numpy.dtype": _read_dtype,
    "_codecs.encode": _read_bytes,
}
