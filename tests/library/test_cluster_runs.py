"""Runs over a library on a cluster in this process, with a toy model, and on worker processes that are killed."""

import gc
import json
import os
import signal
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import obstore
import pytest
import soundfile
from distributed import Client, LocalCluster
from obstore.exceptions import GenericError

from benchmarks import library_listing
from stemsplitter import cluster
from stemsplitter.catalogue.store import ModelStore
from stemsplitter.errors import RequestError, StemSplitterError, Stopped
from stemsplitter.library import (
    LibrarySettings,
    Manifest,
    SongResult,
    SongTask,
    cluster_runs,
    locations,
    separate_library,
    separating,
    tasks,
)
from stemsplitter.library.locations import open_location
from stemsplitter.storage.s3 import Bucket
from tests import buckets
from tests.separation.toy_model import ToyModel, toy_model

__all__ = ["toy_model"]

SETTINGS = LibrarySettings(model="htdemucs", format="wav32f")


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """Two worker threads in this process."""
    options = {
        "n_workers": 1,
        "threads_per_worker": 2,
        "processes": False,
        "dashboard_address": "127.0.0.1:0",
    }
    with LocalCluster(**options) as local, Client(local) as client:
        yield client


@pytest.fixture(autouse=True)
def new_stores() -> None:
    locations._open.cache_clear()


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch, toy_model: ToyModel, tmp_path: Path) -> Iterator[ToyModel]:
    monkeypatch.setattr("stemsplitter.catalogue.opening.load_model", lambda *_: toy_model)
    monkeypatch.setattr(ModelStore, "is_ready", lambda *_: True)
    monkeypatch.setenv("STEMSPLITTER_CACHE_DIR", str(tmp_path / "cache"))
    separating._loaded.cache_clear()
    monkeypatch.setattr(tasks, "PAUSES_S", (0.01,))
    yield toy_model
    separating._loaded.cache_clear()


def write(path: Path, value: float = 0.1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.full((4_096, 2), value, np.float32), 44_100, "FLOAT")
    return path


def separate(client: Client, source: Path, output: Path, **options: Any) -> dict[str, str | None]:
    """Separate a library; return the errors of its songs by name."""
    results = separate_library(str(source), str(output), SETTINGS, client, **options)
    return {result.song.rpartition("/")[2]: result.error for result in results}


def test_every_song_of_a_folder_is_separated(client: Client, toy: ToyModel, tmp_path: Path) -> None:
    for name in ("a/one.wav", "a/two.wav", "b/one.wav", "b/.hidden.wav", ".git/x.wav", "b/notes.txt"):
        write((tmp_path / name).with_suffix(".wav")).rename(tmp_path / name)
    assert separate(client, tmp_path, tmp_path / "out") == {"one.wav": None, "two.wav": None}
    folders = sorted(
        path.parent.relative_to(tmp_path / "out") for path in (tmp_path / "out").rglob("drums.wav")
    )
    assert folders == [Path("a/one.wav"), Path("a/two.wav"), Path("b/one.wav")]
    # the stems are not songs of the next run
    assert len(separate(client, tmp_path, tmp_path / "out")) == 2


def test_bad_song_does_not_stop_the_others(client: Client, toy: ToyModel, tmp_path: Path) -> None:
    write(tmp_path / "in/good.wav")
    (tmp_path / "in/bad.mp3").write_text("not audio")
    errors = separate(client, tmp_path / "in", tmp_path / "out")
    assert errors["good.wav"] is None and "not audio" in (errors["bad.mp3"] or "")
    assert not (tmp_path / "out/bad.mp3").exists()


def test_song_runs_again_when_a_machine_fails(
    client: Client, toy: ToyModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "in/a.wav")
    failures = iter([OSError(28, "No space left on device"), MemoryError()])
    monkeypatch.setattr(cluster_runs, "separate_song", failing(failures))
    assert separate(client, tmp_path / "in", tmp_path / "out") == {"a.wav": None}


