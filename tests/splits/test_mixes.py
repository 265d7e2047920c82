"""Mixes of a split: stems, invalid settings, retention."""

import contextlib
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from sqlalchemy import update

from stemsplitter.audio.decode import open_source
from stemsplitter.audio.encode import StemWriter
from stemsplitter.audio.formats import OutputFormat
from stemsplitter.audio.tags import Tags
from stemsplitter.clock import now
from stemsplitter.errors import AudioError
from stemsplitter.quotas.models import StoredBytes
from stemsplitter.service_errors import Conflict, NotFound, QuotaExceeded, RateLimited, ValidationFailed
from stemsplitter.services import Services
from stemsplitter.splits import mixes as mixes_module
from stemsplitter.splits import repository
from stemsplitter.splits.maintenance import SplitMaintenance
from stemsplitter.splits.mixes import Fader, Mixes

from .conftest import Create

LIMIT_S = 60.0

Samples = npt.NDArray[np.float32]
FULL = 1 << 23
SIX = ("vocals", "drums", "bass", "guitar", "piano", "other")


@pytest.fixture
def mixes(services: Services) -> Mixes:
    return services.mixes


@pytest.fixture
def finish(services: Services, tmp_path: Path) -> Callable[..., dict[str, npt.NDArray[np.int64]]]:
    """Complete a split with stems of noise; return their samples in 24-bit steps."""

    def end(split_id: str, names: tuple[str, ...] = ("vocals", "drums")) -> dict[str, npt.NDArray[np.int64]]:
        values, stems = {}, {}
        for seed, name in enumerate(names):
            values[name] = np.random.default_rng(seed).integers(-FULL // 8, FULL // 8, (2, 9_000))
            path = tmp_path / f"{name}.wav"
            tags = Tags(title="Lied").for_stem(name)
            with StemWriter(path, OutputFormat.parse("wav"), 44_100, 2, tags) as writer:
                writer.write((values[name] / FULL).astype(np.float32))
                writer.commit()
            key = f"splits/{split_id}/stems/{name}.wav"
            stems[name] = {
                "key": key,
                "size": services.storage.put_file(key, path, "audio/wav"),
                "mime": "audio/wav",
            }
        took = {"device": "cpu", "seconds": 1.5, "realtimeFactor": 0.5}
        with services.database.write() as session:
            assert repository.start(session, split_id, None, "run_1", "wrk_1")
            assert services.splits.endings.succeed(
                session, split_id, "run_1", stems, {}, took, sum(stem["size"] for stem in stems.values())
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
    services: Services, account: str, whole: tuple[str, dict[str, Samples]], mixes: Mixes
) -> None:
    split_id, values = whole
    done = mixes.render(account, split_id, {"vocals": Fader(muted=True), "bass": Fader(gain_db=0)}, "flac")
    found = mixes.find(account, split_id, done.name)
    assert (found.mime, found.filename) == ("audio/flac", "Lied (mix).flac")
    assert done.size == services.storage.size(found.key)
    wanted = sum(values[name] for name in SIX[1:])
    np.testing.assert_array_equal(read(services, found.key).astype(np.float64) * FULL, wanted)
    assert (done.peak, done.gain) == (np.abs(wanted).max() / FULL, 1)
    with services.storage.local_file(found.key) as path, open_source(path) as source:
        assert (source.info.tags.title, source.info.tags.comment) == ("Lied", "")


def test_different_gains_make_another_file(
    services: Services, account: str, split: str, mixes: Mixes
) -> None:
    plain = mixes.render(account, split, {}, "wav")
    again = mixes.render(account, split, {"vocals": Fader(), "drums": Fader()}, "wav")
    hot = mixes.render(account, split, {"vocals": Fader(gain_db=12), "drums": Fader(gain_db=12)}, "wav")
    assert plain == again
    assert hot.name != plain.name and hot.peak > 0.9
    hottest = mixes.render(account, split, {"vocals": Fader(12, -1), "drums": Fader(12, -1)}, "mp3")
    assert hottest.gain == pytest.approx(1 / hottest.peak)
    assert mixes.find(account, split, hottest.name).mime == "audio/mpeg"


def test_solo_overrides_mute(account: str, split: str, mixes: Mixes) -> None:
    alone = mixes.render(account, split, {"drums": Fader(muted=True)}, "wav")
    solo = mixes.render(account, split, {"vocals": Fader(muted=True, solo=True)}, "wav")
    both = mixes.render(account, split, {}, "wav")
    assert alone.peak == solo.peak != both.peak


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
    account: str, split: str, mixes: Mixes, faders: dict[str, Fader], format: str, message: str
) -> None:
    with pytest.raises(ValidationFailed, match=message):
        mixes.render(account, split, faders, format)


def test_stem_file_has_four_parts_and_the_mixture(
    services: Services, account: str, whole: tuple[str, dict[str, Samples]], mixes: Mixes
) -> None:
    split_id, values = whole
    done = mixes.render_stem_file(account, split_id)
    found = mixes.find(account, split_id, done.name)
    assert (found.mime, found.filename) == ("audio/mp4", "Lied.stem.mp4")
    other = values["other"] + values["guitar"] + values["piano"]
    groups = [sum(values.values()), values["drums"], values["bass"], other, values["vocals"]]
    for track in range(len(groups)):
        got = read(services, found.key, track)
        assert got.shape == groups[track].shape
        # AAC keeps little of white noise, but it is like its own most
        likeness = [np.corrcoef(got[0], group[0])[0, 1] for group in groups]
        assert int(np.argmax(likeness)) == track


