"""Rules for all pages: security headers and valid HTML."""

import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

from stemsplitter.console import assets
from stemsplitter.console.headers import POLICY
from stemsplitter.version import __version__

from .conftest import Browser

STATIC = Path(assets.__file__).parent / "static"
PUBLIC = (
    "/",
    "/pricing",
    "/status",
    "/privacy",
    "/terms",
    "/cookies",
    "/sign-in",
    "/sign-up",
    "/no-such-page",
)
SIGNED_IN = (
    "/account",
    "/credits",
    "/developer",
    "/developer/webhooks",
)


class Page(HTMLParser):
    """A strict parser: tags are closed in order, IDs are unique, nothing is inline or from another origin."""

    VOID = frozenset(("meta", "link", "br", "img", "input", "hr", "source", "wbr"))

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.labels: set[str] = set()
        self.inputs: set[str] = set()
        self.described: set[str] = set()
        self.links: set[str] = set()
        self.hrefs: set[str] = set()
        self.headings: list[int] = []
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []
        assert len(self.ids) == len(set(self.ids))
        assert self.described <= set(self.ids)
        assert self.inputs <= self.labels
        assert self.headings[0] == 1 and self.headings.count(1) == 1
        assert all(
            after <= before + 1 for before, after in zip(self.headings, self.headings[1:], strict=False)
        )

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        assert "style" not in found and not any(name.startswith("on") for name in found), found
        assert tag != "style" and (tag != "script" or "src" in found)
        for name in ("src", "action", "formaction"):
            assert found.get(name, "/").startswith("/"), found
        if tag == "link":
            assert found["href"].startswith(
                ("/static/", "/splits/", "/manifest.", "/blog/", "/demo/")
            ) or found["rel"] in (
                "canonical",
                "alternate",
            )
        if "id" in found:
            self.ids.append(found["id"])
        if tag == "label" and "for" in found:
            self.labels.add(found["for"])
        if (
            tag in ("input", "select", "textarea")
            and found.get("type") != "hidden"
            and "aria-label" not in found
        ):
            self.inputs.add(found.get("id", f"an input without an id: {found}"))
        if tag == "img":
            assert "alt" in found
        if tag == "a":
            self.hrefs.add(found.get("href", ""))
        if tag == "a" and found.get("href", "").startswith("/"):
            self.links.add(found["href"])
        self.described |= set(found.get("aria-describedby", "").split())
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag not in self.VOID and not found.get("/"):
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, (tag, self.getpos())


def check(browser: Browser, path: str) -> Page:
    answer = browser.get(path)
    assert answer.headers["content-type"] == "text/html; charset=utf-8", path
    return Page(answer.text)


@pytest.mark.parametrize("path", PUBLIC)
def test_public_pages_are_valid(visitor: Browser, browser: Browser, path: str) -> None:
    check(visitor, path)
    if browser.get(path).status_code != 303:
        check(browser, path)


def test_footer_shows_version(visitor: Browser) -> None:
    assert f'<span class="soft">Stem Splitter {__version__}</span>' in visitor.get("/").text


@pytest.mark.parametrize("path", SIGNED_IN)
def test_signed_in_pages_are_valid_and_not_cached(browser: Browser, path: str) -> None:
    check(browser, path)
    assert browser.get(path).headers["cache-control"] == "no-store"


def test_all_pages_have_security_headers(app: FastAPI, visitor: Browser, browser: Browser) -> None:
    paths = {route.path for route in app.state.routes if isinstance(route, APIRoute)}
    own = {path for path in paths if not path.startswith("/v1/")}
    assert {"/", "/account", "/sign-in/link/{token}", "/healthz", "/docs"} <= own
    for path in own:
        for client in (visitor, browser):
            answer = client.get(re.sub(r"\{\w+\}", "x", path))
            headers = answer.headers
            assert headers["x-content-type-options"] == "nosniff", path
            assert headers["referrer-policy"] == "same-origin", path
            policy = headers["content-security-policy"]
            assert policy.startswith("default-src 'none'") and "unsafe" not in policy, path
            assert "frame-ancestors 'none'" in policy and "base-uri 'none'" in policy, path


def test_content_security_policy_allows_this_server_only(visitor: Browser) -> None:
    assert visitor.get("/").headers["content-security-policy"] == POLICY
    assert "http" not in POLICY and "*" not in POLICY


