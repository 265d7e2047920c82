"""The error of masks, computed in bands.

A stem estimated as m I + n V from the instrumental I and the vocals V, with masks m and n that are constant in
a band, has there the error m² ⟨|I|²⟩ + n² ⟨|V|²⟩ + 2 m n Re⟨I V*⟩ − 2 m Re⟨I S*⟩ − 2 n Re⟨V S*⟩ + ⟨|S|²⟩. This is
exact, and needs neither the bins nor an inverse transform.
"""

from typing import Final

import torch
from torch import Tensor

PRESENT: Final = 1e-4  # energy of a stem against the mixture's from which on it counts as there
BEST: Final = 1e-3  # relative error below which nothing is gained: 30 dB
ABSENT_WEIGHT: Final = 0.1


def masks(logits: Tensor) -> Tensor:
    """From ``[B, 24, T, BANDS]`` to ``[B, 2, 6, 2, T, BANDS]``: shares of instrumental and vocals, which sum to 1."""
    shape = (len(logits), 2, 6, 2, *logits.shape[-2:])
    return logits.float().reshape(shape).softmax(2)


def errors(shares: Tensor, inputs: Tensor, products: Tensor, energies: Tensor) -> Tensor:
    """Energy of each stem's error, ``[B, 6]``."""
    m, n = shares.unbind(1)
    ii, vv, iv = (part[:, None] for part in inputs.unbind(1))
    i_s, v_s = products.unbind(1)
    error = m * (m * ii + 2 * n * iv - 2 * i_s) + n * (n * vv - 2 * v_s)
    return error.sum((2, 3, 4)) + energies


def sdr(shares: Tensor, inputs: Tensor, products: Tensor, energies: Tensor) -> Tensor:
    """Signal-to-distortion ratio of each stem in dB, ``[B, 6]``; NaN where there is no stem."""
    error = errors(shares, inputs, products, energies)
    ratio = 10 * torch.log10(energies / error.clamp(min=1e-12))
    return torch.where(_present(inputs, energies), ratio, torch.nan)


def loss(logits: Tensor, inputs: Tensor, products: Tensor, energies: Tensor) -> Tensor:
    """Mean over the stems that are there of their error in dB, and a light penalty on sound in absent ones.

    A penalty in dB on absent stems alone would teach silence wherever a stem is often absent.
    """
    error = errors(masks(logits), inputs, products, energies)
    there = _present(inputs, energies)
    mixture = (inputs[:, 0] + inputs[:, 1] + 2 * inputs[:, 2]).sum((1, 2, 3))[:, None]
    wrong = 10 * torch.log10((error / energies.clamp(min=1e-12)).clamp(min=0) + BEST)
    leaked = 10 * torch.log10((error / mixture.clamp(min=1e-12)).clamp(min=0) + 1e-4) + 40
    present = torch.where(there, wrong, 0).sum() / there.sum().clamp(min=1)
    absent = energies == 0
    return present + ABSENT_WEIGHT * torch.where(absent, leaked, 0).sum() / absent.sum().clamp(min=1)


def _present(inputs: Tensor, energies: Tensor) -> Tensor:
    mixture = (inputs[:, 0] + inputs[:, 1] + 2 * inputs[:, 2]).sum((1, 2, 3))[:, None]
    return energies > PRESENT * mixture
