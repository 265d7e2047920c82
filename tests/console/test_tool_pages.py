"""Pages of the tools with jobs of their own."""

from typing import Any

import pytest

from stemsplitter.console import tool_pages
from stemsplitter.console.tools import TOOLS, Tool
from stemsplitter.services import Services
from stemsplitter.tool_jobs.schemas import MAX_TEXT

from .conftest import Browser
from .test_new_split import upload
from .tool_jobs import ANALYSIS, ISOLATOR, add_analysis, add_effect, add_speech

PITCH = "/tools/pitch-changer"


@pytest.fixture(autouse=True)
def with_all_tools(monkeypatch: pytest.MonkeyPatch, services: Services) -> None:
    """Every tool is installed."""
    monkeypatch.setattr("stemsplitter.tool_jobs.service.has_speech", lambda: True)
    monkeypatch.setattr(services.models, "is_ready", lambda _: True)


def created(browser: Browser, path: str, fields: dict[str, str]) -> str:
    """Submit a form. Return the path of the job."""
    answer = browser.post(path, data=fields | {"csrf": browser.csrf})
    assert answer.status_code == 303, answer.text
    location: str = answer.headers["location"]
    assert location.startswith(f"{path}/")
    return location


def job_of(services: Services, tool: Tool, location: str, account_id: str) -> Any:
    return getattr(services, tool.kind).get(account_id, location.rpartition("/")[2])


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.slug)
def test_page_is_public_and_has_a_form_with_a_session(visitor: Browser, browser: Browser, tool: Tool) -> None:
    text = visitor.get(tool.path).text
    assert tool.lead in text
    assert (f"/sign-in?next={tool.path}" in text) == (tool.kind != "analyses")
    text = browser.get(tool.path).text
    assert f'<form method="post" action="{tool.path}"' in text
    assert tool.button in text and "Balance: 600" in text
    for field in tool.fields:
        assert f'name="{field.name}"' in text


def test_unknown_tool_and_job_are_not_found(browser: Browser) -> None:
    for path in ("/tools/tuba", f"{PITCH}/effect_unknown", f"{PITCH}/effect_unknown/files/audio"):
        assert browser.get(path).status_code == 404


@pytest.mark.parametrize(
    "tool", [tool for tool in TOOLS if tool.kind != "speech"], ids=lambda tool: tool.slug
)
def test_form_creates_a_job_with_its_defaults(
    services: Services, browser: Browser, account_id: str, song: bytes, tool: Tool
) -> None:
    location = created(browser, tool.path, upload(browser, song) | {"format": "flac"})
    job = job_of(services, tool, location, account_id)
    assert (job.status, job.filename, job.metadata) == ("queued", "Lied.flac", {"tool": tool.slug})
    page = browser.get(location).text
    assert "Lied.flac" in page and 'hx-trigger="every 2s"' in page and 'http-equiv="refresh"' in page
    assert location in browser.get(tool.path).text  # among the recent results


def test_fields_become_parameters(services: Services, browser: Browser, account_id: str, song: bytes) -> None:
    (tool,) = [tool for tool in TOOLS if tool.path == PITCH]
    location = created(
        browser, PITCH, upload(browser, song) | {"semitones": "-2.5", "formants": "on", "format": "wav"}
    )
    job = job_of(services, tool, location, account_id)
    assert (job.effect, job.output_format) == ("pitch", "wav")
    assert job.parameters == {"semitones": -2.5, "formants": True}


@pytest.mark.parametrize(("preset", "rate"), [("nightcore", 1.25), ("daycore", 0.82), ("other", 1.5)])
def test_speed_is_that_of_the_preset_or_another(
    services: Services, browser: Browser, account_id: str, song: bytes, preset: str, rate: float
) -> None:
    (tool,) = [tool for tool in TOOLS if tool.slug == "nightcore"]
    location = created(browser, tool.path, upload(browser, song) | {"preset": preset, "rate": "1.5"})
    job = job_of(services, tool, location, account_id)
    assert (job.effect, job.parameters) == ("speed", {"rate": rate, "keepPitch": False})


def test_text_becomes_speech(services: Services, browser: Browser, account_id: str) -> None:
    (tool,) = [tool for tool in TOOLS if tool.kind == "speech"]
    fields = {"text": "Good morning.", "voice": "american", "speed": "1.5", "pitch": "-1", "format": "mp3"}
    job = job_of(services, tool, created(browser, tool.path, fields), account_id)
    assert (job.voice, job.speed, job.pitch, job.characters) == ("american", 1.5, -1, 13)


