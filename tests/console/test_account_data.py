"""Export and deletion of the account on its page."""

from stemsplitter.console import account_data
from stemsplitter.services import Services

from .conftest import EMAIL, PASSWORD, Browser, sign_in
from .test_pages import check


def test_export_is_downloaded_and_limited(browser: Browser, account_id: str) -> None:
    fields = {"csrf": browser.csrf}
    answer = browser.post("/account/export", data=fields)
    assert answer.headers["content-disposition"] == f'attachment; filename="{account_id}.json"'
    assert answer.json()["account"][0]["email"] == EMAIL
    for _ in range(account_data.EXPORTS.limit - 1):
        browser.post("/account/export", data=fields)
    assert browser.post("/account/export", data=fields).status_code == 429


def test_deletion_asks_the_password(browser: Browser, visitor: Browser, services: Services) -> None:
    check(browser, "/account/delete")
    csrf = browser.csrf
    for password, status in (("", 422), ("wrong", 422), (PASSWORD, 303)):
        answer = browser.post("/account/delete", data={"csrf": csrf, "current": password})
        assert answer.status_code == status
    assert answer.headers["location"] == "/account/deleted"
    check(browser, "/account/deleted")
    assert browser.get("/account").status_code == 303
    assert visitor.post("/sign-in", data={"email": EMAIL, "password": PASSWORD}).status_code == 401


def test_account_without_a_password_sets_one_first(
    services: Services, visitor: Browser, browser: Browser
) -> None:
    with services.database.write() as session:
        account_id = services.accounts.create_account(session, "link@example.org").id
    sign_in(services, visitor, account_id)
    assert "You have no password" in visitor.get("/account/delete").text
    assert visitor.post("/account/delete", data={"csrf": visitor.csrf}).status_code == 409
    assert visitor.get("/account").status_code == 200


def test_password_attempts_are_limited(browser: Browser) -> None:
    csrf = browser.csrf
    for _ in range(10):
        browser.post("/account/delete", data={"csrf": csrf, "current": "wrong"})
    assert browser.post("/account/delete", data={"csrf": csrf, "current": PASSWORD}).status_code == 429
