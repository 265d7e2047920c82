"""Files derived from masters: stems in other formats, archives, mixes; invalid settings, runs, retention."""

import base64
import dataclasses
import io
import math
import subprocess
import sys
import zipfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from sqlalchemy import select, update

from stemsplitter.audio.decode import open_source
from stemsplitter.audio.encode import StemWriter
from stemsplitter.audio.formats import OutputFormat
from stemsplitter.audio.tags import Tags
from stemsplitter.clock import now
from stemsplitter.effects import Chain, PitchShift, Stretch, apply
from stemsplitter.jobs import repository
from stemsplitter.quotas.disk import Disk
from stemsplitter.quotas.models import StoredBytes
from stemsplitter.service_errors import (
    Busy,
    Conflict,
    NotFound,
    QuotaExceeded,
    RateLimited,
    ValidationFailed,
)
from stemsplitter.services import Services
from stemsplitter.splits.derived import content
from stemsplitter.splits.derived import maker as maker_module
from stemsplitter.splits.derived import repository as derived_repository
from stemsplitter.splits.derived.content import Fader, parse_format
from stemsplitter.splits.derived.maker import FileMaker
from stemsplitter.splits.derived.models import DerivedFile
from stemsplitter.splits.derived.schemas import FileView, MixView
from stemsplitter.splits.derived.service import DerivedFiles, Download
from stemsplitter.splits.maintenance import SplitMaintenance
from stemsplitter.splits.models import Split
from tests.services import file_maker

from .conftest import Create

Samples = npt.NDArray[np.float32]
FULL = 1 << 23
# of one pixel
COVER = Tags(
    cover=base64.b64decode(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    ),
    cover_mime="image/png",
)
SIX = ("vocals", "drums", "bass", "guitar", "piano", "other")


@pytest.fixture
def files(services: Services) -> DerivedFiles:
    return services.derived_files


@pytest.fixture
def maker(services: Services) -> FileMaker:
    return file_maker(services)


@pytest.fixture
def mix(account: str, split: str, files: DerivedFiles, maker: FileMaker) -> Callable[..., MixView]:
    """Return a function that requests a mix of the split and makes it."""

    def make(faders: dict[str, Fader] | None = None, format: str = "wav", split_id: str = split) -> MixView:
        requested = files.mix(account, split_id, faders or {}, parse_format(format))
        maker.make_next("wrk_1")
        return files.get_mix(account, split_id, requested.id)

    return make


