"""Packs of credits that can be bought, as the operator's setting tells them."""

import re
from dataclasses import dataclass

# currencies of which Stripe counts no hundredths, or thousandths: https://docs.stripe.com/currencies
_WHOLE = frozenset(
    ("bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf")
)
_THOUSANDTHS = frozenset(("bhd", "jod", "kwd", "omr", "tnd"))
# written with hundredths that must be none
_NO_FRACTIONS = _WHOLE | {"isk", "ugx"}

_FORM = re.compile(r"([1-9][0-9]{0,5})(?:\s*=\s*([0-9]{1,7})\.([0-9]{2}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Pack:
    """``minutes`` of audio, for ``price`` hundredths of the currency; None where the operator tells no price."""

    minutes: int
    price: int | None

    @property
    def credits(self) -> int:
        """What is added to the balance: one for each second."""
        return self.minutes * 60


def parse_packs(text: str) -> tuple[Pack, ...]:
    """``50=5.00, 150`` as packs, in that order; none in an empty text.

    Raises:
        ValueError: a part is not of that form, a price is nothing, or a pack comes twice.
    """
    packs: list[Pack] = []
    for part in filter(None, map(str.strip, text.split(","))):
        found = _FORM.fullmatch(part)
        if found is None:
            raise ValueError("must be minutes with or without a price, as 50=5.00, 150=12.00")
        minutes, whole, hundredths = found.groups()
        packs.append(Pack(int(minutes), None if whole is None else int(whole) * 100 + int(hundredths)))
    if any(pack.price == 0 for pack in packs):
        raise ValueError("must not give a pack away: leave the price out where there is none")
    if len({pack.minutes for pack in packs}) < len(packs):
        raise ValueError("must not hold the same minutes twice")
    return tuple(packs)


def smallest_units(price: int, currency: str) -> int:
    """A price in hundredths as Stripe wants it: 500 is 500 cents, 5 yen, or 5000 fils.

    Raises:
        ValueError: the currency has no fractions, and the price has.
    """
    if currency in _NO_FRACTIONS and price % 100:
        raise ValueError(f"has no fractions: write prices in {currency.upper()} as 500.00")
    return price // 100 if currency in _WHOLE else price * 10 if currency in _THOUSANDTHS else price
