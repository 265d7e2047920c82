"""The documentation site, built as `make docs` builds it."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LIMIT_S = 120


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


def pages(site: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(site.rglob("*.html")):
        yield str(path.relative_to(site)), path.read_text("utf-8")


def test_every_page_of_the_manual_is_in_the_site(site: Path) -> None:
    names = {path.stem for path in (ROOT / "docs").glob("*.md")}
    names |= {"contributing", "security", "changelog", "reference/library"}
    assert {name for name, _ in pages(site)} == {"404.html", "index.html"} | {
        f"{name}/index.html" for name in names
    }


def test_site_loads_nothing_from_other_hosts(site: Path) -> None:
    for name, page in pages(site):
        loaded = re.findall(
            r"<(?:script|img|iframe|source|link)\b[^>]*\b(?:src|href)=\"?((?:https?:)?//[^\"\s>]*)", page
        )
        assert loaded == [], name


def test_links_to_files_without_a_page_become_text(site: Path) -> None:
    for name, page in pages(site):
        assert not re.findall(r"href=\"?[^\"\s>]*(?:benchmarks|evaluation|training|examples)/", page), name
    assert "measured in evaluation" in (site / "index.html").read_text("utf-8")


def test_reference_documents_the_public_library(site: Path) -> None:
    page = (site / "reference" / "library" / "index.html").read_text("utf-8")
    for name in ("Separator", "Separator.separate_to", "Stems", "StemFiles", "Progress"):
        assert f'id="stemsplitter.library.{name}"' in page
    for name in ("AudioError", "RequestError", "Stopped"):
        assert f'id="stemsplitter.errors.{name}"' in page


def test_tasks_of_the_client_libraries_have_a_tab_per_language(site: Path) -> None:
    html = (site / "sdks" / "index.html").read_text("utf-8")
    labels = re.findall(r'<label for="__tabbed_[0-9_]+">(\w+)', html)
    languages = ["Python", "Node", "Java", "Go", "PHP", "Swift", "Lua"]
    assert labels == languages * (len(labels) // 7) and len(labels) >= 7 * 8
