"""The blog: its posts, pages and feed."""

import logging
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from stemsplitter.console import blog
from stemsplitter.settings import Settings

from .conftest import Browser
from .test_pages import check

ATOM = {"a": blog.ATOM}
OURS = ("from-a-laptop-to-a-fleet", "how-well-it-separates")
DOCS = Path(__file__).parents[2] / "docs"
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
HOSTILE = """---
title: <b>Songs</b> & "more"
date: 2027-02-03
description: About ]]> & <i>
author: Ann
language: de
---
<script>alert(1)</script> [x](javascript:alert(1)) <img src=x onerror=alert(1)> [Preise](/pricing) &copy;

## Zwei

| a | b |
|---|:-:|
| 1 | 2 |
"""


def write(folder: Path, name: str, text: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text, "utf-8")


@pytest.mark.parametrize("name", OURS)
def test_our_posts_are_valid_and_their_links_resolve(visitor: Browser, name: str) -> None:
    page = check(visitor, f"/blog/{name}")
    for link in page.links:
        assert visitor.get(link).status_code in (200, 303), link


def test_figures_of_our_posts_stand_in_the_documentation() -> None:
    repository = DOCS.parent
    sources = (
        *(DOCS / f"{name}.md" for name in ("model-card", "models", "capacity", "cli")),
        repository / "evaluation" / "README.md",
    )
    known = "\n".join(path.read_text("utf-8") for path in sources)
    for name in OURS:
        text = (blog.SHIPPED / f"{name}.md").read_text("utf-8").split("---\n", 2)[2]
        figures = set(re.findall(r"−?\d[\d,.]*\d", re.sub(r"(?m)\]\([^)]*\)|`[^`]*`|^ {4}.*$", "", text)))
        assert len(figures) > 15
        assert sorted(each for each in figures if each not in known) == [], name


def test_index_lists_posts_and_footer_links_to_it(visitor: Browser) -> None:
    page = check(visitor, "/blog")
    assert {f"/blog/{name}" for name in OURS} | {"/blog/feed.xml"} <= page.links
    assert "/blog" in check(visitor, "/pricing").links
    assert all(f"/blog/{name}</loc>" in visitor.get("/sitemap.xml").text for name in OURS)


def test_unknown_post_is_not_found(visitor: Browser) -> None:
    for name in ("none", "none.png", "..%2Fblog.py", "feed", "how-well-it-separates.md"):
        assert visitor.get(f"/blog/{name}").status_code == 404, name


