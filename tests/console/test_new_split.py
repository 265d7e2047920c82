"""The forms that create a split."""

import re
from dataclasses import replace

import pytest
from fastapi import APIRouter, Depends, FastAPI

from stemsplitter import refusals
from stemsplitter.accounts.models import Account
from stemsplitter.audio import formats
from stemsplitter.audio.formats import OutputFormat
from stemsplitter.catalogue.speeds import MeasuredSpeed, record_speed
from stemsplitter.catalogue.store import ModelStore
from stemsplitter.console import access, new_split, tasks
from stemsplitter.console.new_split import FORMATS
from stemsplitter.console.tasks import TASKS, Task, find_task, initially_muted
from stemsplitter.links import Links
from stemsplitter.rate_limits.service import Policy
from stemsplitter.separation.layouts import LAYOUTS
from stemsplitter.services import Services
from stemsplitter.settings import Settings
from stemsplitter.splits.models import Split
from stemsplitter.splits.service import present
from tests.acceptance.tiny_model import write_tiny_model

from .conftest import Browser
from .songs import add_finished
from .test_pages import check


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ModelStore:
    folder = tmp_path_factory.mktemp("models")
    store = ModelStore(folder / "models")
    store.add("tiny_6s", write_tiny_model(folder / "tiny.safetensors"))
    return store


@pytest.fixture(autouse=True)
def with_model(services: Services, store: ModelStore) -> None:
    services.__dict__["models"] = store


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"model_6s": "tiny_6s"})


def upload(
    browser: Browser, data: bytes, name: str = "Lied.flac", path: str = "/new/upload"
) -> dict[str, str]:
    """Upload a file as the script of the form does. Return its form fields."""
    wanted = {"filename": name, "contentType": "application/octet-stream", "contentLength": len(data)}
    reserved = browser.post(path, json=wanted, headers={"X-CSRF-Token": browser.csrf})
    assert reserved.status_code == 200, reserved.text
    headers = {"X-Upload-Token": reserved.json()["token"], "Content-Type": "application/octet-stream"}
    sent = browser.post(reserved.json()["path"], content=data, headers=headers)
    assert sent.status_code == 200, sent.text
    return {"upload_id": reserved.json()["uploadId"], "storage_key": sent.json()["data"]["key"]}


def row(services: Services, location: str) -> Split:
    with services.database.read() as session:
        return session.get_one(Split, location.rpartition("/")[2])


@pytest.mark.parametrize("path", ["/new", *(f"/{task.slug}" for task in TASKS)])
def test_form_is_on_every_split_page(browser: Browser, path: str) -> None:
    page = check(browser, path)
    assert {"file", "url", "format"} <= page.inputs


