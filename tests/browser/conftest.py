"""Chromium, a running server, and a server with content on every page."""

from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from stemsplitter.services import Services
from stemsplitter.settings import Settings
from tests.acceptance.server import Server
from tests.acceptance.songs import sung
from tests.payments.checkout import KEY, SECRET, Checkout, stand_in
from tests.services import file_maker

RATE = 22_050

if find_spec("playwright") is None:
    # without the extra `browser`
    collect_ignore_glob = ["test_*.py"]
else:
    from playwright.sync_api import Browser, expect

    from .chromium import TIMEOUT_MS, chromium
    from .sample import SIX, Sample, Song, fill
    from .shop import Till


@pytest.fixture(scope="session")
def browser() -> Iterator["Browser"]:
    expect.set_options(timeout=TIMEOUT_MS)
    with chromium() as started:
        yield started


@pytest.fixture(scope="session")
def checkout() -> Iterator[Checkout]:
    """A stand-in for Stripe."""
    with stand_in(Till) as made:
        yield made


def shop(checkout: Checkout) -> dict[str, str]:
    """Return settings of a server that sells packs."""
    return {
        "packs": "50=5.00, 150=12.00, 500",
        "stripe_secret_key": KEY,
        "stripe_webhook_secret": SECRET,
        "stripe_api_base": checkout.url,
    }


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, checkout: Checkout) -> Iterator[Server]:
    """A server with a worker and the built-in model."""
    models = {"model_6s": "builtin_6s", "model_4s": "builtin_6s"}
    started = Server(tmp_path_factory.mktemp("server"), **models, **shop(checkout))
    try:
        started.start()
        yield started
    finally:
        started.stop()


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory, checkout: Checkout) -> Iterator[tuple[Server, "Sample"]]:
    """A server without a worker, with content on every page; files are made from stems."""
    folder = tmp_path_factory.mktemp("filled")
    mail = {"smtp_url": "smtp://127.0.0.1:9", "mail_from": "stems@stems.example"}  # nothing is sent
    server = Server(folder, workers=0, lease_seconds=3600, **mail, **shop(checkout))
    song = sung(3 * RATE, rate=RATE)
    stems = {
        name: (song * part).astype("f4")
        for name, part in zip(SIX, (0.5, 0.3, 0.1, 0.05, 0.03, 0.02), strict=True)
    }
    try:
        server.start()
        services = Services(Settings(data_dir=folder / "data"))
        maker = file_maker(services)
        maker.start("wrk_1")
        yield server, fill(services, Song("Lied.flac", stems, RATE, 1))
        maker.stop()
        maker.wait_idle(10)
        services.close()
    finally:
        server.stop()
