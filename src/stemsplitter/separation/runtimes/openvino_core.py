"""OpenVINO's CPU plugin: its cores, and the precisions that the processor multiplies in."""

import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache as once
from typing import Final

import numpy as np
import openvino as ov
from openvino import opset13 as op

# without it, the threads of every process that does not use all cores are pinned to the same first ones
UNPINNED: Final = {"ENABLE_CPU_PINNING": False}
HINTS: Final = {"bf16": "bf16", "fp32": "f32"}
"""Precision → its name in the plugin's options."""
BF16_SPEEDUP: Final = 1.2  # of products, from which on bf16 is used; what else a network does gains nothing
PRODUCTS: Final = 8  # that are timed, of 0.3 GF each


def new_core() -> ov.Core:
    """Create an OpenVINO core whose CPU plugin was loaded by a thread that has ended.

    The plugin installs an alternate signal stack on the thread that loads it, and frees that memory when its last core
    or model is dropped, on any thread. If the first thread still ran, its next signal would be handled in freed memory.
    A core that is never dropped would prevent that, too, but it keeps the idle executors of dropped models: a process
    that is forked later would wait forever for their threads, which it does not have.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="openvino") as pool:
        return pool.submit(_loaded_core).result()


def _loaded_core() -> ov.Core:
    core = ov.Core()
    core.get_property("CPU", "FULL_DEVICE_NAME")  # loads the plugin
    return core


def computes_in_bf16(core: ov.Core) -> bool:
    """Return True if the processor has instructions for bf16, be they faster than fp32 or not."""
    return "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")


@once
def bf16_is_faster() -> bool:
    """Multiply matrices in bf16 and fp32, and compare the times of one thread.

    Having the instructions is not enough: products in bf16 took 1.4 times as long as in fp32 on an Intel Xeon with
    AVX-512 bf16 but without AMX, where whole networks are slower, too.
    """
    core = new_core()
    times = {precision: product_seconds(core, precision) for precision in ("bf16", "fp32")}
    return times["fp32"] > BF16_SPEEDUP * times["bf16"]


def product_seconds(core: ov.Core, precision: str) -> float:
    """Return the least processor time of some products of square matrices."""
    size = 512
    matrix = np.full((size, size), 1 / size, np.float32)
    left = op.parameter([size, size], np.float32)
    model = ov.Model([op.matmul(left, op.constant(matrix), False, False)], [left], "product")
    options = {"INFERENCE_PRECISION_HINT": HINTS[precision], "INFERENCE_NUM_THREADS": 1, **UNPINNED}
    request = core.compile_model(model, "CPU", options).create_infer_request()
    times = []
    for _ in range(1 + PRODUCTS):  # the first one allocates
        start = time.process_time()
        request.infer([matrix])
        times.append(time.process_time() - start)
    return min(times[1:])
