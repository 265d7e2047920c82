"""Runs over a library on a server, with a stand-in for its API."""

import json
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest
import soundfile
import stemsplitter_client

from stemsplitter.errors import OutputError, RequestError
from stemsplitter.library import (
    LibrarySettings,
    Manifest,
    SongResult,
    locations,
    separate_library_on_server,
    server,
    server_runs,
    tasks,
)
from stemsplitter.storage import StorageError
from tests import buckets
from tests.waiting import wait_until

from .api_stand_in import KEY, STEMS, Api, stand_in

SETTINGS = LibrarySettings(stems="vocals,drums", format="wav16")


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    monkeypatch.setattr(tasks, "PAUSES_S", (0.01,))
    monkeypatch.setattr(server_runs, "_POLL_S", 0.01)
    monkeypatch.setattr(stemsplitter_client.transport, "FIRST_DELAY_S", 0.001)
    with stand_in() as api:
        yield api


@pytest.fixture
def library(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    for name in ("a/one.wav", "two.wav"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.full((4_096, 2), len(name) / 100, np.float32), 44_100, "FLOAT")
    return folder


def run(api: Api, library: Path, **options: Any) -> Iterator[SongResult]:
    settings = options.pop("settings", SETTINGS)
    key = options.pop("key", KEY)
    output = str(library.parent / "out")
    return separate_library_on_server(str(library), output, settings, api.url, key, **options)


def names(results: Iterator[SongResult]) -> dict[str, str | None]:
    return {Path(result.song).name: result.error for result in results}


def test_songs_go_through_the_queue_at_a_low_priority(api: Api, library: Path) -> None:
    (library / "bad.mp3").write_text("not audio")
    (library / "empty.mp3").touch()
    path = library.parent / "stems.jsonl"
    with closing(Manifest(path, SETTINGS.of_result(), parquet=True)) as manifest:
        errors = names(run(api, library, manifest=manifest))
    assert errors == {
        "one.wav": None,
        "two.wav": None,
        "bad.mp3": "bad.mp3 is not audio.",
        "empty.mp3": "empty.mp3 is empty (0 bytes): copy or download it again.",
    }
    assert [body["priority"] for body in api.requests] == ["low"] * 2
    assert all(body["stems"] == list(STEMS) and body["bitDepth"] == "16" for body in api.requests)
    assert len(api.deleted) == 2 and not api.splits  # they would use the account's space
    lines = {line["song"]: line for line in map(json.loads, path.read_text().splitlines())}
    line = lines[str(library / "a/one.wav")]
    folder = library.parent / "out/a/one.wav"
    assert line["files"] == [str(folder / f"{name}.wav") for name in STEMS]
    assert sorted(file.name for file in folder.iterdir()) == ["drums.wav", "vocals.wav"]
    assert line["stems"]["vocals"]["loudness"] == -20 and line["stems"]["vocals"]["true_peak"] == -3
    assert (line["seconds"], line["sample_rate"], line["model"]) == (0.5, 44_100, "tiny_6s")
    assert line["content"].startswith("sha256:") and line["settings"] == SETTINGS.of_result()
    rows = pyarrow.parquet.read_table(path.with_suffix(".parquet")).to_pylist()
    assert {row["song"]: (row["key"], row["tempo"]) for row in rows}[line["song"]] == ("A minor", 120.0)


def test_songs_of_the_manifest_are_skipped(api: Api, library: Path) -> None:
    path = library.parent / "stems.jsonl"
    for expected in (2, 0):
        with closing(Manifest(path, SETTINGS.of_result())) as manifest:
            assert len(list(run(api, library, manifest=manifest, skip_existing=True))) == expected
    assert len(api.requests) == 2


def test_requests_are_repeated_until_the_server_takes_them(api: Api, library: Path) -> None:
    api.failures = [503, 429] * 6  # more than the client library repeats
    assert names(run(api, library)) == {"one.wav": None, "two.wav": None}
    assert len(api.requests) == 2


def test_run_ends_when_the_server_takes_no_song(
    api: Api, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "GIVE_UP_S", 0.0)
    api.failures = [503] * 99
    with pytest.raises(RequestError, match=r"has taken no song for .* run this again with --skip-existing"):
        list(run(api, library))


def test_song_without_space_in_the_account_fails(
    api: Api, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "GIVE_UP_S", 0.0)
    api.failures = [409]
    errors = names(run(api, library, at_once=1))
    assert errors == {"two.wav": "Not now.", "one.wav": None}


def test_run_that_was_killed_goes_on_with_its_splits(
    api: Api, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed: list[threading.Event] = []

    class Killed(server.Server):
        def __init__(self, url: str, key: str, stopping: threading.Event) -> None:
            killed.append(stopping)
            super().__init__(url, key, stopping)

    api.is_held = True
    with monkeypatch.context() as patch:
        patch.setattr(server_runs, "Server", Killed)
        results = run(api, library)
        threading.Thread(target=lambda: next(results, None), daemon=True).start()
        wait_until(lambda: len(api.requests) == 2)
    killed[0].set()  # its threads end without a word to the server
    api.is_held = False
    assert names(run(api, library)) == {"one.wav": None, "two.wav": None}
    assert len(api.requests) == 2 and api.canceled == []


def test_interrupted_run_cancels_its_splits(api: Api, library: Path) -> None:
    first = run(api, library, at_once=1)
    next(first)
    api.is_held = True
    wait_until(lambda: len(api.requests) == 2)
    wait_until(lambda: api.splits[max(api.splits)]["status"] == "queued")
    first.close()  # type: ignore[attr-defined]
    assert api.canceled == ["split_1"]


def test_songs_in_progress_end_when_the_credits_do(api: Api, library: Path) -> None:
    api.credits = 1
    results = run(api, library, at_once=1)
    assert next(results).error is None
    with pytest.raises(RequestError, match=r"too few credits\. The balance is 0"):
        next(results)


def test_song_that_the_server_fails_runs_again(api: Api, library: Path) -> None:
    api.server_errors = 2
    assert names(run(api, library)) == {"one.wav": None, "two.wav": None}
    assert len(api.requests) == 4
    api.server_errors = 99
    message = f"It could not be separated in {tasks.MAX_RUNS} runs: It failed."
    assert names(run(api, library)) == {"one.wav": message, "two.wav": message}


def test_stems_that_cannot_be_stored_are_not_separated_again(
    api: Api, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy, failures = locations._copy_files, [OutputError("The disk is full.")] * 3

    def failing(*arguments: Any) -> None:
        if failures:
            raise failures.pop()
        copy(*arguments)

    monkeypatch.setattr(locations, "_copy_files", failing)
    assert names(run(api, library)) == {"one.wav": None, "two.wav": None}
    assert len(api.requests) == 2 and not failures


def test_run_ends_when_stems_cannot_be_stored(
    api: Api, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*arguments: Any) -> None:
        raise OutputError("The disk is full.")

    with monkeypatch.context() as patch:
        patch.setattr(locations, "_copy_files", failing)
        with pytest.raises(OutputError, match=r"cannot be stored: The disk is full\. Run this again"):
            list(run(api, library, at_once=1))
    assert names(run(api, library)) == {"one.wav": None, "two.wav": None}
    assert len(api.requests) == 2  # the first was continued


def test_output_that_cannot_be_written_costs_nothing(
    api: Api, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(OutputError, match="out is a file: choose another output folder"):
        list(run(api, library))
    locations._open.cache_clear()
    with buckets.s3_server(tmp_path / "s3") as url:
        buckets.use(url, monkeypatch)
        with pytest.raises(
            StorageError, match=r"There is no bucket other at .*: make it, or correct the address\."
        ):
            list(separate_library_on_server(str(library), "s3://other/x", SETTINGS, api.url, KEY))
        with pytest.raises(StorageError, match="There is no bucket other"):
            list(locations.open_location("s3://other/in").songs())
    assert not api.filenames


def test_split_that_was_deleted_is_created_again(api: Api, library: Path) -> None:
    api.is_held = True
    (library / "two.wav").unlink()
    found: list[SongResult] = []
    thread = threading.Thread(target=lambda: found.extend(run(api, library)), daemon=True)
    thread.start()
    wait_until(lambda: len(api.splits) == 1)
    with api.lock:
        api.splits.clear()
        api.is_held = False
    thread.join(30)
    assert [result.error for result in found] == [None] and len(api.requests) == 2


def test_server_that_cannot_be_used_is_named(api: Api, library: Path) -> None:
    with pytest.raises(RequestError, match="does not accept the API key: set STEMSPLITTER_KEY"):
        list(run(api, library, key="ast_live_other"))
    api.url = "http://127.0.0.1:9"
    with pytest.raises(RequestError, match=r"No server answers at http://127\.0\.0\.1:9"):
        list(run(api, library))
    api.url = "stems.example.com"
    with pytest.raises(RequestError, match=r"stems\.example\.com is not a server"):
        list(run(api, library))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (LibrarySettings(model="htdemucs", shifts=2), "does not take the settings model, shifts"),
        (LibrarySettings(format="mp3:192"), "give the format mp3"),
    ],
)
def test_settings_that_a_server_does_not_take_are_refused(
    api: Api, library: Path, settings: LibrarySettings, message: str
) -> None:
    with pytest.raises(RequestError, match=message):
        list(run(api, library, settings=settings))
