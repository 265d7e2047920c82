"""The operator pages."""

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

from stemsplitter.accounts.models import Account
from stemsplitter.catalogue.pulls import Pulls
from stemsplitter.catalogue.store import ModelStore
from stemsplitter.clock import now
from stemsplitter.console import operator as module
from stemsplitter.files.verified import Progress
from stemsplitter.services import Services
from stemsplitter.splits.models import Split
from stemsplitter.worker.models import Worker

from .conftest import Browser, sign_in
from .test_pages import check

LIMIT_S = 60.0
PAGES = ("", "/accounts", "/failures", "/models", "/storage")


@pytest.fixture
def operator_id(services: Services) -> str:
    with services.database.write() as session:
        return services.accounts.create_account(session, "boss@example.org", role="operator").id


@pytest.fixture
def operator(services: Services, browsers: Callable[[], Browser], operator_id: str) -> Browser:
    """A browser with a session of the operator."""
    return sign_in(services, browsers(), operator_id)


@pytest.fixture(autouse=True)
def no_models(services: Services, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Only the built-in models are installed."""
    services.__dict__["models"] = ModelStore(tmp_path_factory.mktemp("models"), offline=True)


def add_split(services: Services, account_id: str, split_id: str, status: str, **values: object) -> None:
    fields = {
        "stem_model": "4s", "requested_stems": ["vocals"], "output_format": "mp3", "filename": "secret song.mp3",
        "duration_seconds": 187, "credits_used": 187, "source_key": "splits/a", "source_bytes": 3_400_000,
        "model": {"name": "tiny"}, "user_metadata": {}, "created_at": now(), "updated_at": now(), "expires_at": now(),
    }  # fmt: skip
    fields |= values
    with services.database.write() as session:
        ended = fields["updated_at"] if status in ("succeeded", "failed") else None
        session.add(Split(id=split_id, account_id=account_id, status=status, finished_at=ended, **fields))


def account(services: Services, account_id: str) -> Account:
    with services.database.read() as session:
        return services.accounts.find_account(session, account_id)


def test_operator_pages_require_operator(
    app: FastAPI, operator: Browser, browser: Browser, visitor: Browser, account_id: str
) -> None:
    """Checks every route: other accounts get 404."""
    routes = [
        route
        for route in app.state.routes
        if isinstance(route, APIRoute) and route.path.startswith("/operator")
    ]
    assert len(routes) >= 9
    csrf = browser.csrf
    for route in routes:
        path = route.path.replace("{account_id}", account_id)
        for method in route.methods:
            data = {"csrf": csrf, "amount": "1000000"} if method == "POST" else None
            assert browser.request(method, path, data=data).status_code == 404, path
            answer = visitor.request(method, path)
            assert answer.status_code == 303 and answer.headers["location"].startswith("/sign-in"), path
    assert "/operator" not in browser.get("/account").text
    assert "/operator" in operator.get("/account").text


@pytest.mark.parametrize("path", PAGES)
def test_operator_pages_of_empty_server(operator: Browser, path: str) -> None:
    page = check(operator, f"/operator{path}")
    assert {f"/operator{each}" for each in PAGES} <= page.links
    assert operator.get(f"/operator{path}").headers["cache-control"] == "no-store"


def test_queue_and_workers_are_shown(services: Services, operator: Browser, account_id: str) -> None:
    add_split(services, account_id, "split_runs", "processing", progress=42, attempts=2)
    add_split(services, account_id, "split_waits", "queued", created_at=now() - timedelta(minutes=3))
    add_split(services, account_id, "split_done", "succeeded")
    rows = {"Running": (0, "working"), "Stopped": (1, "stopped"), "Unresponsive": (60, "working")}
    with services.database.write() as session:
        for name, (minutes, state) in rows.items():
            at = now() - timedelta(minutes=minutes)
            session.add(
                Worker(
                    id=f"wrk_{name}", host=f"host-{name}", pid=1, started_at=at, heartbeat_at=at,
                    models=["tiny"], device="cpu", state=state,
                )
            )  # fmt: skip
    check(operator, "/operator")
    page = operator.get("/operator").text
    assert page.index("split_runs") < page.index("split_waits") and "split_done" not in page
    assert "42 %" in page and "someone@example.org" in page and "secret song" not in page
    for name in rows:
        row = page[page.index(f"host-{name}") :]
        assert re.search(r'<span class="badge \w+">(\w+)</span>', row).group(1) == name  # type: ignore[union-attr]
    assert re.search(r"Running workers</dt><dd>1</dd>", page)
    assert re.search(r"Longest wait</dt><dd>3:0\d</dd>", page)


def test_accounts_are_listed_and_searched(services: Services, operator: Browser) -> None:
    with services.database.write() as session:
        for number in range(51):
            services.accounts.create_account(session, f"song{number}@example.org", name="<i>Ida</i>")
        ids = [each.id for each in services.accounts.list_accounts(session)]
    page = check(operator, "/operator/accounts")
    assert "&lt;i&gt;Ida&lt;/i&gt;" in operator.get("/operator/accounts").text
    [older] = [link for link in page.links if "cursor=" in link]
    linked = {link.rpartition("/")[2] for link in page.links | check(operator, older).links}
    assert set(ids) <= linked
    found = check(operator, "/operator/accounts?q=SONG50")
    assert f"/operator/accounts/{ids[-1]}" in found.links and not any(
        each in str(found.links) for each in ids[:-1]
    )
    some = check(operator, "/operator/accounts?q=<i>")
    [older] = [link for link in some.links if "cursor=" in link]
    assert older.endswith("&q=%3Ci%3E")
    assert "No accounts found" in operator.get("/operator/accounts?q=%25").text
    assert operator.get("/operator/accounts/acc_0").status_code == 404


def test_account_is_disabled_and_enabled(
    services: Services, operator: Browser, browser: Browser, account_id: str
) -> None:
    path, csrf = f"/operator/accounts/{account_id}", operator.csrf
    check(operator, path)
    assert operator.post(f"{path}/disable", data={"csrf": csrf}).status_code == 303
    assert account(services, account_id).disabled_at is not None
    assert browser.get("/account").status_code == 303
    check(operator, path)
    assert f'action="{path}/enable"' in operator.get(path).text
    assert operator.post(f"{path}/enable", data={"csrf": csrf}).status_code == 303
    assert account(services, account_id).disabled_at is None
    assert browser.get("/account").status_code == 200


def test_operator_cannot_disable_own_account(services: Services, operator: Browser, operator_id: str) -> None:
    path = f"/operator/accounts/{operator_id}"
    assert "Disable" not in operator.get(path).text
    answer = operator.post(f"{path}/disable", data={"csrf": operator.csrf})
    assert answer.status_code == 409 and "your own account" in answer.text
    assert account(services, operator_id).disabled_at is None


def test_credits_are_granted_with_a_note(
    services: Services, operator: Browser, browser: Browser, account_id: str
) -> None:
    path, csrf = f"/operator/accounts/{account_id}", operator.csrf
    note = "sorry for <yesterday>"
    answer = operator.post(f"{path}/credits", data={"csrf": csrf, "amount": "3600", "note": note})
    assert answer.status_code == 303 and account(services, account_id).balance == 4200
    for client, page in ((operator, path), (browser, "/credits")):
        assert "sorry for &lt;yesterday&gt;" in client.get(page).text
    assert operator.post(f"{path}/credits", data={"csrf": csrf, "amount": "-200"}).status_code == 303
    assert account(services, account_id).balance == 4000
    for amount, status in (("-4001", 409), ("0", 422), ("much", 422), (str(10**13), 422)):
        assert operator.post(f"{path}/credits", data={"csrf": csrf, "amount": amount}).status_code == status
    assert operator.post(f"{path}/credits", data={"amount": "1"}).status_code == 403
    assert account(services, account_id).balance == 4000


def test_failures_show_error_and_cause(services: Services, operator: Browser, account_id: str) -> None:
    add_split(
        services, account_id, "split_full", "failed", error_code="SERVER_ERROR", attempts=3,
        error_message="It could not be separated.", cause="StorageError: <full>\nOSError: No space left",
    )  # fmt: skip
    add_split(
        services, account_id, "split_short", "failed", error_code="VALIDATION_ERROR", error_message="Cut off.",
    )  # fmt: skip
    add_split(services, account_id, "split_fine", "succeeded")
    check(operator, "/operator/failures")
    page = operator.get("/operator/failures").text
    assert "StorageError: &lt;full&gt;\nOSError: No space left" in page and "Cut off." in page
    assert "someone@example.org" in page and "split_fine" not in page and "secret song" not in page
    page = operator.get("/operator/failures?code=VALIDATION_ERROR").text
    assert "split_short" in page and "split_full" not in page


def test_failures_are_paginated(
    services: Services, operator: Browser, account_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE", 1)
    for number in range(2):
        at = now() - timedelta(minutes=number)
        add_split(
            services,
            account_id,
            f"split_{number}",
            "failed",
            error_code="X",
            error_message="No.",
            updated_at=at,
        )
    page = check(operator, "/operator/failures?code=X")
    [older] = [link for link in page.links if "cursor=" in link]
    assert older.endswith("&code=X")
    text = operator.get(older).text
    assert "split_1" in text and "split_0" not in text


def test_models_show_license_and_download_command(services: Services, operator: Browser) -> None:
    page = operator.get("/operator/models").text
    for entry in services.models.entries():
        assert entry.title in page and entry.name in page
        pull = f"stemsplitter models pull {entry.name}<"
        assert (pull in page) != services.models.is_ready(entry.name)
    assert "License" in page and "Used only if named" in page and "Used for 2s" in page


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Stop downloads at 25% until the event is set."""
    go_on, there = threading.Event(), set[str]()

    def pull(_: ModelStore, name: str, progress: Progress) -> None:
        progress(25_000_000, 100_000_000)
        assert go_on.wait(LIMIT_S)
        there.add(name)

    is_ready = ModelStore.is_ready
    monkeypatch.setattr(ModelStore, "pull", pull)
    monkeypatch.setattr(Pulls, "_check", lambda *_: None)
    monkeypatch.setattr(ModelStore, "is_ready", lambda store, name: name in there or is_ready(store, name))
    yield go_on
    go_on.set()


def card(operator: Browser, name: str) -> str:
    """Return the section of a model."""
    text = operator.get("/operator/models").text
    found = re.search(rf'<section class="card" id="model-{name}".*?</section>', text, re.DOTALL)
    assert found
    return found[0]


def wait_for(look: Callable[[], str], text: str) -> str:
    end = time.monotonic() + LIMIT_S
    while text not in (found := look()):
        assert time.monotonic() < end, found
        time.sleep(0.02)
    return found


def test_model_is_downloaded_from_page(operator: Browser, slow: threading.Event) -> None:
    assert "Not downloaded" in card(operator, "spleeter_2s") and "hx-get" not in card(operator, "spleeter_2s")
    answer = operator.post("/operator/models/spleeter_2s/pull", data={"csrf": operator.csrf})
    assert (answer.status_code, answer.headers["location"]) == (303, "/operator/models")
    going = wait_for(lambda: card(operator, "spleeter_2s"), "25 MB of 100 MB")
    assert (
        'value="25"' in going and "Downloading" in going and "hx-get" in going and ">Download<" not in going
    )
    assert "Not downloaded" in card(operator, "htdemucs")
    check(operator, "/operator/models")
    slow.set()
    ready = wait_for(lambda: card(operator, "spleeter_2s"), ">Ready<")
    assert "hx-get" not in ready and ">Download<" not in ready


def test_failed_download_is_reported(operator: Browser) -> None:
    operator.post("/operator/models/htdemucs/pull", data={"csrf": operator.csrf})
    failed = wait_for(lambda: card(operator, "htdemucs"), "cannot be downloaded offline")
    assert ">Download<" in failed and "hx-get" not in failed


def test_download_of_restricted_model_asks_for_confirmation(services: Services, operator: Browser) -> None:
    for entry in services.models.entries():
        asked = "data-confirm" in card(operator, entry.name)
        assert asked is not (entry.permissive or services.models.is_ready(entry.name)), entry.name


def test_unknown_model_is_not_downloaded(operator: Browser) -> None:
    answer = operator.post("/operator/models/nothing/pull", data={"csrf": operator.csrf})
    assert answer.status_code == 404 and "There is no model" in answer.text
    assert operator.post("/operator/models/htdemucs/pull", data={"csrf": "wrong"}).status_code == 403
    assert "Downloading" not in operator.get("/operator/models").text


def test_workers_on_other_hosts_are_listed(services: Services, operator: Browser) -> None:
    assert "Workers on other machines" not in operator.get("/operator/models").text
    with services.database.write() as session:
        for number, host in enumerate((socket.gethostname(), "far-away")):
            session.add(
                Worker(
                    id=f"wrk_{number}", host=host, pid=1, started_at=now(), heartbeat_at=now(), models=[],
                    device="cpu", state="working",
                )
            )  # fmt: skip
    assert "Workers on other machines (far-away) have" in operator.get("/operator/models").text


def test_damaged_model_record_is_reported(services: Services, operator: Browser) -> None:
    record = services.models.root / "mine" / "entry.json"
    record.parent.mkdir()
    record.write_text("{")
    answer = operator.get("/operator/models")
    assert answer.status_code == 200 and "The record of the model mine cannot be read" in answer.text


def test_storage_usage_is_shown(services: Services, operator: Browser) -> None:
    services.storage.put_stream("splits/split_1/a.mp3", [b"x" * 3_400_000], "audio/mpeg")
    check(operator, "/operator/storage")
    page = operator.get("/operator/storage").text
    assert re.search(r"Used</dt><dd>3\.4 MB</dd>", page) and "splits" in page and "Free disk space" in page
