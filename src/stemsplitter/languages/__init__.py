"""Languages of the pages and messages: gettext catalogs, and the formats of numbers, dates and money.

A language other than English is one file, ``locale/LANGUAGE/LC_MESSAGES/messages.po``, which is read when the language
is first used. CONTRIBUTING.md says how to mark texts and how to add a language.
"""

from stemsplitter.languages.catalogs import LANGUAGES, SOURCE, Catalog, catalog, negotiated
from stemsplitter.languages.current import current, gettext, marked, ngettext, pgettext, using

__all__ = [
    "LANGUAGES",
    "SOURCE",
    "Catalog",
    "catalog",
    "current",
    "gettext",
    "marked",
    "negotiated",
    "ngettext",
    "pgettext",
    "using",
]
