"""Previews, which are queued when a split succeeds and made as derived files are."""

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select, update

from stemsplitter.audio.encode import StemWriter
from stemsplitter.audio.formats import OutputFormat
from stemsplitter.clock import now
from stemsplitter.jobs import repository
from stemsplitter.quotas.disk import Disk
from stemsplitter.quotas.models import StoredBytes
from stemsplitter.service_errors import Busy, NotFound, QuotaExceeded, RateLimited
from stemsplitter.services import Services
from stemsplitter.splits.derived.maker import FileMaker
from stemsplitter.splits.derived.models import DerivedFile
from stemsplitter.splits.derived.schemas import FileView
from stemsplitter.splits.maintenance import SplitMaintenance
from stemsplitter.splits.models import Split, masters_folder
from stemsplitter.splits.sizes import previews_bytes
from tests.services import file_maker

from .conftest import Create


@pytest.fixture
def maker(services: Services) -> FileMaker:
    return file_maker(services)


@pytest.fixture
def split_id(services: Services, create: Create, tmp_path: Path) -> str:
    """A split with two masters that has succeeded."""
    split_id = create(stemModel="4s", stems=["vocals", "drums"])
    constants = {
        name: np.full((2, 44_100), value, np.float32) for name, value in (("vocals", 0), ("drums", 0.1))
    }
    return succeeded(services, split_id, constants, tmp_path)


def succeeded(services: Services, split_id: str, audio: Mapping[str, np.ndarray], tmp_path: Path) -> str:
    """Store the masters of a split, float32 `[2, n]` by name, and end it."""
    stems = {}
    for name, samples in audio.items():
        path = tmp_path / f"{name}.flac"
        with StemWriter(path, OutputFormat.parse("flac"), 44_100, 2) as writer:
            writer.write(samples)
            writer.commit()
        key = f"{masters_folder(split_id)}/{path.name}"
        size = services.storage.put_file(key, path, "audio/flac")
        stems[name] = {"key": key, "size": size, "mime": "audio/flac", "peak": 0.1}
    total = sum(stem["size"] for stem in stems.values())
    with services.database.write() as session:
        assert repository.start(session, split_id, None, "run_1", "wrk_1")
        assert services.splits.endings.succeed(
            session, split_id, "run_1", {"stems": stems, "masters": stems, "processing": {}}, total
        )
    return split_id


def make(maker: FileMaker) -> None:
    assert maker.make_next("wrk_1", background=True)


def measure(maker: FileMaker) -> None:
    """Make the previews and measure the stems, which comes after them."""
    make(maker)
    make(maker)


def stored(services: Services, folder: object) -> dict[str, int]:
    assert isinstance(folder, str)
    return {
        file.key.rpartition("/")[2]: services.storage.size(file.key)
        for file in services.storage.list_prefix(folder)
    }


def counted(services: Services, split_id: str) -> dict[str, int]:
    """Return the counted bytes of the previews of a split."""
    with services.database.read() as session:
        rows = session.scalars(select(StoredBytes).where(StoredBytes.owner_id == split_id))
        return {row.name: row.bytes for row in rows if row.name}


def test_previews_are_queued_with_the_split_and_counted(
    services: Services, account: str, maker: FileMaker, split_id: str
) -> None:
    (reserved,) = counted(services, split_id).values()
    assert reserved == previews_bytes(2, services.splits.get(account, split_id).duration_seconds)
    assert isinstance(services.derived_files.previews(account, split_id, "opus"), FileView)
    assert services.splits.get(account, split_id).levels is None
    assert not maker.make_next("wrk_1")  # the thread of requested files leaves them
    make(maker)
    folder = services.derived_files.previews(account, split_id, "opus")
    files = stored(services, folder)
    assert sorted(files) == ["drums.opus", "previews.json", "vocals.opus"]
    assert list(counted(services, split_id).values()) == [sum(files.values())]
    index = json.loads(b"".join(services.storage.read(f"{folder}/previews.json")))
    assert sum(index["stems"]["drums"]["sizes"]) == files["drums.opus"]


