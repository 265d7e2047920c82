"""The installed app: manifest, service worker, offline page and shared songs."""

import json
import re

import pytest

from stemsplitter.console import assets, installed
from stemsplitter.console.headers import POLICY

from .conftest import EMAIL, Browser
from .test_discovery import png_size
from .test_pages import check


def values_of(script: str) -> dict[str, object]:
    """Return the constants that the server puts before the script of the service worker."""
    return {
        name: json.loads(value)
        for name, value in re.findall(r"^const (\w+) = (.*);$", script, re.MULTILINE)[:4]
    }


def test_manifest_names_start_and_shortcuts(visitor: Browser) -> None:
    answer = visitor.get("/manifest.webmanifest")
    assert answer.headers["content-type"] == "application/manifest+json"
    manifest = answer.json()
    assert visitor.get(manifest["start_url"]).status_code == 303
    assert len(manifest["shortcuts"]) == 3
    for shortcut in manifest["shortcuts"]:
        assert visitor.get(shortcut["url"]).status_code in (200, 303), shortcut
    german = visitor.get("/manifest.webmanifest", headers={"Accept-Language": "de"}).json()
    assert german["lang"] == "de" and german["id"] == manifest["id"]


def test_icons_have_the_sizes_of_the_manifest(visitor: Browser) -> None:
    icons = visitor.get("/manifest.webmanifest").json()["icons"]
    assert {icon["purpose"] for icon in icons} == {"any", "maskable"}
    assert {"192x192", "512x512"} <= {icon["sizes"] for icon in icons}
    for icon in icons:
        answer = visitor.get(icon["src"])
        assert (answer.status_code, answer.headers["content-type"]) == (200, icon["type"])
        if icon["type"] == "image/png":
            assert "x".join(map(str, png_size(answer.content))) == icon["sizes"]


def test_share_target_takes_audio_files(visitor: Browser) -> None:
    target = visitor.get("/manifest.webmanifest").json()["share_target"]
    assert (target["method"], target["enctype"]) == ("POST", "multipart/form-data")
    assert (
        target["params"]["files"][0]["name"] == "song" and "audio/*" in target["params"]["files"][0]["accept"]
    )


def test_service_worker_keeps_the_offline_page_and_its_files_only(visitor: Browser, browser: Browser) -> None:
    answer = visitor.get("/service-worker.js")
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["content-security-policy"] == POLICY and "worker-src 'self'" in POLICY
    assert browser.get("/service-worker.js").text == answer.text
    values = values_of(answer.text)
    linked = set(re.findall(r'"(/static/[^"]+)"', visitor.get("/offline").text))
    font = assets.url("figtree.woff2")  # of the style sheet
    assert values["OFFLINE"] == "/offline" and set(values["FILES"]) == linked | {font}  # type: ignore[call-overload]
    for url in values["FILES"]:  # type: ignore[attr-defined]
        assert assets.VERSION in url and visitor.get(url).status_code == 200


def test_version_of_the_service_worker_changes_with_page_and_files(
    visitor: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def version() -> object:
        installed._version.cache_clear()
        return values_of(visitor.get("/service-worker.js").text)["VERSION"]

    versions = [version(), version()]
    assert versions[0] == versions[1]
    with monkeypatch.context() as changed:
        changed.setattr(installed, "render", lambda *_, **__: "<h1>Another page</h1>")
        versions.append(version())
    monkeypatch.setattr(assets, "VERSION", "0123456789abcdef")
    versions.append(version())
    installed._version.cache_clear()
    assert len(set(versions)) == 3


def test_offline_page_tells_nothing_of_the_account(visitor: Browser, browser: Browser) -> None:
    check(visitor, "/offline")
    assert browser.get("/offline").text == visitor.get("/offline").text
    assert EMAIL not in browser.get("/offline").text
    assert 'data-theme="dark"' in visitor.get("/offline", headers={"Cookie": "theme=dark"}).text
    assert '<html lang="de">' in visitor.get("/offline", headers={"Accept-Language": "de"}).text


def test_share_without_service_worker_is_told_what_to_do(visitor: Browser, browser: Browser) -> None:
    for client in (visitor, browser):
        answer = client.post(
            "/new/shared", files={"song": ("song.mp3", b"0" * 200_000)}, headers={"Origin": "null"}
        )
        assert (answer.status_code, answer.headers["location"]) == (303, "/new/shared")
        page = check(client, "/new/shared")
        assert "/new" in page.links and "Share it again" in client.get("/new/shared").text
    assert 'data-next="/new"' in browser.get("/new/shared").text
    assert 'data-next="/sign-up?next=/new"' in visitor.get("/new/shared").text
