"""Search, rename, split again, and actions on several splits."""

import io
import zipfile
from collections.abc import Callable
from typing import Any

import pytest

from stemsplitter.clock import now
from stemsplitter.console import library
from stemsplitter.jobs.service import UNDO
from stemsplitter.service_errors import InsufficientCredits, NotFound
from stemsplitter.services import Services
from stemsplitter.splits.archive import folders
from stemsplitter.splits.models import Split

from .conftest import Browser, sign_in
from .songs import add_finished, add_split
from .test_pages import check


def listed(browser: Browser, query: str = "") -> str:
    return browser.get(f"/splits{query}").text


def test_list_shows_title_and_artist_and_finds_them(
    browser: Browser, services: Services, account_id: str
) -> None:
    tagged = add_split(services, account_id, "queued", title="Ode <to> Joy", artist="L. v. Beethoven")
    plain = add_split(services, account_id, "queued", filename="100%_other.mp3")
    check(browser, "/splits")
    assert "Ode &lt;to&gt; Joy" in listed(browser) and "L. v. Beethoven" in listed(browser)
    for text, found in (
        ("<TO>", tagged), ("beethoven", tagged), ("Lied.flac", tagged), ("100%", plain), ("_other", plain)
    ):  # fmt: skip
        answer = browser.get("/splits", params={"q": f" {text} "})
        assert [split_id in answer.text for split_id in (tagged, plain)] == [
            split_id == found for split_id in (tagged, plain)
        ], text
    check(browser, "/splits?q=nothing")
    assert "No split has this title" in listed(browser, "?q=nothing")
    assert browser.get("/splits", params={"q": "\0"}).status_code == 200


