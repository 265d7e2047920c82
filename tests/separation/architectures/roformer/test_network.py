"""The RoFormers equal those of msst, whose outputs `benchmarks.peers.expected` recorded."""

from pathlib import Path

import pytest

from benchmarks.parity import snr
from benchmarks.random_weights import write_safetensors
from stemsplitter.checkpoints.states import open_state
from stemsplitter.errors import ModelError
from stemsplitter.separation.architectures.roformer.network import RoFormer
from stemsplitter.separation.architectures.roformer.settings import RoFormerSettings, read_shape
from stemsplitter.separation.runtimes.openvino import OpenVinoRuntime
from tests.separation.architectures.expected import load_expected


@pytest.mark.parametrize(("name", "n_fft", "heads"), [("bs_test", 128, (0, 1)), ("mel_test", 2048, (0,))])
def test_the_output_equals_that_of_msst(
    name: str, n_fft: int, heads: tuple[int, ...], tmp_path: Path
) -> None:
    expected = load_expected(name)
    hop = n_fft // 4
    settings = RoFormerSettings((expected.input.shape[1] - 1) * hop, heads, hop, n_fft)
    state = open_state(write_safetensors(tmp_path / "x.safetensors", expected.state))
    shape = read_shape(state, settings)
    network = OpenVinoRuntime("fp32", 1).compile(
        lambda: RoFormer(shape, state, heads), {"x": expected.input.shape}, tmp_path / name
    )
    (output,) = network(expected.input)
    assert list(output.shape) == expected.output_shape
    assert snr(expected.values, output.reshape(-1)[:: expected.step]) > 110


def test_a_head_alone_equals_that_head_among_all(tmp_path: Path) -> None:
    expected = load_expected("bs_test")
    wanted = {
        name: value for name, value in expected.state.items() if not name.startswith("mask_estimators.0.")
    }
    networks = []
    for heads, parameters in (((0, 1), expected.state), ((1,), wanted)):
        state = open_state(write_safetensors(tmp_path / f"{len(heads)}.safetensors", parameters))
        shape = read_shape(open_state(tmp_path / "2.safetensors"), RoFormerSettings(128, heads, 32, 128))
        networks.append(
            OpenVinoRuntime("fp32", 1).compile(
                lambda shape=shape, state=state, heads=heads: RoFormer(shape, state, heads),
                {"x": expected.input.shape},
                tmp_path / f"network{len(heads)}",
            )
        )
    both, one = (network(expected.input)[0].copy() for network in networks)
    assert snr(both[:, 1:], one) > 120


@pytest.mark.parametrize(
    "settings",
    [RoFormerSettings(128, (2,), 32, 128), RoFormerSettings(128, (0,), 32, 256), RoFormerSettings(128, ())],
)
def test_settings_that_do_not_match_the_parameters_are_rejected(
    settings: RoFormerSettings, tmp_path: Path
) -> None:
    state = open_state(write_safetensors(tmp_path / "x.safetensors", load_expected("bs_test").state))
    with pytest.raises(ModelError, match=r"RoFormer whose bands|fewer stems"):
        read_shape(state, settings)
