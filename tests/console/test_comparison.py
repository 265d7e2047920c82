"""The comparison with other programs and services."""

import re
from datetime import date
from pathlib import Path

from stemsplitter.console.comparison import COLUMNS, ROWS, SOURCES

from .conftest import Browser
from .test_pages import check

REPOSITORY = Path(__file__).parents[2]


def test_every_claim_has_a_source_with_a_date(visitor: Browser) -> None:
    page = check(visitor, "/compare")
    assert {f"#source-{number}" for number in range(1, len(SOURCES) + 1)} == {
        link for link in page.hrefs if link.startswith("#source-")
    }
    assert all(f"source-{number}" in page.ids for number in range(1, len(SOURCES) + 1))
    for row in ROWS:
        assert row.sources and set(row.sources) <= set(SOURCES)
        assert len(row.cells) == len(COLUMNS) and all(row.cells[column] for column in row.better)
    assert all(date(2026, 11, 1) < source.day <= date.today() for source in SOURCES.values())
    assert visitor.get("/compare").text.count("2026</li>") == len(SOURCES)


def test_others_are_said_to_be_better_too() -> None:
    assert sum(any(column for column in row.better) for row in ROWS) >= sum(0 in row.better for row in ROWS)


def test_figures_are_those_of_our_measurements() -> None:
    texts = {
        "card": (REPOSITORY / "docs" / "model-card.md").read_text("utf-8"),
        "speed": (REPOSITORY / "benchmarks" / "README.md").read_text("utf-8").replace("| 1273", "| 1,273"),
    }
    texts["speed"] = texts["speed"].replace("| 2192", "| 2,192")
    for row in ROWS:
        for key in set(row.sources) & set(texts):
            columns = row.cells[:1] if key == "card" else row.cells
            for figure in re.findall(r"\d[\d,]*\.?\d+", " ".join(columns)):
                assert figure in texts[key], figure


def test_comparison_is_linked_and_translated(visitor: Browser) -> None:
    assert "/compare" in check(visitor, "/pricing").links
    assert "/compare</loc>" in visitor.get("/sitemap.xml").text
    text = visitor.get("/compare?lang=de").text
    assert "Alternativen im Vergleich" in text