def test_song_that_no_worker_can_separate_fails_at_last(
    client: Client, toy: ToyModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "in/a.wav")
    count = []
    monkeypatch.setattr(
        cluster_runs, "separate_song", failing(count.append(1) or MemoryError("all") for _ in range(99))
    )
    errors = separate(client, tmp_path / "in", tmp_path / "out")
    assert errors == {
        "a.wav": "No worker could separate it (MemoryError: all): read the logs of the workers."
    }
    assert len(count) == cluster_runs.MAX_RUNS


def failing(errors: Iterator[BaseException]) -> Any:
    """A task that raises the errors before it works."""

    def separate_song(*arguments: Any) -> Any:
        if error := next(errors, None):
            raise error
        return separating.separate_song(*arguments)

    return separate_song


def test_run_goes_on_where_the_manifest_ends(client: Client, toy: ToyModel, tmp_path: Path) -> None:
    for number in range(6):
        write(tmp_path / f"in/{number}.wav", number / 10)
    path = tmp_path / "stems.jsonl"
    manifest = Manifest(path, SETTINGS.of_result())
    first = separate_library(str(tmp_path / "in"), str(tmp_path / "out"), SETTINGS, client, manifest=manifest)
    done = [next(first).song for _ in range(2)]
    first.close()  # the client ends
    manifest.close()
    manifest = Manifest(path, SETTINGS.of_result())
    rest = separate(client, tmp_path / "in", tmp_path / "out", manifest=manifest, skip_existing=True)
    manifest.close()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert sorted(line["song"] for line in lines) == [
        str(tmp_path / f"in/{number}.wav") for number in range(6)
    ]
    assert {line["song"] for line in lines[:2]} == set(done) and len(rest) == 4
    assert all(Path(file).exists() for line in lines for file in line["files"])
    assert all("loudness" in stem for line in lines for stem in line["stems"].values())


def test_songs_in_progress_stop_when_the_run_ends(
    client: Client, toy: ToyModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        write(tmp_path / f"in/{number}.wav", number / 10)
    running, stopped = threading.Event(), threading.Event()

    def separate_song(task: Any, stop: Callable[[], bool]) -> SongResult:
        if task.key == "0.wav":
            return SongResult(task.key, None, {})
        running.set()
        while not stop():
            time.sleep(0.01)
        stopped.set()
        raise Stopped("stopped")

    monkeypatch.setattr(cluster_runs, "separate_song", separate_song)
    results = separate_library(str(tmp_path / "in"), str(tmp_path / "out"), SETTINGS, client)
    next(results)
    assert running.wait(30) and not stopped.is_set()
    results.close()
    assert stopped.wait(30)


def test_songs_run_again_when_the_scheduler_has_forgotten_them(
    client: Client, toy: ToyModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "in/a.wav")
    began, calls = threading.Event(), []

    def separate_song(task: Any, stop: Callable[[], bool]) -> SongResult:
        calls.append(task.key)
        if len(calls) == 1:
            began.set()
            while not stop():
                time.sleep(0.01)
        return SongResult(task.key, None, {})

    monkeypatch.setattr(cluster_runs, "separate_song", separate_song)
    monkeypatch.setattr(cluster_runs, "MAX_RUNS", 1)  # it does not count as a failed run
    ended: list[Any] = []
    results = separate_library(str(tmp_path / "in"), str(tmp_path / "out"), SETTINGS, client)
    thread = threading.Thread(target=lambda: ended.extend(results))
    thread.start()
    assert began.wait(30)
    client.cancel(list(client.futures))
    for future in list(client.futures.values()):
        future.cancel(reason="scheduler-connection-lost", msg="The scheduler has ended.")
    thread.join(30)
    assert [result.error for result in ended] == [None] and len(calls) == 2


def test_client_that_gave_up_on_its_scheduler_says_so() -> None:
    with pytest.raises(RequestError, match="does not answer anymore"):
        cluster_runs.check_connection(SimpleNamespace(status="closed"))  # type: ignore[arg-type]


def test_songs_of_a_store_without_entity_tags_are_told_apart_by_their_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with buckets.s3_server(tmp_path / "s3") as url:
        buckets.use(url, monkeypatch)
        for name, value in (("one", 0.1), ("same", 0.1), ("other", 0.2)):
            # it has no tag for files that it did not write
            write(tmp_path / "s3" / buckets.BUCKET / f"in/{name}.wav", value)
        library = open_location(f"s3://{buckets.BUCKET}/in")
        assert [song.content for song in library.songs()] == [None] * 3
        contents = {song.key: library.content(song.key) for song in library.songs()}
        assert contents["one.wav"] == contents["same.wav"] != contents["other.wav"]
        assert str(contents["one.wav"]).startswith("sha256:")


@pytest.mark.parametrize(
    ("tag", "content"),
    [
        ('"0123456789abcdef0123456789abcdef"', 'etag:"0123456789abcdef0123456789abcdef"'),
        ("0123456789abcdef0123456789abcdef-7", 'etag:"0123456789abcdef0123456789abcdef-7"'),
        ('"17"', 'etag:"17" s3://a/b.wav'),  # it identifies the versions of this object only
        ('W/"0123456789abcdef0123456789abcdef"', None),
        ('""', None),
        (None, None),
    ],
)
def test_content_is_identified_by_strong_entity_tags(tag: str | None, content: str | None) -> None:
    assert locations.content_of_tag("s3://a/b.wav", tag) == content


def test_library_that_is_its_own_output_or_empty_is_refused(tmp_path: Path) -> None:
    folder = str(tmp_path)
    with pytest.raises(RequestError, match="cannot be the library and its output"):
        tasks.song_tasks(folder, folder + "/", SETTINGS)
    with pytest.raises(RequestError, match="contains no songs"):
        list(tasks.song_tasks(folder, folder + "/out", SETTINGS))


def test_folder_that_cannot_be_read_is_reported(
    client: Client, toy: ToyModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "in/a/one.wav")
    (tmp_path / "in/closed").mkdir()
    scan = os.scandir

    def scandir(path: Any) -> Any:
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)  # root may read all
    errors = separate(client, tmp_path / "in", tmp_path / "out")
    assert errors == {"one.wav": None, "closed": "The folder closed cannot be read: change its permissions."}


