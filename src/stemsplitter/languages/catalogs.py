"""The catalogs, one for each language, and the choice of a language."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from gettext import NullTranslations
from io import BytesIO
from pathlib import Path

from babel import Locale
from babel.messages.catalog import Message
from babel.messages.mofile import write_mo
from babel.messages.plurals import get_plural
from babel.messages.pofile import read_po
from babel.support import Translations

SOURCE = "en"  # the language of the texts in the code
FOLDER = Path(__file__).parent / "locale"
ERROR = "error"  # the context of messages of errors, whose values are written as {name}
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


def languages(folder: Path = FOLDER) -> dict[str, str]:
    """Return the languages that have a catalog in ``folder``, and English: code → name in the language."""
    codes = sorted(path.parent.parent.name for path in folder.glob("*/LC_MESSAGES/messages.po"))
    return {code: str(Locale.parse(code).get_language_name(code)).capitalize() for code in (SOURCE, *codes)}


LANGUAGES: Mapping[str, str] = languages()


@dataclass(frozen=True)
class Catalog:
    """The translations into a language. ``messages`` is empty for English."""

    language: str
    messages: tuple[Message, ...]
    translations: NullTranslations

    @cached_property
    def _patterns(self) -> list[tuple[re.Pattern[str], str]]:
        """The messages of errors with values, the most specific first."""
        found = [
            (str(message.id), str(message.string))
            for message in self.messages
            if message.context == ERROR and message.string and _PLACEHOLDER.search(str(message.id))
        ]
        found.sort(key=lambda pair: len(_PLACEHOLDER.sub("", pair[0])), reverse=True)
        return [(_pattern(text), translation) for text, translation in found]

    def error(self, text: str) -> str:
        """Translate the message of an error, which has its values filled in; return it as it is if it is unknown."""
        if not self.messages:
            return text
        exact = self.translations.pgettext(ERROR, text)
        if exact != text:
            return exact
        if text.endswith(".") and (without := self.translations.pgettext(ERROR, text[:-1])) != text[:-1]:
            return f"{without}."
        for pattern, translation in self._patterns:
            if match := pattern.fullmatch(text):
                return _filled(
                    translation, {name: self._word(value) for name, value in match.groupdict().items()}
                )
        return text

    def _word(self, value: str) -> str:
        """Translate a value that is a text itself, such as a status."""
        found = self.translations.gettext(value)
        return found if found != value or not value.islower() else self._capitalized(value)

    def _capitalized(self, value: str) -> str:
        text = value.capitalize()
        found = self.translations.gettext(text)
        return found if found != text else value

    def script(self) -> bytes:
        """Return a JavaScript module with the texts of the scripts, and ``plural(n)``, the index of a form."""
        texts = {
            message.id[0] if isinstance(message.id, tuple) else message.id: message.string
            for message in self.messages
            if message.string and any(name.endswith(".js") for name, _ in message.locations)
        }
        lines = (
            f"export const texts = {json.dumps(texts, ensure_ascii=False, indent=0)};",
            f"export const plural = (n) => Number({get_plural(self.language).plural_expr});",
            "",
        )
        return "\n".join(lines).encode()


@cache
def catalog(language: str, folder: Path = FOLDER) -> Catalog:
    """Return the catalog of a language, read once."""
    if language == SOURCE:
        return Catalog(SOURCE, (), NullTranslations())
    path = folder / language / "LC_MESSAGES" / "messages.po"
    with path.open("rb") as file:
        read = read_po(file, locale=language)
    compiled = BytesIO()
    write_mo(compiled, read)
    compiled.seek(0)
    return Catalog(language, tuple(message for message in read if message.id), Translations(compiled))


def negotiated(header: str) -> str | None:
    """Return the language that the header ``Accept-Language`` prefers, or None if there is none that it accepts."""
    for accepted in _by_quality(header):
        if accepted == "*":
            return SOURCE
        # German of Austria is served as German
        parts = accepted.split("-")
        for end in range(len(parts), 0, -1):
            code = "_".join(parts[:end])
            for language in LANGUAGES:
                if language.lower() == code:
                    return language
    return None


def _by_quality(header: str) -> Iterator[str]:
    weighted = []
    for part in header.split(","):
        name, _, quality = part.partition(";")
        try:
            weight = float(quality.strip().removeprefix("q=") or 1)
        except ValueError:
            weight = 0
        weighted.append((weight, name.strip().lower()))
    weighted.sort(key=lambda pair: -pair[0])  # stable: the first of equals is preferred
    return (name for weight, name in weighted if weight > 0 and name)


def _filled(text: str, values: Mapping[str, str]) -> str:
    return _PLACEHOLDER.sub(lambda place: values[f"v_{place[1]}"], text)


def _pattern(text: str) -> re.Pattern[str]:
    """Return a pattern that matches ``text`` with any values; its groups are named ``v_NAME``."""
    parts, at = [], 0
    for place in _PLACEHOLDER.finditer(text):
        parts.append(re.escape(text[at : place.start()]))
        parts.append(
            f"(?P<v_{place[1]}>.+)" if f"<v_{place[1]}>" not in "".join(parts) else f"(?P=v_{place[1]})"
        )
        at = place.end()
    return re.compile("".join((*parts, re.escape(text[at:]))), re.DOTALL)
