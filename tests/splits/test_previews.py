"""Previews that a worker writes after a split has succeeded."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from stemsplitter.audio.encode import StemWriter
from stemsplitter.audio.formats import OutputFormat
from stemsplitter.services import Services
from stemsplitter.splits import repository
from stemsplitter.splits.models import masters_folder, previews_folder
from stemsplitter.splits.previews import PreviewMaker

from .conftest import Create


@pytest.fixture
def maker(services: Services) -> PreviewMaker:
    return PreviewMaker(services.database, services.storage, services.splits.endings)


@pytest.fixture
def succeeded(services: Services, create: Create, tmp_path: Path) -> Callable[[], tuple[str, dict[str, str]]]:
    """Create a split with two masters; return its ID and their storage keys."""

    def make() -> tuple[str, dict[str, str]]:
        split_id = create(stemModel="4s", stems=["vocals", "drums"])
        keys = {}
        for name in ("vocals", "drums"):
            path = tmp_path / f"{name}.flac"
            with StemWriter(path, OutputFormat.parse("flac"), 44_100, 2) as writer:
                writer.write(np.full((2, 44_100), 0.1 if name == "drums" else 0, np.float32))
                writer.commit()
            keys[name] = f"{masters_folder(split_id)}/{path.name}"
            services.storage.put_file(keys[name], path, "audio/flac")
        stems = {name: {"key": key, "size": 1, "mime": "audio/flac"} for name, key in keys.items()}
        with services.database.write() as session:
            assert repository.start(session, split_id, None, "run_1", "wrk_1")
            assert services.splits.endings.succeed(session, split_id, "run_1", stems, stems, {}, 1000)
        return split_id, keys

    return make


def stored(services: Services, split_id: str) -> dict[str, int]:
    return {
        file.key.rpartition("/")[2]: services.storage.size(file.key)
        for file in services.storage.list_prefix(previews_folder(split_id, "opus"))
    }


def reserved(services: Services, split_id: str) -> int:
    with services.database.read() as session:
        return services.quotas.reserved(session, split_id)


def test_previews_are_stored_and_counted(
    services: Services, maker: PreviewMaker, succeeded: Callable[[], tuple[str, dict[str, str]]]
) -> None:
    split_id, masters = succeeded()
    before = reserved(services, split_id)
    maker.make(split_id, masters)
    files = stored(services, split_id)
    assert sorted(files) == ["drums.opus", "previews.json", "vocals.opus"]
    assert reserved(services, split_id) == before + sum(files.values())
    index = json.loads(b"".join(services.storage.read(f"{previews_folder(split_id, 'opus')}/previews.json")))
    assert sum(index["stems"]["drums"]["sizes"]) == files["drums.opus"]
    assert index["stems"]["vocals"]["silent"] is True


def test_previews_are_deleted_with_the_split(
    services: Services,
    account: str,
    maker: PreviewMaker,
    succeeded: Callable[[], tuple[str, dict[str, str]]],
) -> None:
    split_id, masters = succeeded()
    maker.make(split_id, masters)
    services.splits.delete(account, split_id)
    assert stored(services, split_id) == {} and reserved(services, split_id) == 0


def test_previews_of_a_deleted_split_are_not_kept(
    services: Services,
    account: str,
    maker: PreviewMaker,
    succeeded: Callable[[], tuple[str, dict[str, str]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The split is deleted while its previews are stored."""
    split_id, masters = succeeded()
    put = services.storage.put_file

    def put_then_delete(key: str, path: Path, mime: str, *names: str) -> int:
        size = put(key, path, mime, *names)
        if key.endswith("previews.json"):
            services.splits.delete(account, split_id)
            put(key, path, mime)
        return size

    monkeypatch.setattr(services.storage, "put_file", put_then_delete)
    maker.make(split_id, masters)
    assert stored(services, split_id) == {} and reserved(services, split_id) == 0


def test_submitted_previews_are_made_and_a_failure_does_not_end_the_thread(
    services: Services, maker: PreviewMaker, succeeded: Callable[[], tuple[str, dict[str, str]]]
) -> None:
    split_id, masters = succeeded()
    maker.submit("split_gone", {"vocals": "splits/split_gone/masters/vocals.flac"})
    maker.submit(split_id, masters)
    maker.join()
    assert "previews.json" in stored(services, split_id)
