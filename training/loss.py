"""The error of masks, computed in bands.

A stem estimated as m I + n V from the instrumental I and the vocals V, with masks m and n that are constant in
a band, has there the error m² ⟨|I|²⟩ + n² ⟨|V|²⟩ + 2 m n Re⟨I V*⟩ − 2 m Re⟨I S*⟩ − 2 n Re⟨V S*⟩ + ⟨|S|²⟩. This is
exact, and needs neither the bins nor an inverse transform.
"""

from typing import Final

import torch
from torch import Tensor

from training.score import STEMS

PRESENT: Final = 1e-2  # energy of a stem against the mixture's from which on it counts as there
# relative error of each stem below which an error in dB counts for less and less
KNEES: Final = {"vocals": 0.25, "drums": 0.25, "bass": 0.25, "guitar": 0.35, "piano": 0.5, "other": 0.5}
FAINT_KNEE: Final = 3e-3  # the same of faint stems, relative to the mixture: -25 dB
FAINT_WEIGHT: Final = 0.08


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
    """Mean over the stems that are there of their error in dB, and a light penalty on errors in faint ones.

    Above the knee an error counts by its logarithm, so that quiet stems count as much as loud ones; below it in
    proportion. The plain logarithm rewards a bet: where two instruments are hard to tell, all to the one and
    none to the other costs less than half to each if the knee is below 1/4, and the network then gives
    everything to the commoner one, for good. Guitars and keys are hard to tell; drums, bass and voices are not.
    """
    error = errors(masks(logits), inputs, products, energies).clamp(min=0)
    there = _present(inputs, energies)
    knees = torch.tensor([KNEES[stem] for stem in STEMS], device=error.device)
    wrong = 10 * torch.log10(error / energies.clamp(min=1e-12) + knees)
    leaked = 10 * torch.log10(error / _mixture(inputs).clamp(min=1e-12) / FAINT_KNEE + 1)
    present = torch.where(there, wrong, 0).sum() / there.sum().clamp(min=1)
    return present + FAINT_WEIGHT * torch.where(there, 0, leaked).sum() / (~there).sum().clamp(min=1)


def _present(inputs: Tensor, energies: Tensor) -> Tensor:
    return energies > PRESENT * _mixture(inputs)


def _mixture(inputs: Tensor) -> Tensor:
    """Energy of the mixture, ``[B, 1]``."""
    return (inputs[:, 0] + inputs[:, 1] + 2 * inputs[:, 2]).sum((1, 2, 3))[:, None]
