"""Previews and overviews that the player loads."""

import base64

import numpy as np
import pytest

from stemsplitter.audio.previews import CODECS
from stemsplitter.services import Services
from tests.services import file_maker

from .conftest import PASSWORD_HASH, Browser
from .songs import add_finished, add_song

RATE = 8_000


@pytest.fixture
def split_id(services: Services, account_id: str) -> str:
    """A split with previews."""
    signal = (0.5 * np.sin(np.arange(3 * RATE) / 9)).astype(np.float32)
    stems = {name: np.stack([signal, signal]) for name in ("vocals", "drums")}
    return add_song(services, account_id, stems, RATE, previews=True)


@pytest.mark.parametrize("codec", CODECS)
def test_index_gives_the_ranges_of_the_pieces(browser: Browser, split_id: str, codec: str) -> None:
    index = browser.get(f"/splits/{split_id}/previews/{codec}/previews.json").json()
    assert index["samples"] == 3 * 48_000 and list(index["stems"]) == ["vocals", "drums"]
    for stem in index["stems"].values():
        url = f"/splits/{split_id}/previews/{codec}/{stem['file']}"
        whole = browser.get(url)
        assert whole.headers["content-type"] == CODECS[codec].mime
        assert len(whole.content) == sum(stem["sizes"])
        first = stem["sizes"][0]
        part = browser.get(url, headers={"Range": f"bytes={first}-{len(whole.content) - 1}"})
        assert part.status_code == 206 and part.content == whole.content[first:]


def test_previews_are_made_on_request(browser: Browser, services: Services, account_id: str) -> None:
    split_id, _ = add_finished(services, account_id)
    url = f"/splits/{split_id}/previews/aac/previews.json"
    for _ in range(2):
        waiting = browser.get(url)
        assert (waiting.status_code, waiting.headers["retry-after"]) == (202, "1")
    maker = file_maker(services)
    assert maker.make_next("wrk_1", background=True) and not maker.make_next("wrk_1", background=True)
    assert browser.get(url).json()["codec"] == "aac"


def test_index_of_a_split_whose_previews_cannot_be_made_is_empty(
    browser: Browser, services: Services, account_id: str
) -> None:
    split_id, _ = add_finished(services, account_id)
    url = f"/splits/{split_id}/previews/opus/previews.json"
    assert browser.get(url).status_code == 202
    services.storage.delete_prefix(f"splits/{split_id}/stems")
    while file_maker(services).make_next("wrk_1", background=True):
        pass
    assert browser.get(url).status_code == 204


@pytest.mark.parametrize("name", ["opus/piano.opus", "opus/vocals.m4a", "mp3/previews.json", "opus/../aac/x"])
def test_other_names_are_not_found(browser: Browser, split_id: str, name: str) -> None:
    assert browser.get(f"/splits/{split_id}/previews/{name}").status_code == 404


def test_overview_has_the_peaks_of_the_whole_song(browser: Browser, split_id: str) -> None:
    fine = browser.get(f"/splits/{split_id}/peaks.json").json()
    coarse = browser.get(f"/splits/{split_id}/overview.json").json()
    assert (coarse["samples"], coarse["sampleRate"]) == (fine["samples"], fine["sampleRate"])
    points = np.frombuffer(base64.b64decode(coarse["stems"]["drums"]), np.int8)
    assert len(points) <= 2 * 1200 and np.abs(points).max() in (63, 64)


@pytest.mark.parametrize(
    "path", ["overview.json", "previews/opus/previews.json", "previews/opus/vocals.opus"]
)
def test_splits_of_others_are_not_found(browser: Browser, services: Services, path: str) -> None:
    with services.database.write() as session:
        other_account = services.accounts.create_account(session, "other@example.com", PASSWORD_HASH).id
    other, _ = add_finished(services, other_account)
    assert browser.get(f"/splits/{other}/{path}").status_code == 404
