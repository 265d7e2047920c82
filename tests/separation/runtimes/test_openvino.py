"""The CPU runtime: conversion, its cache, errors and threads."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest

from stemsplitter.errors import ModelError, RequestError
from stemsplitter.separation import architectures
from stemsplitter.separation.runtimes import open_runtime, openvino, openvino_core, usable_cores
from stemsplitter.separation.runtimes.openvino import OpenVinoRuntime

MODEL = """
import gc, os, pathlib, signal, sys, threading
import numpy as np
from stemsplitter.separation.runtimes.openvino import OpenVinoRuntime
def load():
    return OpenVinoRuntime("fp32", 2).compile(lambda: lambda ops, x: (ops.relu(x),), {"x": (1, 4)}, cache)
cache, x = pathlib.Path(sys.argv[1]), np.ones((1, 4), np.float32)
models = [load()]
models[0](x)
def drop():
    models.clear()
    gc.collect()
"""
DROP_ON_ANOTHER_THREAD = """
signal.signal(signal.SIGUSR1, lambda *_: print("handled"))
thread = threading.Thread(target=drop)
thread.start()
thread.join()
os.kill(os.getpid(), signal.SIGUSR1)
"""
DROP_AND_FORK = """
drop()
child = os.fork()
if child == 0:
    signal.alarm(30)
    print(*load()(x)[0][0], flush=True)
    os._exit(0)
