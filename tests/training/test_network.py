"""The network that is trained is the one that ships."""

from pathlib import Path

import numpy as np
import pytest

import stemsplitter
from stemsplitter.separation.architectures.bandnet import network as bandnet
from stemsplitter.separation.runtimes.openvino import OpenVinoRuntime

pytestmark = pytest.mark.torch

FRAMES = 64
SHIPPED = Path(stemsplitter.__file__).parent / "catalogue" / "weights" / "builtin_6s.safetensors"


def described(state, features: np.ndarray, cache: Path) -> tuple[np.ndarray, np.ndarray]:
    """The logits of the masks, and of presence, of the network as the package describes it."""
    run = OpenVinoRuntime("fp32").compile(
        lambda: bandnet.BandNet(state, FRAMES), {"features": (1, *features.shape[1:])}, cache
    )
    return run(features)


def error(found: np.ndarray, expected: np.ndarray) -> float:
    return float(10 * np.log10(np.sum((found - expected) ** 2) / np.sum(expected**2) + 1e-20))


def test_the_shipped_description_computes_what_the_trained_network_does(tmp_path):
    import torch

    from training.given import FEATURES
    from training.network import MASKS, BandNet

    torch.manual_seed(1)
    network = BandNet()
    torch.nn.init.normal_(network.presence.weight)  # zeros in a new network
    features = torch.randn(2, FEATURES, FRAMES, bandnet.BANDS)
    network.train()(features)  # running means and variances that are not those of a new network
    network.eval()
    with torch.inference_mode():
        expected, presence = network(features[:1])
    assert expected.shape == (1, MASKS, FRAMES, bandnet.BANDS)
    assert presence.shape == (1, FRAMES // 8, 6)
    logits, heard = described(network.folded(), features[:1].numpy(), tmp_path / "new")
    assert error(logits, expected[:, : bandnet.MASKS].numpy()) < -80
    assert error(heard, presence.numpy()) < -80


def test_training_begins_where_the_shipped_file_is(tmp_path):
    import torch
    from safetensors.numpy import load_file

    from training.given import FEATURES
    from training.network import BandNet
    from training.shipped import begin_with

    torch.manual_seed(2)
    features = torch.randn(2, FEATURES, FRAMES, bandnet.BANDS) - 4
    network = BandNet()
    begin_with(network, SHIPPED, features)
    with torch.inference_mode():
        found = network.eval()(features[:1])
    state = {name: value.astype(np.float32) for name, value in load_file(SHIPPED).items()}
    logits, heard = described(state, features[:1].numpy(), tmp_path / "shipped")
    assert error(found[0][:, : bandnet.MASKS].numpy(), logits) < -80
    assert error(found[1].numpy(), heard) < -80


def test_the_mean_with_the_shipped_file_has_all_its_weights():
    from safetensors.numpy import load_file

    from training.export import mean
    from training.network import BandNet

    shipped = {name: value.astype(np.float32) for name, value in load_file(SHIPPED).items()}
    trained = BandNet().folded()
    mixed = mean(shipped, trained, 0.25)
    assert mixed.keys() == shipped.keys()
    for name, value in mixed.items():
        assert value.shape == shipped[name].shape
        np.testing.assert_allclose(value, 0.75 * shipped[name] + 0.25 * trained[name], atol=1e-6)


def test_a_temperature_divides_the_logits_of_the_masks_alone(tmp_path):
    import torch

    from training.export import read, tempered
    from training.given import FEATURES

    features = torch.randn(1, FEATURES, FRAMES, bandnet.BANDS, generator=torch.manual_seed(3)).numpy() - 4
    state = read(SHIPPED)
    logits, heard = described(state, features, tmp_path / "as-is")
    softer, unchanged = described(tempered(state, 2.0), features, tmp_path / "tempered")
    assert error(2 * softer, logits) < -80
    assert error(unchanged, heard) < -80
