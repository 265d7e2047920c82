import contextlib
import io
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemsplitter.checkpoints.pickles import Global, Opaque, UnreadablePickle, read_pickle

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text() | st.integers(), inner, max_size=4)
    ),
    max_leaves=20,
)


def read(data: bytes, **readings) -> object:
    return read_pickle(io.BytesIO(data), readings)


@given(PLAIN, st.sampled_from([3, 4, 5]))
def test_plain_values_are_read(value: object, protocol: int) -> None:
    assert read(pickle.dumps(value, protocol=protocol)) == value


@given(st.binary(max_size=200))
def test_random_bytes_are_a_value_or_unreadable(data: bytes) -> None:
    with contextlib.suppress(UnreadablePickle):
        read(data)


@given(
    st.lists(
        st.sampled_from(
            [bytes([op]) for op in b"(.02N)]}lbtaesuRQ\x81\x85\x86\x87\x88\x89\x90\x93\x94q\x00h\x00"]
        )
    )
)
def test_random_instructions_are_a_value_or_unreadable(instructions: list[bytes]) -> None:
    with contextlib.suppress(UnreadablePickle):
        read(b"cbuiltins\neval\nq\x00" + b"".join(instructions) + b".")


class Touches:
    """Pickles as a call that creates a file when Python's unpickler reads it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("protocol", range(6))
def test_calls_are_not_executed(tmp_path: Path, protocol: int) -> None:
    canary = tmp_path / "canary"
    data = pickle.dumps({"x": Touches(canary)}, protocol=protocol)
    value = read(data)
    assert isinstance(value, dict) and isinstance(value["x"], Opaque)
    assert not canary.exists()
    pickle.loads(data)
    assert canary.exists(), "the pickle would have run, so the test can fail"


@pytest.mark.parametrize(
    "data",
    [
        b"cos\nsystem\n(X\x04\x00\x00\x00exittR.",
        b"cbuiltins\neval\n(X\x01\x00\x00\x001tR.",
        b"cbuiltins\ngetattr\n(cos\npath\nX\x06\x00\x00\x00systemtR(X\x04\x00\x00\x00exittR.",
        b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00exit\x85\x81.",
        b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04exit\x85R.",
        b"cos\nsystem\n(tR}X\x04\x00\x00\x00exitK\x01sb(X\x04\x00\x00\x00exittR(K\x01K\x02e(K\x01K\x02u.",
    ],
)
def test_calls_return_an_inert_object(data: bytes) -> None:
    assert type(read(data)) is Opaque


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"(X\x04\x00\x00\x00exitios\nsystem\n.", "INST"),
        (b"(cos\nsystem\nX\x04\x00\x00\x00exito.", "OBJ"),
        (b"\x82\x01.", "EXT1"),
        (b"P0\n.", "PERSID"),
        (b"K\x01Q.", "outside itself"),
        (b"K\x01K\x02R.", "something other than a tuple"),
        (b"]K\x01K\x02s.", "something other than a dictionary"),
        (b"}K\x01a.", "something other than a list"),
        (b"}K\x01\x85K\x02s.", "not a plain value"),
        (b"(.", "mark"),
        (b"t.", "lacks a mark"),
        (b"K\x01", "damaged"),
        (b"", "damaged"),
        (b"X\xff\xff\xff\x7fabc.", "damaged"),
        (b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7fabc.", "damaged"),
        (b"h\x05.", "damaged"),
    ],
)
def test_unneeded_content_is_rejected(data: bytes, why: str) -> None:
    with pytest.raises(UnreadablePickle, match=why):
        read(data)


def test_state_of_a_name_is_ignored() -> None:
    before = dict(vars(pickle.Unpickler))
    value = read(b"\x80\x02cpickle\nUnpickler\n}X\x04\x00\x00\x00loadK\x01sb.")
    assert value == Global("pickle.Unpickler")
    assert dict(vars(pickle.Unpickler)) == before


@pytest.mark.timeout(60)
def test_bombs_are_rejected() -> None:
    assert read(b"K\x01r\xff\xff\xff\x7f.") == 1, "a memo index of two thousand million reserves nothing"
    doubling = b"K\x01q\x000" + 200 * b"h\x00h\x00\x86q\x000"
    with pytest.raises(UnreadablePickle, match="not a plain value"):
        read(b"}" + doubling + b"h\x00K\x01s.")


def test_readings_receive_the_arguments() -> None:
    data = b"\x80\x02cthe\nthing\n(K\x02K\x03tR."
    assert read(data, **{"the.thing": lambda a, b: a * b}) == 6
    with pytest.raises(UnreadablePickle, match="damaged"):
        read(data, **{"the.thing": lambda a: a})
