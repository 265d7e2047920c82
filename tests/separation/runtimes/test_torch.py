"""The torch runtime on the CPU: batches compute the results of OpenVINO, and half precision is close.

No test needs a GPU; `benchmarks/gpu.py` measures on a machine that has one.
"""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from stemsplitter.catalogue.entries import PACKAGE_FOLDER
from stemsplitter.checkpoints.readers import read_safetensors
from stemsplitter.errors import DeviceError, RequestError
from stemsplitter.separation.architectures.bandnet.network import BANDS, FEATURES, BandNet
from stemsplitter.separation.architectures.htdemucs.model import HTDemucsModel
from stemsplitter.separation.architectures.spleeter.network import Spleeter
from stemsplitter.separation.model import SegmentModel
from stemsplitter.separation.pipeline import separate_stream
from stemsplitter.separation.runtimes import Runtime, open_runtime
from stemsplitter.separation.runtimes.openvino import OpenVinoRuntime
from tests.acceptance.tiny_model import write_tiny_model

# torch itself raises deprecation warnings
pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("default")]
Array = NDArray[np.float32]
SPLEETER = (1, 2, 64, 128)
BANDNET = (1, FEATURES, 32, BANDS)
Make = Callable[[Runtime], HTDemucsModel]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def torch_runtime(precision: str = "fp32", batch: int = 1) -> Any:
    from stemsplitter.separation.runtimes.torch import TorchRuntime

    return TorchRuntime("cpu", precision, batch)


def snr(reference: Array, estimate: Array) -> float:
    error = np.sum((reference.astype(np.float64) - estimate) ** 2) + 1e-30
    return float(10 * np.log10(np.sum(reference.astype(np.float64) ** 2) / error))


def spleeter() -> Spleeter:
    """Two U-Nets of random weights with an eighth of the real channels."""
    random = np.random.default_rng(0)
    down, up = (2, 2, 4, 8, 16, 32, 64), ((64, 32), (64, 16), (32, 8), (16, 4), (8, 2), (4, 1))

    def state() -> dict[str, Array]:
        state: dict[str, Array] = {}

        def layer(name: str, shape: tuple[int, ...], inputs: int, outputs: int, norm: str = "") -> None:
            state[f"{name}.weight"] = random.standard_normal(shape, np.float32) * np.float32(
                (12 * inputs) ** -0.5
            )
            state[f"{name}.bias"] = random.standard_normal(outputs, np.float32) * np.float32(0.1)
            if norm:
                state[f"{norm}.weight"] = random.uniform(0.5, 1.5, outputs).astype(np.float32)
                state[f"{norm}.bias"] = random.standard_normal(outputs, np.float32) * np.float32(0.2)
                state[f"{norm}.running_mean"] = random.standard_normal(outputs, np.float32) * np.float32(0.2)
                state[f"{norm}.running_var"] = random.uniform(0.1, 2, outputs).astype(np.float32)

        for level, (inputs, outputs) in enumerate(pairwise(down), 1):
            layer(f"down{level}_conv.1", (outputs, inputs, 5, 5), inputs, outputs, f"down{level}_act.0")
        for level, (inputs, outputs) in enumerate(up, 1):
            layer(f"up{level}.0", (inputs, outputs, 5, 5), inputs, outputs, f"up{level}.3")
        layer("up7.0", (2, 1, 4, 4), 1, 2)
        return state

    return Spleeter([state(), state()])


def bandnet() -> BandNet:
    """BandNet with the weights that are included."""
    weights = PACKAGE_FOLDER / "catalogue" / "weights" / "builtin_6s.safetensors"
    return BandNet(read_safetensors(weights).state, 32)


def noise(samples: int, seed: int) -> Array:
    return np.random.default_rng(seed).standard_normal((2, samples), np.float32) * np.float32(0.1)


