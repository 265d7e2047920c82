"""Networks with named layers in single precision: the parts compute what the whole computes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
from numpy.typing import NDArray

from benchmarks.parity import snr
from benchmarks.random_weights import write_safetensors
from stemsplitter.checkpoints.states import open_state
from stemsplitter.separation.architectures import ARCHITECTURES
from stemsplitter.separation.architectures.roformer.network import RoFormer
from stemsplitter.separation.architectures.roformer.settings import RoFormerSettings
from stemsplitter.separation.architectures.roformer.settings import read_shape as roformer_shape
from stemsplitter.separation.architectures.scnet.network import SCNet
from stemsplitter.separation.architectures.scnet.settings import SCNetSettings
from stemsplitter.separation.architectures.scnet.settings import read_shape as scnet_shape
from stemsplitter.separation.runtimes import Describe
from stemsplitter.separation.runtimes.openvino import OpenVinoRuntime
from tests.separation.architectures.expected import load_expected

SIZE = (1, 8)


def weight(seed: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((8, 8)).astype(np.float32)


def network(ops: Any, x: Any) -> tuple[Any, ...]:
    """A network with a skip connection around its layers, and two outputs."""
    zero = np.zeros(8, np.float32)
    with ops.layer("first"):
        a = ops.linear(x, weight(1), zero)
    with ops.layer("second"):
        b = ops.tanh(ops.add(ops.linear(a, weight(2), zero), x))
    with ops.layer("third"):
        c = ops.linear(ops.concat([a, b], 0), weight(3), zero)
    return b, ops.add(c, ops.constant(np.ones(8, np.float32)))


class Recorded(OpenVinoRuntime):
    """A runtime for a processor that has no bf16, which records the precisions of the parts and uses fp32."""

    def __init__(self, *fp32_layers: str) -> None:
        super().__init__("fp32", 1, fp32_layers)
        self._precision = "bf16"
        self.parts: list[tuple[str, set[str]]] = []

    def _compile(self, model: ov.Model | Path, precision: str) -> ov.CompiledModel:
        names = set()
        if isinstance(model, ov.Model):
            nodes = (node.get_friendly_name() for node in model.get_ops())
            names = {name.partition("/")[0] for name in nodes if "/" in name}
        self.parts.append((precision, names))
        return super()._compile(model, "f32")


@pytest.mark.parametrize(
    ("layers", "parts"),
    [
        (("first",), [("f32", {"first"}), ("bf16", {"second", "third"})]),
        (("second",), [("bf16", {"first"}), ("f32", {"second"}), ("bf16", {"third"})]),
        (("third",), [("bf16", {"first", "second"}), ("f32", {"third"}), ("bf16", set())]),
        (("first", "second"), [("f32", {"first", "second"}), ("bf16", {"third"})]),
        (("first", "third"), [("f32", {"first"}), ("bf16", {"second"}), ("f32", {"third"}), ("bf16", set())]),
        (("unknown",), [("bf16", {"first", "second", "third"})]),
    ],
)
def test_the_network_is_divided_where_the_precision_changes(
    tmp_path: Path, layers: tuple[str, ...], parts: list[tuple[str, set[str]]]
) -> None:
    x = np.linspace(-1, 1, 8, dtype=np.float32)[None]
    expected = OpenVinoRuntime("fp32", 1).compile(lambda: network, {"x": SIZE}, tmp_path / "net")(x)
    runtime = Recorded(*layers)
    computed = runtime.compile(lambda: network, {"x": SIZE}, tmp_path / "net")(x)
    assert runtime.parts == parts
    assert len(computed) == len(expected) == 2
    for mine, whole in zip(computed, expected, strict=True):
        np.testing.assert_allclose(mine, whole, rtol=1e-5, atol=1e-6)


def test_a_precision_without_layers_is_one_part(tmp_path: Path) -> None:
    runtime = Recorded()
    runtime.compile(lambda: network, {"x": SIZE}, tmp_path / "net")
    assert runtime.parts == [("bf16", set())]


def test_single_precision_is_never_divided(tmp_path: Path) -> None:
    runtime = Recorded("second")
    runtime._precision = "f32"
    runtime.compile(lambda: network, {"x": SIZE}, tmp_path / "net")
    assert runtime.parts == [("f32", set())]


def scnet(folder: Path) -> tuple[Describe, NDArray[np.float32]]:
    expected = load_expected("scnet_test")
    settings = SCNetSettings(44_100, (0.175, 0.392, 0.433), nfft=256, hop_size=64)
    state = open_state(write_safetensors(folder / "x.safetensors", expected.state))
    return SCNet(scnet_shape(state, settings, expected.input.shape[3]), state), expected.input


def roformer(folder: Path) -> tuple[Describe, NDArray[np.float32]]:
    expected = load_expected("bs_test")
    settings = RoFormerSettings((expected.input.shape[1] - 1) * 32, (0, 1), 32, 128)
    state = open_state(write_safetensors(folder / "x.safetensors", expected.state))
    return RoFormer(roformer_shape(state, settings), state, (0, 1)), expected.input


@pytest.mark.parametrize(("name", "make"), [("scnet", scnet), ("roformer", roformer)])
def test_each_layer_of_the_registry_can_stay_in_single_precision(
    name: str, make: Callable[[Path], tuple[Describe, NDArray[np.float32]]], tmp_path: Path
) -> None:
    describe, x = make(tmp_path)
    shapes = {"x": x.shape}
    (expected,) = OpenVinoRuntime("fp32", 1).compile(lambda: describe, shapes, tmp_path / "net")(x)
    layers = ARCHITECTURES[name].layers
    for layer in layers:
        runtime = Recorded(layer)
        (computed,) = runtime.compile(lambda: describe, shapes, tmp_path / "net")(x)
        assert snr(expected, computed) > 110
        assert [names & {*layers} for precision, names in runtime.parts if precision == "f32"] == [{layer}]
        assert set().union(*(names for _, names in runtime.parts)) == {*layers}
