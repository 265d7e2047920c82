"""The documentation pages."""

import re
from pathlib import Path

import pytest

from stemsplitter.console import manual

from .conftest import Browser
from .test_pages import check

DOCS = Path(__file__).parents[2] / "docs"


def test_every_guide_has_a_page() -> None:
    written = {path.stem for path in DOCS.glob("*.md")}
    assert written | {"changelog"} == manual.PAGES


def test_documentation_links_resolve(visitor: Browser) -> None:
    pages = {f"/docs/{name}": check(visitor, f"/docs/{name}") for name in sorted(manual.PAGES)}
    for here, page in list(pages.items()):
        for link in page.links:
            path, _, anchor = link.partition("#")
            if path.startswith("/docs/"):
                if path not in pages:
                    pages[path] = check(visitor, path)
                assert not anchor or anchor in pages[path].ids, f"{here}: {link}"
        assert {link[1:] for link in page.hrefs if link.startswith("#")} <= set(page.ids), here


def test_contents_show_the_titles_of_the_pages(visitor: Browser) -> None:
    shown = visitor.get("/docs/storage").text
    for name, title in {"fetching": "Outgoing requests", "model-card": "Model card: builtin_6s"}.items():
        assert f'<a href="/docs/{name}">{title}</a>' in shown


def test_unknown_guide_is_not_found(visitor: Browser) -> None:
    for name in ("README", "..%2Fsettings", "settings.md", "x"):
        assert visitor.get(f"/docs/{name}").status_code == 404


def test_markdown_is_rendered_safely(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "guides").mkdir()
    links = "[c](cli.md#d-e) [f](https://example.org) [*g*](../h.md)"
    text = f"# A `b`\n\n| a | |\n|--:|--|\n| 1 | 2 |\n\n    <b>&\n\n<script>\n\n{links}\n"
    (tmp_path / "guides" / "models.md").write_text(text)
    monkeypatch.setattr(manual, "_HERE", tmp_path)
    guide = manual.guide.__wrapped__("models")
    assert guide.title == "A `b`" and '<h1 id="a-b">A <code>b</code></h1>' in guide.html
    assert '<th class="right">a</th>\n<td></td>' in guide.html
    assert '<td class="right">1</td>' in guide.html and "style" not in guide.html
    assert ">&lt;b&gt;&amp;</code>" in guide.html and "&lt;script&gt;" in guide.html
    assert (
        '<a href="/docs/cli#d-e">c</a> <a href="https://example.org">f</a> <span><em>g</em></span>'
        in guide.html
    )
    (tmp_path / "guides" / "models.md").write_text("# A\n\n[b](nowhere.md)\n")
    with pytest.raises(KeyError, match=r"no page nowhere\.md"):
        manual.guide.__wrapped__("models")


def test_adjacent_blocks_with_titles_are_one_choice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "guides").mkdir()
    blocks = [
        "```python Python\n1\n```",
        "```js Node\n2\n```",
        "a",
        "```python app.py\n3\n```",
        "```sh\n4\n```",
    ]
    (tmp_path / "guides" / "models.md").write_text("# A\n\n" + "\n\n".join(blocks) + "\n")
    monkeypatch.setattr(manual, "_HERE", tmp_path)
    html = manual.guide.__wrapped__("models").html
    assert html.count("<details") == html.count("</details>") == 2
    group = re.findall(r'<details name="([^"]+)"( open)?><summary>(\w+)</summary>', html)
    assert [(state, title) for _, state, title in group] == [(" open", "Python"), ("", "Node")]
    assert group[0][0] == group[1][0]
