"""Covers of songs in the list, the player, shared pages and the API."""

from collections.abc import Callable

from sqlalchemy import update

from stemsplitter.services import Services
from stemsplitter.shares.service import DAYS
from stemsplitter.splits.models import Split

from .conftest import Browser, sign_in
from .songs import add_finished, add_split
from .test_pages import check

COVER = b"\xff\xd8\xff\xe0" + bytes(100)


def cover(services: Services, split_id: str) -> None:
    with services.database.write() as session:
        session.execute(update(Split).where(Split.id == split_id).values(cover=COVER))


def test_cover_is_shown_in_list_and_player(browser: Browser, services: Services, account_id: str) -> None:
    split_id, _ = add_finished(services, account_id)
    path = f"/splits/{split_id}/cover.jpg"
    assert path not in browser.get("/splits").text and browser.get(path).status_code == 404
    assert "data-cover" not in browser.get(f"/splits/{split_id}").text
    cover(services, split_id)
    check(browser, "/splits")
    check(browser, f"/splits/{split_id}")
    assert f'src="{path}"' in browser.get("/splits").text
    player = browser.get(f"/splits/{split_id}").text
    assert f'data-cover="{path}"' in player and f'src="{path}"' in player
    answer = browser.get(path)
    assert answer.content == COVER and answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "private, max-age=86400"


def test_cover_of_another_account_is_not_found(
    browser: Browser, browsers: Callable[[], Browser], services: Services, account_id: str
) -> None:
    split_id = add_split(services, account_id)
    cover(services, split_id)
    with services.database.write() as session:
        other_id = services.accounts.create_account(session, "other@example.org").id
    other = sign_in(services, browsers(), other_id)
    path = f"/splits/{split_id}/cover.jpg"
    assert browser.get(path).status_code == 200
    assert other.get(path).status_code == 404 and browsers().get(path).status_code == 303
    services.splits.cancel(account_id, split_id)
    services.splits.delete(account_id, split_id)
    assert browser.get(path).status_code == 404
    with services.database.read() as session:
        assert session.get_one(Split, split_id).cover is None


def test_cover_is_shown_on_shared_pages(
    browser: Browser, browsers: Callable[[], Browser], services: Services, account_id: str
) -> None:
    split_id, _ = add_finished(services, account_id)
    with services.database.write() as session:
        token = services.shares.create(session, account_id, split_id, DAYS[0])
    visitor, path = browsers(), f"/shared/{token}/cover.jpg"
    assert "cover.jpg" not in visitor.get(f"/shared/{token}").text and visitor.get(path).status_code == 404
    cover(services, split_id)
    check(visitor, f"/shared/{token}")
    page = visitor.get(f"/shared/{token}").text
    assert f'data-cover="{path}"' in page and f'src="{path}"' in page
    answer = visitor.get(path)
    assert (answer.content, answer.headers["content-type"]) == (COVER, "image/jpeg")
    assert answer.headers["x-robots-tag"] == "noindex, nofollow"
    assert visitor.get("/shared/unknown/cover.jpg").status_code == 404


def test_cover_is_in_the_api(browsers: Callable[[], Browser], services: Services, account_id: str) -> None:
    split_id, _ = add_finished(services, account_id)
    with services.database.write() as session:
        key = services.accounts.create_key(session, account_id, "")[1]
    client, path = browsers(), f"/v1/audio/splits/{split_id}/cover"
    headers = {"Authorization": f"Bearer {key}"}
    assert client.get(path, headers=headers).json()["error"]["code"] == "NOT_FOUND"
    cover(services, split_id)
    answer = client.get(path, headers=headers)
    assert (answer.content, answer.headers["content-type"]) == (COVER, "image/jpeg")
    assert client.get(path).status_code == 401


def test_cover_counts_in_the_quota(services: Services, account_id: str) -> None:
    split_id = add_split(services, account_id)
    with services.database.read() as session:
        before = session.get_one(Split, split_id).text_bytes
    cover(services, split_id)
    with services.database.read() as session:
        assert session.get_one(Split, split_id).text_bytes == before + len(COVER)