@pytest.fixture
def finish(services: Services, tmp_path: Path) -> Callable[..., dict[str, npt.NDArray[np.int64]]]:
    """Complete a split with stems of noise; return their samples in 24-bit steps."""

    def end(split_id: str, names: tuple[str, ...] = ("vocals", "drums")) -> dict[str, npt.NDArray[np.int64]]:
        values, stems, masters = {}, {}, {}
        for seed, name in enumerate(names):
            values[name] = np.random.default_rng(seed).integers(-FULL // 8, FULL // 8, (2, 9_000))
            path = tmp_path / f"{name}.wav"
            tags = dataclasses.replace(COVER, title="Lied").for_stem(name)
            with StemWriter(path, OutputFormat.parse("wav"), 44_100, 2, tags) as writer:
                writer.write((values[name] / FULL).astype(np.float32))
                writer.commit()
            key = f"splits/{split_id}/stems/{name}.wav"
            stems[name] = {
                "key": key,
                "size": services.storage.put_file(key, path, "audio/wav"),
                "mime": "audio/wav",
            }
            masters[name] = stems[name] | {"peak": float(np.abs(values[name]).max()) / FULL}
        took = {"device": "cpu", "seconds": 1.5, "realtimeFactor": 0.5}
        with services.database.write() as session:
            assert repository.start(session, split_id, None, "run_1", "wrk_1")
            assert services.splits.endings.succeed(
                session,
                split_id,
                "run_1",
                {"stems": stems, "masters": masters, "processing": took},
                sum(stem["size"] for stem in stems.values()),
            )
        return values

    return end


@pytest.fixture
def split(create: Create, finish: Callable[..., object]) -> str:
    split_id = create(stemModel="4s", stems=["vocals", "drums"], outputFormat="wav")
    finish(split_id)
    return split_id


@pytest.fixture
def whole(create: Create, finish: Callable[..., dict[str, Samples]]) -> tuple[str, dict[str, Samples]]:
    """A split with all six stems, and their samples."""
    split_id = create(outputFormat="wav")
    return split_id, finish(split_id, SIX)


def read(services: Services, key: str, track: int | None = None) -> Samples:
    with services.storage.local_file(key) as path, open_source(path, track=track) as source:
        return np.concatenate(list(source.blocks()), axis=1)


def test_mix_is_the_exact_sum_of_audible_stems(
    services: Services,
    account: str,
    whole: tuple[str, dict[str, Samples]],
    files: DerivedFiles,
    mix: Callable[..., MixView],
) -> None:
    split_id, values = whole
    done = mix({"vocals": Fader(muted=True), "bass": Fader(gain_db=0)}, "flac", split_id)
    found = files.find(account, split_id, done.id)
    assert (found.mime, found.filename) == ("audio/flac", "Lied (mix).flac")
    assert done.size == services.storage.size(found.key)
    wanted = sum(values[name] for name in SIX[1:])
    np.testing.assert_array_equal(read(services, found.key).astype(np.float64) * FULL, wanted)
    assert (done.peak, done.gain) == (np.abs(wanted).max() / FULL, 1)
    assert (done.gains["vocals"], done.gains["bass"], done.pan) == (None, 0, {})
    with services.storage.local_file(found.key) as path, open_source(path) as source:
        assert (source.info.tags.title, source.info.tags.comment) == ("Lied", "")
        assert source.info.tags.cover == COVER.cover


def test_mix_at_another_speed_and_pitch_keeps_the_drums_apart(
    services: Services, account: str, split: str, files: DerivedFiles, maker: FileMaker
) -> None:
    requested = files.mix(account, split, {}, parse_format("wav32f"), speed=0.8, semitones=2)
    maker.make_next("wrk_1")
    found = files.find(account, split, requested.id)
    assert found.filename == "Lied (mix, 0.8x, +2).wav"
    samples = read(services, found.key)
    assert samples.shape == (2, 9_000 / 0.8)
    apart = np.zeros_like(samples)
    for name in ("vocals", "drums"):
        effect = Chain(
            Stretch(44_100, 2, 0.8, drums=name == "drums"),
            PitchShift(44_100, 2, 2, drums=name == "drums"),
        )
        stem = read(services, f"splits/{split}/stems/{name}.wav")
        apart += np.concatenate(list(apply(effect, [stem])), axis=1)
    np.testing.assert_allclose(samples, apart, atol=1e-6)
    again = files.mix(account, split, {}, parse_format("wav32f"))
    assert again.id != requested.id and again.filename == "Lied (mix).wav"


@pytest.mark.parametrize(("speed", "semitones"), [(0.1, 0), (5, 0), (math.nan, 0), (1, 13), (1, math.nan)])
def test_speed_or_pitch_out_of_range_is_rejected(
    account: str, split: str, files: DerivedFiles, speed: float, semitones: float
) -> None:
    with pytest.raises(ValidationFailed, match="correct them"):
        files.mix(account, split, {}, parse_format("wav"), speed, semitones)


def test_stem_in_another_format_is_made_once(
    services: Services, account: str, split: str, files: DerivedFiles, maker: FileMaker
) -> None:
    first = files.stem(account, split, "vocals", "flac", "16")
    again = files.stem(account, split, "vocals", "flac", "16")
    assert isinstance(first, FileView) and first == again and first.status == "queued"
    assert maker.make_next("wrk_1") and not maker.make_next("wrk_1")
    found = files.stem(account, split, "vocals", "flac", "16")
    assert isinstance(found, Download)
    assert (found.mime, found.filename) == ("audio/flac", "Lied (vocals).flac")
    with services.storage.local_file(found.key) as path, open_source(path) as source:
        assert (source.info.tags.title, source.info.tags.comment) == ("Lied (vocals)", "")
    own = files.stem(account, split, "vocals", None)
    assert isinstance(own, Download) and own.key == f"splits/{split}/stems/vocals.wav"


def test_complement_is_the_exact_sum_of_the_other_stems(
    services: Services,
    account: str,
    whole: tuple[str, dict[str, Samples]],
    files: DerivedFiles,
    maker: FileMaker,
) -> None:
    split_id, values = whole
    files.stem(account, split_id, "no_drums", "flac")
    maker.make_next("wrk_1")
    found = files.stem(account, split_id, "no_drums", "flac")
    assert isinstance(found, Download) and found.filename == "Lied (no_drums).flac"
    wanted = sum(values[name] for name in SIX if name != "drums")
    np.testing.assert_array_equal(read(services, found.key).astype(np.float64) * FULL, wanted)


def test_complement_needs_all_stems(account: str, split: str, files: DerivedFiles) -> None:
    for name in ("no_drums", "instrumental", "piano", "no_tuba"):
        with pytest.raises(NotFound, match="has no stem"):
            files.stem(account, split, name, "flac")


def test_archive_in_another_format_has_all_stems(
    services: Services, account: str, split: str, files: DerivedFiles, maker: FileMaker
) -> None:
    assert files.archive(account, split, "wav") is None
    assert isinstance(files.archive(account, split, "mp3"), FileView)
    maker.make_next("wrk_1")
    found = files.archive(account, split, "mp3")
    assert isinstance(found, Download) and found.filename == "Lied.zip"
    data = b"".join(services.storage.read(found.key))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.namelist() == ["vocals.mp3", "drums.mp3"] and archive.testzip() is None


def test_gains_of_a_request_name_stems_and_complements(
    account: str, whole: tuple[str, dict[str, Samples]], files: DerivedFiles
) -> None:
    split_id, _ = whole
    made = files.mix_levels(account, split_id, {"no_vocals": None}, {"vocals": 0.5}, "mp3", None, 192)
    assert made.gains == dict.fromkeys(SIX) | {"vocals": 0} and made.pan == {"vocals": 0.5}
    assert made.format == "mp3:192"
    with pytest.raises(ValidationFailed, match="named twice"):
        files.mix_levels(account, split_id, {"no_vocals": None, "bass": 0}, {}, None, None, None)
    with pytest.raises(ValidationFailed, match="no bit rate"):
        files.mix_levels(account, split_id, {}, {}, "flac", None, 192)


def test_different_gains_make_another_file(
    account: str, split: str, files: DerivedFiles, mix: Callable[..., MixView]
) -> None:
    plain = mix()
    assert mix({"vocals": Fader(), "drums": Fader()}) == plain
    hot = mix({"vocals": Fader(gain_db=12), "drums": Fader(gain_db=12)})
    assert hot.id != plain.id and hot.peak is not None and hot.peak > 0.9
    hottest = mix({"vocals": Fader(12, -1), "drums": Fader(12, -1)}, "flac")
    assert hottest.gain is not None and hottest.gain < 1
    assert [each.id for each in files.mixes(account, split, limit=9, cursor=None)[0]] == [
        hottest.id,
        hot.id,
        plain.id,
    ]


def test_solo_overrides_mute(mix: Callable[..., MixView]) -> None:
    alone = mix({"drums": Fader(muted=True)})
    solo = mix({"vocals": Fader(muted=True, solo=True)})
    assert alone.id == solo.id != mix().id


@pytest.mark.parametrize(
    ("faders", "format", "message"),
    [
        ({"piano": Fader()}, "wav", "has no stem piano"),
        ({"vocals": Fader(gain_db=12.1)}, "wav", "-60 to 12 dB"),
        ({"vocals": Fader(gain_db=float("nan"))}, "wav", "-60 to 12 dB"),
        ({"vocals": Fader(pan=-1.1)}, "wav", "pan -1 to 1"),
        ({"vocals": Fader(muted=True), "drums": Fader(muted=True)}, "wav", "Every stem is muted"),
        ({}, "wma", "not wma"),
    ],
)
def test_invalid_settings_are_refused(
    account: str, split: str, files: DerivedFiles, faders: dict[str, Fader], format: str, message: str
) -> None:
    with pytest.raises(ValidationFailed, match=message):
        files.mix(account, split, faders, parse_format(format))


def test_stem_file_has_four_parts_and_the_mixture(
    services: Services,
    account: str,
    whole: tuple[str, dict[str, Samples]],
    files: DerivedFiles,
    maker: FileMaker,
) -> None:
    split_id, values = whole
    done = files.stem_file(account, split_id)
    maker.make_next("wrk_1")
    found = files.find(account, split_id, done.id)
    assert (found.mime, found.filename) == ("audio/mp4", "Lied.stem.mp4")
    other = values["other"] + values["guitar"] + values["piano"]
    groups = [sum(values.values()), values["drums"], values["bass"], other, values["vocals"]]
    for track in range(len(groups)):
        got = read(services, found.key, track)
        assert got.shape == groups[track].shape
        # AAC keeps little of white noise, but it is like its own most
        likeness = [np.corrcoef(got[0], group[0])[0, 1] for group in groups]
        assert int(np.argmax(likeness)) == track


def test_stem_file_needs_all_stems(account: str, create: Create, split: str, files: DerivedFiles) -> None:
    with pytest.raises(ValidationFailed, match="all stems of 4s or 6s"):
        files.stem_file(account, split)
    with pytest.raises(Conflict, match="is queued"):
        files.stem_file(account, create())


def test_only_stems_and_derived_files_are_found(account: str, split: str, files: DerivedFiles) -> None:
    found = files.find(account, split, "vocals.wav")
    assert (found.key, found.filename) == (f"splits/{split}/stems/vocals.wav", "Lied (vocals).wav")
    waiting = files.mix(account, split, {}, parse_format("wav"))
    for name in ("bass.wav", "peaks.json", "mix_0123", waiting.id, "../stems/vocals.wav", "..", "", "ü.wav"):
        with pytest.raises(NotFound):
            files.find(account, split, name)


def test_files_of_another_account_are_not_found(
    account: str, split: str, files: DerivedFiles, mix: Callable[..., MixView], create: Create
) -> None:
    done = mix()
    for action in (
        lambda: files.mix("acc_other", split, {}, parse_format("wav")),
        lambda: files.stem("acc_other", split, "vocals", "mp3"),
        lambda: files.archive("acc_other", split, "mp3"),
        lambda: files.stem_file("acc_other", split),
        lambda: files.mixes("acc_other", split, limit=1, cursor=None),
        lambda: files.get_mix("acc_other", split, done.id),
        lambda: files.find("acc_other", split, done.id),
    ):
        with pytest.raises(NotFound):
            action()


def stored(services: Services, split: str) -> list[str]:
    return sorted(
        file.key.rpartition("/")[2] for file in services.storage.list_prefix(f"splits/{split}/derived")
    )


def stored_bytes(services: Services, account: str) -> int:
    with services.database.read() as session:
        return services.quotas.used(session, account)


def sweep(services: Services) -> int:
    return SplitMaintenance(
        services.database, services.storage, services.splits, services.derived_files, services.quotas
    ).delete_expired_files()


def change(services: Services, file_id: str, **values: object) -> None:
    with services.database.write() as session:
        session.execute(update(DerivedFile).where(DerivedFile.id == file_id).values(**values))


def test_expired_files_are_deleted_and_all_with_the_split(
    services: Services, account: str, split: str, files: DerivedFiles, mix: Callable[..., MixView]
) -> None:
    first, second = mix(), mix(format="flac")
    change(services, first.id, expires_at=now() - timedelta(seconds=1))
    used = stored_bytes(services, account)
    assert sweep(services) == 1
    assert stored_bytes(services, account) == used - (first.size or 0)
    assert stored(services, split) == [second.id]
    with pytest.raises(NotFound):
        files.find(account, split, first.id)
    assert mix().size == first.size  # made anew
    services.splits.delete(account, split)
    assert list(services.storage.list_prefix(f"splits/{split}")) == []
    assert stored_bytes(services, account) == 0


def test_h2_a_split_keeps_a_bounded_number_of_files(
    services: Services, split: str, mix: Callable[..., MixView], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = services.settings.model_copy(update={"max_derived_files": 3})
    monkeypatch.setattr(services.derived_files, "_settings", own)
    made = [mix({"vocals": Fader(gain_db=-number)}, "mp3").id for number in range(6)]
    sweep(services)
    assert stored(services, split) == sorted(made[-3:])


def test_h2_files_that_wait_are_bounded(
    services: Services, account: str, split: str, files: DerivedFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = services.settings.model_copy(update={"max_queued_files": 2})
    monkeypatch.setattr(files, "_settings", own)
    for format in ("mp3", "flac"):
        files.stem(account, split, "vocals", format)
    with pytest.raises(RateLimited, match="2 of your files"):
        files.stem(account, split, "drums", "mp3")


def test_h2_account_that_waited_longest_is_served_before_long_queues(
    services: Services, account: str, split: str
) -> None:
    """Two accounts with long queues would otherwise have all files of theirs made first."""
    with services.database.write() as session:
        owners = [account, *(services.accounts.create_account(session, f"{n}@example.com").id for n in "bc")]
        song = session.get_one(Split, split)
        for owner, files in zip(owners, (3, 3, 1), strict=True):
            for number in range(files):
                fader = {"vocals": Fader(-number, owners.index(owner) / 10)}
                queued = derived_repository.add(
                    session, song, content.mix(song, fader, parse_format("mp3")), now()
                )
                queued.account_id = owner
    order = []
    with services.database.write() as session:
        for _ in range(7):
            file = session.get_one(DerivedFile, derived_repository.next_queued(session))
            order.append(owners.index(file.account_id))
            derived_repository.start(session, file.id, "run_1", "wrk_1")
            values = {"status": "succeeded", "finished_at": now() + timedelta(seconds=len(order))}
            derived_repository.end(session, file.id, "run_1", values)
    assert order == [0, 1, 2, 0, 1, 0, 1]


def test_h2_no_file_is_made_while_the_disk_is_almost_full(
    account: str, split: str, files: DerivedFiles, maker: FileMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.stem(account, split, "vocals", "flac")
    free = [0]
    monkeypatch.setattr(maker._quotas, "_disk", Disk([Path("files")], 1, lambda _: free[0]))
    assert not maker.make_next("wrk_1")
    free[0] = 1 << 40
    assert maker.make_next("wrk_1")


def test_h2_new_file_of_a_read_counts_as_a_creation(
    services: Services, account: str, split: str, files: DerivedFiles, maker: FileMaker
) -> None:
    limits = services.rate_limits
    allowed = limits.create.limit
    for _ in range(allowed - 1):
        limits.check(account, limits.create)
    first = files.stem(account, split, "vocals", "flac")
    assert files.stem(account, split, "vocals", "flac") == first
    with pytest.raises(RateLimited, match=f"{allowed} create requests"):
        files.stem(account, split, "drums", "flac")
    with pytest.raises(RateLimited):
        files.archive(account, split, "flac")
    maker.make_next("wrk_1")
    assert isinstance(files.stem(account, split, "vocals", "flac"), Download)
    assert not maker.make_next("wrk_1")


def test_h2_file_over_the_quota_is_refused_before_it_is_made(
    services: Services, account: str, split: str, files: DerivedFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = stored_bytes(services, account)
    own = services.settings.model_copy(update={"quota_bytes": used + 1})
    monkeypatch.setattr(services.quotas, "_settings", own)
    with pytest.raises(QuotaExceeded):
        files.mix(account, split, {}, parse_format("flac"))
    assert stored_bytes(services, account) == used


def test_h2_failed_file_gives_its_bytes_back_and_is_tried_again_later(
    services: Services,
    account: str,
    split: str,
    files: DerivedFiles,
    mix: Callable[..., MixView],
    maker: FileMaker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    used = stored_bytes(services, account)

    def fail(*_: object) -> None:
        raise OSError("no space")

    with monkeypatch.context() as patched:
        patched.setattr(maker_module, "render", fail)
        done = mix(format="flac")
        while maker.make_next("wrk_1"):
            pass
    failed = files.get_mix(account, split, done.id)
    assert failed.status == "failed" and failed.error is not None and failed.url is None
    sweep(services)
    assert stored_bytes(services, account) == used
    with pytest.raises(Busy, match="try again"):
        mix(format="flac")
    change(services, done.id, finished_at=now() - timedelta(minutes=2))
    assert mix(format="flac").status == "succeeded"


def test_h2_file_of_a_split_that_is_deleted_meanwhile_is_not_kept(
    services: Services,
    account: str,
    split: str,
    files: DerivedFiles,
    maker: FileMaker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    render = maker_module.render

    def slow(*arguments: object) -> object:
        made = render(*arguments)  # type: ignore[arg-type]
        services.splits.delete(account, split)
        return made

    files.mix(account, split, {}, parse_format("flac"))
    monkeypatch.setattr(maker_module, "render", slow)
    assert maker.make_next("wrk_1") and not maker.make_next("wrk_1")
    assert list(services.storage.list_prefix(f"splits/{split}")) == []
    assert stored_bytes(services, account) == 0


def test_file_of_a_dead_worker_is_made_by_another(
    services: Services, account: str, split: str, files: DerivedFiles, maker: FileMaker
) -> None:
    requested = files.mix(account, split, {}, parse_format("flac"))
    late = maker._claim("wrk_dead")
    assert late is not None and files.get_mix(account, split, requested.id).status == "processing"
    maker.requeue_dead(lambda: ["wrk_dead"])
    assert not maker.make_next("wrk_2")
    maker.requeue_dead(lambda: ["wrk_2"])
    assert maker.make_next("wrk_2")
    done = files.get_mix(account, split, requested.id)
    assert done.status == "succeeded"
    maker._make(late)  # the late run changes nothing
    assert files.get_mix(account, split, requested.id) == done
    assert stored(services, split) == [done.id]


# makes the next file, and stops in the middle of it
_KILLED_WORKER = """
import sys, time
from pathlib import Path
from stemsplitter.services import Services
from stemsplitter.settings import Settings
from stemsplitter.splits.derived import maker

def render(content, masters, peak, folder, tags):
    (folder / "half.flac").write_bytes(bytes(1000))
    print("rendering", flush=True)
    time.sleep(600)

maker.render = render
services = Services(Settings(database_url=sys.argv[1], data_dir=Path(sys.argv[2])))
maker.FileMaker(services.database, services.storage, services.quotas, services.settings).make_next("wrk_dead")
"""


def test_file_of_a_killed_worker_is_made_by_another_and_nothing_is_left(
    services: Services, account: str, split: str, files: DerivedFiles, maker: FileMaker
) -> None:
    requested = files.mix(account, split, {}, parse_format("flac"))
    command = [sys.executable, "-c", _KILLED_WORKER, services.database.url, str(services.settings.data_dir)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None and worker.stdout.readline() == "rendering\n"
        assert files.get_mix(account, split, requested.id).status == "processing"
        worker.kill()
    assert stored(services, split) == []
    maker.requeue_dead(lambda: ["wrk_2"])
    assert maker.make_next("wrk_2") and not maker.make_next("wrk_2")
    done = files.get_mix(account, split, requested.id)
    assert done.status == "succeeded" and stored(services, split) == [done.id]
    with services.database.read() as session:
        counted = session.scalar(select(StoredBytes.bytes).where(StoredBytes.name == done.id))
    assert counted == done.size == services.storage.size(f"splits/{split}/derived/{done.id}")


def test_stopping_worker_requeues_its_files(
    account: str, split: str, files: DerivedFiles, maker: FileMaker
) -> None:
    requested = files.mix(account, split, {}, parse_format("flac"))
    assert maker._claim("wrk_1") is not None
    maker.requeue_lost("wrk_1")  # this process runs it
    assert files.get_mix(account, split, requested.id).status == "processing"
    maker.requeue_own("wrk_1")
    assert files.get_mix(account, split, requested.id).status == "queued"