class TestOwnPosts:
    @pytest.fixture
    def settings(self, settings: Settings, tmp_path: Path) -> Settings:
        return settings.model_copy(update={"blog_dir": tmp_path / "blog"})

    def test_post_is_shown_first_and_injects_nothing(self, visitor: Browser, tmp_path: Path) -> None:
        write(tmp_path / "blog", "songs.md", HOSTILE)
        page = check(visitor, "/blog/songs")
        text = visitor.get("/blog/songs").text
        assert '<article class="prose" lang="de">' in text and '<td class="center">2</td>' in text
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text and "&lt;img src=x onerror" in text
        assert "/pricing" in page.links and not any(link.startswith("javascript") for link in page.hrefs)
        titles = re.findall("<h2 [^>]*><a [^>]*>(.*?)</a></h2>", visitor.get("/blog").text)
        assert titles[0] == "&lt;b&gt;Songs&lt;/b&gt; &amp; &#34;more&#34;" and len(titles) == 3

    def test_feed_has_what_atom_requires(self, visitor: Browser, tmp_path: Path, settings: Settings) -> None:
        write(tmp_path / "blog", "songs.md", HOSTILE)
        answer = visitor.get("/blog/feed.xml")
        assert answer.headers["content-type"] == "application/atom+xml"
        root = ElementTree.fromstring(answer.content)
        assert root.tag == f"{{{blog.ATOM}}}feed"
        # RFC 4287, 4.1.1 and 4.1.2: one of each, an author, a link to itself
        entries = root.findall("a:entry", ATOM)
        assert len(entries) == 3
        for each in (root, *entries):
            for name in ("id", "title", "updated"):
                (found,) = each.findall(f"a:{name}", ATOM)
                assert found.text
            assert INSTANT.fullmatch(each.findtext("a:updated", "", ATOM))
            assert each.findtext("a:author/a:name", None, ATOM)
        links = {link.get("rel"): link.get("href") for link in root.findall("a:link", ATOM)}
        assert links["self"] == f"{settings.base_url}/blog/feed.xml"
        assert len({entry.findtext("a:id", "", ATOM) for entry in entries}) == 3
        first = entries[0]
        assert first.findtext("a:title", "", ATOM) == '<b>Songs</b> & "more"'
        assert first.findtext("a:updated", "", ATOM) == "2027-02-03T00:00:00Z"
        (content,) = first.findall("a:content", ATOM)
        assert content.get("type") == "html" and '<h2 id="zwei">Zwei</h2>' in str(content.text)
        assert "<script" not in str(content.text)
        for entry in entries:
            (alternate,) = entry.findall("a:link[@rel='alternate']", ATOM)
            path = alternate.get("href", "").removeprefix(settings.base_url)
            assert visitor.get(path).status_code == 200

    def test_broken_post_is_named_in_the_log_and_skipped(
        self, visitor: Browser, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        folder = tmp_path / "blog"
        good = "title: A\ndate: 2026-01-02\ndescription: B\n"
        broken = {
            "no-front-matter.md": "# A\n",
            "no-title.md": "---\ndate: 2026-01-02\n---\nA\n",
            "no-date.md": f"---\n{good.replace('2026-01-02', 'today')}---\nA\n",
            "no-field.md": f"---\n{good}color: red\n---\nA\n",
            "Upper Case.md": f"---\n{good}---\nA\n",
            "control.md": f"---\n{good}---\n\x0c\n",
        }
        for name, text in broken.items():
            write(folder, name, text)
        (folder / "latin-1.md").write_bytes(f"---\n{good}---\n\xe4\n".encode("latin-1"))
        write(folder, "good.md", f"---\n{good}---\nA\n")
        with caplog.at_level(logging.WARNING):
            assert "/blog/good" in check(visitor, "/blog").links
            visitor.get("/blog")
        for name in (*broken, "latin-1.md"):
            assert visitor.get(f"/blog/{name.removesuffix('.md')}").status_code == 404
            assert sum(f"/{name}: " in line for line in caplog.messages) == 1, name

    def test_post_is_read_again_after_a_change(self, visitor: Browser, tmp_path: Path) -> None:
        assert len(check(visitor, "/blog").links & {"/blog/a", "/blog/b"}) == 0
        write(tmp_path / "blog", "a.md", "---\ntitle: A\ndate: 2026-01-02\ndescription: B\n---\nC\n")
        assert "<h1>A</h1>" in visitor.get("/blog/a").text
        (tmp_path / "blog" / "a.md").unlink()
        assert visitor.get("/blog/a").status_code == 404

    def test_post_of_the_same_name_replaces_ours(self, visitor: Browser, tmp_path: Path) -> None:
        text = "---\ntitle: Mine\ndate: 2026-01-02\ndescription: B\n---\nC\n"
        write(tmp_path / "blog", f"{OURS[0]}.md", text)
        assert "<h1>Mine</h1>" in visitor.get(f"/blog/{OURS[0]}").text

    def test_only_pictures_of_the_folder_are_served(self, visitor: Browser, tmp_path: Path) -> None:
        write(tmp_path / "blog", "room.webp", "picture")
        write(tmp_path / "blog", "secret.txt", "secret")
        write(tmp_path, "above.png", "above")
        answer = visitor.get("/blog/room.webp")
        assert (answer.text, answer.headers["content-type"]) == ("picture", "image/webp")
        for name in ("secret.txt", "..%2Fabove.png", "none.png"):
            assert visitor.get(f"/blog/{name}").status_code == 404, name
