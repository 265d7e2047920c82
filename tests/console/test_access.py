"""Access to pages and protection of forms."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemsplitter.console.access import HOME, local_path
from stemsplitter.processes.app import create_app
from stemsplitter.services import Services

from .conftest import EMAIL, PASSWORD, Browser


def test_form_requires_csrf_token_of_session(browser: Browser) -> None:
    token = browser.csrf
    for given_token in ({}, {"csrf": ""}, {"csrf": token[:-1]}, {"csrf": "ü"}):
        answer = browser.post("/sign-out", data=given_token)
        assert answer.status_code == 403 and "Reload it" in answer.text
    assert browser.get("/account").status_code == 200
    assert browser.post("/sign-out", headers={"X-CSRF-Token": token}).status_code == 303


def test_csrf_token_of_other_session_is_rejected(browser: Browser, visitor: Browser) -> None:
    visitor.post("/sign-up", data={"email": "other@example.org", "password": "a long password"})
    assert browser.post("/sign-out", data={"csrf": visitor.csrf}).status_code == 403


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "", "http://testserver.evil.example"])
@pytest.mark.usefixtures("account_id")
def test_cross_site_sign_in_is_rejected(visitor: Browser, origin: str) -> None:
    form = {"email": EMAIL, "password": PASSWORD}
    assert visitor.post("/sign-in", data=form, headers={"Origin": origin}).status_code == 403


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("rebound.example.com", 403),
        ("rebound.example.com:8000", 403),
        ("local.example.com", 403),
        ("192.168.1.5:8000", 303),
        ("[fd00::1]:8000", 303),
        ("[fd00::1]", 303),
        ("nas", 303),
        ("nas.local:8000", 303),
        ("app.localhost", 303),
    ],
)
@pytest.mark.usefixtures("account_id")
def test_public_name_other_than_the_public_url_is_not_accepted(
    visitor: Browser, host: str, status: int
) -> None:
    """The owner of a name can let it resolve to this server: DNS rebinding."""
    form = {"email": EMAIL, "password": PASSWORD}
    headers = {"Origin": f"http://{host}", "Host": host}
    assert visitor.post("/sign-in", data=form, headers=headers).status_code == status


@pytest.mark.parametrize("path", ["/sign-in", "/sign-up"])
def test_nul_in_credentials_is_rejected(visitor: Browser, path: str) -> None:
    form = {"email": "a\0@example.org", "password": "with a \0 in it"}
    answer = visitor.post(path, data=form)
    assert answer.status_code < 500 and "Something went wrong" not in answer.text
    assert visitor.get("/account").status_code == 303


@pytest.mark.usefixtures("account_id")
def test_public_url_is_accepted_as_origin(visitor: Browser) -> None:
    headers = {"Origin": "http://127.0.0.1:8000", "Host": "inside"}
    form = {"email": EMAIL, "password": PASSWORD}
    assert visitor.post("/sign-in", data=form, headers=headers).status_code == 303


@pytest.mark.usefixtures("account_id")
def test_low_form_at_an_allowed_host_is_accepted(services: Services) -> None:
    app = create_app(services)
    form = {"email": EMAIL, "password": PASSWORD}
    for host, status in (("Stems.example.org:8000", 303), ("www.stems.example.org", 403)):
        headers = {"Origin": f"http://{host}", "Host": host}
        with Browser(app) as visitor:
            assert visitor.post("/sign-in", data=form, headers=headers).status_code == status


def test_visitor_is_redirected_to_sign_in(visitor: Browser) -> None:
    assert visitor.get("/account?a=b&c=d").headers["location"] == "/sign-in?next=%2Faccount%3Fa%3Db%26c%3Dd"
    assert visitor.post("/account/email", data={"email": "a@b"}).headers["location"] == "/sign-in"
    script = visitor.get("/account", headers={"HX-Request": "true"})
    assert (script.status_code, script.headers["hx-redirect"]) == (204, "/sign-in")
    program = visitor.get("/account", headers={"Accept": "*/*"})
    assert program.status_code == 401 and program.json()["error"]["code"] == "UNAUTHORIZED"


def test_session_cookie_is_not_accepted_by_api(browser: Browser) -> None:
    assert browser.get("/v1/credits").status_code == 401


def test_api_key_is_not_accepted_by_pages(visitor: Browser) -> None:
    assert visitor.get("/account", headers={"Authorization": "Bearer ast_live_x"}).status_code == 303


def test_large_form_is_rejected(visitor: Browser) -> None:
    assert visitor.post("/sign-in", data={"email": "a" * 100_000, "password": "b"}).status_code == 413


@pytest.mark.parametrize(
    ("wanted", "path"),
    [
        ("/splits/split_1?a=b#c", "/splits/split_1?a=b#c"),
        ("", HOME),
        ("https://evil.example", HOME),
        ("//evil.example", HOME),
        ("/\\evil.example", HOME),
        ("/a\\b", HOME),
        ("/\t/evil.example", HOME),
        ("/a\r\nSet-Cookie: a=b", HOME),
        ("javascript:alert(1)", HOME),
    ],
)
def test_redirect_after_sign_in_stays_on_server(wanted: str, path: str) -> None:
    assert local_path(wanted) == path


@given(st.text(alphabet="/\\\t\n\r .:@ah", max_size=12))
def test_path_of_other_server_is_never_local(wanted: str) -> None:
    path = local_path(wanted)
    # browsers drop white space and read a backslash as a slash
    read = "".join(path.split()).replace("\\", "/")
    assert read.startswith("/") and not read.startswith("//")
