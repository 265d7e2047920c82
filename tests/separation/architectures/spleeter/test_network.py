from itertools import pairwise
from typing import Any

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as op

from stemsplitter.separation.architectures.spleeter.network import Spleeter
from stemsplitter.separation.runtimes.openvino import GraphOps
from stemsplitter.separation.runtimes.openvino_core import new_core

State = dict[str, np.ndarray]
DOWN = (2, 16, 32, 64, 128, 256, 512)
UP = ((512, 256), (512, 128), (256, 64), (128, 32), (64, 16), (32, 1))


def random_state(seed: int) -> State:
    """Return random parameters by official name, on a scale that keeps activations near 1."""
    rng = np.random.default_rng(seed)
    state: State = {}

    def convolution(name: str, shape: tuple[int, ...], inputs: int, outputs: int) -> None:
        scale = np.float32((12 * inputs) ** -0.5)
        state[f"{name}.weight"] = rng.standard_normal(shape, dtype=np.float32) * scale
        state[f"{name}.bias"] = rng.standard_normal(outputs, dtype=np.float32) * np.float32(0.1)

    def batch_norm(name: str, channels: int) -> None:
        state[f"{name}.weight"] = rng.uniform(-0.5, 1.5, channels).astype(np.float32)
        state[f"{name}.bias"] = rng.standard_normal(channels, dtype=np.float32) * np.float32(0.2)
        state[f"{name}.running_mean"] = rng.standard_normal(channels, dtype=np.float32) * np.float32(0.2)
        state[f"{name}.running_var"] = rng.uniform(0.1, 2, channels).astype(np.float32)

    for level, (inputs, outputs) in enumerate(pairwise(DOWN), 1):
        convolution(f"down{level}_conv.1", (outputs, inputs, 5, 5), inputs, outputs)
        batch_norm(f"down{level}_act.0", outputs)
    for level, (inputs, outputs) in enumerate(UP, 1):
        convolution(f"up{level}.0", (inputs, outputs, 5, 5), inputs, outputs)
        batch_norm(f"up{level}.3", outputs)
    convolution("up7.0", (2, 1, 4, 4), 1, 2)
    return state


