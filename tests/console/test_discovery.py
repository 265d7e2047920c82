"""Files and tags for search engines, browsers and reporters of faults."""

import re

import pytest

from stemsplitter.console import discovery
from stemsplitter.services import Services
from stemsplitter.settings import Settings

from .conftest import Browser
from .songs import add_split
from .test_pages import check


def test_public_pages_describe_themselves(visitor: Browser, services: Services) -> None:
    described = set()
    for path in ("/", "/pricing", "/status", "/karaoke", "/docs/webhooks", "/privacy"):
        text = visitor.get(path).text
        assert f'<link rel="canonical" href="{services.settings.base_url}{path}">' in text
        (found,) = re.findall('<meta name="description" content="([^"]+)">', text)
        assert f'<meta property="og:description" content="{found}">' in text and len(found) > 40
        assert '<meta property="og:title" content="' in text and "noindex" not in text
        assert '<meta name="twitter:card" content="summary_large_image">' in text
        (picture,) = re.findall('<meta property="og:image" content="([^"]+)">', text)
        assert picture.startswith(f"{services.settings.base_url}/static/")
        described.add(found)
    assert len(described) == 6


def test_preview_picture_has_the_stated_size_and_is_small(visitor: Browser, services: Services) -> None:
    text = visitor.get("/pricing").text
    (picture,) = re.findall('<meta property="og:image" content="([^"]+)">', text)
    answer = visitor.get(picture.removeprefix(services.settings.base_url))
    assert answer.headers["content-type"] == "image/png" and len(answer.content) < 50_000
    stated = [re.findall(f'og:image:{side}" content="([0-9]+)"', text)[0] for side in ("width", "height")]
    assert png_size(answer.content) == tuple(map(int, stated))


def png_size(png: bytes) -> tuple[int, int]:
    """Return width and height of a PNG."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    return int.from_bytes(png[16:20]), int.from_bytes(png[20:24])


def test_other_pages_are_not_indexed(visitor: Browser, browser: Browser) -> None:
    for text in (visitor.get("/no-such-page").text, browser.get("/account").text):
        assert '<meta name="robots" content="noindex">' in text and "canonical" not in text


def test_sitemap_lists_pages_that_exist(visitor: Browser, services: Services) -> None:
    base = services.settings.base_url
    found = re.findall("<loc>([^<]+)</loc>", visitor.get("/sitemap.xml").text)
    assert {f"{base}/", f"{base}/karaoke", f"{base}/docs/webhooks", f"{base}/privacy"} <= set(found)
    robots = visitor.get("/robots.txt").text
    assert f"Sitemap: {base}/sitemap.xml" in robots
    for url in found:
        path = url.removeprefix(base)
        assert visitor.get(path).status_code == 200, path
        assert not any(path.startswith(f"/{private}") for private in discovery.PRIVATE)


def test_server_without_contact_has_no_security_txt(visitor: Browser) -> None:
    assert visitor.get("/.well-known/security.txt").status_code == 404
    assert "has set no contact" in visitor.get("/privacy").text


class TestContact:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"operator_name": "Stems & Co", "contact": "hello@stems.example"})

    def test_contact_is_in_security_txt_and_legal_pages(self, visitor: Browser) -> None:
        text = visitor.get("/.well-known/security.txt").text
        assert "Contact: mailto:hello@stems.example" in text and re.search(
            r"^Expires: .*Z$", text, re.MULTILINE
        )
        for path in ("/privacy", "/terms"):
            assert "Stems &amp; Co" in visitor.get(path).text
            assert "mailto:hello@stems.example" in check(visitor, path).hrefs


def test_canceled_split_is_not_shown_as_failed(browser: Browser, services: Services, account_id: str) -> None:
    add_split(services, account_id, "failed", error_code="CANCELED", error_message="The split was canceled.")
    text = browser.get("/splits").text
    assert "Canceled</span>" in text and "Failed</span>" not in text and "badge bad" not in text
