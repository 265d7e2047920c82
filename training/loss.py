"""The error of masks, computed in bands.

A stem estimated as Σ m_k Y_k from signals Y_k, with masks m_k that are constant in a band, has there the error
Σ_k Σ_l m_k m_l Re⟨Y_k Y_l*⟩ − 2 Σ_k m_k Re⟨Y_k S*⟩ + ⟨|S|²⟩. This is exact, and needs neither the bins nor an inverse
transform. The signals are the mixture without what is given, and the given vocals, drums and bass.
"""

from itertools import combinations_with_replacement
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from training.score import STEMS

SIGNALS: Final = 4
PRESENT: Final = 1e-2  # energy of a stem against the mixture's from which on it counts as there
# relative error of each stem below which an error in dB counts for less and less
KNEES: Final = {"vocals": 0.25, "drums": 0.25, "bass": 0.25, "guitar": 0.35, "piano": 0.5, "other": 0.5}
FAINT_KNEE: Final = 3e-3  # the same of faint stems, relative to the mixture: -25 dB
FAINT_WEIGHT: Final = 0.08
HEARD: Final = (
    3e-3  # energy of a stem against the mixture's from which on the network is to say that it is there
)
UNHEARD: Final = 3e-4  # and up to which it is to say that it is not; in between it may say anything
PRESENCE_WEIGHT: Final = 1.0
_PAIRS: Final = tuple(combinations_with_replacement(range(SIGNALS), 2))


def masks(logits: Tensor, allowed: Tensor | None = None) -> Tensor:
    """From ``[B, 48, T, BANDS]`` to ``[B, 4, 6, 2, T, BANDS]``: shares of the four signals, which sum to 1.

    Stems that are not ``allowed``, ``[B, 6]`` or for each signal ``[B, 4, 6]``, have none.
    """
    shares = logits.float().reshape(len(logits), SIGNALS, len(STEMS), 2, *logits.shape[-2:])
    if allowed is not None:
        each = allowed if allowed.ndim == 3 else allowed[:, None]
        shares = shares.masked_fill(~each[..., None, None, None], -torch.inf)
    return shares.softmax(2)


def errors(shares: Tensor, inputs: Tensor, products: Tensor, energies: Tensor) -> Tensor:
    """Energy of each stem's error, ``[B, 6]``."""
    error = energies
    for (one, other), pair in zip(_PAIRS, inputs.unbind(1), strict=True):
        twice = 1 if one == other else 2
        error = error + twice * (shares[:, one] * shares[:, other] * pair[:, None]).sum((2, 3, 4))
    return error - 2 * (shares * products).sum((1, 3, 4, 5))


def sdr(shares: Tensor, inputs: Tensor, products: Tensor, energies: Tensor) -> Tensor:
    """Signal-to-distortion ratio of each stem in dB, ``[B, 6]``; NaN where there is no stem."""
    error = errors(shares, inputs, products, energies)
    ratio = 10 * torch.log10(energies / error.clamp(min=1e-12))
    return torch.where(_present(inputs, energies), ratio, torch.nan)


def loss(
    logits: Tensor, inputs: Tensor, products: Tensor, energies: Tensor, allowed: Tensor | None = None
) -> Tensor:
    """Mean over the stems that are there of their error in dB, and a light penalty on errors in faint ones.

    Above the knee an error counts by its logarithm, so that quiet stems count as much as loud ones; below it in
    proportion. The plain logarithm rewards a bet: where two instruments are hard to tell, all to the one and
    none to the other costs less than half to each if the knee is below 1/4, and the network then gives
    everything to the commoner one, for good. Guitars and keys are hard to tell; drums, bass and voices are not.
    """
    error = errors(masks(logits, allowed), inputs, products, energies).clamp(min=0)
    there = _present(inputs, energies)
    knees = torch.tensor([KNEES[stem] for stem in STEMS], device=error.device)
    wrong = 10 * torch.log10(error / energies.clamp(min=1e-12) + knees)
    leaked = 10 * torch.log10(error / mixture(inputs).clamp(min=1e-12) / FAINT_KNEE + 1)
    present = torch.where(there, wrong, 0).sum() / there.sum().clamp(min=1)
    return present + FAINT_WEIGHT * torch.where(there, 0, leaked).sum() / (~there).sum().clamp(min=1)


def presence(logits: Tensor) -> Tensor:
    """From logits for eighths of a segment's frames ``[B, T / 8, 6]`` to those for the segment ``[B, 6]``.

    The logarithm of the mean exponential: an instrument that is sure to be in a part of the segment is in it.
    """
    return logits.float().logsumexp(1) - torch.log(torch.tensor(float(logits.shape[1])))


def presence_loss(logits: Tensor, inputs: Tensor, energies: Tensor) -> Tensor:
    """Cross-entropy of which stems are heard in the segment; `HEARD` and `UNHEARD` say which those are."""
    return cross_entropy(logits, energies / mixture(inputs).clamp(min=1e-12))


def cross_entropy(logits: Tensor, shares: Tensor) -> Tensor:
    """The same of the stems' shares of the mixture's energy, ``[B, 6]``."""
    clear = (shares > HEARD) | (shares < UNHEARD)
    wrong = functional.binary_cross_entropy_with_logits(
        presence(logits), (shares > HEARD).float(), reduction="none"
    )
    return torch.where(clear, wrong, 0).sum() / clear.sum().clamp(min=1)


def _present(inputs: Tensor, energies: Tensor) -> Tensor:
    return energies > PRESENT * mixture(inputs)


def mixture(inputs: Tensor) -> Tensor:
    """Energy of the mixture, ``[B, 1]``."""
    total = inputs.sum((2, 3, 4))
    doubled = torch.tensor([1.0 if one == other else 2.0 for one, other in _PAIRS], device=inputs.device)
    return (total * doubled).sum(1, keepdim=True)