def test_search_is_paginated(
    browser: Browser, services: Services, account_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stemsplitter.console.splits.PAGE", 1)
    ids = [add_split(services, account_id, title=title) for title in ("a b", "c", "a b")]
    (older,) = {link for link in check(browser, "/splits?q=a%20b").links if "cursor=" in link}
    second = check(browser, older.replace("&amp;", "&")).links
    assert f"/splits/{ids[0]}" in second and f"/splits/{ids[1]}" not in second


def test_split_is_renamed(browser: Browser, services: Services, account_id: str) -> None:
    split_id = add_split(
        services, account_id, "failed", error_code="SERVER_ERROR", error_message="It failed."
    )
    path, csrf = f"/splits/{split_id}", browser.csrf
    for title, status, shown in (
        ("New <name>", 303, "New &lt;name&gt;"),
        ("a\nb", 422, ""),
        ("x" * 201, 422, ""),
    ):
        answer = browser.post(f"{path}/rename", data={"csrf": csrf, "title": title})
        assert answer.status_code == status
        assert shown in browser.get(path).text
    assert "New &lt;name&gt;</bdi></h1>" in browser.get(path).text
    browser.post(f"{path}/rename", data={"csrf": csrf, "title": " "})
    assert "Lied.flac</bdi></h1>" in browser.get(path).text


def test_selected_splits_are_downloaded_with_a_folder_each(
    browser: Browser, services: Services, account_id: str
) -> None:
    ids = [
        add_finished(services, account_id)[0],
        add_finished(services, account_id)[0],
        add_finished(services, account_id, title="../a/b\\c: d")[0],
        add_split(services, account_id),  # without stems, so it is left out
    ]
    csrf = browser.csrf
    answer = browser.post("/splits/selected/download", data={"csrf": csrf, "ids": [*ids, ids[0]]})
    assert answer.headers["content-disposition"] == 'attachment; filename="Stems.zip"'
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        names = archive.namelist()
    assert {name.partition("/")[0] for name in names} == {"Lied", "Lied (2)", "_a_b_c: d"}
    assert "Lied/vocals.wav" in names and all(name.count("/") == 1 for name in names)
    for none in ([], ids[3:]):
        assert browser.post("/splits/selected/download", data={"csrf": csrf, "ids": none}).status_code == 409
    many = [f"split_{number}" for number in range(library.MAX_SELECTED + 1)]
    assert browser.post("/splits/selected/download", data={"csrf": csrf, "ids": many}).status_code == 422
    assert browser.post("/splits/selected/download", data={"csrf": "wrong", "ids": ids}).status_code == 403


def test_names_of_folders_are_portable() -> None:
    files = {"vocals.wav": ("key", 1)}
    assert list(folders([("..", files), ("A", files), ("a", files)])) == [
        "file/vocals.wav", "A/vocals.wav", "a (2)/vocals.wav"
    ]  # fmt: skip


def test_selected_splits_are_deleted(browser: Browser, services: Services, account_id: str) -> None:
    with services.database.write() as session:
        other = services.accounts.create_account(session, "other@example.org").id
    ids = [
        add_finished(services, account_id)[0],
        add_split(services, account_id, "failed"),
        add_split(services, account_id),
        add_finished(services, other)[0],
    ]
    answer = browser.post("/splits/selected/delete", data={"csrf": browser.csrf, "ids": ids})
    location = answer.headers["location"]
    assert location == f"/splits?deleted={ids[0]},{ids[1]}&unfinished=1"
    check(browser, location)
    text = browser.get(location).text
    assert "2 splits deleted" in text and "1 selected split has not ended" in text
    text = listed(browser)
    assert [split_id in text for split_id in ids] == [False, False, True, False]
    assert services.splits.get(other, ids[3]).status == "succeeded"


def test_deletion_is_undone(
    browser: Browser, browsers: Callable[[], Browser], services: Services, account_id: str
) -> None:
    ids = [add_finished(services, account_id)[0] for _ in range(2)]
    csrf = browser.csrf
    deleted = browser.post("/splits/selected/delete", data={"csrf": csrf, "ids": ids}).headers["location"]
    with services.database.write() as session:
        other_id = services.accounts.create_account(session, "other@example.org").id
    other = sign_in(services, browsers(), other_id)
    for answer in (other.get(deleted), browser.get("/splits")):
        assert "Undo" not in answer.text and not any(split_id in answer.text for split_id in ids)
    undone = other.post("/splits/restore", data={"csrf": other.csrf, "ids": ids})
    assert undone.headers["location"] == "/splits?restored=0"
    with pytest.raises(NotFound):
        services.splits.get(account_id, ids[0])
    undone = browser.post("/splits/restore", data={"csrf": csrf, "ids": ids})
    assert undone.headers["location"] == "/splits?restored=2"
    text = browser.get("/splits?restored=2").text
    assert "2 splits restored" in text and all(split_id in text for split_id in ids)
    assert services.splits.get(account_id, ids[0]).stems
    assert "Undo" not in browser.get(deleted).text


def test_deletion_is_not_undone_after_a_minute(browser: Browser, services: Services, account_id: str) -> None:
    split_id, _ = add_finished(services, account_id)
    location = browser.post(f"/splits/{split_id}/delete", data={"csrf": browser.csrf}).headers["location"]
    assert "Undo" in browser.get(location).text
    check(browser, location)
    with services.database.write() as session:
        session.get_one(Split, split_id).trashed_at = now() - UNDO
    assert "Undo" not in browser.get(location).text
    answer = browser.post("/splits/restore", data={"csrf": browser.csrf, "ids": split_id})
    assert answer.headers["location"] == "/splits?restored=0"
    assert "can no longer be undone" in browser.get("/splits?restored=0").text


def test_song_is_split_again_without_sending_it(
    browser: Browser, services: Services, account_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted: dict[str, Any] = {}

    def split_again(account: str, split_id: str, **values: Any) -> dict[str, str]:
        if values["layout"] == "6s":
            raise InsufficientCredits(214, 0)
        wanted.update(values, account=account)
        return {"id": f"{split_id}_again"}

    monkeypatch.setattr(services.splits, "split_again", split_again)
    split_id, _ = add_finished(services, account_id)
    path = f"/splits/{split_id}/again"
    check(browser, path)
    fields = {"csrf": browser.csrf, "layout": "2s", "format": "wav24"}
    answer = browser.post(path, data=fields)
    assert answer.headers["location"] == f"/splits/{split_id}_again"
    assert wanted == {
        "account": account_id, "layout": "2s", "output_format": "wav", "bit_depth": "24", "quality": None
    }  # fmt: skip
    assert browser.post(path, data=fields | {"layout": "6s"}).status_code == 402
    for name, value in (("layout", "9s"), ("format", "exe"), ("quality", "worst")):
        assert browser.post(path, data=fields | {name: value}).status_code == 422
    assert browser.get(f"/splits/{add_split(services, account_id)}/again").status_code == 409