class TestTheme:
    """The theme is chosen with a form and kept in a cookie."""

    def test_chosen_theme_is_in_every_page(self, visitor: Browser) -> None:
        assert "data-theme=" not in visitor.get("/").text.partition("<body")[0]
        answer = visitor.post("/theme", data={"theme": "dark", "next": "/pricing"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/pricing")
        for path in ("/", "/pricing", "/no-such-page"):
            text = visitor.get(path).text
            assert 'data-theme="dark"' in text and '<meta name="color-scheme" content="dark">' in text

    @pytest.mark.parametrize("value", ["", "pink"])
    def test_other_values_follow_the_system(self, visitor: Browser, value: str) -> None:
        visitor.post("/theme", data={"theme": "light"})
        visitor.post("/theme", data={"theme": value, "next": "//elsewhere.example"})
        assert "data-theme=" not in visitor.get("/").text.partition("<body")[0]

    def test_form_of_session_has_its_token(self, browser: Browser) -> None:
        assert browser.post("/theme", data={"theme": "dark"}).status_code == 403
        answer = browser.post("/theme", data={"theme": "dark", "csrf": browser.csrf, "next": "/account"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/account")


def test_error_pages_have_navigation(visitor: Browser, browser: Browser) -> None:
    for client in (visitor, browser):
        page = check(client, "/no-such-page")
        assert {"/pricing", "/docs", "/docs/getting-started", "/status", "/vocal-remover"} <= page.links
    assert "/sign-in" in check(visitor, "/no-such-page").links
    assert "/sign-in" not in check(browser, "/no-such-page").links


def test_internal_error_page_hides_details(app: FastAPI, visitor: Browser) -> None:
    @app.get("/fail")
    def fail() -> None:
        raise RuntimeError("secret of the house")

    answer = visitor.get("/fail")
    assert answer.status_code == 500 and "secret" not in answer.text
    assert answer.headers["x-request-id"] in answer.text
    assert answer.headers["content-security-policy"] == POLICY
    program = visitor.get("/fail", headers={"Accept": "*/*"})
    assert program.json()["error"]["code"] == "SERVER_ERROR"


def test_api_errors_are_json(visitor: Browser) -> None:
    assert visitor.get("/v1/nothing").json()["error"]["code"] == "NOT_FOUND"


class TestFiles:
    """Static files."""

    def test_static_files_of_page_are_cached(self, browser: Browser) -> None:
        links = re.findall(r'"(/static/[^"#]+)', browser.get("/").text)
        assert len(links) >= 5
        for link in links:
            answer = browser.get(link)
            assert answer.status_code == 200
            assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"

    def test_other_versions_are_revalidated(self, visitor: Browser) -> None:
        answer = visitor.get("/static/older/app.css")
        assert answer.headers["cache-control"] == "no-cache"
        again = visitor.get("/static/app.css", headers={"If-None-Match": answer.headers["etag"]})
        assert again.status_code == 304

    @pytest.mark.parametrize("name", ["nothing.css", "VENDORED.md", "..%2Faccess.py", "%2e%2e/access.py"])
    def test_unknown_static_file_is_not_found(self, visitor: Browser, name: str) -> None:
        assert visitor.get(f"/static/{name}").status_code == 404

    def test_vendored_files_match_checksums(self) -> None:
        listed = re.findall(
            r"^\| `(\S+)` .*`([0-9a-f]{64})` \|$", (STATIC / "VENDORED.md").read_text(), re.MULTILINE
        )
        vendored = {
            path.name for path in (*STATIC.glob("*.min.js"), *STATIC.glob("*.woff2"), STATIC / "icons.svg")
        }
        assert dict(listed).keys() == vendored
        for name, digest in listed:
            assert hashlib.sha256((STATIC / name).read_bytes()).hexdigest() == digest

    def test_scripts_of_page_share_version_with_imports(self, visitor: Browser) -> None:
        """A script that is imported under another URL is loaded and run twice."""
        versions = set(re.findall(r'"/static/([^"/]+)/', visitor.get("/").text))
        assert versions == {assets.VERSION}
        imports = [
            found
            for path in STATIC.glob("*.js")
            for found in re.findall(r'^import .*"([^"]+)";$', path.read_text(), re.MULTILINE)
        ]
        assert imports and all(found.startswith("./") and found[2:] in assets._FILES for found in imports)

    def test_static_files_and_pages_are_compressed(self, visitor: Browser, browser: Browser) -> None:
        for path in ("/", "/docs", "/docs/getting-started", assets.url("app.css"), assets.url("icons.svg")):
            answer = visitor.get(path, headers={"Accept-Encoding": "gzip"})
            assert answer.headers["content-encoding"] == "gzip", path
            assert int(answer.headers["content-length"]) < len(answer.content) / 2
            plain = visitor.get(path, headers={"Accept-Encoding": "identity"})
            assert "content-encoding" not in plain.headers and plain.content == answer.content
            assert "Accept-Encoding" in plain.headers["vary"]
        # its CSRF token could be guessed from the compressed length
        assert "content-encoding" not in browser.get("/account").headers

    def test_sprite_has_the_icons_of_the_templates(self) -> None:
        templates = [path.read_text() for path in (STATIC.parent / "templates").iterdir()]
        texts = [*templates, *(path.read_text() for path in STATIC.glob("*.js"))]
        texts += [path.read_text() for path in STATIC.parent.glob("*.py")]
        sprite = set(re.findall(r'<symbol id="([^"]+)"', (STATIC / "icons.svg").read_text()))
        asked = {name for text in texts for name in re.findall(r'icon\("([a-z0-9-]+)"\)', text)}
        assert asked <= sprite
        quoted = {name for text in texts for name in re.findall(r'"([a-z0-9-]+)"', text)}
        assert sprite <= quoted, "the sprite has an icon that no page shows"

    def test_home_page_is_small(self, visitor: Browser) -> None:
        first = visitor.get("/")
        files = {link: visitor.get(link).content for link in re.findall(r'"(/static/[^"#]+)', first.text)}
        assert len(first.content) + sum(map(len, files.values())) < 150_000