def test_levels_are_shown_when_the_stems_are_measured(
    services: Services, account: str, maker: FileMaker, split_id: str
) -> None:
    make(maker)
    assert services.splits.get(account, split_id).levels is None  # previews do not wait for it
    make(maker)
    assert not maker.make_next("wrk_1", background=True)
    view = services.splits.get(account, split_id).model_dump(mode="json", by_alias=True)
    assert list(view)[-1] == "levels"
    assert view["levels"]["vocals"] == {"loudness": None, "truePeak": None, "silent": True}
    drums = view["levels"]["drums"]
    assert drums["truePeak"] == pytest.approx(-20, abs=1.5) and list(drums)[-1] == "silent"


def test_split_of_a_whole_song_gets_an_analysis(
    services: Services,
    account: str,
    maker: FileMaker,
    create: Create,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    time = np.arange(10 * 44_100) / 44_100
    hit = np.sin(2 * np.pi * 100 * time) * np.exp(-40 * (time % 0.5))  # two a second
    chord = sum(np.sin(2 * np.pi * 440 * 2 ** (step / 12) * time) for step in (0, 3, 7, 12)) / 20
    parts = {"vocals": 0 * time, "drums": 0.5 * hit, "bass": 0 * time, "other": chord}
    audio = {name: np.stack([part, part]).astype(np.float32) for name, part in parts.items()}
    split_id = succeeded(services, create(stemModel="4s"), audio, tmp_path)
    assert "analysis" not in services.splits.get(account, split_id).model_dump(by_alias=True)
    measure(maker)
    view = services.splits.get(account, split_id).model_dump(mode="json", by_alias=True)
    assert list(view)[-2:] == ["levels", "analysis"]
    tempo = view["analysis"]["tempo"]
    assert 120 in [round(bpm) for bpm in (tempo["bpm"], *tempo["alternatives"])]
    assert len(tempo["beats"]) > 8 and abs(view["analysis"]["tuningCents"]) < 5
    key = view["analysis"]["key"]
    assert key is None or key["name"] == "A minor"

    def analyze(stems: object) -> None:
        pytest.fail("the song is analyzed again")

    # the previews of another codec
    monkeypatch.setattr("stemsplitter.splits.derived.measurement.analyze_stems", analyze)
    services.derived_files.previews(account, split_id, "aac")
    make(maker)
    assert not maker.make_next("wrk_1", background=True)
    again = services.splits.get(account, split_id).model_dump(mode="json", by_alias=True)
    assert again["analysis"] == view["analysis"]


def test_stems_that_are_not_the_whole_song_are_not_analyzed(
    services: Services, account: str, maker: FileMaker, split_id: str
) -> None:
    measure(maker)
    view = services.splits.get(account, split_id)
    assert view.analysis is None and view.levels is not None


def test_other_codecs_are_made_on_request(
    services: Services, account: str, maker: FileMaker, split_id: str
) -> None:
    make(maker)
    first, again = (services.derived_files.previews(account, split_id, "aac") for _ in range(2))
    assert isinstance(first, FileView) and first == again
    measure(maker)
    assert not maker.make_next("wrk_1", background=True)
    files = stored(services, services.derived_files.previews(account, split_id, "aac"))
    assert sorted(files) == ["drums.m4a", "previews.json", "vocals.m4a"]
    with pytest.raises(NotFound, match="choose opus or aac"):
        services.derived_files.previews(account, split_id, "mp3")


def test_previews_are_not_among_the_files_that_a_request_names(
    services: Services, account: str, maker: FileMaker, split_id: str
) -> None:
    make(maker)
    folder = services.derived_files.previews(account, split_id, "opus")
    assert isinstance(folder, str)
    for find in (services.derived_files.find, services.derived_files.get, services.derived_files.get_mix):
        with pytest.raises(NotFound):
            find(account, split_id, folder.rpartition("/")[2])
    with pytest.raises(NotFound):
        services.derived_files.previews("acc_other", split_id, "opus")


def test_h2_previews_leave_room_for_requested_files(
    services: Services, account: str, split_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = services.settings.model_copy(update={"max_queued_files": 1, "max_derived_files": 1})
    monkeypatch.setattr(services.derived_files, "_settings", own)
    services.derived_files.stem(account, split_id, "vocals", "wav")
    with pytest.raises(RateLimited):
        services.derived_files.stem(account, split_id, "vocals", "ogg")
    services.derived_files.previews(account, split_id, "aac")


def test_h2_previews_over_the_quota_or_on_a_full_disk_are_refused(
    services: Services, account: str, split_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = counted(services, split_id)
    with monkeypatch.context() as patched:
        patched.setattr(services.quotas, "_settings", services.settings.model_copy(update={"quota_bytes": 1}))
        with pytest.raises(QuotaExceeded):
            services.derived_files.previews(account, split_id, "aac")
    services.quotas._disk = Disk([services.settings.data_dir], 10**9, lambda folder: 10**9)
    with pytest.raises(Busy, match="disk"):
        services.derived_files.previews(account, split_id, "aac")
    assert counted(services, split_id) == before


def test_previews_of_a_dead_worker_are_made_by_another(
    services: Services, account: str, maker: FileMaker, split_id: str
) -> None:
    late = maker._claim("wrk_dead", background=True)
    assert late is not None
    maker.requeue_dead(lambda: ["wrk_2"])
    make(maker)
    folder = services.derived_files.previews(account, split_id, "opus")
    files = stored(services, folder)
    maker._make(late)  # the late run changes nothing
    assert stored(services, folder) == files
    assert list(counted(services, split_id).values()) == [sum(files.values())]


def test_previews_are_deleted_with_the_split(
    services: Services, account: str, maker: FileMaker, split_id: str
) -> None:
    make(maker)
    services.splits.delete(account, split_id)
    assert list(services.storage.list_prefix(f"splits/{split_id}")) == []
    assert counted(services, split_id) == {}


def test_previews_of_a_split_that_is_deleted_meanwhile_are_not_kept(
    services: Services,
    account: str,
    maker: FileMaker,
    split_id: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    put = services.storage.put_file

    def put_then_delete(key: str, path: Path, mime: str, *names: str) -> int:
        size = put(key, path, mime, *names)
        if key.endswith("previews.json"):
            services.splits.delete(account, split_id)
            put(key, path, mime)
        return size

    monkeypatch.setattr(services.storage, "put_file", put_then_delete)
    make(maker)
    assert list(services.storage.list_prefix(f"splits/{split_id}")) == []


def test_previews_that_fail_leave_nothing(
    services: Services, account: str, maker: FileMaker, split_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put: Callable[..., int] = services.storage.put_file

    def put_stems_only(key: str, path: Path, mime: str, *names: str) -> int:
        if key.endswith("previews.json"):
            raise OSError("no space")
        return put(key, path, mime, *names)

    monkeypatch.setattr(services.storage, "put_file", put_stems_only)
    while maker.make_next("wrk_1", background=True):
        pass
    assert services.derived_files.previews(account, split_id, "opus") is None
    assert services.splits.get(account, split_id).levels is not None  # the stems are measured all the same
    SplitMaintenance(
        services.database, services.storage, services.splits, services.derived_files, services.quotas
    ).delete_expired_files()
    assert counted(services, split_id) == {}
    assert stored(services, f"splits/{split_id}/derived") == {}


def test_previews_expire_with_the_split(services: Services, maker: FileMaker, split_id: str) -> None:
    measure(maker)
    with services.database.read() as session:
        expires = set(session.scalars(select(DerivedFile.expires_at)))
        assert expires == {session.get_one(Split, split_id).expires_at}
    with services.database.write() as session:
        session.execute(update(Split).values(expires_at=now() - timedelta(seconds=1)))
        session.execute(update(DerivedFile).values(expires_at=now() - timedelta(seconds=1)))
    maintenance = SplitMaintenance(
        services.database, services.storage, services.splits, services.derived_files, services.quotas
    )
    maintenance.delete_expired_files()
    maintenance.delete_expired()
    assert list(services.storage.list_prefix(f"splits/{split_id}")) == []
    assert counted(services, split_id) == {}
