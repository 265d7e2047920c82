"""What is trained and what is shipped are the same network."""

import numpy as np
import pytest

from stemsplitter.separation.architectures.bandnet import network as bandnet
from stemsplitter.separation.runtimes.openvino import OpenVinoRuntime

pytestmark = pytest.mark.torch

FRAMES = 64


def test_the_shipped_description_computes_what_the_trained_network_does(tmp_path):
    import torch

    from training.network import BandNet

    torch.manual_seed(1)
    network = BandNet()
    features = torch.randn(2, bandnet.FEATURES, FRAMES, bandnet.BANDS)
    network.train()(features)  # running means and variances that are not those of a new network
    network.eval()
    with torch.inference_mode():
        expected = network(features[:1]).numpy()
    state = network.folded()
    run = OpenVinoRuntime("fp32").compile(
        lambda: bandnet.BandNet(state, FRAMES),
        {"features": (1, bandnet.FEATURES, FRAMES, bandnet.BANDS)},
        tmp_path / "bandnet",
    )
    (found,) = run(features[:1].numpy())
    error = np.sum((found - expected) ** 2) / np.sum(expected**2)
    assert 10 * np.log10(error) < -80
