"""Models that a user adds: what a checkpoint is, read from the checkpoint itself."""

from pathlib import Path
from typing import Any

from stemsplitter.catalogue.entries import is_model_name
from stemsplitter.checkpoints.readers import read_checkpoint
from stemsplitter.errors import ModelError
from stemsplitter.files.verified import hash_file
from stemsplitter.separation.layouts import plan_stems


def describe(name: str, file: Path) -> dict[str, Any]:
    """The record (see `entries.parse_entry`) of a new model called ``name`` whose weights are ``file``.

    ModelError where that is no checkpoint of an HTDemucs, or one whose stems do not make up a song.
    """
    checkpoint = read_checkpoint(file)
    if checkpoint.class_name.rpartition(".")[2] != "HTDemucs":
        raise ModelError(
            f"{file} holds a network of the class {checkpoint.class_name or 'unknown'}: "
            "only an HTDemucs can be added."
        )
    sources = checkpoint.kwargs.get("sources", checkpoint.args[0] if checkpoint.args else None)
    if not isinstance(sources, list | tuple) or not all(is_model_name(stem) for stem in sources):
        raise ModelError(f"{file} does not say which stems it gives: it cannot be added.")
    stems = tuple(sources)
    plan_stems(stems, stems)
    return {
        "name": name,
        "title": f"{name}, added from {file.name}",
        "architecture": "htdemucs",
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
