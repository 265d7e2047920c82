"""The list of splits: live progress, cancel, retry and delete."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from stemsplitter.services import Services
from stemsplitter.settings import Settings
from stemsplitter.splits.models import Split
from tests.acceptance.server import Server
from tests.acceptance.songs import encode, sung

from .chromium import drop_on, window
from .sample import Sample

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

NAME = "<i>Lied & 🎸.flac"


@pytest.fixture
def services(filled: tuple[Server, Sample]) -> Iterator[Services]:
    """Services on the server's database."""
    made = Services(Settings(data_dir=filled[0].database.parent))
    yield made
    made.close()


@pytest.fixture
def page(browser: Browser, filled: tuple[Server, Sample], services: Services) -> Iterator[Page]:
    """A window with a session of a new account."""
    with services.database.write() as session:
        account = services.accounts.create_account(session, "lister@example.org")
        token = services.sessions.begin(session, account.id)
    with window(browser, filled[0].url, token) as (opened, seen):
        yield opened
        assert (seen.foreign, seen.complaints) == ([], [])


@pytest.fixture
def song(tmp_path: Path) -> Path:
    return encode(tmp_path / NAME, sung(2 * 22_050, rate=22_050), 22_050, "flac")


def change(services: Services, split_id: str, **values: Any) -> None:
    """Update a split as a worker does."""
    with services.database.write() as session:
        split = session.get_one(Split, split_id)
        for name, value in values.items():
            setattr(split, name, value)


def row(page: Page, status: str) -> Locator:
    return page.get_by_role("row").filter(has_text=NAME).filter(has_text=status)


def answer(page: Page, yes: str) -> None:
    page.get_by_role("dialog").get_by_role("button", name=yes).click()


def test_split_is_updated_canceled_retried_and_deleted(page: Page, services: Services, song: Path) -> None:
    page.goto("/new")
    drop_on(page, "[data-drop]", song)
    page.get_by_role("button", name="Split", exact=True).click()
    page.wait_for_url(re.compile("/splits/split_"))

    page.goto("/splits")
    expect(row(page, "queued")).to_contain_text("0:02")
    row(page, "queued").get_by_role("button", name="Cancel split").click()
    answer(page, "Cancel split")
    expect(page.locator("main")).to_contain_text("Canceled")
    canceled = page.url

    page.get_by_role("button", name="Retry").click()
    page.wait_for_url(lambda url: "/splits/split_" in url and url != canceled)
    split_id = page.url.rpartition("/")[2]

    page.goto("/splits")
    page.evaluate("window.isStillThisPage = true")
    expect(row(page, "queued")).to_have_count(1)
    # a notification is shown if the reader allows it and the page is in the background
    page.context.grant_permissions(["notifications"])
    page.evaluate(
        """() => {
          window.notices = [];
          window.Notification = class { static permission = "granted"; static requestPermission = async () => "granted";
            constructor(title, { body }) { window.notices.push([title, body]); } };
          Object.defineProperty(document, "hidden", { value: true });
        }"""
    )
    page.get_by_role("button", name="Notify me when it ends").click()
    for progress in (30, 70):
        change(services, split_id, status="processing", progress=progress)
        expect(row(page, "processing")).to_contain_text(f"{progress} %")
        assert row(page, "processing").get_by_role("progressbar").get_attribute("value") == str(progress)
        expect(page).to_have_title(f"{progress} % · Splits · Stem Splitter")
    failure = {"error_code": "SERVER_ERROR", "error_message": "The <b>worker</b> died."}
    change(services, split_id, status="failed", **failure)
    expect(row(page, "The <b>worker</b> died.")).to_contain_text("Failed")
    expect(page.locator("#toasts")).to_contain_text(f"Split failed: {NAME}")
    assert page.evaluate("window.isStillThisPage") is True
    expect(page).to_have_title("Splits · Stem Splitter")
    assert page.evaluate("window.notices") == [["Split failed", NAME]]

    page.get_by_role("row").filter(has_text=NAME).first.get_by_role("link", name=NAME).click()
    page.locator("summary", has_text="Rename").click()
    page.get_by_role("textbox", name="Title").fill("Another song")
    page.get_by_role("button", name="Rename").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Another song")
    page.goto("/splits")
    page.get_by_role("searchbox").fill("another")
    page.keyboard.press("Enter")
    expect(page.get_by_role("row").filter(has_text="Another song")).to_have_count(1)
    expect(page.get_by_role("row").filter(has_text=NAME)).to_have_count(0)
    page.get_by_role("link", name="All splits").click()

    rows = page.get_by_role("row")
    before = rows.count()
    page.get_by_role("button", name="Delete", exact=True).first.click()
    expect(rows).to_have_count(before - 1)
    page.get_by_role("button", name="Undo").click()
    expect(rows).to_have_count(before)
    page.get_by_role("button", name="Delete", exact=True).first.click()
    expect(rows).to_have_count(2)  # with the head
    page.get_by_role("checkbox").check()
    page.get_by_role("button", name="Delete selected").click()
    expect(page.locator("main")).to_contain_text("No splits yet")
