"""The lifecycle rules of a bucket that docs/storage.md has."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from stemsplitter.console.demo import FOLDER
from stemsplitter.settings import Settings
from stemsplitter.splits import models, sources
from stemsplitter.splits.derived.models import derived_key
from stemsplitter.uploads.models import Upload
from stemsplitter.uploads.service import direct_key

GUIDE = Path(__file__).parents[2] / "docs" / "storage.md"
KEYS = {
    "source": sources._source_key("split_1", "song.mp3"),
    "stem": f"{models.stems_folder('split_1')}/vocals.mp3",
    "master": f"{models.masters_folder('split_1')}/vocals.flac",
    "peaks": models.peaks_key("split_1"),
    "overview": models.overview_key("split_1"),
    "converted stem, archive, mix or preview": derived_key("split_1", "derived_1"),
    "upload": direct_key(Upload(id="upl_1", filename="song.mp3")),
}


@pytest.fixture(scope="module")
def rules() -> list[dict[str, Any]]:
    found = re.search(r'```json\n(\{"Rules".*?)```', GUIDE.read_text("utf-8"), re.DOTALL)
    assert found
    rules: list[dict[str, Any]] = json.loads(found[1])["Rules"]
    return rules


def test_rules_have_the_form_of_s3(rules: list[dict[str, Any]]) -> None:
    assert len({rule["ID"] for rule in rules}) == len(rules)
    for rule in rules:
        assert rule["Status"] == "Enabled" and set(rule["Filter"]) == {"Prefix"}
        actions = set(rule) - {"ID", "Status", "Filter"}
        assert actions in ({"Expiration"}, {"AbortIncompleteMultipartUpload"})


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_rules_cover_what_ends_and_act_after_the_retention(rules: list[dict[str, Any]], key: str) -> None:
    days = [
        rule["Expiration"]["Days"]
        for rule in rules
        if "Expiration" in rule and key.startswith(rule["Filter"]["Prefix"])
    ]
    assert days and min(days) > Settings(retention_days=7).retention_days


def test_rules_keep_the_demo(rules: list[dict[str, Any]]) -> None:
    assert not any(
        f"{FOLDER}/about.json".startswith(rule["Filter"]["Prefix"]) for rule in rules if "Expiration" in rule
    )
