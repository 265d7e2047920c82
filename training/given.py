"""Stems given to the network beside the mixture: vocals, drums and bass, each of any quality, or not at all.

A given stem is a sum of the mixture's signals, each with a factor that differs from band to band and from frame to
frame. All that the network and its loss need of given stems follows from the products of the signals
(`training.examples`), without spectra.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from stemsplitter.separation.architectures.bandnet.bands import BANDS, FLOOR, WIDTHS
from training.data import FRAMES
from training.examples import Example, Maps
from training.score import STEMS

GIVEN: Final = ("vocals", "drums", "bass")
FEATURES: Final = 16
Way = Literal["alone", "spleeter", "vocals", "three"]
WAYS: Final[tuple[Way, ...]] = get_args(Way)

# How often the network is alone, has the vocals that Spleeter finds, has any vocals, has any of the three.
SHARES: Final = {"alone": 0.12, "spleeter": 0.4, "vocals": 0.15, "any": 0.33}
GIVEN_EACH: Final = 0.75  # of the three, where any may be given, the share that is
TRUE: Final = 0.15  # share of given stems without error
MASKED: Final = 0.5  # of the others, the share found by a mask; the rest is the true stem, with leakage
ABSENT_GIVEN: Final = (
    0.5  # of stems that do not sound, the share that is "given" all the same: nothing but leakage
)
KEPT: Final = (
    0.5  # of the examples with any of the three given, the share in which these are kept as they are
)
LISTED: Final = (
    0.5  # share of examples in which the network's shares are for the stems that the song has alone
)


@dataclass(frozen=True)
class Inputs:
    """An example for the network, and what the error of its masks is computed from; see `training.loss`.

    The signals to be shared out are the rest, which is the mixture without what is given, and the given vocals,
    drums and bass.

    Attributes:
        features: ``[FEATURES, T, BANDS]``, see `features`.
        inputs: products of the four signals, all ten pairs in the order of `combinations_with_replacement`,
            ``[10, 2, T, BANDS]``.
        products: of the four signals with the six stems ``[4, 6, 2, T, BANDS]``.
        energies: of the stems ``[6]``.
        allowed: the stems that may have a share of each signal ``[4, 6]``.
    """

    features: Maps
    inputs: Maps
    products: Maps
    energies: Maps
    allowed: NDArray[np.bool_]


def draw(example: Example, random: np.random.Generator) -> Inputs:
    """The example with something given, at random."""
    kind = str(random.choice(list(SHARES), p=list(SHARES.values())))
    given: dict[str, Maps] = {}
    if kind == "spleeter":
        given["vocals"] = _found(example)
    elif kind != "alone":
        for stem in GIVEN if kind == "any" else ("vocals",):
            number = STEMS.index(stem)
            share = GIVEN_EACH if number in example.stems else GIVEN_EACH * ABSENT_GIVEN
            if kind == "vocals" or random.random() < share:
                given[stem] = _imagined(example, number, random)
    listed = example.listed if random.random() < LISTED else np.ones(len(STEMS), bool)
    kept = given if kind == "any" and random.random() < KEPT else ()
    turned = bool(random.random() < 0.5)
    return inputs(
        example, given, allowed(listed, kept), gain=10 ** (random.uniform(-8, 4) / 20), turned=turned
    )


def known(example: Example, way: Way) -> Inputs:
    """The example as one judges by: alone, with Spleeter's vocals, the true vocals, or all three true stems."""
    stems = {"alone": (), "spleeter": (), "vocals": ("vocals",), "three": GIVEN}[way]
    given = {stem: _true(example, STEMS.index(stem)) for stem in stems}
    if way == "spleeter":
        given["vocals"] = _found(example)
    return inputs(example, given, allowed(np.ones(len(STEMS), bool)))


def allowed(listed: NDArray[np.bool_], kept: Collection[str] = ()) -> NDArray[np.bool_]:
    """Which stems may have a share of each signal, ``[4, 6]``: those ``listed``.

    A given stem that is ``kept`` as it is has no share but of itself, and is the only one that has; but if no other
    stem is listed, the rest may go to any.
    """
    stems = np.tile(listed, (1 + len(GIVEN), 1))
    numbers = [STEMS.index(stem) for stem in kept]
    if np.delete(listed, numbers).any():
        stems[0, numbers] = False
    for stem, number in zip(kept, numbers, strict=True):
        stems[1 + GIVEN.index(stem)] = np.arange(len(STEMS)) == number
    return stems


def inputs(
    example: Example,
    given: dict[str, Maps],
    allowed: NDArray[np.bool_],
    gain: float = 1.0,
    turned: bool = False,
) -> Inputs:
    """All that follows from what is given: factors ``[signals, T, BANDS]`` of the example's signals for each.

    ``gain`` is the mixture's, ``turned`` swaps its left and right.
    """
    signals = len(example.stems) + 1
    factors = np.zeros((1 + len(GIVEN), signals, FRAMES, BANDS), np.float32)
    for number, stem in enumerate(GIVEN, 1):
        if stem in given:
            factors[number] = given[stem]
    factors[0, :-1] = 1
    factors[0] -= factors[1:].sum(axis=0)
    matrix = example.products * np.float32(gain**2)
    shared = np.stack([_combined(row, matrix) for row in factors])
    products = np.zeros((1 + len(GIVEN), len(STEMS), *shared.shape[2:]), np.float32)
    products[:, list(example.stems)] = shared[:, :-1]
    pairs = np.stack(
        [_combined(factors[b], shared[a]) for a in range(len(factors)) for b in range(a, len(factors))]
    )
    diagonal = np.einsum("iictb->i", matrix[:-1, :-1])
    energies = np.zeros(len(STEMS), np.float32)
    energies[list(example.stems)] = diagonal
    mixture = matrix[:-1, :-1].sum(axis=(0, 1))
    panning = -example.panning if turned else example.panning
    told = features(
        mixture, example.flatness, panning, pairs[[0, 4, 7, 9]], [stem in given for stem in GIVEN]
    )
    return Inputs(told, pairs, products, energies, allowed)


