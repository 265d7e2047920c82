"""Numbers, dates and money in English and German."""

from datetime import date

import pytest

from stemsplitter.languages import using
from stemsplitter.languages.formats import (
    all_of,
    any_of,
    count,
    day,
    decimal,
    percent,
    price,
    short,
    size,
    spoken,
)


@pytest.mark.parametrize(
    ("made", "english", "german"),
    [
        (lambda: count(30000), "30,000", "30.000"),
        (lambda: count(-5), "-5", "-5"),
        (lambda: decimal(1234.56), "1,234.6", "1.234,6"),
        (lambda: short(7.0), "7", "7"),
        (lambda: short(0.85), "0.85", "0,85"),
        (lambda: percent(0.124), "12 %", "12 %"),
        (lambda: price(1200, "usd"), "$12.00", "12,00\xa0$"),
        (lambda: price(500, "eur"), "€5.00", "5,00\xa0€"),
        (lambda: price(120000, "sek"), "SEK\xa01,200.00", "1.200,00\xa0SEK"),
        (lambda: size(3_400_000), "3.4 MB", "3,4 MB"),
        (lambda: spoken(45), "45 seconds", "45 Sekunden"),
        (lambda: spoken(60), "1 minute", "1 Minute"),
        (lambda: spoken(600), "10 minutes", "10 Minuten"),
        (lambda: spoken(3600), "1 hour", "1 Stunde"),
        (lambda: spoken(5400), "90 minutes", "90 Minuten"),
        (lambda: day(date(2026, 5, 3)), "May 3, 2026", "03.05.2026"),
        (lambda: any_of(["a", "b", "c"]), "a, b, or c", "a, b oder c"),
        (lambda: all_of(["a", "b"]), "a and b", "a und b"),
    ],
)
def test_value_is_in_the_format_of_the_language(made, english: str, german: str) -> None:  # type: ignore[no-untyped-def]
    assert made().replace("\xa0", " ") == english.replace("\xa0", " ")
    with using("de"):
        assert made().replace("\xa0", " ") == german.replace("\xa0", " ")