def test_quality_is_offered_where_there_is_a_better_model(
    browser: Browser, services: Services, song: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "quality" not in check(browser, "/new").inputs
    of_files = services.models.is_ready
    monkeypatch.setattr(services.models, "is_ready", lambda name: name == "melband_kim" or of_files(name))
    assert "quality" in check(browser, "/new").inputs
    offered = {task.layout: "quality" in check(browser, f"/{task.slug}").inputs for task in TASKS}
    assert offered == {task.layout: task.layout == "2s" for task in TASKS}
    fields = upload(browser, song) | {"layout": "2s", "csrf": browser.csrf, "quality": "best"}
    answer = browser.post("/new", data=fields)
    model = row(services, answer.headers["location"]).model
    assert (model["name"], model["quality"]) == ("melband_kim", "best")
    refused = browser.post("/new", data=fields | {"quality": "great"})
    assert refused.status_code == 422 and "Choose the quality from the list." in refused.text


def test_each_quality_shows_the_time_that_was_measured(
    browser: Browser, services: Services, account_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_files = services.models.is_ready
    better = ("melband_kim", "best_6s")
    monkeypatch.setattr(services.models, "is_ready", lambda name: name in better or of_files(name))
    again = f"/splits/{add_finished(services, account_id)[0]}/again"
    assert "measured on this server" not in browser.get("/new").text + browser.get(again).text
    for name, factor in (("builtin_6s", 20.0), ("best_6s", 2.0)):
        speed = MeasuredSpeed(factor, "cpu (a processor)")
        record_speed(services.models.entry(name), services.models, speed)
    for path in ("/new", again):
        text = browser.get(path).text
        for quality, time in (("Fast", "12 seconds"), ("Balanced", "2 minutes"), ("Best", "3 minutes")):
            assert re.search(f"<option value=\\S+>{quality}: [^<]*, about {time}", text), (path, quality)
        assert "Times as measured on this server, for a song of 4 minutes and 6 stems." in text


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.slug)
def test_task_pages_are_public(visitor: Browser, task: Task) -> None:
    page = check(visitor, f"/{task.slug}")
    assert f"/sign-in?next=/{task.slug}" in page.links
    assert task.lead in visitor.get(f"/{task.slug}").text


def test_form_requires_session_and_csrf_token(visitor: Browser, browser: Browser) -> None:
    assert visitor.get("/new").headers["location"] == "/sign-in?next=%2Fnew"
    assert visitor.post("/new", data={"url": "http://example.com"}).status_code == 303
    assert browser.post("/new", data={"url": "http://example.com"}).status_code == 403
    body = {"filename": "a", "contentType": "audio/mpeg", "contentLength": 1}
    assert browser.post("/new/upload", json=body).status_code == 403


@pytest.mark.parametrize("sites", [(), ("soundcloud",)])
def test_form_says_where_links_are_on(services: Services, browser: Browser, sites: tuple[str, ...]) -> None:
    services.__dict__["links"] = Links(services.settings.model_copy(update={"links": sites}))
    assert ("Use only what you own or may copy" in browser.get("/new").text) == bool(sites)


def test_uploaded_file_becomes_split(
    browser: Browser, services: Services, account_id: str, song: bytes
) -> None:
    fields = upload(browser, song) | {"layout": "6s", "format": "wav16", "csrf": browser.csrf}
    answer = browser.post("/new", data=fields)
    assert answer.status_code == 303
    split = row(services, answer.headers["location"])
    assert (split.account_id, split.stem_model, split.output_format, split.bit_depth) == (
        account_id,
        "6s",
        "wav",
        "16",
    )
    assert (split.filename, split.duration_seconds, split.user_metadata) == ("Lied.flac", 2, {})
    assert browser.get(answer.headers["location"]).status_code == 200


def test_task_sets_layout_and_response_has_location(
    browser: Browser, services: Services, song: bytes
) -> None:
    fields = upload(browser, song) | {"task": "guitar-remover", "layout": "2s", "format": "mp3"}
    headers = {"Accept": "*/*", "X-CSRF-Token": browser.csrf}
    answer = browser.post("/new", data=fields, headers=headers)
    split = row(services, answer.json()["location"])
    assert (split.stem_model, split.user_metadata) == ("6s", {"task": "guitar-remover"})


def test_webhook_url_is_validated_and_stored(browser: Browser, services: Services, song: bytes) -> None:
    fields = upload(browser, song) | {"webhook_url": " http://192.0.2.1/x ", "csrf": browser.csrf}
    answer = browser.post("/new", data=fields)
    assert answer.status_code == 422
    assert "192.0.2.1" in answer.text and 'value=" http://192.0.2.1/x "' in answer.text
    made = browser.post("/new", data=fields | {"webhook_url": " https://example.com/hook "})
    assert row(services, made.headers["location"]).webhook_url == "https://example.com/hook"
    without = browser.post("/new", data=upload(browser, song) | {"webhook_url": " ", "csrf": browser.csrf})
    assert row(services, without.headers["location"]).webhook_url is None


def test_instruments_are_those_selected(browser: Browser, services: Services, song: bytes) -> None:
    fields = upload(browser, song) | {"layout": "6s", "csrf": browser.csrf}
    made = browser.post("/new", data=fields | {"instruments": ["guitar", "vocals"]})
    assert present(row(services, made.headers["location"])) == ["vocals", "guitar"]
    without = browser.post("/new", data=upload(browser, song) | {"layout": "6s", "csrf": browser.csrf})
    assert row(services, without.headers["location"]).instruments is None
    wrong = browser.post("/new", data={"instruments": ["guitar"], "csrf": browser.csrf})
    assert re.findall(r'value="(\w+)" checked', wrong.text) == ["6s", "guitar"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "Choose a file or enter a URL"),
        ({"upload_id": "../x", "storage_key": "a"}, "choose the file again"),
        ({"url": "http://127.0.0.1:9/a.mp3"}, "127.0.0.1"),
        ({"url": "https://soundcloud.com/band/song"}, "Links are off on this server"),
        ({"url": "https://example.com/a.mp3", "layout": "5s"}, "Choose the stems and a format"),
        ({"url": "https://example.com/a.mp3", "format": "xm"}, "Choose the stems and a format"),
        ({"url": "https://example.com/a.mp3", "instruments": "tuba"}, "Choose the instruments"),
        ({"url": "https://example.com/a.mp3", "task": "tuba-remover"}, "no tool tuba-remover"),
        ({"upload_id": "upl_unknown", "storage_key": "a"}, "This upload does not exist"),
    ],
)
def test_invalid_source_is_reported_in_form(browser: Browser, fields: dict[str, str], message: str) -> None:
    fields = {"layout": "4s"} | fields
    answer = browser.post("/new", data=fields | {"csrf": browser.csrf})
    assert answer.status_code in (404, 422)
    assert message in answer.text and "data-new-split" in answer.text
    told = browser.post("/new", data=fields, headers={"X-CSRF-Token": browser.csrf, "Accept": "*/*"})
    assert message in told.json()["error"]["message"]