def _combined(factors: Maps, maps: Maps) -> Maps:
    """Sum ``maps`` ``[signals, …, 2, T, BANDS]`` times factors ``[signals, T, BANDS]``, most of which are zeros."""
    out = np.zeros(maps.shape[1:], np.float32)
    for factor, rows in zip(factors, maps, strict=True):
        if factor.any():
            out += factor * rows
    return out


def features(mixture: Maps, flatness: Maps, panning: Maps, powers: Maps, flags: list[bool]) -> Maps:
    """Compute the features: ``[FEATURES, T, BANDS]``.

    In this order: log power of the rest, of middle and side; the mixture's flatness, of both; its panning; log
    power of the given vocals, drums, bass, of both; log power of the mixture, of both; for vocals, drums and
    bass 1 where they are given, 0 where not. Powers are means over a band, and what is not given has none.

    Args:
        mixture: its powers summed over bands ``[2, T, BANDS]``.
        flatness: as in `Example`.
        panning: as in `Example`.
        powers: of the rest and of the given vocals, drums and bass, summed over bands ``[4, 2, T, BANDS]``.
        flags: whether vocals, drums and bass are given.
    """
    rest, *given = np.log10(np.maximum(powers, 0) / WIDTHS + FLOOR)
    level = np.log10(np.maximum(mixture, 0) / WIDTHS + FLOOR)
    planes = np.broadcast_to(np.array(flags, np.float32)[:, None, None], (len(flags), *panning.shape))
    return np.concatenate((rest, flatness, panning[None], *given, level, planes), dtype=np.float32)


def _true(example: Example, stem: int) -> Maps:
    factors = np.zeros((len(example.stems) + 1, FRAMES, BANDS), np.float32)
    if stem in example.stems:
        factors[example.stems.index(stem)] = 1
    return factors


def _found(example: Example) -> Maps:
    factors = np.zeros((len(example.stems) + 1, FRAMES, BANDS), np.float32)
    factors[-1] = 1
    return factors


def _imagined(example: Example, stem: int, random: np.random.Generator) -> Maps:
    """Imagine what a model finds: the stem alone, or by a mask, or with leakage of 0 to 20 dB."""
    if stem in example.stems and random.random() < TRUE:
        return _true(example, stem)
    return _masked(example, stem, random) if random.random() < MASKED else _leaking(example, stem, random)


def _masked(example: Example, stem: int, random: np.random.Generator) -> Maps:
    """A ratio mask of random sharpness, blurred; a part missed and some of the rest taken, both in patches."""
    count = len(example.stems)
    powers = np.einsum("iictb->itb", example.products[:-1, :-1])
    wanted = powers[example.stems.index(stem)] if stem in example.stems else np.zeros_like(powers[0])
    rest = np.maximum(powers.sum(axis=0) - wanted, 0)
    sharpness, bias = random.uniform(0.6, 1.3), np.exp(random.normal(0, 0.6))
    mask = 1 / (1 + bias * ((rest + 1e-9) / (wanted + 1e-12)) ** np.float32(sharpness))
    if random.random() < 0.6:
        mask[1:-1] = (mask[:-2] + mask[1:-1] + mask[2:]) / 3
        mask[:, 1:-1] = (mask[:, :-2] + mask[:, 1:-1] + mask[:, 2:]) / 3
    missed = 1 - random.uniform(0, 0.5) * patches(random)
    taken = random.choice([0.02, 0.1, 0.4]) * random.random() * patches(random)
    factors = np.zeros((count + 1, FRAMES, BANDS), np.float32)
    factors[:-1] = mask * missed + (1 - mask) * taken
    return factors


def _leaking(example: Example, stem: int, random: np.random.Generator) -> Maps:
    """The true stem, partly missed, with others in it: each in patches, 0 to 20 dB below the stem altogether."""
    factors = _true(example, stem)
    factors *= 1 - random.uniform(0, 0.4) * patches(random)
    others = [row for row, number in enumerate(example.stems) if number != stem]
    for row in others:
        factors[row] = random.uniform(0, 1) * patches(random)
    energies = np.einsum("iictb->i", example.products[:-1, :-1])
    leaked = sum(float(energies[row]) * float(np.mean(factors[row] ** 2)) for row in others)
    # of a stem that does not sound, as much is found as leaks into one that is faint
    own = float(energies[example.stems.index(stem)]) if stem in example.stems else 0.1 * float(energies.sum())
    wanted = own * 10 ** (-random.uniform(0, 20) / 10)
    scale = np.sqrt(wanted / leaked) if leaked > 0 else 0.0
    for row in others:
        factors[row] = np.minimum(factors[row] * np.float32(scale), 1)
    return factors


def patches(random: np.random.Generator) -> Maps:
    """Random patches in time and frequency, 0…1, mostly 0: ``[FRAMES, BANDS]``."""
    grid = np.clip(random.normal(-0.3, 0.8, (FRAMES // 8, 32)), 0, 1).astype(np.float32)
    octaves = np.log2(np.cumsum(WIDTHS)) * 3.1
    return np.repeat(grid, 8, axis=0)[:, np.minimum(octaves, 31).astype(int)]


def batch(examples: list[Inputs]) -> tuple[torch.Tensor, ...]:
    """Features, inputs, products, energies, allowed, each with the examples as its first axis."""
    names = ("features", "inputs", "products", "energies", "allowed")
    return tuple(torch.from_numpy(np.stack([getattr(e, name) for e in examples])) for name in names)
