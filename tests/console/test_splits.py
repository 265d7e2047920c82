"""The list of splits and its actions."""

import json
from collections.abc import Callable, Collection
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy.orm import Session

from stemsplitter.api import event_stream
from stemsplitter.console import splits
from stemsplitter.jobs import repository
from stemsplitter.services import Services
from stemsplitter.splits.models import Split

from .conftest import Browser
from .songs import add_finished, add_split
from .test_pages import check

HOSTILE = "<img src=x onerror=alert(1)>\"'&\u202e3pm.exe 🎹.mp3"


def post(browser: Browser, path: str) -> tuple[int, str]:
    answer = browser.post(path, data={"csrf": browser.csrf, "format": "wav"})
    return answer.status_code, answer.headers.get("location", "")


def state(services: Services, split_id: str) -> Split:
    with services.database.read() as session:
        return session.get_one(Split, split_id)


def test_pages_show_every_status(browser: Browser, services: Services, account_id: str) -> None:
    assert "No splits yet" in browser.get("/splits").text
    failed = {"error_code": "CANCELED", "error_message": "The split was canceled."}
    ids = [
        add_split(services, account_id, "queued"),
        add_split(services, account_id, "processing", progress=40),
        add_split(services, account_id, "failed", **failed),
        add_finished(services, account_id)[0],
    ]
    page = check(browser, "/splits")
    assert {f"/splits/{split_id}" for split_id in ids} <= page.links
    text = browser.get("/splits").text
    assert 'value="40"' in text and "The split was canceled." in text and "3:34" in text
    for split_id in ids:
        check(browser, f"/splits/{split_id}")


def test_names_and_messages_are_escaped(browser: Browser, services: Services, account_id: str) -> None:
    failed = {"error_code": "SERVER_ERROR", "error_message": HOSTILE}
    for split_id in (
        add_split(services, account_id, "processing", filename=HOSTILE),
        add_split(services, account_id, "failed", filename=HOSTILE, **failed),
        add_finished(services, account_id, filename=HOSTILE, user_metadata={"task": HOSTILE})[0],
    ):
        for path in ("/splits", f"/splits/{split_id}"):
            check(browser, path)  # the parser rejects inline handlers
            text = browser.get(path).text
            assert "<img src=x" not in text and "&lt;img src=x" in text
            # bidirectional control characters are isolated
            assert "<bdi>&lt;img" in text


def test_list_is_paginated(
    browser: Browser, services: Services, account_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(splits, "PAGE", 2)
    ids = [add_split(services, account_id) for _ in range(3)]
    first = check(browser, "/splits").links
    (older,) = {link for link in first if link.startswith("/splits?cursor=")}
    second = check(browser, older).links
    assert {f"/splits/{split_id}" for split_id in ids[1:]} <= first
    assert f"/splits/{ids[0]}" in second and "/splits" in second
    assert browser.get("/splits?cursor=split_none").status_code == 422


def test_split_is_canceled_retried_and_deleted(
    browser: Browser, services: Services, account_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    split_id = add_split(services, account_id)
    assert post(browser, f"/splits/{split_id}/delete")[0] == 409
    assert post(browser, f"/splits/{split_id}/cancel") == (303, f"/splits/{split_id}")
    assert state(services, split_id).error_code == "CANCELED"
    monkeypatch.setattr(services.splits, "retry", lambda account, failed: {"id": f"{failed}_again"})
    assert post(browser, f"/splits/{split_id}/retry") == (303, f"/splits/{split_id}_again")
    assert post(browser, f"/splits/{split_id}/delete") == (303, f"/splits?deleted={split_id}")
    assert post(browser, f"/splits/{split_id}/delete")[0] == 404
    assert browser.get(f"/splits/{split_id}").status_code == 404


def test_split_actions_require_csrf_token(browser: Browser, services: Services, account_id: str) -> None:
    split_id, _ = add_finished(services, account_id)
    for action in ("cancel", "retry", "delete", "mix", "stem-file"):
        assert browser.post(f"/splits/{split_id}/{action}", data={"csrf": "wrong"}).status_code == 403
    assert state(services, split_id).deleted_at is None


def test_splits_of_other_accounts_are_not_found(
    browser: Browser, services: Services, account_id: str
) -> None:
    with services.database.write() as session:
        other = services.accounts.create_account(session, "other@example.org").id
    split_id, _ = add_finished(services, other)
    for path in ("", "/peaks.json", "/files/vocals.wav", "/archive"):
        assert browser.get(f"/splits/{split_id}{path}").status_code == 404, path
    for action in ("cancel", "retry", "delete", "mix", "stem-file"):
        assert post(browser, f"/splits/{split_id}/{action}")[0] == 404, action
    assert split_id not in browser.get("/splits").text
    events = browser.get(f"/splits/events?ids={split_id}").text
    assert events == "event: end\ndata: {}\n\n"


def test_events_report_changes_until_all_splits_end(
    browser: Browser, services: Services, account_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "POLL_SECONDS", 0.05)
    one = add_split(services, account_id, "processing", lease="run_1", progress=10)
    two, _ = add_finished(services, account_id)

    def go_on(session: Session) -> None:
        repository.advance(session, one, "run_1", 50)

    def end(session: Session) -> None:
        repository.finish(session, one, "run_1", {"status": "failed"})

    # At most one change per query of the stream, however slow the machine.
    happenings = iter([go_on, None, end])
    look = services.splits.get_all

    def look_and_go_on(session: Session, wanted: Collection[tuple[str, str]]) -> Any:
        views = look(session, wanted)
        if happening := next(happenings, None):
            with services.database.write() as writing:
                happening(writing)
        return views

    monkeypatch.setattr(services.splits, "get_all", look_and_go_on)
    answer = browser.get(f"/splits/events?ids={one},{two}")
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [event.split("\n") for event in answer.text.split("\n\n") if event.startswith("event")]
    assert events[-1] == ["event: end", "data: {}"]
    told = [json.loads(data.removeprefix("data: ")) for kind, data in events[:-1]]
    mine = [(state["status"], state["progress"]) for state in told if state["id"] == one]
    assert mine == [("processing", 10), ("processing", 50), ("failed", 50)]
    assert [state for state in told if state["id"] == two] == [
        {"id": two, "status": "succeeded", "progress": 100}
    ]


def test_events_end_when_server_stops(
    app: FastAPI, browser: Browser, services: Services, account_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "POLL_SECONDS", 0.05)
    looks = iter([False, False, True])
    stopping: Callable[[], bool] = lambda: next(looks)  # noqa: E731
    app.state.is_stopping = stopping
    text = browser.get(f"/splits/events?ids={add_split(services, account_id)}").text
    assert text.count("event: state") == 1 and "event: end" not in text


@pytest.mark.parametrize("ids", ["", "a,,b", "a;b", ",".join(["x"] * 101)])
def test_invalid_ids_are_rejected(browser: Browser, ids: str) -> None:
    assert browser.get("/splits/events", params={"ids": ids}).status_code == 422
