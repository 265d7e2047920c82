"""Raw masters of splits, which FLAC replaces once the stems are measured."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stemsplitter.audio.decode import open_source
from stemsplitter.audio.encode import StemWriter
from stemsplitter.audio.formats import OutputFormat, media_type
from stemsplitter.audio.tags import Tags
from stemsplitter.jobs import repository
from stemsplitter.services import Services
from stemsplitter.splits.derived import maker as making
from stemsplitter.splits.derived.maker import FileMaker
from stemsplitter.splits.derived.schemas import FileView
from stemsplitter.splits.derived.service import Download
from stemsplitter.splits.maintenance import SplitMaintenance
from stemsplitter.splits.masters import RAW, RAW_KEPT, current_key
from stemsplitter.splits.models import Split, masters_folder, stems_folder
from tests.services import file_maker

from .conftest import Create
from .test_maintenance import put
from .test_previews import counted, make, measure

NAMES, RATE = ("vocals", "drums"), 44_100


@pytest.fixture
def maker(services: Services) -> FileMaker:
    return file_maker(services)


@pytest.fixture
def maintenance(services: Services) -> SplitMaintenance:
    return SplitMaintenance(
        services.database, services.storage, services.splits, services.derived_files, services.quotas
    )


def audio(scale: float = 0.4) -> dict[str, np.ndarray]:
    """Noise of 24 bits by name, `[2, n]`."""
    random = np.random.default_rng(1)
    return {
        name: (np.rint(scale * 2**23 * random.uniform(-1, 1, (2, RATE))) / 2**23).astype(np.float32)
        for name in NAMES
    }


def finished(
    services: Services,
    split_id: str,
    samples: dict[str, np.ndarray],
    folder: Path,
    stems_are_masters: bool = False,
) -> str:
    """Let a split succeed as a worker with a folder does: stems in mp3, and raw masters."""
    stored: dict[str, dict[str, Any]] = {"mp3": {}, "wav32f": {}}
    for kind, target in (("mp3", stems_folder(split_id)), ("wav32f", masters_folder(split_id))):
        fmt = OutputFormat.parse(kind)
        for name, values in samples.items():
            path = folder / f"{name}.{fmt.extension}"
            with StemWriter(path, fmt, RATE, 2, Tags(title="Song").for_stem(name)) as writer:
                writer.write(values)
                writer.commit()
            key, mime = f"{target}/{path.name}", media_type(fmt.extension)
            size = services.storage.put_file(key, path, mime)
            stored[kind][name] = {"key": key, "size": size, "mime": mime}
    masters = {
        name: file | {"peak": float(np.abs(samples[name]).max())} for name, file in stored["wav32f"].items()
    }
    stems = stored["wav32f" if stems_are_masters else "mp3"]
    size = sum(file["size"] for kind in stored.values() for file in kind.values())
    values = {"stems": stems, "masters": masters, "processing": {}}
    with services.database.write() as session:
        assert repository.start(session, split_id, None, "run_1", "wrk_1")
        assert services.splits.endings.succeed(session, split_id, "run_1", values, size)
    return split_id


@pytest.fixture
def split_id(services: Services, create: Create, tmp_path: Path) -> str:
    return finished(services, create(stemModel="4s", stems=list(NAMES)), audio(), tmp_path)


def masters_of(services: Services, split_id: str) -> dict[str, dict[str, Any]]:
    with services.database.read() as session:
        split = session.get(Split, split_id)
        assert split is not None and split.masters is not None
        return split.masters


def keys(services: Services, split_id: str) -> list[str]:
    folder = masters_folder(split_id)
    return sorted(stored.key.rpartition("/")[2] for stored in services.storage.list_prefix(folder))


def decoded(path: Path) -> np.ndarray:
    with open_source(path) as source:
        return np.concatenate(list(source.blocks()), axis=1)


def read(services: Services, key: str) -> np.ndarray:
    with services.storage.local_file(current_key(services.storage, key)) as path:
        return decoded(path)


def pass_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let maintenance see the raw masters as expired."""
    from stemsplitter.quotas import service

    real = service.now
    monkeypatch.setattr(service, "now", lambda: real() + RAW_KEPT)


def total(services: Services, split_id: str) -> int:
    with services.database.read() as session:
        return services.quotas.reserved(session, split_id)


def test_flac_replaces_raw_masters_sample_for_sample(
    services: Services, maker: FileMaker, split_id: str
) -> None:
    raw = masters_of(services, split_id)
    make(maker)
    assert masters_of(services, split_id) == raw  # the previews come first
    make(maker)
    flac = masters_of(services, split_id)
    for name, samples in audio().items():
        assert flac[name]["key"].endswith(f"{name}.flac") and flac[name]["mime"] == "audio/flac"
        assert flac[name]["size"] == services.storage.size(flac[name]["key"]) < raw[name]["size"]
        assert flac[name]["peak"] == raw[name]["peak"]
        np.testing.assert_array_equal(read(services, flac[name]["key"]), samples)
        with services.storage.local_file(flac[name]["key"]) as path, open_source(path) as source:
            assert source.info.tags.title == f"Song ({name})"


