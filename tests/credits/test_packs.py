import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemsplitter.credit_packs import Pack, parse_packs, smallest_units
from stemsplitter.errors import SettingsError
from stemsplitter.settings import Settings, load_settings


def test_default_packs_have_no_prices() -> None:
    packs = parse_packs(Settings().packs)
    assert [(pack.minutes, pack.price, pack.credits) for pack in packs] == [
        (50, None, 3000),
        (150, None, 9000),
        (500, None, 30_000),
    ]


def test_packs_with_prices_are_parsed() -> None:
    assert parse_packs("50 = 5.00,150=12.99") == (Pack(50, 500), Pack(150, 1299))
    assert parse_packs(" ") == ()


@pytest.mark.parametrize(
    "text", ["50=5", "0=1.00", "-5", "50=1.00=2", "x", "50=0.00", "50, 50=2.00", "50=1,00"]
)
def test_invalid_packs_are_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="must"):
        parse_packs(text)
    monkeypatch.setenv("STEMSPLITTER_PACKS", text)
    with pytest.raises(SettingsError, match=r"STEMSPLITTER_PACKS is .*must"):
        load_settings()


def test_currency_has_three_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings(currency="EUR").currency == "eur"
    monkeypatch.setenv("STEMSPLITTER_CURRENCY", "€")
    with pytest.raises(SettingsError, match="three letters"):
        load_settings()


@given(st.dictionaries(st.integers(1, 999_999), st.none() | st.integers(1, 10**8), max_size=5))
def test_formatted_packs_parse_to_themselves(packs: dict[int, int | None]) -> None:
    text = ", ".join(f"{m}" if p is None else f"{m}={p // 100}.{p % 100:02}" for m, p in packs.items())
    assert parse_packs(text) == tuple(Pack(minutes, price) for minutes, price in packs.items())


@pytest.mark.parametrize(
    ("price", "currency", "units"),
    [(1299, "usd", 1299), (50_000, "jpy", 500), (500, "kwd", 5000), (50_000, "isk", 50_000)],
)
def test_prices_convert_to_the_smallest_unit(price: int, currency: str, units: int) -> None:
    assert smallest_units(price, currency) == units


def test_price_with_a_fraction_is_refused_for_whole_currencies(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings(packs="50=500.00", currency="JPY").currency == "jpy"
    monkeypatch.setenv("STEMSPLITTER_PACKS", "50=500.50, 150")
    monkeypatch.setenv("STEMSPLITTER_CURRENCY", "jpy")
    with pytest.raises(SettingsError, match=r"STEMSPLITTER_CURRENCY is 'jpy': has no fractions.*500\.00"):
        load_settings()


def test_stripe_key_requires_the_webhook_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEMSPLITTER_STRIPE_SECRET_KEY", "sk_live_secret")
    with pytest.raises(SettingsError, match="STRIPE_WEBHOOK_SECRET is '': must be set") as caught:
        load_settings()
    assert "sk_live" not in str(caught.value)
    monkeypatch.setenv("STEMSPLITTER_STRIPE_WEBHOOK_SECRET", "whsec_x")
    assert load_settings().stripe_secret_key == "sk_live_secret"
