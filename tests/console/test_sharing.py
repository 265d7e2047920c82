"""Share links, and the page that they show."""

import re
from datetime import timedelta
from html import unescape

import pytest
from sqlalchemy import select

from stemsplitter.clock import now
from stemsplitter.console import sharing
from stemsplitter.services import Services
from stemsplitter.shares import service as module
from stemsplitter.shares.models import ShareLink
from stemsplitter.splits.derived.content import parse_format
from stemsplitter.splits.models import Split

from .conftest import Browser
from .songs import add_finished, add_split
from .test_pages import check


def shared(browser: Browser, split_id: str, days: int = 7) -> str:
    """Create a link on its page and return its path."""
    answer = browser.post(f"/splits/{split_id}/share", data={"csrf": browser.csrf, "days": days})
    assert answer.status_code == 200
    (path,) = re.findall(r"http://[^<]+?(/shared/[^<]+)", answer.text)
    return unescape(path)


@pytest.mark.usefixtures("files_are_made")
def test_link_shows_one_split_without_an_account(
    browser: Browser, visitor: Browser, services: Services, account_id: str
) -> None:
    split_id, _ = add_finished(services, account_id, title="Ode <to> Joy")
    other, _ = add_finished(services, account_id)
    check(browser, f"/splits/{split_id}/share")
    path = shared(browser, split_id)
    with services.database.read() as session:
        (stored,) = session.scalars(select(ShareLink))
    assert (
        path.rpartition("/")[2] != stored.token_hash
        and path not in browser.get(f"/splits/{split_id}/share").text
    )
    page = check(visitor, path)
    answer = visitor.get(path)
    assert "Ode &lt;to&gt; Joy" in answer.text and answer.headers["x-robots-tag"] == "noindex, nofollow"
    assert '<meta name="robots" content="noindex">' in answer.text and "canonical" not in answer.text
    # nothing that changes the split, and no other page of it
    assert (
        "/splits/" not in answer.text
        and f'action="{path}' not in answer.text
        and "data-save" not in answer.text
    )
    assert f"{path}/files/vocals.wav" in page.links
    for file in ("overview.json", "peaks.json", "files/vocals.wav", "play/drums.wav"):
        assert visitor.get(f"{path}/{file}").status_code == 200, file
    assert visitor.get(f"{path}/previews/opus/previews.json").status_code in (200, 202, 204)
    for file in (
        "files/source.flac",
        "files/peaks.json",
        f"files/../../../{other}/files/vocals.wav",
        "archive",
    ):
        assert visitor.get(f"{path}/{file}").status_code == 404, file
    assert visitor.get(f"/splits/{split_id}").status_code == 303
    for method in ("post", "put", "delete"):
        assert getattr(visitor, method)(path).status_code in (403, 404, 405)


def test_mixes_of_the_account_are_not_shared(
    browser: Browser, visitor: Browser, services: Services, account_id: str
) -> None:
    split_id, _ = add_finished(services, account_id)
    made = services.derived_files.mix(account_id, split_id, {}, parse_format("wav24"))
    path = shared(browser, split_id)
    assert visitor.get(f"{path}/files/{made.id}").status_code == 404


def test_link_ends(
    browser: Browser, visitor: Browser, services: Services, account_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    split_id, _ = add_finished(services, account_id)
    revoked, expiring, kept = (shared(browser, split_id, days) for days in (30, 1, 30))
    with services.database.read() as session:
        links = list(session.scalars(select(ShareLink).order_by(ShareLink.created_at, ShareLink.id)))
        split = session.get_one(Split, split_id)
    assert links[0].expires_at == split.expires_at  # earlier than in 30 days
    answer = browser.post(f"/splits/{split_id}/share/{links[0].id}/revoke", data={"csrf": browser.csrf})
    assert answer.headers["location"] == f"/splits/{split_id}/share"
    assert [visitor.get(path).status_code for path in (revoked, expiring, kept)] == [404, 200, 200]
    monkeypatch.setattr(module, "now", lambda: now() + timedelta(days=2))
    assert [visitor.get(path).status_code for path in (expiring, kept)] == [404, 200]
    assert visitor.get(f"{expiring}/files/vocals.wav").status_code == 404
    services.shares.delete_expired()
    with services.database.read() as session:
        assert len(services.shares.links(session, account_id, split_id)) == 1
        assert len(session.scalars(select(ShareLink)).all()) == 1
    with services.database.write() as session:
        services.accounts.disable_account(session, account_id)
    assert visitor.get(kept).status_code == 404
    with services.database.write() as session:
        services.accounts.enable_account(session, account_id)
    assert visitor.get(kept).status_code == 200
    services.splits.delete(account_id, split_id)
    assert visitor.get(kept).status_code == 404
    assert visitor.get(f"{kept}/overview.json").status_code == 404


def test_only_own_succeeded_splits_are_shared(browser: Browser, services: Services, account_id: str) -> None:
    with services.database.write() as session:
        other = services.accounts.create_account(session, "other@example.org").id
        csrf = browser.csrf
    foreign, _ = add_finished(services, other)
    own, _ = add_finished(services, account_id)
    with services.database.write() as session:
        services.shares.create(session, other, foreign, 7)
        (link,) = services.shares.links(session, other, foreign)
    fields = {"csrf": csrf}
    assert browser.post(f"/splits/{foreign}/share", data=fields).status_code == 404
    assert browser.get(f"/splits/{foreign}/share").status_code == 404
    assert browser.post(f"/splits/{foreign}/share/{link.id}/revoke", data=fields).status_code == 404
    queued = add_split(services, account_id)
    assert browser.post(f"/splits/{queued}/share", data=fields).status_code == 409
    assert browser.post(f"/splits/{own}/share", data=fields | {"days": "365"}).status_code == 422
    for _ in range(module.MAX_LINKS):
        shared(browser, own)
    refused = browser.post(f"/splits/{own}/share", data=fields)
    assert refused.status_code == 409 and "revoke one first" in refused.text


def test_requests_to_links_are_limited(
    browser: Browser, visitor: Browser, services: Services, account_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    split_id, _ = add_finished(services, account_id)
    path = shared(browser, split_id)
    monkeypatch.setattr(sharing, "FILES", sharing.Policy("files of one share link", 2))
    assert [visitor.get(f"{path}/overview.json").status_code for _ in range(3)] == [200, 200, 429]
    monkeypatch.setattr(sharing, "PAGES", sharing.Policy("shared pages", 2))
    assert [visitor.get("/shared/guessed").status_code for _ in range(3)] == [404, 404, 429]