def test_raw_masters_count_until_they_are_deleted(
    services: Services,
    maker: FileMaker,
    maintenance: SplitMaintenance,
    split_id: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    raw, before = masters_of(services, split_id), total(services, split_id)
    measure(maker)
    sizes = [sum(file["size"] for file in each.values()) for each in (raw, masters_of(services, split_id))]
    assert total(services, split_id) == before - sizes[0] + sizes[1]
    assert counted(services, split_id)[RAW] == sizes[0]
    assert maintenance.delete_expired_files() == 0
    assert keys(services, split_id) == ["drums.flac", "drums.wav", "vocals.flac", "vocals.wav"]
    pass_time(monkeypatch)
    assert maintenance.delete_expired_files() == 1
    assert keys(services, split_id) == ["drums.flac", "vocals.flac"]
    assert RAW not in counted(services, split_id)


def test_deletion_of_raw_masters_is_repeated_after_a_crash(
    services: Services,
    maker: FileMaker,
    maintenance: SplitMaintenance,
    split_id: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    measure(maker)
    pass_time(monkeypatch)
    monkeypatch.setattr(services.quotas, "release_expired", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        maintenance.delete_expired_files()
    monkeypatch.undo()
    pass_time(monkeypatch)
    assert maintenance.delete_expired_files() == 1
    assert keys(services, split_id) == ["drums.flac", "vocals.flac"]


def test_reader_of_an_old_row_reads_flac(
    services: Services,
    maker: FileMaker,
    maintenance: SplitMaintenance,
    split_id: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A run has read the row before, or a backup has it."""
    raw = masters_of(services, split_id)
    measure(maker)
    pass_time(monkeypatch)
    maintenance.delete_expired_files()
    np.testing.assert_array_equal(read(services, raw["drums"]["key"]), audio()["drums"])


def test_stem_in_flac_is_made_before_the_replacement_and_is_the_master_after_it(
    services: Services, account: str, maker: FileMaker, split_id: str
) -> None:
    wanted = (account, split_id, "drums", "flac")
    assert isinstance(services.derived_files.stem(*wanted), FileView)
    assert maker.make_next("wrk_1")
    made = services.derived_files.stem(*wanted)
    assert isinstance(made, Download)
    path, _ = services.storage.path_of(made.key)
    np.testing.assert_array_equal(decoded(path), audio()["drums"])
    measure(maker)
    after = services.derived_files.stem(*wanted)
    assert isinstance(after, Download) and after.key == masters_of(services, split_id)["drums"]["key"]


def test_masters_over_full_scale_stay(
    services: Services, maker: FileMaker, create: Create, tmp_path: Path
) -> None:
    split_id = finished(services, create(stemModel="4s", stems=list(NAMES)), audio(1.2), tmp_path)
    raw, before = masters_of(services, split_id), total(services, split_id)
    measure(maker)
    assert masters_of(services, split_id) == raw and total(services, split_id) == before
    assert keys(services, split_id) == ["drums.wav", "vocals.wav"]


def test_masters_that_are_the_stems_stay(
    services: Services, maker: FileMaker, create: Create, tmp_path: Path
) -> None:
    split_id = finished(services, create(stemModel="4s", stems=list(NAMES)), audio(), tmp_path, True)
    raw = masters_of(services, split_id)
    measure(maker)
    assert masters_of(services, split_id) == raw


@pytest.mark.parametrize("step", ["storing", "commit"])
def test_failure_between_two_steps_loses_nothing_and_is_repeated(
    services: Services, maker: FileMaker, split_id: str, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    raw = masters_of(services, split_id)
    make(maker)
    if step == "storing":
        put_file, stored = services.storage.put_file, []

        def fail_second(key: str, *arguments: Any) -> int:
            stored.append(key)
            if len(stored) == 2:
                raise ValueError("the process dies")
            return put_file(key, *arguments)

        monkeypatch.setattr(services.storage, "put_file", fail_second)
        make(maker)
    else:
        monkeypatch.setattr(making, "set_measured", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            make(maker)
        maker.requeue_own("wrk_1")
    monkeypatch.undo()
    assert masters_of(services, split_id) == raw and RAW not in counted(services, split_id)
    np.testing.assert_array_equal(read(services, raw["vocals"]["key"]), audio()["vocals"])
    make(maker)
    assert all(master["mime"] == "audio/flac" for master in masters_of(services, split_id).values())


def test_split_deleted_during_the_replacement_leaves_nothing(
    services: Services, account: str, maker: FileMaker, split_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(maker)
    real = making.write_flac

    def write(*arguments: Any) -> Any:
        files = real(*arguments)
        services.splits.delete(account, split_id)
        return files

    monkeypatch.setattr(making, "write_flac", write)
    make(maker)
    assert list(services.storage.list_prefix(f"splits/{split_id}")) == []
    assert counted(services, split_id) == {} and total(services, split_id) == 0


def test_sweep_leaves_raw_masters_that_runs_may_read(
    services: Services, maker: FileMaker, maintenance: SplitMaintenance, split_id: str
) -> None:
    measure(maker)
    for name in ("drums.wav", "vocals.wav", "drums.flac", "vocals.flac"):
        path, _ = services.storage.path_of(f"{masters_folder(split_id)}/{name}")
        os.utime(path, (1, 1))
    assert maintenance.delete_orphans() == 0


def test_sweep_deletes_masters_that_no_split_names(
    services: Services, maker: FileMaker, maintenance: SplitMaintenance, split_id: str
) -> None:
    folder = masters_folder(split_id)
    put(services, f"{folder}/bass.flac", 2)
    assert maintenance.delete_orphans() == 0  # the named ones are too new to be listed
    for name in NAMES:
        put(services, f"{folder}/{name}.wav", 2)
    assert maintenance.delete_orphans() == 1
    assert keys(services, split_id) == ["drums.wav", "vocals.wav"]
    # the row of a backup names raw masters, and only FLAC is left
    for name in NAMES:
        put(services, f"{folder}/{name}.flac", 2)
        services.storage.delete(f"{folder}/{name}.wav")
    assert maintenance.delete_orphans() == 0
    assert keys(services, split_id) == ["drums.flac", "vocals.flac"]
