"""Texts of the templates: all are marked for translation."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from stemsplitter.console.environments import TEMPLATES

# names and values that are the same in every language
NAMES = {
    "API",
    "BPM",
    "CI",
    "ID",
    "PID",
    "POST",
    "Stem Splitter",
    "URL",
    "UTC",
    "dB",
    "dBFS",
    "kB",
    "ms",
}
VERBATIM = ("code", "kbd", "pre", "script", "style")  # elements whose text is code
ATTRIBUTES = ("alt", "aria-label", "aria-valuetext", "data-confirm", "data-label", "placeholder", "title")
VALUE = "\0"  # where a template has an expression


class Texts(HTMLParser):
    """The texts of a template that are not expressions."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self._within: list[str] = []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in VERBATIM:
            self._within.append(tag)
        self.found += [value for name, value in attrs if name in ATTRIBUTES and value]

    def handle_endtag(self, tag: str) -> None:
        if self._within and self._within[-1] == tag:
            self._within.pop()

    def handle_data(self, data: str) -> None:
        if not self._within:
            self.found.append(data)


def bare(source: str) -> Iterator[str]:
    """Yield the texts of a template that are not marked."""
    source = re.sub(r"\{#.*?#\}", "", source, flags=re.DOTALL)
    source = re.sub(r"\{%-? trans\b.*?\{%-? endtrans -?%\}", VALUE, source, flags=re.DOTALL)
    for code in re.findall(r"\{\{.*?\}\}|\{%.*?%\}", source, flags=re.DOTALL):
        if not re.match(r"\{%-? (extends|from|import|include|macro|block)\b", code):
            unmarked = re.sub(r"""(\b_|gettext|static|icon)\((?:"[^"]*"|'[^']*'|[ ,])+""", "", code)
            for text in re.findall(r'"([^"]*)"', unmarked):
                if re.match(r"\W*[A-Z][a-z]|[a-z]+ [a-z]+ [a-z]", text) and not text.startswith(
                    "stemsplitter "
                ):
                    yield text
    source = re.sub(r"\{% block width %\}\w+", "", source)
    source = re.sub(r"\{%.*?%\}", "", source, flags=re.DOTALL)
    source = re.sub(r"\bdata-(?!confirm|label)[\w-]+(=\"[^\"]*\")?", "", source.replace(VALUE, ""))
    source = re.sub(r"\{\{.*?\}\}", VALUE, source, flags=re.DOTALL)
    for text in Texts(source).found:
        for part in text.split(VALUE):
            words = part.strip(" \n\t.,:;·–…()+#%×?=&/$")
            if (
                re.search(r"[^\W\d_]{2}", words)
                and words not in NAMES
                and not words.endswith("dBFS")
                and "://" not in words
            ):
                yield words


# the reference of the API is in English, as the documentation is
ENGLISH = {"_operations.html", "_overview.html"}
TRANSLATED = sorted(path for path in TEMPLATES.glob("*") if path.name not in ENGLISH)


@pytest.mark.parametrize("path", TRANSLATED, ids=lambda path: path.name)
def test_no_template_has_text_outside_of_a_translation(path: Path) -> None:
    assert list(bare(path.read_text(encoding="utf-8"))) == []