print(os.waitpid(child, 0)[1])
"""

SHAPES = {"x": (1, 2, 3, 4)}


def _double(ops: Any, x: Any) -> tuple[Any, ...]:
    return (ops.multiply(x, ops.constant(np.full((1, 1, 1, 1), 2, np.float32))),)


def _refuse() -> Any:
    raise AssertionError("the network was described again")


def test_a_converted_network_is_reused(tmp_path: Path) -> None:
    runtime = OpenVinoRuntime("fp32", 2)
    x = np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4)
    np.testing.assert_array_equal(
        runtime.compile(lambda: _double, SHAPES, tmp_path / "cache/net")(x)[0], 2 * x
    )
    np.testing.assert_array_equal(runtime.compile(_refuse, SHAPES, tmp_path / "cache/net")(x)[0], 2 * x)
    names = {path.suffix for path in (tmp_path / "cache").iterdir()}
    assert names == {".xml", ".bin"}


def test_a_damaged_converted_network_is_rejected(tmp_path: Path) -> None:
    runtime = OpenVinoRuntime("fp32", 1)
    runtime.compile(lambda: _double, SHAPES, tmp_path / "net")
    (file,) = tmp_path.glob("*.xml")
    file.write_text("<net")
    with pytest.raises(ModelError, match=r"delete it, and it will be converted again\.$"):
        runtime.compile(_refuse, SHAPES, tmp_path / "net")


def test_an_unwritable_cache_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ModelError, match="cannot be written"):
        OpenVinoRuntime("fp32", 1).compile(lambda: _double, SHAPES, tmp_path / "file" / "net")


def test_converted_networks_are_not_reused_after_the_code_of_an_architecture_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(architectures, "__path__", [str(tmp_path)])
    (tmp_path / "net").mkdir()
    versions = []
    for code in ("one", "two"):
        (tmp_path / "net" / "network.py").write_text(code)
        versions.append(openvino._code_version.__wrapped__())
    assert versions[0] != versions[1]


def _run(program: str, cache: Path) -> tuple[int, list[str], str]:
    command = [sys.executable, "-W", "ignore", "-c", program, str(cache)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout.split(), done.stderr


def test_m1_signal_is_handled_after_another_thread_drops_the_last_model(tmp_path: Path) -> None:
    code, output, errors = _run(MODEL + DROP_ON_ANOTHER_THREAD, tmp_path / "net")
    assert (code, output) == (0, ["handled"]), errors


def test_forked_process_runs_a_model_after_its_parent_dropped_one(tmp_path: Path) -> None:
    code, output, errors = _run(MODEL + DROP_AND_FORK, tmp_path / "net")
    assert (code, output) == (0, ["1.0", "1.0", "1.0", "1.0", "0"]), errors


def test_the_device_names_processor_precision_and_threads() -> None:
    runtime = open_runtime("cpu", "fp32", 3)
    assert runtime.device.startswith("cpu (")
    assert runtime.device.endswith("OpenVINO fp32, 3 threads)")
    assert runtime.concurrency == 3


def test_unsupported_precisions_are_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RequestError, match="fp16: choose bf16 or fp32"):
        OpenVinoRuntime("fp16")
    monkeypatch.setattr(ov.Core, "get_property", lambda *_: "FP32")
    with pytest.raises(RequestError, match="choose fp32"):
        OpenVinoRuntime("bf16")
    assert "fp32" in OpenVinoRuntime("auto").device


def test_a_gpu_without_torch_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    with pytest.raises(RequestError, match=r"pip install 'stemsplitter\[torch\]'"):
        open_runtime("cuda")
    assert open_runtime("auto").device.startswith("cpu")


def test_large_networks_run_one_segment_at_a_time() -> None:
    runtime = open_runtime("cpu", "fp32", 3)
    large = runtime.for_large_networks()
    assert (runtime.concurrency, large.concurrency) == (3, 1)
    assert (large.device, large.hardware, large.faster) == (runtime.device, runtime.hardware, runtime.faster)


@pytest.mark.skipif(sys.platform != "linux", reason="the threads of a process are files on Linux only")
def test_threads_run_on_all_cores_of_the_process(tmp_path: Path) -> None:
    weight = np.zeros((1024, 1024), np.float32)

    def describe(ops: Any, x: Any) -> tuple[Any, ...]:
        for _ in range(20):
            x = ops.linear(x, weight, np.zeros(1024, np.float32))
        return (x,)

    tasks = Path("/proc/self/task")
    others = {thread.name for thread in tasks.iterdir()}  # those of networks of other tests may be pinned
    network = OpenVinoRuntime("fp32", 1).compile(lambda: describe, {"x": (256, 1024)}, tmp_path / "net")
    fewest = usable_cores()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(network, np.zeros((256, 1024), np.float32))
        while not running.done():
            for thread in tasks.iterdir():
                if thread.name in others:
                    continue
                with suppress(ProcessLookupError):  # it has ended
                    fewest = min(fewest, len(os.sched_getaffinity(int(thread.name))))
    assert fewest == usable_cores()


@pytest.mark.skipif(sys.platform != "linux", reason="the memory map of a process is Linux's")
def test_the_weights_file_does_not_stay_in_memory(tmp_path: Path) -> None:
    weight = np.random.default_rng(1).standard_normal((1024, 1024)).astype(np.float32)

    def describe(ops: Any, x: Any) -> tuple[Any, ...]:
        return (ops.linear(x, weight, np.zeros(1024, np.float32)),)

    runtime = OpenVinoRuntime("fp32", 1)
    network = runtime.compile(lambda: describe, {"x": (1, 1024)}, tmp_path / "net")
    assert _resident_kb(tmp_path) < weight.nbytes / 1024 / 4
    x = np.ones((1, 1024), np.float32)
    np.testing.assert_allclose(network(x)[0], x @ weight.T, atol=1e-3)


def _resident_kb(folder: Path) -> int:
    """Sum the resident memory of the mapped files in a folder."""
    mapped, total = False, 0
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if line.split()[0].count("-") == 1 and not line.split()[0].endswith(":"):
            mapped = str(folder) in line
        elif mapped and line.startswith("Rss:"):
            total += int(line.split()[1])
    return total


@pytest.mark.parametrize(("seconds", "precision"), [(1.0, "fp32"), (0.9, "fp32"), (0.5, "bf16")])
def test_bf16_is_used_only_where_products_are_faster_in_it(
    monkeypatch: pytest.MonkeyPatch, seconds: float, precision: str
) -> None:
    times = {"bf16": seconds, "fp32": 1.0}
    monkeypatch.setattr(openvino, "computes_in_bf16", lambda core: True)
    monkeypatch.setattr(openvino_core, "product_seconds", lambda core, name: times[name])
    monkeypatch.setattr(openvino, "bf16_is_faster", openvino_core.bf16_is_faster.__wrapped__)

    runtime = OpenVinoRuntime()

    assert f"OpenVINO {precision}," in runtime.device
    assert runtime.faster == (("bf16",) if precision == "bf16" else ())


def test_products_take_time_in_single_precision() -> None:
    assert openvino_core.product_seconds(openvino_core.new_core(), "fp32") > 0
