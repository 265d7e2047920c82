"""The language of the pages: how it is chosen, and what it changes."""

import re
from collections.abc import Callable

import pytest

from stemsplitter.languages import LANGUAGES
from stemsplitter.services import Services

from .conftest import EMAIL, PASSWORD, Browser, sign_in
from .test_pages import PUBLIC, SIGNED_IN, check

GERMAN = {"Accept-Language": "de-DE,de;q=0.9,en;q=0.5"}


def language_of(browser: Browser, path: str = "/pricing", **headers: str) -> str:
    """Return the language of a page; its header and its element say the same."""
    answer = browser.get(path, headers=headers)
    found = re.search(r'<html lang="([\w-]+)"', answer.text)
    assert found and found[1] == answer.headers["Content-Language"]
    assert {"Cookie", "Accept-Language"} <= set(answer.headers["Vary"].split(", "))
    return found[1]


class TestChoice:
    """The address comes first, then the cookie, the account, and the browser."""

    def test_browser_chooses(self, visitor: Browser) -> None:
        assert language_of(visitor) == "en"
        assert language_of(visitor, **GERMAN) == "de"
        assert language_of(visitor, **{"Accept-Language": "fr"}) == "en"

    def test_switch_sets_a_cookie_without_a_script(self, visitor: Browser) -> None:
        page = visitor.get("/pricing").text
        assert '<button name="language" value="de" lang="de" aria-pressed="false">Deutsch</button>' in page
        answer = visitor.post("/language", data={"language": "de", "next": "/pricing"})
        assert (answer.status_code, answer.headers["Location"]) == (303, "/pricing")
        assert "HttpOnly" in answer.headers["Set-Cookie"] and "SameSite=lax" in answer.headers["Set-Cookie"]
        assert language_of(visitor) == "de"
        assert language_of(visitor, **{"Accept-Language": "en"}) == "de"

    @pytest.mark.parametrize("value", ["", "fr", "../de"])
    def test_unknown_language_changes_nothing(self, visitor: Browser, value: str) -> None:
        answer = visitor.post("/language", data={"language": value, "next": "https://elsewhere.example"})
        assert (answer.status_code, answer.headers["Location"]) == (303, "/")
        assert "Set-Cookie" not in answer.headers
        assert language_of(visitor, f"/pricing?lang={value}") == "en"

    def test_address_chooses_and_is_kept(self, visitor: Browser) -> None:
        assert language_of(visitor, "/pricing?lang=de") == "de"
        assert language_of(visitor) == "de"
        assert language_of(visitor, "/pricing?lang=en") == "en"

    def test_switch_needs_the_token_of_a_session(self, browser: Browser) -> None:
        assert browser.post("/language", data={"language": "de"}).status_code == 403
        assert language_of(browser) == "en"

    def test_account_keeps_the_language(
        self, services: Services, browser: Browser, browsers: Callable[[], Browser], account_id: str
    ) -> None:
        browser.post("/language", data={"language": "de", "csrf": browser.csrf, "next": "/account"})
        with services.database.read() as session:
            assert services.accounts.find_account(session, account_id).language == "de"
        other = sign_in(services, browsers(), account_id)
        assert language_of(other, "/account") == "de"

    def test_account_begins_with_the_language_of_the_page(self, services: Services, visitor: Browser) -> None:
        form = {"email": "new@example.org", "password": PASSWORD}
        assert visitor.post("/sign-up", data=form, headers=GERMAN).status_code == 303
        with services.database.read() as session:
            assert services.accounts.find_account(session, "new@example.org").language == "de"


class TestPages:
    """Pages in another language."""

    @pytest.mark.parametrize("path", PUBLIC)
    def test_public_pages_are_valid_in_german(self, visitor: Browser, path: str) -> None:
        visitor.headers.update(GERMAN)
        check(visitor, path)

    @pytest.mark.parametrize("path", SIGNED_IN)
    def test_pages_of_an_account_are_valid_in_german(self, browser: Browser, path: str) -> None:
        browser.headers.update(GERMAN)
        check(browser, path)

    def test_texts_of_templates_modules_and_macros_are_german(self, visitor: Browser) -> None:
        text = visitor.get("/vocal-remover?lang=de").text
        for german in (
            "Gesang entfernen",
            "Den Gesang aus einem Song entfernen",
            "Weitere Werkzeuge",
            "Anmelden",
        ):
            assert german in text
        assert "Vocal remover" not in text

    def test_numbers_are_in_the_format_of_the_language(
        self, services: Services, browser: Browser, account_id: str
    ) -> None:
        with services.database.write() as session:
            services.credits.grant(session, account_id, 12_000, "")
        assert re.search(r"<dd>\d\d,\d{3}</dd>", browser.get("/credits").text)
        assert re.search(r"<dd>\d\d\.\d{3}</dd>", browser.get("/credits?lang=de").text)

    def test_message_of_an_error_is_german(self, visitor: Browser) -> None:
        form = {"email": EMAIL, "password": "wrong password"}
        answer = visitor.post("/sign-in", data=form, headers=GERMAN)
        assert answer.status_code == 401 and "E-Mail-Adresse oder Passwort falsch." in answer.text

    def test_error_page_is_german(self, visitor: Browser) -> None:
        answer = visitor.get("/no-such-page", headers=GERMAN)
        assert answer.status_code == 404 and "<h1>Seite nicht gefunden</h1>" in answer.text

    def test_script_of_a_page_gets_a_german_message_and_the_api_an_english_one(
        self, browser: Browser
    ) -> None:
        token = {"X-CSRF-Token": browser.csrf}
        answer = browser.post(
            "/splits/spl_1/cancel", headers={**GERMAN, **token, "Accept": "application/json"}
        )
        assert answer.json()["error"]["message"].startswith("Es gibt keine Aufteilung")
        api = browser.get("/v1/audio/splits/spl_1", headers={**GERMAN, "Accept": "application/json"})
        assert api.json()["error"]["message"] == "Missing or invalid API key"

    def test_scripts_get_their_texts_from_a_file_that_is_cached(self, visitor: Browser) -> None:
        page = visitor.get("/?lang=de").text
        found = re.search(r'<link rel="modulepreload" href="(/static/\w+/texts\.de\.js)">', page)
        assert found
        answer = visitor.get(found[1])
        assert "immutable" in answer.headers["Cache-Control"] and '"Kopiert."' in answer.text
        assert "texts." not in visitor.get("/?lang=en").text

    def test_english_pages_say_that_they_are(self, visitor: Browser) -> None:
        text = visitor.get("/docs/models?lang=de").text
        assert '<html lang="de"' in text and '<article class="prose" lang="en">' in text
        assert '<a href="/docs/models" hreflang="en">' in visitor.get("/?lang=de").text


def test_search_engines_find_each_language(visitor: Browser) -> None:
    text = visitor.get("/pricing").text
    base = re.search(r'<link rel="canonical" href="(.*)/pricing">', text)
    assert base
    for language in LANGUAGES:
        address = f"{base[1]}/pricing?lang={language}"
        assert f'<link rel="alternate" hreflang="{language}" href="{address}">' in text
        own = visitor.get(f"/pricing?lang={language}").text
        assert f'<link rel="canonical" href="{address}">' in own
    assert f'<link rel="alternate" hreflang="x-default" href="{base[1]}/pricing">' in text
