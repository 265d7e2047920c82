"""The layer that says which instruments are heard is fitted to examples."""

import pytest

pytestmark = pytest.mark.torch


def test_an_instrument_that_can_be_told_is_found_where_it_is():
    import torch

    from training import presence

    torch.manual_seed(1)
    there = torch.rand(240, 6) < 0.5
    outputs = torch.randn(240, 8, 16) * 100 + 30  # on another scale than logits
    outputs[:, 3, :6] += 600 * there  # in one eighth of the segment
    shares = there * 0.1
    layer = presence.fit(outputs[:200], shares[:200])
    found = torch.sigmoid(presence.loss.presence(layer(outputs[200:])))
    assert torch.equal(found > 0.5, there[200:])
    table = presence.report(layer, outputs[200:], shares[200:]).splitlines()
    assert [line.split()[0] for line in table] == list(presence.STEMS)
    assert all("found 1.00" in line for line in table)


def test_a_segment_has_an_output_for_each_eight_frames():
    import numpy as np
    import torch

    from training.given import Inputs
    from training.network import WIDTH, BandNet
    from training.presence import heard

    bands, frames = 160, 16
    zeros = np.zeros
    inputs = Inputs(
        features=zeros((16, frames, bands), np.float32),
        inputs=np.ones((10, 2, frames, bands), np.float32),
        products=zeros((4, 6, 2, frames, bands), np.float32),
        energies=np.arange(6, dtype=np.float32),
        allowed=np.ones((4, 6), bool),
    )
    outputs, shares = heard(BandNet().eval(), [inputs, inputs])
    assert outputs.shape == (2, frames // 8, WIDTH)
    assert shares.shape == (2, 6) and torch.equal(shares[0], shares[1]) and shares[0, 0] == 0