def test_listing_that_breaks_off_goes_on_where_it_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    pages = [
        [{"path": f"{number}.wav", "e_tag": f'"{number}"', "size": 1, "last_modified": None}]
        for number in range(5)
    ]

    def listed(store: Any, *, offset: str | None, chunk_size: int) -> Iterator[Any]:
        start = 0 if offset is None else int(offset.removesuffix(".wav")) + 1
        for number in range(start, 5):
            yield pages[number]
            if number % 2:
                raise GenericError("the connection was lost")

    monkeypatch.setattr(locations.obstore, "list", listed)
    monkeypatch.setattr(locations, "_open", lambda url: None)
    found = [song.key for song in open_location("s3://stems/in").songs()]
    assert found == [f"{number}.wav" for number in range(5)]


def test_memory_does_not_grow_with_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few, many = (peak_of_listing(tmp_path / f"{keys}.jsonl", keys, monkeypatch) for keys in (2_000, 8_000))
    assert many - few < 6_000 * 100


def peak_of_listing(path: Path, keys: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """Go through a library with one new song; return the peak memory in bytes."""
    locations._open.cache_clear()
    with library_listing.store(keys) as url:
        buckets.use(url, monkeypatch)
        library_listing.write_manifest(path, keys - 1)
        locations._open(library_listing.LOCATIONS[0])  # the models of the store's client take megabytes
        gc.collect()
        tracemalloc.start()
        try:
            with closing(Manifest(path, library_listing.SETTINGS.of_result())) as manifest:
                songs = tasks.song_tasks(*library_listing.LOCATIONS, library_listing.SETTINGS, manifest)
                assert [song.key for song in songs] == [library_listing.key(keys - 1)]
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()


def test_few_songs_of_a_large_library_are_submitted_at_a_time(
    client: Client, toy: ToyModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = []

    def found(self: Any) -> Iterator[Any]:
        for number in range(1_000_000):
            listed.append(number)
            yield SongTask("in", "out", f"{number}.wav", SETTINGS)

    monkeypatch.setattr(cluster_runs, "song_tasks", lambda *_: found(None))
    monkeypatch.setattr(cluster_runs, "separate_song", lambda task, stop: SongResult(task.key, None, {}))
    results = separate_library("in", "out", SETTINGS, client)
    for _ in range(10):
        next(results)
    assert len(listed) <= 20
    results.close()


def test_songs_of_a_bucket_are_separated_into_a_bucket(
    client: Client, toy: ToyModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with buckets.s3_server(tmp_path / "s3") as url:
        buckets.use(url, monkeypatch)
        source, output = f"s3://{buckets.BUCKET}/in", f"s3://{buckets.BUCKET}/out"
        store = Bucket(f"s3://{buckets.BUCKET}").open()
        for name, value in (("a/one.wav", 0.1), ("two.wav", 0.3)):
            obstore.put(store, f"in/{name}", write(tmp_path / "song.wav", value))
        manifest = Manifest(tmp_path / "stems.jsonl", SETTINGS.of_result())
        run = {"manifest": manifest, "skip_existing": True}
        results = list(separate_library(source, output, SETTINGS, client, **run))
        assert sorted(result.song for result in results) == [f"{source}/a/one.wav", f"{source}/two.wav"]
        assert [result.error for result in results] == [None, None]
        for file in (file for result in results for file in result.fields["files"]):
            assert obstore.head(store, file.removeprefix(f"s3://{buckets.BUCKET}/"))["size"] > 4_096 * 8
        # with verify, a song whose stems are gone or were replaced is separated again
        checked = replace(SETTINGS, verify=True)
        assert list(separate_library(source, output, checked, client, **run)) == []
        for change in (
            lambda key: obstore.delete(store, key),
            lambda key: obstore.put(store, key, b"not a stem"),
        ):
            change("out/two.wav/drums.wav")
            again = list(separate_library(source, output, checked, client, **run))
            assert [result.song for result in again] == [f"{source}/two.wav"]
            assert (again[0].fields["encoded_residual_dbfs"] or 0) < -90
        # nothing is left, until a song changes
        assert list(separate_library(source, output, SETTINGS, client, **run)) == []
        obstore.put(store, "in/two.wav", write(tmp_path / "song.wav", 0.2))
        again = list(separate_library(source, output, SETTINGS, client, **run))
        assert [result.song for result in again] == [f"{source}/two.wav"]
        manifest.close()
        with (
            pytest.raises(StemSplitterError, match="was deleted since it was listed"),
            open_location(source).reading("no.wav"),
        ):
            pass
        tasks_folder = open_location(source)
        assert tasks_folder.content("no.wav") is None


def test_songs_of_a_killed_worker_run_on_another(tmp_path: Path) -> None:
    for number in range(4):
        write(tmp_path / f"in/{number}.wav", number / 10)
    settings = LibrarySettings(stems="2s", threads=1)
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": "127.0.0.1:0"}
    with LocalCluster(**options) as local, Client(local) as client:
        results = separate_library(str(tmp_path / "in"), str(tmp_path / "out"), settings, client)
        done = [next(results)]
        worker = next(iter(client.run(os.getpid).values()))
        os.kill(worker, signal.SIGKILL)
        done += results
    assert sorted(result.song for result in done) == [
        str(tmp_path / f"in/{number}.wav") for number in range(4)
    ]
    assert [result.error for result in done] == [None] * 4
    assert len(list((tmp_path / "out").rglob("vocals.flac"))) == 4


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "not-there.json"])
def test_missing_scheduler_is_named(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "CONNECT_S", 0.2)
    with pytest.raises(RequestError, match="No scheduler answers at"), cluster.connected(address):
        pass


def test_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)
    with (
        pytest.raises(RequestError, match=r"pip install stemsplitter\[cluster\]"),
        cluster.connected("tcp://there:1"),
    ):
        pass
