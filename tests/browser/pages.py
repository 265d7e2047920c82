"""Every page of the console, and the states of pages after an action."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from playwright.sync_api import Page, expect

from stemsplitter.console.manual import PAGES as GUIDES
from stemsplitter.console.tasks import TASKS


@dataclass(frozen=True)
class Place:
    """A page: a unique name, its path with ``{ids}`` of the sample, the visitor, and an action."""

    name: str
    path: str
    who: str = "visitor"
    act: Callable[[Page], None] | None = None
    status: int = 200

    def visit(self, page: Page, ids: Mapping[str, str]) -> None:
        """Open the page and do the action."""
        answer = page.goto(self.path.format(**ids))
        assert answer is not None and answer.status == self.status, self.name
        if self.act:
            self.act(page)


def _make_key(page: Page) -> None:
    page.get_by_label("Key name").fill("a <b>key</b>")
    page.get_by_role("button", name="Create key").click()
    expect(page.get_by_role("heading", name="Your new API key")).to_be_visible()
    page.locator("summary").first.click()


def _share(page: Page) -> None:
    page.get_by_role("button", name="Create link").click()
    expect(page.get_by_role("heading", name="Your new link")).to_be_visible()


def _rotate(page: Page) -> None:
    page.get_by_role("button", name="Rotate secret").click()
    page.get_by_role("dialog").get_by_role("button", name="Rotate secret").click()
    expect(page.get_by_role("button", name="Copy secret")).to_be_visible()


def _ask(page: Page) -> None:
    page.get_by_role("button", name="Revoke").first.click()
    expect(page.get_by_role("dialog")).to_be_visible()


def _refused(button: str, fields: Mapping[str, str]) -> Callable[[Page], None]:
    """Return an action that submits invalid values; keys are labels."""

    def act(page: Page) -> None:
        for label, text in fields.items():
            page.get_by_label(label).fill(text)
        page.get_by_role("button", name=button, exact=True).click()
        expect(page.get_by_role("alert")).to_be_visible()

    return act


def _mix_too_loud(page: Page) -> None:
    expect(page.locator("[data-play]")).to_be_visible()
    for stem in ("vocals", "drums", "bass", "guitar"):
        page.get_by_label(f"Gain of {stem}").fill("12")
    page.locator("[data-save]").click()
    expect(page.locator("[data-mix-message]")).to_contain_text("full scale", timeout=60_000)


def _set_faders(page: Page) -> None:
    expect(page.locator("[data-play]")).to_be_visible()
    page.keyboard.press("4")
    page.keyboard.press("Shift+Digit2")
    page.get_by_label("Gain of bass").fill("-6")
    page.locator(".pan summary").nth(3).click()
    page.get_by_label("Pan of guitar").fill("-0.5")


def _fetch_offline(page: Page) -> None:
    page.get_by_role("button", name="Download Hybrid Transformer Demucs, six stems").click()
    expect(page.get_by_role("dialog")).to_contain_text("unclear")
    with page.expect_navigation():
        page.get_by_role("dialog").get_by_role("button", name="Download").click()
    expect(page.get_by_role("alert")).to_contain_text("offline")


def _help(page: Page) -> None:
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()


def _show_beats(page: Page) -> None:
    expect(page.locator("[data-wave]")).to_be_visible()
    page.get_by_role("button", name="Is it half?").click()


def _open_all(page: Page) -> None:
    for summary in page.locator("main summary").all():
        if summary.is_visible():
            summary.click()


PLACES = (
    Place("home", "/"),
    Place("pricing", "/pricing"),
    Place("status", "/status"),
    Place("privacy", "/privacy"),
    Place("terms", "/terms"),
    Place("cookies", "/cookies"),
    Place("compare", "/compare"),
    Place("blog", "/blog"),
    Place("post", "/blog/how-well-it-separates"),
    Place("sign-in", "/sign-in", act=_open_all),
    Place(
        "sign-in-refused",
        "/sign-in",
        act=_refused("Sign in", {"Email address": "nobody@example.org", "Password": "not the password"}),
    ),
    Place("reset", "/reset"),
    Place("reset-password", "/reset/{link}"),
    Place("sign-in-link", "/sign-in/link/{link}"),
    Place("verify", "/verify/{proof}"),
    Place("sign-up", "/sign-up"),
    Place("sign-in-link-used", "/sign-in/link/used", status=401),
    Place(
        "sign-up-refused",
        "/sign-up",
        act=_refused(
            "Create account", {"Email address": "new@example.org", "Password": "a few words to remember"}
        ),
    ),
    Place("not-found", "/no-such-page", status=404),
    Place("reference", "/docs"),
    Place("reference-group", "/docs/api/credits", act=_open_all),
    *(Place(f"docs-{name}", f"/docs/{name}") for name in sorted(GUIDES)),
    *(Place(task.slug, f"/{task.slug}") for task in TASKS),
    Place("offline", "/offline"),
    Place("shared-song", "/new/shared"),
    Place("home-signed-in", "/", "member"),
    Place("new", "/new", "member", _open_all),
    Place("new-refused", "/new", "member", _refused("Split", {"Song URL": "http://192.0.2.1/song.mp3"})),
    Place("task-signed-in", "/guitar-remover", "member"),
    Place("splits", "/splits", "member"),
    Place("splits-none", "/splits", "newcomer"),
    Place("splits-search", "/splits?q=lied", "member"),
    Place("splits-deleted", "/splits?restored=2&unfinished=1", "member"),
    Place("splits-not-found", "/splits?q=nothing-like-this", "member"),
    Place("split-again", "/splits/{player}/again", "member"),
    Place("share", "/splits/{player}/share", "member"),
    Place("share-none", "/splits/{task}/share", "member"),
    Place("share-created", "/splits/{long}/share", "member", _share),
    Place("shared", "/shared/{share}"),
    Place("shared-gone", "/shared/gone", status=404),
    Place("split-queued", "/splits/{queued}", "member"),
    Place("split-processing", "/splits/{processing}", "member"),
    Place("split-failed", "/splits/{failed}", "member"),
    Place("player", "/splits/{player}", "member"),
    Place("player-set", "/splits/{player}", "member", _set_faders),
    Place("player-help", "/splits/{player}", "member", _help),
    Place("player-too-loud", "/splits/{player}", "member", _mix_too_loud),
    Place("player-task", "/splits/{task}", "member", _open_all),
    Place("player-long", "/splits/{long}", "member"),
    Place("tool", "/tools/pitch-changer"),
    Place("tool-number", "/tools/pitch-changer", "member"),
    Place("tool-choice", "/tools/nightcore", "member"),
    Place("tool-text", "/tools/voice-over", "member"),
    Place("tool-analysis", "/tools/key-finder/{analysis}", "member", _show_beats),
    Place("tool-running", "/tools/pitch-changer/{changing}", "member"),
    Place("tool-result", "/tools/voice-isolator/{isolated}", "member"),
    Place("account", "/account", "member"),
    Place(
        "account-refused",
        "/account",
        "newcomer",
        _refused("Change email address", {"Email address": "operator@stems.example"}),
    ),
    Place("account-delete", "/account/delete", "member"),
    Place("account-delete-link", "/account/delete", "newcomer"),
    Place("account-deleted", "/account/deleted"),
    Place("developer", "/developer", "member"),
    Place("developer-none", "/developer", "newcomer"),
    Place("developer-key", "/developer", "member", _make_key),
    Place("developer-revoke", "/developer", "member", _ask),
    Place("endpoints", "/developer/endpoints", "member"),
    Place("endpoints-none", "/developer/endpoints", "newcomer"),
    Place("endpoint", "/developer/endpoints/{endpoint}", "member", _open_all),
    Place("endpoint-disabled", "/developer/endpoints/{endpoint-disabled}", "member"),
    Place("requests", "/developer/requests", "member"),
    Place("requests-none", "/developer/requests", "newcomer"),
    Place("webhooks", "/developer/webhooks", "member"),
    Place("webhooks-test", "/developer/webhooks?mode=test", "member"),
    Place("webhooks-none", "/developer/webhooks", "newcomer"),
    Place("webhooks-secret", "/developer/webhooks", "member", _rotate),
    Place(
        "webhooks-refused",
        "/developer/webhooks",
        "member",
        _refused("Send test event", {"Test event URL": "http://192.0.2.1/hook"}),
    ),
    Place("delivery", "/developer/webhooks/{delivered}", "member"),
    Place("delivery-pending", "/developer/webhooks/{pending}", "member"),
    Place("credits", "/credits", "member", _open_all),
    Place("credits-none", "/credits", "newcomer"),
    Place("credits-bought", "/credits?payment={payment}", "member"),
    Place("operator", "/operator", "operator"),
    Place("operator-accounts", "/operator/accounts", "operator"),
    Place("operator-account", "/operator/accounts/{account}", "operator"),
    Place("operator-failures", "/operator/failures", "operator", _open_all),
    Place("operator-models", "/operator/models", "operator"),
    Place("operator-models-refused", "/operator/models", "operator", _fetch_offline),
    Place("operator-storage", "/operator/storage", "operator"),
)
# streams, files and fragments
NOT_PAGES = {
    "/robots.txt",
    "/sitemap.xml",
    "/manifest.webmanifest",
    "/blog/feed.xml",
    "/.well-known/security.txt",
    "/demo/overview.json",
    "/demo/previews/{codec}/{name}",
    "/splits/{split_id}/cover.jpg",
    "/splits/{split_id}/overview.json",
    "/splits/{split_id}/previews/{codec}/{name}",
    "/shared/{token}/cover.jpg",
    "/shared/{token}/overview.json",
    "/shared/{token}/peaks.json",
    "/shared/{token}/previews/{codec}/{name}",
    "/shared/{token}/files/{name}",
    "/shared/{token}/play/{name}",
    "/splits/events",
    "/splits/{split_id}/files/{name}",
    "/splits/{split_id}/play/{name}",
    "/splits/{split_id}/archive",
    "/splits/{split_id}/peaks.json",
    "/credits/payments/{payment_id}",
    "/tools/voice-over/voices/{name}",
    "/tools/{slug}/{job_id}/{use}/{name}",
}
