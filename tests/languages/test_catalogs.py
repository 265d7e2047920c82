"""Catalogs: complete, and used for texts and errors."""

import re
from collections import Counter
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog as Messages
from babel.messages.catalog import Message
from babel.messages.pofile import read_po

from scripts.messages import errors, template_catalog, update
from stemsplitter.languages import LANGUAGES, SOURCE, catalog, negotiated
from stemsplitter.languages.catalogs import FOLDER, languages

TRANSLATED = sorted(set(LANGUAGES) - {SOURCE})
# values, literal percent signs and tags
PARTS = re.compile(r"%\(\w+\)s|\{\w+\}|%%|</?\w[^>]*>")

TOY = """\
msgid ""
msgstr ""
"Language: nl\\n"
"Plural-Forms: nplurals=2; plural=(n != 1);\\n"
"Content-Type: text/plain; charset=utf-8\\n"

#: src/stemsplitter/console/static/app.js
msgid "Copied."
msgstr "Gekopieerd."

#: src/stemsplitter/console/static/new_split.js
msgid "{n} song"
msgid_plural "{n} songs"
msgstr[0] "{n} nummer"
msgstr[1] "{n} nummers"

msgid "Sign in"
msgstr "Inloggen"

msgctxt "error"
msgid "There is no account {0}: check the id."
msgstr "Er is geen account {0}."
"""


@pytest.fixture(scope="module")
def found() -> Messages:
    """All messages of the sources."""
    return template_catalog()


@pytest.fixture(scope="module", params=TRANSLATED)
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def messages(language: str) -> list[Message]:
    with (FOLDER / language / "LC_MESSAGES" / "messages.po").open("rb") as file:
        read = read_po(file, locale=language)
    assert not read.obsolete
    return [message for message in read if message.id]


def test_catalog_has_the_messages_of_the_sources(
    found: Messages, messages: list[Message], language: str
) -> None:
    ours = {(message.id, message.context) for message in messages}
    wanted = {(message.id, message.context) for message in found if message.id}
    assert ours == wanted, "run make messages, and translate what is new"


def test_catalog_is_as_make_messages_writes_it(found: Messages, language: str) -> None:
    path = FOLDER / language / "LC_MESSAGES" / "messages.po"
    assert update(language, found) == path.read_bytes()


def test_all_messages_are_translated(messages: list[Message]) -> None:
    missing = [
        message.id
        for message in messages
        if message.fuzzy or not (all(message.string) if isinstance(message.string, tuple) else message.string)
    ]
    assert missing == []


def test_translations_have_the_values_and_tags_of_the_texts(messages: list[Message]) -> None:
    for message in messages:
        ids = message.id if isinstance(message.id, tuple) else (message.id,)
        strings = message.string if isinstance(message.string, tuple) else (message.string,)
        if len(ids) == 1:
            assert Counter(PARTS.findall(strings[0])) == Counter(PARTS.findall(ids[0])), message.id
        else:  # a form for 1 may leave out the number
            for string in strings:
                assert set(PARTS.findall(string)) <= set(PARTS.findall(ids[1])), message.id
            assert set(PARTS.findall(strings[-1])) == set(PARTS.findall(ids[1])), message.id


class TestErrors:
    """Messages of errors, which have their values filled in."""

    def test_message_with_values_is_translated(self) -> None:
        german = catalog("de").error("The password has 3 characters: use 10 to 1000.")
        assert german == "Das Passwort hat 3 Zeichen: 10 bis 1000 verwenden."

    def test_the_most_specific_message_wins(self) -> None:
        german = catalog("de").error("example.com answered with status 404: check the URL.")
        assert german == "example.com hat mit Status 404 geantwortet: URL prüfen."

    def test_value_that_is_a_text_is_translated(self) -> None:
        german = catalog("de").error("This is a text file. Choose an audio or video file.")
        assert german == "Das ist eine Textdatei. Eine Audio- oder Videodatei wählen."

    def test_status_within_a_message_is_translated(self) -> None:
        german = catalog("de").error("split_1 is queued: only a failed split can be retried.")
        assert (
            german
            == "split_1 hat den Status Wartet: Nur eine fehlgeschlagene Aufteilung kann wiederholt werden."
        )

    def test_sentence_may_end_with_a_full_stop_that_its_text_lacks(self) -> None:
        assert (
            catalog("de").error("Wrong email address or password.") == "E-Mail-Adresse oder Passwort falsch."
        )

    @pytest.mark.parametrize("text", ["", "An error of tomorrow: wait."])
    def test_unknown_message_stays_english(self, text: str) -> None:
        assert catalog("de").error(text) == text

    def test_english_stays_as_it_is(self) -> None:
        assert catalog("en").error("Wrong email address or password") == "Wrong email address or password"

    def test_messages_are_found_where_errors_are_raised(self) -> None:
        source = (
            'raise NotFound(f"There is no {kind}: look " "elsewhere.")\nprint("A text that is no error.")\n'
        )
        assert list(errors(source)) == ["There is no {0}: look elsewhere."]


class TestScripts:
    """The module with the texts of the scripts."""

    def test_module_has_texts_of_scripts_only(self) -> None:
        module = catalog("de").script().decode()
        assert '"Copied.": "Kopiert."' in module
        assert "Sign-up is closed" not in module

    def test_plural_is_an_expression_of_the_language(self) -> None:
        assert "export const plural = (n) => Number((n != 1));" in catalog("de").script().decode()


class TestNegotiation:
    """The header Accept-Language."""

    @pytest.mark.parametrize(
        ("header", "language"),
        [
            ("de", "de"),
            ("de-AT", "de"),
            ("DE-at,en;q=0.5", "de"),
            ("en-US,en;q=0.9,de;q=0.8", "en"),
            ("fr,de;q=0.4,en;q=0.3", "de"),
            ("en;q=0.2, de;q=0.7", "de"),
            ("*", "en"),
            ("fr", None),
            ("de;q=0", None),
            ("de;q=high", None),
            (",;=", None),
            ("", None),
        ],
    )
    def test_preferred_language_is_chosen(self, header: str, language: str | None) -> None:
        assert negotiated(header) == language


def test_language_is_one_file(tmp_path: Path) -> None:
    path = tmp_path / "nl" / "LC_MESSAGES" / "messages.po"
    path.parent.mkdir(parents=True)
    path.write_text(TOY, encoding="utf-8")
    assert languages(tmp_path) == {"en": "English", "nl": "Nederlands"}
    dutch = catalog("nl", tmp_path)
    assert dutch.translations.gettext("Sign in") == "Inloggen"
    assert dutch.translations.gettext("Sign out") == "Sign out"
    assert dutch.error("There is no account acc_1: check the id.") == "Er is geen account acc_1."
    module = dutch.script().decode()
    assert '"{n} song": ["{n} nummer", "{n} nummers"]' in re.sub(r"\s+", " ", module).replace(
        "[ ", "["
    ).replace(" ]", "]")
    assert "Inloggen" not in module


def test_new_language_begins_with_all_messages(found: Messages, tmp_path: Path) -> None:
    text = update("fr", found, tmp_path).decode()
    assert '"Language: fr\\n"' in text and 'msgid "Vocal remover"\nmsgstr ""' in text
