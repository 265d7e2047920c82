"""Numbers, dates and money in the current language, in the formats of CLDR."""

import re
from collections.abc import Sequence
from datetime import date as Date
from datetime import datetime
from functools import cache, lru_cache

from babel import Locale
from babel.dates import format_date
from babel.lists import format_list
from babel.numbers import format_currency, format_decimal
from babel.units import format_unit

from stemsplitter import sizes
from stemsplitter.languages.current import current

_KEPT = 4096  # results, as pages repeat most numbers


def count(number: int) -> str:
    """Format an integer: ``30,000``."""
    return _decimal(number, "#,##0", current())


def decimal(number: float, digits: int = 1) -> str:
    """Format a number with so many digits after the decimal point: ``1,234.5``."""
    return _decimal(number, f"#,##0.{'0' * digits}", current())


def short(number: float) -> str:
    """Format a number with as many digits as it needs, at most three: ``0.85``."""
    return _decimal(number, "#,##0.###", current())


def percent(share: float) -> str:
    """Format a share: ``12 %``."""
    return f"{count(round(100 * share))} %"


def price(hundredths: int, currency: str) -> str:
    """Format an amount in hundredths of a currency: ``$12.00``."""
    return _price(hundredths, currency.upper(), current())


def size(octets: int) -> str:
    """Format bytes: ``3.4 MB``."""
    return sizes.size(octets).replace(".", _point(current()))


def spoken(seconds: float) -> str:
    """Format seconds in words, rounded: ``45 seconds``, ``10 minutes``, ``1 hour``, ``90 minutes``."""
    whole, unit = round(seconds), "second"
    if whole >= 60:
        whole, unit = round(whole / 60), "minute"
        if whole % 60 == 0 or whole >= 120:
            whole, unit = round(whole / 60), "hour"
    return _unit(whole, unit, current())


def day(at: Date | datetime) -> str:
    """Format a day: ``May 3, 2026``."""
    return format_date(at, "medium", locale=_locale(current()))


def all_of(names: Sequence[str]) -> str:
    """Format a list: ``a, b, and c``."""
    return format_list(names, "standard", locale=_locale(current()))


def any_of(names: Sequence[str]) -> str:
    """Format a list of alternatives: ``a, b, or c``."""
    return format_list(names, "or", locale=_locale(current()))


@cache
def _locale(language: str) -> Locale:
    return Locale.parse(language)


@cache
def _point(language: str) -> str:
    return format_decimal(0.5, "0.0", locale=_locale(language))[1]


@lru_cache(_KEPT)
def _decimal(number: float, pattern: str, language: str) -> str:
    return format_decimal(number, pattern, locale=_locale(language))


@lru_cache(_KEPT)
def _price(hundredths: int, currency: str, language: str) -> str:
    text = format_currency(hundredths / 100, currency, locale=_locale(language))
    return re.sub(rf"{currency}(?=\d)", currency + "\N{NO-BREAK SPACE}", text)  # a currency without a sign


@lru_cache(_KEPT)
def _unit(number: int, unit: str, language: str) -> str:
    return format_unit(number, f"duration-{unit}", locale=_locale(language))
