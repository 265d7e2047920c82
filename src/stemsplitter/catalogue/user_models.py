"""Describes models that a user adds, from their checkpoints."""

from pathlib import Path
from typing import Any
from zipfile import is_zipfile

from stemsplitter.catalogue.entries import is_model_name
from stemsplitter.checkpoints.configurations import read_configuration
from stemsplitter.checkpoints.readers import read_checkpoint
from stemsplitter.checkpoints.states import open_state
from stemsplitter.errors import ModelError
from stemsplitter.files.verified import hash_file
from stemsplitter.separation.architectures import ARCHITECTURES, ModelDescription
from stemsplitter.separation.layouts import plan_stems

_SUFFIXES = (".th", ".safetensors", ".ckpt")


def describe(name: str, file: Path, configuration: Path | None = None) -> dict[str, Any]:
    """Build the record (see `entries.parse_entry`) of a new model called ``name`` whose weights are ``file``.

    Args:
        name: name of the model.
        file: a Demucs checkpoint, or parameters that were trained with Music-Source-Separation-Training (MSST).
        configuration: the YAML file of MSST; None for a Demucs checkpoint.

    Raises:
        ModelError: the file is not a checkpoint of an architecture that users can add, or its stems do not make
            up a song.
    """
    if configuration is None:
        architecture, description = _describe_demucs(file)
    else:
        architecture, description = _describe_msst(file, configuration)
    plan_stems(description.stems, description.stems)
    return {
        "name": name,
        "title": f"{name}, added from {file.name}",
        "architecture": architecture,
        "stems": list(description.stems),
        "licence": "unknown, added by you",
        "licence_note": "You added this model yourself: whether you may use it is for you to know.",
        "settings": dict(description.settings),
        "weights": [
            {
                "name": f"weights{file.suffix if file.suffix in _SUFFIXES else '.th'}",
                "size": file.stat().st_size,
                "sha256": hash_file(file),
            }
        ],
    }


def _describe_demucs(file: Path) -> tuple[str, ModelDescription]:
    """Return the architecture and the description of a checkpoint that names its class and its stems."""
    try:
        checkpoint = read_checkpoint(file)
    except ModelError:
        if not _has_parameters(file):
            raise
        raise ModelError(
            f"{file} holds the parameters of a network only: add the YAML file that was published with it, "
            "with --config FILE.yaml."
        ) from None
    class_name = checkpoint.class_name.rpartition(".")[2]
    known = {
        architecture.checkpoint_class: architecture.name
        for architecture in ARCHITECTURES.values()
        if architecture.checkpoint_class is not None
    }
    if class_name not in known:
        raise ModelError(
            f"{file} holds a network of the class {checkpoint.class_name or 'unknown'}: "
            f"only checkpoints of {' or '.join(known)} can be added without --config."
        )
    sources = checkpoint.sources
    if not isinstance(sources, list | tuple) or not all(is_model_name(stem) for stem in sources):
        raise ModelError(f"{file} does not name its stems, so it cannot be added: choose another file.")
    return known[class_name], ModelDescription(tuple(sources), {})


def _has_parameters(file: Path) -> bool:
    """Return True for a file of ``torch.save`` that contains parameters."""
    try:
        open_state(file)
    except ModelError:
        return False
    return is_zipfile(file)


def _describe_msst(file: Path, configuration: Path) -> tuple[str, ModelDescription]:
    """Return the architecture and the description of parameters with a configuration."""
    state, values = open_state(file), read_configuration(configuration)
    architectures = [entry for entry in ARCHITECTURES.values() if entry.describe is not None]
    for architecture in architectures:
        assert architecture.describe is not None
        if (description := architecture.describe(state, values)) is not None:
            return architecture.name, description
    names = " and ".join(architecture.name for architecture in architectures)
    raise ModelError(
        f"{file} holds a network of an unknown architecture: with --config, {names} can be added."
    )
