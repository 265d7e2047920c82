"""SCNet equals that of msst, whose outputs `benchmarks.peers.expected` recorded."""

from pathlib import Path

import pytest

from benchmarks.parity import snr
from benchmarks.random_weights import write_safetensors
from stemsplitter.checkpoints.states import open_state
from stemsplitter.separation.architectures.scnet.network import SCNet
from stemsplitter.separation.architectures.scnet.settings import SCNetSettings, read_shape
from stemsplitter.separation.runtimes.openvino import OpenVinoRuntime
from tests.separation.architectures.expected import Expected, load_expected


@pytest.fixture(scope="module")
def expected() -> Expected:
    return load_expected("scnet_test")


def test_the_output_equals_that_of_msst(expected: Expected, tmp_path: Path) -> None:
    settings = SCNetSettings(44_100, (0.175, 0.392, 0.433), nfft=256, hop_size=64)
    state = open_state(write_safetensors(tmp_path / "x.safetensors", expected.state))
    shape = read_shape(state, settings, expected.input.shape[3])
    network = OpenVinoRuntime("fp32", 1).compile(
        lambda: SCNet(shape, state), {"x": expected.input.shape}, tmp_path / "scnet"
    )
    (output,) = network(expected.input)
    assert list(output.shape) == expected.output_shape
    assert snr(expected.values, output.reshape(-1)[:: expected.step]) > 110
