"""Both forms of an LSTM in OpenVINO graphs."""

import numpy as np
import openvino as ov
from openvino import opset13 as op

from stemsplitter.separation.runtimes.openvino import GraphOps
from stemsplitter.separation.runtimes.openvino_core import new_core


def test_loops_and_sequences_give_the_same_result() -> None:
    random = np.random.default_rng(0)
    weights = [
        random.standard_normal(shape).astype(np.float32) / 3 for shape in ((2, 32, 5), (2, 32, 8), (2, 32))
    ]
    x = random.standard_normal((3, 7, 5)).astype(np.float32)
    results = []
    for loops in (True, False):
        parameter = op.parameter([3, 7, 5], np.float32)
        model = ov.Model([op.result(GraphOps(loops).lstm(parameter, *weights))], [parameter])
        compiled = new_core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        results.append(compiled(x)[0].copy())
    assert results[0].shape == (3, 7, 16) and np.abs(results[0]).max() > 0.1
    np.testing.assert_allclose(results[0], results[1], atol=1e-5)
