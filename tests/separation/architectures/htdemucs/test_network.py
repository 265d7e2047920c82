"""The rearranged parts of HTDemucs compute the original operations."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from stemsplitter.separation.architectures.htdemucs.network import HTDemucs, HTDemucsShape
from stemsplitter.separation.runtimes.openvino import GraphOps, OpenVinoRuntime

Array = NDArray[np.float32]


def _compute(network: Any, inputs: dict[str, Array], folder: Path) -> tuple[Array, ...]:
    runtime = OpenVinoRuntime("fp32", 2)
    shapes = {name: value.shape for name, value in inputs.items()}
    return runtime.compile(lambda: network, shapes, folder / "network")(*inputs.values())


@pytest.mark.parametrize("few", [1, 3, 12])
def test_moments_of_a_convolution_follow_from_its_inputs(few: int, tmp_path: Path) -> None:
    random = np.random.default_rng(few)
    h = random.standard_normal((1, few, 5, 40)).astype(np.float32)
    weight = random.standard_normal((16, few)).astype(np.float32)
    bias = random.standard_normal(16).astype(np.float32) + 2
    network = HTDemucs(HTDemucsShape(("vocals",)), {}, (0,))
    mean, variance = _compute(lambda ops, x: network._moments(ops, x, weight, bias), {"h": h}, tmp_path)
    y = np.einsum("oc,bcrt->bort", weight, h, dtype=np.float64) + bias[:, None, None]
    np.testing.assert_allclose(mean[0, 0, :, 0], y.mean(axis=(0, 1, 3)), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(variance[0, 0, :, 0], y.var(axis=(0, 1, 3)), rtol=1e-4)


def test_the_last_transposed_convolution_equals_a_convolution_with_two_taps(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    shape = HTDemucsShape(("vocals", "other"), n_fft=64, segment=64, channels=4, depth=1)
    weight = random.standard_normal((4, 8, 8, 1)).astype(np.float32)
    bias = random.standard_normal(8).astype(np.float32)
    state = {"decoder.0.conv_tr.weight": weight, "decoder.0.conv_tr.bias": bias}
    network = HTDemucs(shape, state, (1,))
    x = random.standard_normal((1, 4, 8, shape.frames)).astype(np.float32)
    (out,) = _compute(lambda ops, x: (network._spectrogram(ops, x),), {"x": x}, tmp_path)
    full = np.zeros((8, 36, shape.frames))
    for row in range(8):
        full[:, 4 * row : 4 * row + 8] += np.einsum("ct,cok->okt", x[0, :, row], weight[..., 0])
    full += bias[:, None, None]
    expected = full[4:].reshape(2, 2, 36, shape.frames).transpose(0, 3, 2, 1)  # the second source's channels
    np.testing.assert_allclose(out, expected, atol=1e-4)


def test_frames_follow_from_the_segment() -> None:
    assert HTDemucsShape(("vocals",)).frames == 336


def test_constants_of_graphs_own_their_data() -> None:
    value = np.ones((1, 3), np.float32)
    node = GraphOps().constant(value)
    value[:] = 7
    np.testing.assert_array_equal(node.get_node().data if hasattr(node, "get_node") else node.data, 1)
