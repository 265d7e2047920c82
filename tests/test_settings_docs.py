"""docs/settings.md lists every setting with its default."""

import re
from pathlib import Path

from stemsplitter.settings import FILE_VARIABLE, PREFIX, Settings

PAGE = (Path(__file__).parent.parent / "docs" / "settings.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| `(\w+)` \| (.+?) \| ", PAGE, re.MULTILINE))


def test_page_lists_exactly_the_settings() -> None:
    assert set(ROWS) == {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    assert FILE_VARIABLE in PAGE


def test_page_shows_actual_defaults() -> None:
    for name, field in Settings.model_fields.items():
        if field.default in ("", None, ()) or field.default_factory:
            continue  # derived from other settings or the machine, and described in words
        shown = "true" if field.default is True else str(field.default)
        assert ROWS[f"{PREFIX}{name.upper()}"] == f"`{shown}`"
