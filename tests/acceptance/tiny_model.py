"""A small Hybrid Transformer Demucs with six stems and random weights."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

TINY_MODEL = "tiny_6s"  # its name in a model store
STEMS = ("drums", "bass", "other", "vocals", "guitar", "piano")
SETTINGS = {
    "channels": 8,
    "depth": 2,
    "t_layers": 2,
    "t_heads": 2,
    "nfft": 512,
    "segment": 1,
    "bottom_channels": 0,
}
CHANNELS, DEPTH, LAYERS, BINS = 8, 2, 2, 256

Shape = tuple[int, ...]


def write_tiny_model(path: Path) -> Path:
    """Write the model in the safetensors format of Demucs. Returns ``path``."""
    random = np.random.default_rng(0)
    header: dict[str, object] = {
        "__metadata__": {
            "klass": "demucs.htdemucs.HTDemucs",
            "args": "[]",
            "kwargs": json.dumps({"sources": list(STEMS), **SETTINGS}),
        }
    }
    data = b""
    for name, shape in _parameters():
        values = 0.2 * random.standard_normal(shape).astype("<f4")
        header[name] = {
            "dtype": "F32",
            "shape": shape,
            "data_offsets": [len(data), len(data) + values.nbytes],
        }
        data += values.tobytes()
    raw = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(raw)) + raw + data)
    return path


def _parameters() -> Iterator[tuple[str, Shape]]:
    """Names and shapes of the parameters, as in the official network."""
    for branch, kernel, one, three, inputs in (("", (8, 1), (1, 1), (3, 3), 4), ("t", (8,), (1,), (3,), 2)):
        for level in range(DEPTH):
            width = CHANNELS << level
            narrow = width // 2 if level else inputs
            encoder, decoder = f"{branch}encoder.{level}", f"{branch}decoder.{DEPTH - 1 - level}"
            output = narrow if level else inputs * len(STEMS)
            yield from _layer(f"{encoder}.conv", (width, narrow, *kernel), width)
            yield from _layer(f"{encoder}.rewrite", (2 * width, width, *one), 2 * width)
            yield from _residuals(f"{encoder}.dconv.layers", width)
            yield from _layer(f"{decoder}.conv_tr", (width, output, *kernel), output)
            yield from _layer(f"{decoder}.rewrite", (2 * width, width, *three), 2 * width)
            yield from _residuals(f"{decoder}.dconv.layers", width)
    yield "freq_emb.embedding.weight", (BINS // 4, CHANNELS)
    yield from _transformer(CHANNELS << (DEPTH - 1))


def _layer(name: str, weight: Shape, bias: int) -> Iterator[tuple[str, Shape]]:
    yield f"{name}.weight", weight
    yield f"{name}.bias", (bias,)


def _residuals(name: str, width: int) -> Iterator[tuple[str, Shape]]:
    few = width // 8
    for number in range(2):
        yield from _layer(f"{name}.{number}.0", (few, width, 3), few)
        yield from _layer(f"{name}.{number}.1", (few,), few)
        yield from _layer(f"{name}.{number}.3", (2 * width, few, 1), 2 * width)
        yield from _layer(f"{name}.{number}.4", (2 * width,), 2 * width)
        yield f"{name}.{number}.6.scale", (width,)


def _transformer(width: int) -> Iterator[tuple[str, Shape]]:
    for branch in ("", "_t"):
        yield from _layer(f"crosstransformer.norm_in{branch}", (width,), width)
        for number in range(LAYERS):
            name = f"crosstransformer.layers{branch}.{number}"
            attention = f"{name}.cross_attn" if number % 2 else f"{name}.self_attn"
            yield f"{attention}.in_proj_weight", (3 * width, width)
            yield f"{attention}.in_proj_bias", (3 * width,)
            yield from _layer(f"{attention}.out_proj", (width, width), width)
            yield from _layer(f"{name}.linear1", (4 * width, width), 4 * width)
            yield from _layer(f"{name}.linear2", (width, 4 * width), width)
            for norm in ("norm1", "norm2", "norm_out", *(["norm3"] if number % 2 else [])):
                yield from _layer(f"{name}.{norm}", (width,), width)
            for scale in ("gamma_1", "gamma_2"):
                yield f"{name}.{scale}.scale", (width,)
