"""Code in docs/getting-started.md and docs/uploads.md works when it is pasted."""

import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import av
import pytest

from stemsplitter.audio.decode import open_source
from stemsplitter.separation.layouts import SIX_STEMS

from .api_client import ApiClient
from .server import Server
from .songs import encode, sung

NODE = Path(__file__).with_name("node")
DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "getting-started.md").read_text(encoding="utf-8")
LIMIT_S = 120


def code(language: str, server: Server, key: str, site: str = "", page: str = PAGE) -> str:
    """Concatenate all code blocks of a language, with this server, key and song in place of the examples."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    assert blocks
    text = "\n".join(blocks)
    for shown, real in (
        ("http://127.0.0.1:8000", server.url),
        ("ast_live_…", key),
        ("https://example.com/song.mp3", f"{site}/song.flac"),
    ):
        text = text.replace(shown, real)
    return text


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Working directory with a song."""
    encode(tmp_path / "song.mp3", sung(60_000), 44_100, "libmp3lame")
    return tmp_path


def run(folder: Path, *command: str | Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_shell_code_runs(server: Server, key: str, folder: Path, site: str) -> None:
    printed = run(folder, "sh", "-euc", code("sh", server, key, site))
    assert '"unit":"seconds"' in printed
    assert printed.count('"creditsUsed"') >= 2
    assert '"status":"succeeded"' in printed and '"success":false' not in printed
    with zipfile.ZipFile(folder / "stems.zip") as archive:
        assert {Path(name).name for name in archive.namelist()} == {f"{stem}.mp3" for stem in SIX_STEMS}


def test_shell_code_downloads_stems_and_mixes(server: Server, key: str, tmp_path: Path) -> None:
    song = encode(tmp_path / "song.flac", sung(60_000), 44_100, "flac")
    with ApiClient(server, key) as api:
        split_id = api.create_split(song)["id"]
        api.wait_for_end(split_id)
    lines = code("sh", server, key, page=(DOCS / "stems.md").read_text(encoding="utf-8"))
    printed = run(tmp_path, "sh", "-euc", lines.replace("split_…", split_id))
    assert '"levels":{"vocals":{"loudness":' in printed and '"gains":{"vocals":-6.0,"drums":null' in printed
    for name in ("vocals.flac", "drums.mp3", "practice.wav", "mix.flac"):
        with open_source(tmp_path / name) as source:
            assert sum(block.shape[1] for block in source.blocks()) == 60_000
    for name, extension in (("stems.zip", "mp3"), ("flac.zip", "flac")):
        with zipfile.ZipFile(tmp_path / name) as archive:
            assert set(archive.namelist()) == {f"{stem}.{extension}" for stem in SIX_STEMS}
    with av.open(str(tmp_path / "song.stem.mp4")) as container:
        assert len(container.streams.audio) == 5
    for name in ("overview", "peaks", "previews", "aac"):
        assert set(json.loads((tmp_path / f"{name}.json").read_text())["data"]["stems"]) == set(SIX_STEMS)


def test_shell_code_uploads_in_chunks(server: Server, key: str, tmp_path: Path) -> None:
    encode(tmp_path / "song.mp3", sung(600_000), 44_100, "libmp3lame")
    lines = code("sh", server, key, page=(DOCS / "uploads.md").read_text(encoding="utf-8"))
    assert "CHUNK=8388608" in lines
    lines = lines.replace("CHUNK=8388608", "CHUNK=65536")
    assert (tmp_path / "song.mp3").stat().st_size > 3 * 65_536
    printed = run(tmp_path, "sh", "-euc", f"URL={server.url}\nKEY={key}\n{lines}")
    answer = json.loads(printed)
    assert answer["success"] and answer["data"]["url"].startswith(f"{server.url}/uploads/")


def test_python_code_runs(server: Server, key: str, folder: Path) -> None:
    run(folder, sys.executable, "-c", code("python", server, key))
    assert {f"{stem}.flac" for stem in SIX_STEMS} <= {file.name for file in folder.iterdir()}


def test_node_code_runs(server: Server, key: str, folder: Path) -> None:
    node = shutil.which("node")
    if node is None or not (NODE / "node_modules").is_dir():
        pytest.fail("The Node client is not installed: run `make test`, which installs it.", pytrace=False)
    (folder / "node_modules").symlink_to(NODE / "node_modules")
    (folder / "split.mjs").write_text(code("js", server, key), encoding="utf-8")
    run(folder, node, "split.mjs")
    assert {f"{stem}.wav" for stem in SIX_STEMS} <= {file.name for file in folder.iterdir()}
