import numpy as np

from stemsplitter.separation.runtimes.openvino import OpenVinoRuntime


def test_an_input_of_any_memory_order_lives_as_long_as_the_network_runs(tmp_path):
    shape = (1, 2, 512, 1024)
    runtime = OpenVinoRuntime("fp32", 1)
    double = runtime.compile(lambda: lambda ops, x: (ops.add(x, x),), {"x": shape}, tmp_path / "double")
    for value in range(1, 11):
        (result,) = double(np.asfortranarray(np.full(shape, value, np.float32)))
        np.testing.assert_array_equal(result, np.full(shape, 2 * value, np.float32))