def magnitudes(shape: tuple[int, ...], seed: int) -> Array:
    return np.abs(np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


@pytest.fixture
def htdemucs(tmp_path: Path) -> Make:
    checkpoint = write_tiny_model(tmp_path / "tiny.safetensors")
    return lambda runtime: HTDemucsModel(runtime, [checkpoint], tmp_path)


Together = Callable[[Callable[..., Any], list[Array]], list[Any]]


@pytest.fixture
def batchers(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The batchers of the networks compiled in the test; ``sizes`` of each are its batch sizes."""
    from stemsplitter.separation.runtimes import torch as module

    made: list[Any] = []

    class Spy(module.Batcher):
        def __init__(self, compute: Any, max_batch: int, device: threading.Lock) -> None:
            self.sizes: list[int] = []
            super().__init__(
                lambda examples: self.sizes.append(len(examples)) or compute(examples), max_batch, device
            )
            made.append(self)

    monkeypatch.setattr(module, "Batcher", Spy)
    return made


@pytest.fixture
def together(batchers: list[Any]) -> Together:
    """Call it with a function of the network compiled last and inputs to compute at the same time."""
    from stemsplitter.separation.runtimes import torch as module

    def call(run: Callable[..., Any], inputs: list[Array]) -> list[Any]:
        with ThreadPoolExecutor(len(inputs)) as threads:
            with module._lock("cpu"):  # the device is busy until all are waiting
                calls = [threads.submit(run, x) for x in inputs]
                deadline = time.monotonic() + 60
                while len(batchers[-1]._waiting) < len(inputs):
                    assert time.monotonic() < deadline
                    time.sleep(0.005)
            return [call.result(60) for call in calls]

    return call


@pytest.mark.parametrize(("make", "shape"), [(spleeter, SPLEETER), (bandnet, BANDNET)])
def test_a_batch_equals_openvino_one_by_one(
    make: Callable[[], Any], shape: tuple[int, ...], together: Together, batchers: list[Any], tmp_path: Path
) -> None:
    network, named = make(), {"x": shape}
    one_by_one = OpenVinoRuntime("fp32", 1).compile(lambda: network, named, tmp_path / "net")
    inputs = [magnitudes(shape, seed) for seed in range(3)]
    expected = [one_by_one(x)[0].copy() for x in inputs]
    run = torch_runtime(batch=4).compile(lambda: network, named, tmp_path / "net")
    found = together(run, inputs)
    assert batchers[0].sizes == [3]
    for (output, *_), reference in zip(found, expected, strict=True):
        assert output.shape == reference.shape and output.dtype == np.float32
        assert snr(reference, output) > 90
        output[:] = 0  # is writable and not shared
    for output, *_ in together(run, inputs):
        assert output.any()


def test_segments_of_htdemucs_in_a_batch_equal_openvino(
    htdemucs: Make, together: Together, batchers: list[Any]
) -> None:
    reference = htdemucs(OpenVinoRuntime("fp32", 1))
    inputs = [noise(reference.segment, seed) for seed in range(3)]
    model = htdemucs(torch_runtime(batch=4))
    found = together(model.separate, inputs)
    assert batchers[0].sizes == [3]
    for stems, mixture in zip(found, inputs, strict=True):
        assert snr(reference.separate(mixture), stems) > 90


def test_songs_share_batches_without_changing_their_stems(htdemucs: Make, batchers: list[Any]) -> None:
    alone, shared = htdemucs(torch_runtime(batch=1)), htdemucs(torch_runtime(batch=8))
    assert (alone.concurrency, shared.concurrency) == (1, 4)
    songs = [noise(150_000, seed) for seed in range(3)]

    def separate(model: SegmentModel, song: Array) -> Array:
        pieces = separate_stream(model, [song], 44_100, 2)
        return np.concatenate([piece.stems for piece in pieces], axis=-1)

    with ThreadPoolExecutor(3) as threads:
        found = list(threads.map(lambda song: separate(shared, song), songs))
    assert max(batchers[1].sizes) > 4  # more than one song has at the same time
    for stems, song in zip(found, songs, strict=True):
        assert snr(separate(alone, song), stems) > 90


@pytest.mark.parametrize(("make", "shape"), [(spleeter, SPLEETER), (bandnet, BANDNET)])
def test_half_precision_is_close(make: Callable[[], Any], shape: tuple[int, ...], tmp_path: Path) -> None:
    network, x = make(), magnitudes(shape, 1)
    (single, *_), (half, *_) = (
        torch_runtime(precision).compile(lambda: network, {"x": shape}, tmp_path)(x)
        for precision in ("fp32", "fp16")
    )
    assert 40 < snr(single, half) < 90  # not computed in single precision


def test_half_precision_is_close_for_htdemucs(htdemucs: Make) -> None:
    single, half = (htdemucs(torch_runtime(precision)) for precision in ("fp32", "fp16"))
    mixture = noise(single.segment, 1)
    assert 40 < snr(single.separate(mixture), half.separate(mixture)) < 90


def test_masks_stay_finite_in_half_precision_where_both_estimates_vanish(tmp_path: Path) -> None:
    network = spleeter()
    for state in (network._vocals, network._accompaniment):
        state["up7.0.bias"] = np.full(2, -18, np.float32)  # shares of 1e-8, zero in half precision
    run = torch_runtime("fp16").compile(lambda: network, {"x": SPLEETER}, tmp_path)
    (mask,) = run(magnitudes(SPLEETER, 1))
    assert np.isfinite(mask).all() and mask.min() > 0 and mask.max() < 1 and mask.std() > 0.01


def test_overflow_of_half_precision_is_computed_in_single_precision(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def square(ops: Any, x: Any) -> tuple[Any, ...]:
        return (ops.multiply(x, x),)

    run = torch_runtime("fp16").compile(lambda: square, {"x": (1, 2)}, tmp_path)
    caplog.set_level("INFO")
    np.testing.assert_array_equal(run(np.array([[3, 4]], np.float32))[0], [[9, 16]])
    assert not caplog.messages
    np.testing.assert_array_equal(run(np.array([[3, 1024]], np.float32))[0], [[9, 1 << 20]])
    assert "exceeds the range of half precision" in caplog.text


def test_a_wrong_shape_fails_only_its_caller(tmp_path: Path) -> None:
    run = torch_runtime(batch=4).compile(lambda: lambda ops, x: (ops.relu(x),), {"x": (1, 2)}, tmp_path)
    with pytest.raises(ValueError, match="inputs are"):
        run(np.zeros((1, 3), np.float32))
    np.testing.assert_array_equal(run(np.ones((1, 2), np.float32))[0], [[1, 1]])


def test_torch_errors_are_translated() -> None:
    import torch

    from stemsplitter.separation.runtimes.torch import _translated_errors

    full = "CUDA out of memory. Tried to allocate 2 GiB"
    for error in (torch.OutOfMemoryError(full), RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED")):
        with pytest.raises(MemoryError), _translated_errors("cuda:0"):
            raise error
    lost = RuntimeError("CUDA error: an illegal memory access was encountered\nCUDA kernel errors might …")
    with pytest.raises(DeviceError, match="illegal memory access"), _translated_errors("cuda:0"):
        raise lost
    with pytest.raises(RuntimeError, match="shape"), _translated_errors("cuda:0"):
        raise RuntimeError("shape '[2]' is invalid")


class Gpus:
    """``count`` GPUs, which fail with ``fault`` when they compute."""

    def __init__(self, patch: pytest.MonkeyPatch, count: int, fault: str = "") -> None:
        import torch

        from stemsplitter.separation.runtimes import torch as module

        def compute(device: str) -> None:
            if fault:
                with module._translated_errors(device):
                    raise RuntimeError(fault)

        patch.setattr(torch.cuda, "is_available", lambda: count > 0)
        patch.setattr(torch.cuda, "device_count", lambda: count)
        patch.setattr(module, "_try", compute)


def test_find_gpu_finds_devices_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    from stemsplitter.separation.runtimes.torch import find_gpu

    Gpus(monkeypatch, 2)
    assert [find_gpu(name) for name in ("auto", "cuda", "cuda:1")] == ["cuda:0", "cuda:0", "cuda:1"]
    for name in ("cuda:2", "cuda:x", "gpu"):
        with pytest.raises(RequestError, match=f"no device {name} on this machine"):
            find_gpu(name)


@pytest.mark.parametrize(
    "fault", ["CUDA error: no kernel image is available for execution on the device", "CUDA out of memory"]
)
def test_a_broken_gpu_is_rejected_by_name_and_skipped_by_auto(
    fault: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    Gpus(monkeypatch, 1, fault)
    with pytest.raises(RequestError, match=f"cuda:0 does not work .{fault}"):
        open_runtime("cuda")
    assert open_runtime("auto", "fp32").device.startswith("cpu")
    assert fault in caplog.text


def test_the_trial_of_a_gpu_computes() -> None:
    from stemsplitter.separation.runtimes.torch import _try

    _try("cpu")


def cancelling(ops: Any, x: Any) -> tuple[Any, ...]:
    """A network that needs single precision in its second layer, which adds a large number and subtracts it again."""
    large = np.full(1, 1000, np.float32)
    with ops.layer("first"):
        x = ops.tanh(x)
    with ops.layer("second"):
        x = ops.subtract(ops.add(x, ops.constant(large)), ops.constant(large))
    with ops.layer("third"):
        return (ops.sigmoid(x),)


@pytest.mark.parametrize(
    ("layers", "is_exact"),
    [((), False), (("first", "third"), False), (("second",), True), (("first", "second"), True)],
)
def test_layers_that_need_it_stay_in_single_precision(
    layers: tuple[str, ...], is_exact: bool, tmp_path: Path
) -> None:
    from stemsplitter.separation.runtimes.torch import TorchRuntime

    x = np.random.default_rng(0).standard_normal((1, 1000)).astype(np.float32)
    exact, half = (
        runtime.compile(lambda: cancelling, {"x": x.shape}, tmp_path)(x)[0].copy()
        for runtime in (torch_runtime(), TorchRuntime("cpu", "bf16", 1, layers))
    )
    assert (snr(exact, half) >= 35) == is_exact


def test_the_check_finds_the_layer_that_needs_single_precision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on hardware with bf16, but computed by torch on the CPU."""
    from stemsplitter.catalogue import precision as checks
    from stemsplitter.catalogue.store import ModelStore
    from stemsplitter.separation import runtimes
    from stemsplitter.separation.architectures import ARCHITECTURES
    from stemsplitter.separation.runtimes.torch import TorchRuntime

    def opened(device: str, precision: str, threads: int | None = None, layers: tuple[str, ...] = ()) -> Any:
        runtime = TorchRuntime("cpu", precision, 1, layers)
        runtime.faster = ("bf16",)
        return runtime

    def loaded(entry: Any, store: Any, runtime: Any) -> Any:
        network = runtime.compile(lambda: cancelling, {"x": (1, 2 * 4410)}, tmp_path)

        def separate(mixture: Array) -> Array:
            (stem,) = network(mixture.reshape(1, -1))
            return np.stack([stem.reshape(2, -1) * share for share in (0.1, 0.2, 0.3, 0.4)])

        return SimpleNamespace(segment=4410, sample_rate=44_100, separate=separate)

    registered = replace(ARCHITECTURES["scnet"], layers=("first", "second", "third"))
    monkeypatch.setitem(ARCHITECTURES, "scnet", registered)
    monkeypatch.setattr(runtimes, "open_runtime", opened)
    monkeypatch.setattr(checks, "load_model", loaded)
    store = ModelStore(tmp_path / "models")
    check = checks.check_precision(store.entry("scnet_large"), store)
    assert (check.precision, check.fp32_layers) == ("bf16", ("second",))


def test_the_benchmark_of_networks_runs_without_a_gpu(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from benchmarks import gpu, networks

    monkeypatch.setattr(networks, "SEGMENT", 44_100)
    monkeypatch.setattr(gpu, "MAX_BATCH", 2)
    arguments = ["gpu", "--device", "cpu", "--networks", "scnet_tiny", "--seconds", "0.01"]
    monkeypatch.setattr("sys.argv", arguments)
    gpu.main()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" | ")[:2] for line in lines[-2:]] == [["| scnet_tiny", "1"], ["| scnet_tiny", "2"]]
