"""Reads pickles as data, without running code that they name.

Python's unpickler calls any function that a pickle names. This one interprets the instructions that checkpoints use,
on plain values only: a class or function is only a name (`Global`), and a call is either interpreted by the caller or
returns an inert `Opaque`. Keys are plain values and the memo is a dictionary, so a malicious file can neither hash
nested keys in exponential time nor reserve memory that it does not fill. The standard library's `pickletools` decodes
the instructions; its source specifies each of them.
"""

import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import IO, Any

Reading = Callable[..., object]


class UnreadablePickle(Exception):
    """The pickle is damaged or has content that no checkpoint needs."""


@dataclass(frozen=True)
class Global:
    """The name of a class or function."""

    name: str


class Opaque:
    """A placeholder of an unneeded object; ignores its state."""

    __slots__ = ()


class Buildable(Opaque):
    """An object that a pickle sets the state of."""

    __slots__ = ()

    def build(self, state: object) -> None:
        raise NotImplementedError


# a network with 53 stems and 14,000 parameters has half a million
MAX_INSTRUCTIONS = 3 << 18

_MARK = object()
_PUSHED = frozenset(
    (
        *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
        *("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
        *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    )
)
_CONSTANTS: dict[str, Callable[[], object]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_DICT": dict,
}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


def read_pickle(
    stream: IO[bytes], readings: Mapping[str, Reading], persistent: Callable[[object], object] | None = None
) -> object:
    """Read the pickle at the position of a stream.

    Args:
        stream: the pickle.
        readings: functions by ``module.name`` that are called instead of these, with the plain arguments.
        persistent: returns the object of a persistent identifier.

    Raises:
        UnreadablePickle: the pickle is damaged or has content that no checkpoint needs.
    """
    machine = _Machine(readings, persistent)
    try:
        for count, (instruction, argument, _) in enumerate(pickletools.genops(stream)):
            if instruction.name == "STOP":
                return machine.pop()
            if count == MAX_INSTRUCTIONS:
                raise UnreadablePickle(f"has more than {MAX_INSTRUCTIONS} instructions")
            machine.step(instruction.name, argument)
    except UnreadablePickle:
        raise
    except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, MemoryError) as error:
        raise UnreadablePickle("is damaged") from error
    raise UnreadablePickle("ends too early")


class _Machine:
    """The pickle machine's stack and memo."""

    def __init__(
        self, readings: Mapping[str, Reading], persistent: Callable[[object], object] | None
    ) -> None:
        self.readings = readings
        self.persistent = persistent
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def pop(self) -> Any:
        value = self.stack.pop()
        if value is _MARK:
            raise UnreadablePickle("uses a mark as a value")
        return value

    def pop_to_mark(self) -> list[Any]:
        for position in range(len(self.stack) - 1, -1, -1):
            if self.stack[position] is _MARK:
                values = self.stack[position + 1 :]
                del self.stack[position:]
                return values
        raise UnreadablePickle("lacks a mark")

    def step(self, name: str, argument: Any) -> None:
        if name in _PUSHED:
            self.stack.append(argument)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name]())
        elif name in _TUPLES:
            values = [self.pop() for _ in range(_TUPLES[name])]
            self.stack.append(tuple(reversed(values)))
        else:
            handler = getattr(self, f"op_{name.lower()}", None)
            if handler is None:
                raise UnreadablePickle(f"uses the instruction {name}, which no checkpoint needs")
            handler(argument)

    def op_proto(self, _: Any) -> None:
        pass

    op_frame = op_proto

    def op_mark(self, _: Any) -> None:
        self.stack.append(_MARK)

    def op_pop(self, _: Any) -> None:
        self.stack.pop()

    def op_tuple(self, _: Any) -> None:
        self.stack.append(tuple(self.pop_to_mark()))

    def op_list(self, _: Any) -> None:
        self.stack.append(self.pop_to_mark())

    def op_dict(self, _: Any) -> None:
        values = self.pop_to_mark()
        self.stack.append({})
        _set_items(self.stack[-1], values)

    def op_append(self, _: Any) -> None:
        value = self.pop()
        _extend(self.stack[-1], [value])

    def op_appends(self, _: Any) -> None:
        values = self.pop_to_mark()
        _extend(self.stack[-1], values)

    def op_setitem(self, _: Any) -> None:
        value, key = self.pop(), self.pop()
        _set_items(self.stack[-1], [key, value])

    def op_setitems(self, _: Any) -> None:
        values = self.pop_to_mark()
        _set_items(self.stack[-1], values)

    def op_put(self, index: int) -> None:
        self.memo[index] = self.stack[-1]

    op_binput = op_long_binput = op_put

    def op_memoize(self, _: Any) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def op_get(self, index: int) -> None:
        self.stack.append(self.memo[index])

    op_binget = op_long_binget = op_get

    def op_global(self, argument: str) -> None:
        self.stack.append(Global(argument.replace(" ", ".")))

    def op_stack_global(self, _: Any) -> None:
        name, module = self.pop(), self.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise UnreadablePickle("names a class by something other than text")
        self.stack.append(Global(f"{module}.{name}"))

    def op_reduce(self, _: Any) -> None:
        arguments, called = self.pop(), self.pop()
        if not isinstance(arguments, tuple):
            raise UnreadablePickle("calls with something other than a tuple")
        reading = self.readings.get(called.name) if isinstance(called, Global) else None
        self.stack.append(Opaque() if reading is None else reading(*arguments))

    op_newobj = op_reduce

    def op_build(self, _: Any) -> None:
        state, target = self.pop(), self.stack[-1]
        if isinstance(target, Buildable):
            target.build(state)

    def op_binpersid(self, _: Any) -> None:
        if self.persistent is None:
            raise UnreadablePickle("refers to something outside itself")
        self.stack.append(self.persistent(self.pop()))


def _extend(target: Any, values: list[Any]) -> None:
    if isinstance(target, list):
        target.extend(values)
    elif not isinstance(target, Opaque):
        raise UnreadablePickle("appends to something other than a list")


def _set_items(target: Any, flat: list[Any]) -> None:
    if isinstance(target, Opaque):
        return
    if not isinstance(target, dict) or len(flat) % 2:
        raise UnreadablePickle("sets items of something other than a dictionary")
    for key, value in zip(flat[::2], flat[1::2], strict=True):
        if not (key is None or isinstance(key, str | int | float | bytes)):
            raise UnreadablePickle("has a dictionary key that is not a plain value")
        target[key] = value
