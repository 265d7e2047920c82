"""Credit packs for sale, as the setting ``packs`` defines them."""

import re
from dataclasses import dataclass

# currencies without hundredths, or with thousandths, at Stripe: https://docs.stripe.com/currencies
_WHOLE = frozenset(
    ("bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf")
)
_THOUSANDTHS = frozenset(("bhd", "jod", "kwd", "omr", "tnd"))
# whole amounts only, given in hundredths
_NO_FRACTIONS = _WHOLE | {"isk", "ugx"}

_FORM = re.compile(r"([1-9][0-9]{0,5})(?:\s*=\s*([0-9]{1,7})\.([0-9]{2}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Pack:
    """``minutes`` of audio for ``price`` hundredths of the currency; None if the pack is not sold online."""

    minutes: int
    price: int | None

    @property
    def credits(self) -> int:
        """Credits that are added to the balance, one per second."""
        return self.minutes * 60


def parse_packs(text: str) -> tuple[Pack, ...]:
    """Parse packs such as ``50=5.00, 150``, in their order; none in an empty text.

    Raises:
        ValueError: a part has another form, a price is zero, or a pack appears twice.
    """
    packs: list[Pack] = []
    for part in filter(None, map(str.strip, text.split(","))):
        found = _FORM.fullmatch(part)
        if found is None:
            raise ValueError("must be minutes with or without a price: 50=5.00, 150=12.00")
        minutes, whole, hundredths = found.groups()
        packs.append(Pack(int(minutes), None if whole is None else int(whole) * 100 + int(hundredths)))
    if any(pack.price == 0 for pack in packs):
        raise ValueError("must not have a price of zero: leave the price out")
    if len({pack.minutes for pack in packs}) < len(packs):
        raise ValueError("must not contain the same minutes twice")
    return tuple(packs)


def smallest_units(price: int, currency: str) -> int:
    """Convert a price in hundredths to the smallest unit at Stripe: 500 is 500 cents, 5 yen or 5000 fils.

    Raises:
        ValueError: the price has a fraction and the currency has none.
    """
    if currency in _NO_FRACTIONS and price % 100:
        raise ValueError(
            f"has no fractions: write prices in {currency.upper()} without cents, such as 500.00"
        )
    return price // 100 if currency in _WHOLE else price * 10 if currency in _THOUSANDTHS else price
