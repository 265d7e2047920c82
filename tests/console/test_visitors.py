"""The key finder without an account."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from stemsplitter.accounts.service import VISITORS
from stemsplitter.clock import now
from stemsplitter.console.tool_access import COOKIE, MAX_VISITOR_BYTES
from stemsplitter.credits.models import LedgerEntry
from stemsplitter.services import Services
from stemsplitter.tool_jobs.models import AnalysisJob

from .conftest import Browser
from .test_new_split import upload

PATH = "/tools/key-finder"


def analyze(visitor: Browser, song: bytes) -> str:
    """Send a song as the script of the form does. Return the path of the result."""
    answer = visitor.post(PATH, data=upload(visitor, song, path=f"{PATH}/upload"))
    assert answer.status_code == 303, answer.text
    location: str = answer.headers["location"]
    return location


def row(services: Services, location: str) -> AnalysisJob:
    with services.database.read() as session:
        return session.get_one(AnalysisJob, location.rpartition("/")[2])


def test_visitor_gets_a_result_for_an_hour_without_credits(
    services: Services, visitor: Browser, song: bytes
) -> None:
    page = visitor.get(PATH).text
    assert f'data-reserve="{PATH}/upload"' in page and "5 songs an hour" in page and "Balance" not in page
    location = analyze(visitor, song)
    job = row(services, location)
    assert (job.status, job.credits_used, job.filename) == ("queued", 0, "Lied.flac")
    assert timedelta(minutes=59) < job.expires_at - now() <= timedelta(hours=1)
    answer = visitor.get(location)
    assert 'hx-trigger="every 2s"' in answer.text and "htmx.min" in answer.text
    assert "Lied.flac" in answer.text and "Credits" not in answer.text and "/cancel" not in answer.text
    assert answer.headers["cache-control"] == "no-store" and "noindex" in answer.text
    assert visitor.get(f"{location}/play/source").content == song
    with services.database.read() as session:
        assert session.scalars(select(LedgerEntry).where(LedgerEntry.amount != 0)).all() == []


def test_result_is_shown_to_its_visitor_only(
    browsers: Callable[[], Browser], visitor: Browser, browser: Browser, song: bytes
) -> None:
    location = analyze(visitor, song)
    other, guessing = browsers(), browsers()
    guessing.cookies.set(COOKIE, "0" * 32, domain="testserver.local", path="/")
    for stranger in (other, guessing, browser):
        for path in (location, f"{location}/play/source"):
            assert stranger.get(path).status_code == 404
    for action in ("cancel", "delete"):
        assert visitor.post(f"{location}/{action}").headers["location"].startswith("/sign-in")
    assert visitor.get(location).status_code == 200


def test_visitors_are_limited_by_address(
    visitor: Browser, browsers: Callable[[], Browser], song: bytes
) -> None:
    for _ in range(5):
        analyze(visitor, song)
    wanted = {"filename": "Lied.flac", "contentType": "audio/flac", "contentLength": 1}
    assert browsers().post(f"{PATH}/upload", json=wanted).status_code == 429
    answer = browsers().post(PATH, data={"url": "https://example.org/song.mp3"})
    assert answer.status_code == 429 and "analyses without an account" in answer.text


def test_visitors_may_send_neither_large_files_nor_links(
    services: Services, visitor: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = {"filename": "a.wav", "contentType": "audio/wav", "contentLength": MAX_VISITOR_BYTES + 1}
    assert visitor.post(f"{PATH}/upload", json=wanted).status_code == 422
    answer = visitor.post(PATH, data={"url": "https://www.youtube.com/watch?v=aaaaaaaaaaa"})
    assert answer.status_code == 422 and "Sign in to analyze a link" in answer.text


def test_only_the_key_finder_is_open_and_only_if_the_operator_wants(
    services: Services, visitor: Browser
) -> None:
    for path in ("/tools/pitch-changer", "/tools/pitch-changer/upload"):
        assert visitor.post(path).headers["location"] == "/sign-in"
    settings = services.settings.model_copy(update={"visitor_analyses_per_hour": 0})
    services.__dict__["settings"] = settings
    assert f"/sign-in?next={PATH}" in visitor.get(PATH).text
    assert visitor.post(PATH).headers["location"] == "/sign-in"


def test_another_site_cannot_send_the_form_of_a_visitor(visitor: Browser) -> None:
    answer = visitor.post(
        PATH, data={"url": "https://example.org/a.mp3"}, headers={"Origin": "https://evil.example"}
    )
    assert answer.status_code == 403


def test_account_of_visitors_cannot_be_entered(services: Services, visitor: Browser, song: bytes) -> None:
    analyze(visitor, song)
    for path in ("/sign-in", "/sign-up"):
        answer = visitor.post(path, data={"email": VISITORS, "password": "correct horse"})
        assert answer.status_code in (401, 422), (path, answer.status_code)


def test_account_of_visitors_is_made_once(services: Services) -> None:
    assert services.accounts.visitors() == services.accounts.visitors()


def test_expired_result_is_gone(services: Services, visitor: Browser, song: bytes) -> None:
    location = analyze(visitor, song)
    job = row(services, location)
    with services.database.write() as session:
        session.execute(update(AnalysisJob).where(AnalysisJob.id == job.id).values(status="failed"))
    services.analyses.delete_files(job)
    assert visitor.get(location).status_code == 404
