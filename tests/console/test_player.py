"""The player page, its files and mixes."""

import base64
import io
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from stemsplitter.audio.decode import open_source
from stemsplitter.services import Services

from .conftest import Browser
from .songs import FULL, SAMPLES, add_finished, add_split
from .test_pages import check

SCRIPT = {"Accept": "*/*"}

pytestmark = pytest.mark.usefixtures("files_are_made")


def decoded(tmp_path: Path, data: bytes) -> np.ndarray:
    path = tmp_path / "file"
    path.write_bytes(data)
    with open_source(path) as source:
        return np.concatenate(list(source.blocks()), axis=1).astype(np.float64) * FULL


def test_player_has_every_stem(browser: Browser, services: Services, account_id: str) -> None:
    split_id, _ = add_finished(services, account_id)
    page = check(browser, f"/splits/{split_id}")
    for name in ("vocals", "drums", "bass", "other"):
        assert {f"mute-{name}", f"solo-{name}", f"gain-{name}", f"pan-{name}"} <= page.inputs
        assert f"/splits/{split_id}/files/{name}.wav" in page.links
    text = browser.get(f"/splits/{split_id}").text
    assert "data-decoded" in text and ".stem.mp4" in text


def test_models_and_quality_are_named(browser: Browser, services: Services, account_id: str) -> None:
    vocals = {"name": "scnet_large", "licence": "MIT"}
    model = {"name": "best_6s", "licence": "MIT", "quality": "best", "vocalsFrom": vocals}
    split_id, _ = add_finished(services, account_id, model=model)
    text = browser.get(f"/splits/{split_id}").text
    assert "best_6s (MIT), quality best; vocals by scnet_large (MIT)" in text


def test_task_sets_initially_muted_stems(browser: Browser, services: Services, account_id: str) -> None:
    split_id, _ = add_finished(services, account_id, user_metadata={"task": "drum-remover"})
    text = browser.get(f"/splits/{split_id}").text
    assert 'name="mute-drums" value="1" checked' in text and text.count(" checked") == 1
    assert "My mix: the song without drums" in text


def test_long_song_is_streamed_with_notice(browser: Browser, services: Services, account_id: str) -> None:
    split_id, _ = add_finished(services, account_id, ("vocals",), duration_seconds=901)
    text = browser.get(f"/splits/{split_id}").text
    assert "data-decoded" not in text and "longer than 15 minutes" in text
    assert ".stem.mp4" not in text


def test_peaks_are_served_as_stored(browser: Browser, services: Services, account_id: str) -> None:
    split_id, steps = add_finished(services, account_id)
    answer = browser.get(f"/splits/{split_id}/peaks.json")
    told = answer.json()
    assert (told["samples"], told["sampleRate"], told["samplesPerPoint"]) == (SAMPLES, 8_000, 160)
    points = np.frombuffer(base64.b64decode(told["stems"]["bass"]), np.int8).reshape(-1, 2)
    assert points[0].tolist() == [
        round(127 * float(edge) / FULL)
        for edge in (steps["bass"][:, :160].min(), steps["bass"][:, :160].max())
    ]
    services.storage.delete(f"splits/{split_id}/stems/peaks.json")
    assert browser.get(f"/splits/{split_id}/peaks.json", headers=SCRIPT).status_code == 404


