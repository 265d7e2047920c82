"""Both optimisers together move every weight, and go on where they were."""

import copy

import pytest

pytestmark = pytest.mark.torch


def made():
    import torch

    from training.network import BandNet
    from training.optimisers import Optimisers

    torch.manual_seed(2)
    network = BandNet().to(memory_format=torch.channels_last)
    return network, Optimisers(network)


def stepped(network, optimisers, size=1.0) -> None:
    import torch

    torch.manual_seed(3)
    for parameter in network.parameters():
        parameter.grad = size * torch.randn_like(parameter)
    optimisers.step(1e-3)


def test_every_weight_is_moved_once():
    network, optimisers = made()
    before = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    stepped(network, optimisers)
    for name, parameter in network.named_parameters():
        moved = (parameter - before[name]).abs()
        assert 1e-5 < moved.mean() < 2e-3, name


def test_a_hidden_matrix_moves_the_same_way_in_all_directions():
    import torch

    network, optimisers = made()
    weight = network.encoder[2].first.conv.weight
    before = weight.detach().clone()
    stepped(network, optimisers)
    values = torch.linalg.svdvals((weight.detach() - before).flatten(1))
    assert values.max() < 2 * values.min()


def test_it_goes_on_where_it_was():
    import torch

    network, optimisers = made()
    stepped(network, optimisers)
    again, resumed = made()
    again.load_state_dict(network.state_dict())
    resumed.load_state_dict(copy.deepcopy(optimisers.state_dict()))
    stepped(network, optimisers, 1e-3)  # so that what moves is the momentum
    stepped(again, resumed, 1e-3)
    for one, other in zip(network.parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=0)  # Muon counts in bfloat16
