"""Describes models that a user adds, from their checkpoints."""

from pathlib import Path
from typing import Any

from stemsplitter.catalogue.entries import is_model_name
from stemsplitter.checkpoints.readers import read_checkpoint
from stemsplitter.errors import ModelError
from stemsplitter.files.verified import hash_file
from stemsplitter.separation.architectures import ARCHITECTURES
from stemsplitter.separation.layouts import plan_stems


def describe(name: str, file: Path) -> dict[str, Any]:
    """Build the record (see `entries.parse_entry`) of a new model called ``name`` whose weights are ``file``.

    Raises:
        ModelError: the file is not a checkpoint of an architecture that users can add, or its stems do not make
            up a song.
    """
    checkpoint = read_checkpoint(file)
    class_name = checkpoint.class_name.rpartition(".")[2]
    known = {
        architecture.checkpoint_class: architecture.name
        for architecture in ARCHITECTURES.values()
        if architecture.checkpoint_class is not None
    }
    if class_name not in known:
        raise ModelError(
            f"{file} holds a network of the class {checkpoint.class_name or 'unknown'}: "
            f"only checkpoints of {' or '.join(known)} can be added."
        )
    sources = checkpoint.sources
    if not isinstance(sources, list | tuple) or not all(is_model_name(stem) for stem in sources):
        raise ModelError(f"{file} does not name its stems, so it cannot be added: choose another file.")
    stems = tuple(sources)
    plan_stems(stems, stems)
    return {
        "name": name,
        "title": f"{name}, added from {file.name}",
        "architecture": known[class_name],
        "stems": list(stems),
        "licence": "unknown, added by you",
        "licence_note": "You added this model yourself: whether you may use it is for you to know.",
        "weights": [
            {
                "name": f"weights{file.suffix if file.suffix in ('.th', '.safetensors') else '.th'}",
                "size": file.stat().st_size,
                "sha256": hash_file(file),
            }
        ],
    }