@pytest.mark.parametrize(
    ("path", "fields", "message"),
    [
        (PITCH, {}, "Choose a file or enter a URL"),
        (PITCH, {"semitones": "13", "url": "https://example.com/a.mp3"}, "Semitones must be a number from -12 to 12"),
        (PITCH, {"semitones": "nan", "url": "https://example.com/a.mp3"}, "Semitones must be a number"),
        (PITCH, {"semitones": "x", "url": "https://example.com/a.mp3"}, "Semitones must be a number"),
        (PITCH, {"format": "xm", "url": "https://example.com/a.mp3"}, "Choose a format from the list"),
        (PITCH, {"url": "https://youtu.be/dQw4w9WgXcQ"}, "Links are off on this server"),
        ("/tools/nightcore", {"preset": "warp", "url": "https://example.com/a.mp3"}, "Speed: choose from the list"),
        ("/tools/key-finder", {"url": "http://127.0.0.1:9/a.mp3"}, "127.0.0.1"),
        ("/tools/voice-over", {"text": " "}, "Enter a text"),
        ("/tools/voice-over", {"text": "a" * (MAX_TEXT + 1), "voice": "american"}, "longer than 20,000 characters"),
        ("/tools/voice-over", {"text": "Hello.", "voice": "robot"}, "Unknown voice"),
    ],
)  # fmt: skip
def test_invalid_form_is_shown_again_with_its_error(
    browser: Browser, path: str, fields: dict[str, str], message: str
) -> None:
    answer = browser.post(path, data=fields | {"csrf": browser.csrf})
    assert answer.status_code == 422
    assert message in answer.text and f'action="{path}"' in answer.text
    told = browser.post(path, data=fields, headers={"X-CSRF-Token": browser.csrf, "Accept": "*/*"})
    assert message in told.json()["error"]["message"]


def test_job_can_be_canceled_and_deleted_by_its_account_only(
    services: Services, browser: Browser, visitor: Browser, account_id: str, song: bytes
) -> None:
    location = created(browser, PITCH, upload(browser, song))
    assert visitor.get(location).status_code == 303
    assert browser.post(f"{location}/cancel").status_code == 403  # no token
    assert browser.post(f"{location}/cancel", data={"csrf": browser.csrf}).headers["location"] == location
    assert "was canceled" in browser.get(location).text
    assert browser.post(f"{location}/delete", data={"csrf": browser.csrf}).headers["location"] == PITCH
    assert browser.get(location).status_code == 404


def test_source_is_played_and_downloaded(browser: Browser, song: bytes) -> None:
    location = created(browser, PITCH, upload(browser, song))
    played = browser.get(f"{location}/play/source")
    assert (played.content, played.headers["content-type"]) == (song, "audio/flac")
    assert browser.get(f"{location}/files/source").content == song
    assert browser.get(f"{location}/play/audio").status_code == 404
    assert browser.get(f"{location}/other/source").status_code == 404


def test_analysis_shows_its_figures(services: Services, browser: Browser, account_id: str) -> None:
    text = browser.get(f"/tools/key-finder/{add_analysis(services, account_id)}").text
    for shown in (
        "A minor",
        "8A",
        "C major",
        "120.0",
        "<b>60.0 or 240.0</b>",
        "-4",
        "81 %",
        "92 %",
        "3 beats",
    ):
        assert shown in text
    assert "hx-trigger" not in text
    unclear = {**ANALYSIS, "key": None, "tempo": None, "tuning_cents": None}
    text = browser.get(f"/tools/key-finder/{add_analysis(services, account_id, analysis=unclear)}").text
    assert "No clear key" in text and "Half or double" not in text


def test_damage_of_the_source_is_shown(services: Services, browser: Browser, account_id: str) -> None:
    processing = {
        "seconds": 1,
        "drumsApart": False,
        "warnings": ["The file ends inside a packet; it may be cut short."],
    }
    for path, job in (
        ("/tools/key-finder", add_analysis(services, account_id, processing=processing)),
        (PITCH, add_effect(services, account_id, "audio", processing=processing)),
    ):
        assert "it may be cut short." in browser.get(f"{path}/{job}").text
        german = browser.get(f"{path}/{job}", headers={"Accept-Language": "de"}).text
        assert "vielleicht ist sie abgeschnitten." in german


def test_results_are_played_and_downloaded(services: Services, browser: Browser, account_id: str) -> None:
    changed = f"{PITCH}/{add_effect(services, account_id, 'audio')}"
    isolated = (
        f"/tools/voice-isolator/{add_effect(services, account_id, 'voice', 'noise', parameters=ISOLATOR)}"
    )
    spoken = f"/tools/voice-over/{add_speech(services, account_id)}"
    for location, titles in (
        (changed, {"source": "Before", "audio": "After"}),
        (isolated, {"source": "Before", "voice": "Voice", "noise": "Noise"}),
        (spoken, {"audio": "Audio"}),
    ):
        text = browser.get(location).text
        assert text.count("<audio ") == len(titles)
        for name, title in titles.items():
            assert f'src="{location}/play/{name}"' in text and f">{title}</h3>" in text
            played = browser.get(f"{location}/play/{name}")
            assert (played.status_code, played.headers["content-type"]) == (200, "audio/wav")
            assert (f'href="{location}/files/{name}"' in text) is (name != "source")
    sent = browser.get(f"{changed}/files/audio").headers["content-disposition"]
    assert "audio.wav" in sent


def test_voices_are_heard_before_use(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tool_pages, "_spoken", lambda voice: voice.encode())
    assert 'src="/tools/voice-over/voices/american"' in browser.get("/tools/voice-over").text
    heard = browser.get("/tools/voice-over/voices/american")
    assert (heard.content, heard.headers["content-type"]) == (b"american", "audio/mpeg")
    assert browser.get("/tools/voice-over/voices/robot").status_code == 404


def test_server_without_speech_says_so(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stemsplitter.tool_jobs.service.has_speech", lambda: False)
    text = browser.get("/tools/voice-over").text
    assert "This server has no voice" in text and "<textarea" not in text