def convolve(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, stride: int, dilation: int) -> np.ndarray:
    """Convolve ``[C, H, W]`` to ``[O, H', W']`` without padding."""
    span = dilation * (weight.shape[2] - 1)
    rows, columns = ((size - span - 1) // stride + 1 for size in x.shape[1:])
    y = np.zeros((len(weight), rows, columns)) + bias[:, None, None]
    for i in range(weight.shape[2]):
        for j in range(weight.shape[3]):
            top, left = i * dilation, j * dilation
            taps = x[:, top : top + stride * rows : stride, left : left + stride * columns : stride]
            y += np.einsum("oc,chw->ohw", weight[:, :, i, j], taps, optimize=True)
    return y


def upsample(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Apply a transposed convolution with a stride of 2, cropped to twice the size."""
    _, rows, columns = x.shape
    y = np.zeros((weight.shape[1], 2 * rows + 3, 2 * columns + 3)) + bias[:, None, None]
    for i in range(5):
        for j in range(5):
            y[:, i : i + 2 * rows : 2, j : j + 2 * columns : 2] += np.einsum(
                "co,chw->ohw", weight[:, :, i, j], x, optimize=True
            )
    return y[:, 1:-2, 1:-2]


def normalize(x: np.ndarray, state: State, name: str) -> np.ndarray:
    mean, variance, scale, shift = (
        state[f"{name}.{part}"].astype(np.float64)[:, None, None]
        for part in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / np.sqrt(variance + 1e-3) * scale + shift


def estimate(state: State, x: np.ndarray) -> np.ndarray:
    """Compute a U-Net as published, in double precision, on ``[2, H, W]``."""
    skips, h = [], x.astype(np.float64)
    for level in range(1, 7):
        name = f"down{level}"
        h = np.pad(h, ((0, 0), (1, 2), (1, 2)))
        h = convolve(h, state[f"{name}_conv.1.weight"], state[f"{name}_conv.1.bias"], 2, 1)
        skips.append(h)
        h = normalize(h, state, f"{name}_act.0")
        h = np.where(h > 0, h, 0.2 * h)
    h = skips.pop()
    for level in range(1, 7):
        h = np.maximum(upsample(h, state[f"up{level}.0.weight"], state[f"up{level}.0.bias"]), 0)
        h = normalize(h, state, f"up{level}.3")
        if skips:
            h = np.concatenate((skips.pop(), h))
    h = convolve(np.pad(h, ((0, 0), (3, 3), (3, 3))), state["up7.0.weight"], state["up7.0.bias"], 1, 2)
    return x / (1 + np.exp(-h))


def reference_mask(states: list[State], x: np.ndarray) -> np.ndarray:
    vocals, accompaniment = (estimate(state, x) ** 2 for state in states)
    return (vocals + 0.5e-10) / (vocals + accompaniment + 1e-10)


def run(states: list[State], x: np.ndarray) -> np.ndarray:
    parameter = op.parameter(list(x.shape), np.float32)
    model = ov.Model(list(Spleeter(states)(GraphOps(), parameter)), [parameter])
    compiled = new_core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.array(compiled([x])[0])


def magnitudes(*shape: int) -> np.ndarray:
    return np.abs(np.random.default_rng(9).standard_normal((1, 2, *shape))).astype(np.float32) + 0.01


def snr(reference: np.ndarray, estimate: np.ndarray) -> float:
    error = np.sum((reference.astype(np.float64) - estimate) ** 2)
    return float(10 * np.log10(np.sum(reference.astype(np.float64) ** 2) / error))


def test_mask_equals_that_of_the_published_networks() -> None:
    states = [random_state(0), random_state(1)]
    x = magnitudes(64, 128)
    expected = reference_mask(states, x[0])
    assert expected.std() > 0.05  # the random networks differ
    assert snr(expected, run(states, x)[0]) > 90


def test_masks_of_the_two_stems_sum_to_one() -> None:
    states = [random_state(0), random_state(1)]
    x = magnitudes(64, 64)
    np.testing.assert_allclose(run(states, x) + run(states[::-1], x), 1, atol=1e-5)


def test_mask_stays_finite_where_both_estimates_vanish() -> None:
    states = [random_state(0), random_state(1)]
    for state in states:
        state["up7.0.bias"] = np.full(2, -200, np.float32)
    np.testing.assert_allclose(run(states, magnitudes(64, 64)), 0.5)


@pytest.mark.torch
def test_parity_with_torch_at_full_size() -> None:
    import torch
    from torch.nn import functional as F

    states = [random_state(0), random_state(1)]
    x = magnitudes(512, 1024)

    def estimate_in_torch(state: State) -> Any:
        parameter = {name: torch.from_numpy(value) for name, value in state.items()}

        def batch_norm(h: Any, name: str) -> Any:
            parts = [
                parameter[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")
            ]
            return F.batch_norm(h, *parts, eps=1e-3)

        skips, h = [], torch.from_numpy(x)
        for level in range(1, 7):
            weight, bias = parameter[f"down{level}_conv.1.weight"], parameter[f"down{level}_conv.1.bias"]
            skips.append(F.conv2d(F.pad(h, (1, 2, 1, 2)), weight, bias, stride=2))
            h = F.leaky_relu(batch_norm(skips[-1], f"down{level}_act.0"), 0.2)
        h = skips.pop()
        for level in range(1, 7):
            h = F.conv_transpose2d(
                h, parameter[f"up{level}.0.weight"], parameter[f"up{level}.0.bias"], stride=2
            )
            h = batch_norm(F.relu(h[:, :, 1:-2, 1:-2]), f"up{level}.3")
            h = torch.cat((skips.pop(), h), 1) if skips else h
        h = F.conv2d(h, parameter["up7.0.weight"], parameter["up7.0.bias"], dilation=2, padding=3)
        return torch.sigmoid(h) * torch.from_numpy(x)

    with torch.no_grad():
        vocals, accompaniment = (estimate_in_torch(state).numpy() ** 2 for state in states)
    expected = (vocals + 0.5e-10) / (vocals + accompaniment + 1e-10)
    assert snr(expected, run(states, x)) > 90