def test_insufficient_credits_are_reported_in_form(
    browser: Browser, services: Services, account_id: str, song: bytes
) -> None:
    with services.database.write() as session:
        session.get_one(Account, account_id).balance = 1
    answer = browser.post("/new", data=upload(browser, song) | {"csrf": browser.csrf, "layout": "6s"})
    assert answer.status_code == 402
    assert "needs 2 credits and the balance is 1" in answer.text


def test_create_is_rate_limited(
    browser: Browser, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services.rate_limits, "create", Policy("create", 1))
    fields = {"url": "http://127.0.0.1:9/a.mp3", "csrf": browser.csrf}
    assert [browser.post("/new", data=fields).status_code for _ in range(2)] == [422, 429]


def test_layouts_without_model_are_disabled(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(new_split, "ready_layouts", lambda *_: ["2s"])
    text = browser.get("/new").text
    assert re.findall(r'value="(\w+)" disabled', text) == ["6s", "4s"]
    assert re.findall(r'value="(\w+)" checked', text) == ["2s"]
    for path, has_model in (("/karaoke", True), ("/drum-remover", False)):
        assert ("This server has no model for this tool" in browser.get(path).text) is not has_model


def test_tool_is_added_by_one_entry(app: FastAPI, browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page and the form of a tool need nothing but its entry in `TASKS`."""
    toy = replace(TASKS[0], slug="toy-remover", name="Toy remover", lead="Remove the toys.")
    monkeypatch.setitem(tasks._BY_SLUG, toy.slug, toy)
    router = APIRouter(dependencies=[Depends(access.guard)])
    new_split.add_task_pages(router, [toy])
    app.include_router(router)
    check(browser, "/toy-remover")
    text = browser.get("/toy-remover").text
    assert "Remove the toys." in text and 'name="task" value="toy-remover"' in text
    answer = browser.post("/new", data={"task": "toy-remover", "csrf": browser.csrf})
    assert "Toy remover" in answer.text and "Choose a file or enter a URL" in answer.text


class TestTasks:
    """The table of tools."""

    def test_muted_stems_are_part_of_layout(self) -> None:
        for task in TASKS:
            assert set(task.muted) < set(LAYOUTS[task.layout])
            assert find_task(task.slug) is task
        assert len({task.slug for task in TASKS}) == len(TASKS) >= 7

    def test_each_part_plays_once_initially(self) -> None:
        assert initially_muted(None, LAYOUTS["6s"]) == frozenset()
        assert initially_muted(None, LAYOUTS["2s"]) == frozenset()
        assert initially_muted(None, (*LAYOUTS["4s"], "instrumental")) == {"instrumental"}
        assert initially_muted(None, ("drums", "no_drums")) == frozenset()
        assert initially_muted(None, (*LAYOUTS["4s"], "no_drums", "no_bass")) == {"no_drums", "no_bass"}
        assert initially_muted(find_task("acapella"), LAYOUTS["2s"]) == {"instrumental"}
        assert initially_muted(find_task("drum-remover"), ("vocals", "bass")) == frozenset()

    def test_form_offers_every_registered_format(self) -> None:
        assert {fmt.container for fmt in FORMATS.values()} == set(formats.FORMATS)
        for name, fmt in FORMATS.items():
            assert OutputFormat.parse(name) == fmt


@pytest.mark.parametrize(
    "path",
    [
        "/new", "/new/upload", "/splits/split_1/retry", "/splits/split_1/mix", "/splits/split_1/stem-file",
        "/splits/split_1/delete", "/developer/keys",
    ],
)  # fmt: skip
def test_h3_every_way_in_counts_for_the_limit_of_the_account(
    app: FastAPI,
    browser: Browser,
    services: Services,
    account_id: str,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
) -> None:
    with services.database.write() as session:
        _, key = services.accounts.create_key(session, account_id, "test")
    monkeypatch.setattr(services.rate_limits, "create", Policy("create", 2))
    before = refusals.counts()["create"]
    fields = {"csrf": browser.csrf}
    api = {"Authorization": f"Bearer {key}"}
    assert browser.post("/v1/audio/splits", json={}, headers=api).status_code == 422
    assert browser.post(path, data=fields).status_code != 429
    refused = browser.post(path, data=fields)
    assert refused.status_code == 429 and int(refused.headers["retry-after"]) > 0
    assert browser.post("/v1/audio/splits", json={}, headers=api).status_code == 429
    assert refusals.counts()["create"] == before + 2
    assert browser.get("/splits").status_code == 200
