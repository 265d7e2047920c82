"""Both optimisers together move every weight, and go on where they were."""

import copy

import pytest

pytestmark = pytest.mark.torch


def made(memory_format: str = "channels_last"):
    import torch

    from training.network import BandNet
    from training.optimisers import Optimisers

    torch.manual_seed(2)
    network = BandNet().to(memory_format=getattr(torch, memory_format))
    return network, Optimisers(network)


def stepped(network, optimisers, size=1.0) -> None:
    import torch

    torch.manual_seed(3)
    for parameter in network.parameters():
        parameter.grad = size * torch.randn_like(parameter)
    optimisers.step(1e-3)


@pytest.mark.parametrize("memory_format", ["channels_last", "contiguous_format"])
def test_every_weight_is_moved_once(memory_format):
    network, optimisers = made(memory_format)
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
        torch.testing.assert_close(one, other, atol=1e-6, rtol=0)


def test_weights_move_alike_in_either_memory_format():
    import torch

    def gradients(network):
        generator = torch.Generator().manual_seed(4)
        for parameter in network.parameters():
            values = torch.randn(parameter.shape, generator=generator)
            parameter.grad = torch.empty_like(parameter).copy_(values)

    networks = []
    for memory_format in ("channels_last", "contiguous_format"):
        network, optimisers = made(memory_format)
        gradients(network)
        optimisers.step(1e-3)
        networks.append(network)
    for one, other in zip(*(each.parameters() for each in networks), strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=0)


@pytest.mark.parametrize("shape", [(8, 50), (50, 8), (20, 20)])
def test_orthogonal_matrices_have_singular_values_near_one(shape):
    import torch

    from training.optimisers import orthogonal

    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(5))
    values = torch.linalg.svdvals(orthogonal(matrix))
    assert values.min() > 0.4 and values.max() < 1.3
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    assert (
        torch.nn.functional.cosine_similarity(orthogonal(matrix).flatten(), (left @ right).flatten(), 0)
        > 0.95
    )