def test_stem_file_needs_all_stems(account: str, create: Create, split: str, mixes: Mixes) -> None:
    with pytest.raises(ValidationFailed, match="all stems of 4s or 6s"):
        mixes.render_stem_file(account, split)
    with pytest.raises(Conflict, match="is queued"):
        mixes.render_stem_file(account, create())


def test_only_stems_and_mixes_are_found(account: str, split: str, mixes: Mixes) -> None:
    found = mixes.find(account, split, "vocals.wav")
    assert (found.key, found.filename) == (f"splits/{split}/stems/vocals.wav", "Lied (vocals).wav")
    for name in (
        "bass.wav",
        "peaks.json",
        "mix-0123456789abcdef.wav",
        "../stems/vocals.wav",
        "..",
        "",
        "ü.wav",
    ):
        with pytest.raises(NotFound):
            mixes.find(account, split, name)


def test_mixes_of_another_account_are_not_found(account: str, split: str, mixes: Mixes) -> None:
    done = mixes.render(account, split, {}, "wav")
    for action in (
        lambda: mixes.render("acc_other", split, {}, "wav"),
        lambda: mixes.render_stem_file("acc_other", split),
        lambda: mixes.find("acc_other", split, done.name),
    ):
        with pytest.raises(NotFound):
            action()


def mix_files(services: Services, split: str) -> list[str]:
    return sorted(
        stored.key.rpartition("/")[2] for stored in services.storage.list_prefix(f"splits/{split}/mixes")
    )


def stored_bytes(services: Services, account: str) -> int:
    with services.database.read() as session:
        return services.quotas.used(session, account)


def test_expired_mixes_are_deleted_and_all_with_the_split(
    services: Services, account: str, split: str, mixes: Mixes
) -> None:
    first = mixes.render(account, split, {}, "wav")
    second = mixes.render(account, split, {}, "flac")
    assert mixes.find(account, split, first.name)
    with services.database.write() as session:
        query = update(StoredBytes).where(StoredBytes.name == first.name)
        session.execute(query.values(expires_at=now() - timedelta(seconds=1)))
    used = stored_bytes(services, account)
    maintenance = SplitMaintenance(services.database, services.storage, services.splits, services.quotas)
    assert maintenance.delete_expired_mixes() == 1
    assert stored_bytes(services, account) == used - first.size
    assert mix_files(services, split) == [second.name]
    with pytest.raises(NotFound):
        mixes.find(account, split, first.name)
    services.splits.delete(account, split)
    assert list(services.storage.list_prefix(f"splits/{split}")) == []
    assert stored_bytes(services, account) == 0


def test_h2_a_split_keeps_a_bounded_number_of_mixes(
    services: Services, account: str, split: str, mixes: Mixes
) -> None:
    limit = services.settings.max_mixes
    names = [
        mixes.render(account, split, {"vocals": Fader(gain_db=-number / 2)}, "mp3").name
        for number in range(2 * limit)
    ]
    assert mix_files(services, split) == sorted(names[-limit:])
    mixes.render(account, split, {"vocals": Fader(gain_db=-(limit + 1) / 2)}, "mp3")
    assert mix_files(services, split) == sorted(names[-limit:])


def test_h2_mix_over_the_quota_is_refused_before_it_is_rendered(
    services: Services, account: str, split: str, mixes: Mixes, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = mixes.render(account, split, {}, "wav")
    monkeypatch.setattr(mixes_module, "write_mix", None)
    own = services.settings.model_copy(update={"quota_bytes": stored_bytes(services, account) + 1})
    monkeypatch.setattr(services.quotas, "_settings", own)
    with pytest.raises(QuotaExceeded):
        mixes.render(account, split, {}, "flac")
    assert mix_files(services, split) == [kept.name]


def test_h2_failed_mix_gives_its_bytes_back(
    services: Services, account: str, split: str, mixes: Mixes, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = stored_bytes(services, account)

    def fail(*_: object) -> None:
        raise OSError("no space")

    monkeypatch.setattr(mixes_module, "write_mix", fail)
    with pytest.raises(OSError):
        mixes.render(account, split, {}, "flac")
    assert stored_bytes(services, account) == used


def test_h2_mix_of_a_split_that_is_deleted_meanwhile_is_not_kept(
    services: Services, account: str, split: str, mixes: Mixes, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = mixes_module.write_mix

    def slow(*arguments: object) -> object:
        services.splits.delete(account, split)
        return write(*arguments)  # type: ignore[arg-type]

    def render() -> None:
        # the stems are open; a file system keeps them until they are closed
        with contextlib.ExitStack() as stack:
            monkeypatch.setattr(mixes_module, "write_mix", slow)
            stack.callback(monkeypatch.undo)
            mixes.render(account, split, {}, "flac")

    with pytest.raises((NotFound, AudioError)):
        render()
    assert list(services.storage.list_prefix(f"splits/{split}")) == []
    assert stored_bytes(services, account) == 0


def test_concurrent_mixes_are_limited(
    account: str, split: str, mixes: Mixes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mixes_module, "WAIT_SECONDS", 0.05)
    release, began = threading.Event(), threading.Semaphore(0)
    write = mixes_module.write_mix

    def slow(*arguments: object) -> object:
        began.release()
        assert release.wait(LIMIT_S)
        return write(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(mixes_module, "write_mix", slow)
    threads = [
        threading.Thread(target=mixes.render, args=(account, split, {}, "wav"))
        for _ in range(mixes_module.RENDERED_AT_ONCE)
    ]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert began.acquire(timeout=LIMIT_S)
    with pytest.raises(RateLimited):
        mixes.render(account, split, {}, "wav")
    release.set()
    for thread in threads:
        thread.join(LIMIT_S)
    assert mixes.render(account, split, {}, "wav")