def test_stem_download_supports_range_and_etag(
    browser: Browser, services: Services, account_id: str, tmp_path: Path
) -> None:
    split_id, steps = add_finished(services, account_id, filename="Süß.mp3")
    path = f"/splits/{split_id}/files/drums.wav"
    assert browser.get(f"/splits/{split_id}/play/drums.wav").content == browser.get(path).content
    whole = browser.get(path)
    np.testing.assert_array_equal(decoded(tmp_path, whole.content), steps["drums"])
    assert "S%C3%BC%C3%9F%20%28drums%29.wav" in whole.headers["content-disposition"]
    assert whole.headers["cache-control"] == "private, no-cache"
    part = browser.get(path, headers={"Range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, whole.content[100:200])
    assert browser.get(path, headers={"If-None-Match": whole.headers["etag"]}).status_code == 304
    assert browser.get(f"/splits/{split_id}/files/peaks.json").status_code == 404


def test_archive_has_stems(browser: Browser, services: Services, account_id: str) -> None:
    split_id, _ = add_finished(services, account_id, created_at=datetime(2026, 5, 3, 10, 20, tzinfo=UTC))
    answer = browser.get(f"/splits/{split_id}/archive")
    assert 'filename="Lied (stems).zip"' in answer.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.namelist() == ["vocals.wav", "drums.wav", "bass.wav", "other.wav"]
        assert {entry.date_time for entry in archive.infolist()} == {(2026, 5, 3, 10, 20, 0)}


def test_mix_is_exact_sum_of_heard_stems(
    browser: Browser, services: Services, account_id: str, tmp_path: Path
) -> None:
    split_id, steps = add_finished(services, account_id)
    untouched = {f"{what}-{name}": "0" for what in ("gain", "pan") for name in steps}
    for toggles, heard in (
        ({}, {"vocals", "drums", "bass", "other"}),
        ({"mute-drums": "1"}, {"vocals", "bass", "other"}),
        ({"solo-bass": "1", "solo-vocals": "1", "mute-bass": "1"}, {"vocals", "bass"}),
    ):
        form = untouched | toggles | {"format": "flac", "csrf": browser.csrf}
        answer = browser.post(f"/splits/{split_id}/mix", data=form)
        assert answer.status_code == 303
        file = browser.get(answer.headers["location"])
        assert 'filename="Lied (mix).flac"' in file.headers["content-disposition"]
        np.testing.assert_array_equal(decoded(tmp_path, file.content), sum(steps[name] for name in heard))


@pytest.mark.parametrize(("what", "heard"), [("without-bass", ("vocals", "drums")), ("only-bass", ("bass",))])
def test_saved_part_ignores_the_mix(
    browser: Browser, services: Services, account_id: str, tmp_path: Path, what: str, heard: tuple[str, ...]
) -> None:
    split_id, steps = add_finished(services, account_id, ("vocals", "drums", "bass"))
    form = {"what": what, "gain-drums": "-6", "mute-bass": "1", "format": "flac", "csrf": browser.csrf}
    answer = browser.post(f"/splits/{split_id}/mix", data=form)
    file = browser.get(answer.headers["location"])
    np.testing.assert_array_equal(decoded(tmp_path, file.content), sum(steps[name] for name in heard))


def test_mix_response_reports_peak(browser: Browser, services: Services, account_id: str) -> None:
    split_id, steps = add_finished(services, account_id)
    headers = SCRIPT | {"X-CSRF-Token": browser.csrf}
    form = {"gain-drums": "12", "pan-drums": "-1", "gain-vocals": "0", "solo-drums": "1", "format": "wav32f"}
    told = browser.post(f"/splits/{split_id}/mix", data=form, headers=headers).json()
    left = (steps["drums"][0] + steps["drums"][1]) / FULL * 10 ** (12 / 20)
    assert told["peak"] == pytest.approx(np.abs(left).max(), rel=1e-6)
    assert told["gain"] == 1
    assert told["size"] == len(browser.get(told["location"]).content)


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"format": "exe"}, "not exe"),
        ({}, "choose one"),
        ({"format": "wav", "gain-vocals": "loud"}, "gain-vocals is not a number"),
        ({"format": "wav", "gain-vocals": "nan"}, "-60 to 12 dB"),
        ({"format": "wav", "pan-vocals": "2"}, "pan -1 to 1"),
        ({"format": "wav", "gain-tuba": "1"}, "has no stem tuba"),
        ({"format": "wav", "mute-vocals": "1"}, "Every stem is muted"),
        ({"format": "wav", "what": "only-tuba"}, "has no stem tuba"),
    ],
)
def test_invalid_mix_is_rejected(
    browser: Browser, services: Services, account_id: str, form: dict[str, str], message: str
) -> None:
    split_id, _ = add_finished(services, account_id, ("vocals",))
    answer = browser.post(
        f"/splits/{split_id}/mix", data=form, headers=SCRIPT | {"X-CSRF-Token": browser.csrf}
    )
    assert answer.status_code == 422
    assert message in answer.json()["error"]["message"]


def test_stem_file_is_rendered(browser: Browser, services: Services, account_id: str) -> None:
    split_id, _ = add_finished(services, account_id)
    answer = browser.post(f"/splits/{split_id}/stem-file", data={"csrf": browser.csrf})
    file = browser.get(answer.headers["location"])
    assert file.headers["content-type"] == "audio/mp4"
    assert 'filename="Lied.stem.mp4"' in file.headers["content-disposition"]
    assert b"moov" in file.content and b'"name": "vocals"' in file.content


def test_unfinished_split_has_no_files(browser: Browser, services: Services, account_id: str) -> None:
    split_id = add_split(services, account_id, "processing")
    for path in ("peaks.json", "files/vocals.wav", "archive"):
        assert browser.get(f"/splits/{split_id}/{path}").status_code == 409
