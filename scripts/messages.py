"""Extract the texts of the pages, scripts, messages and errors, and update the catalogs: ``make messages``."""

import ast
import re
import sys
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.pofile import read_po, write_po

from stemsplitter.languages.catalogs import ERROR, FOLDER, LANGUAGES, SOURCE

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "stemsplitter"
_KEYWORDS = {"_": None, "gettext": None, "marked": None, "ngettext": (1, 2), "pgettext": ((1, "c"), 2)}
_TEMPLATE_OPTIONS = {"trimmed": "true", "trim_blocks": "true", "lstrip_blocks": "true"}
# folder → method and options of the files in it
_SOURCES = (
    ("console/templates/*", "jinja2.ext:babel_extract", _TEMPLATE_OPTIONS),
    ("console/static/*.js", "javascript", {"parse_template_string": "true"}),
    ("**/*.py", "python", {}),
)
# modules whose other sentences, such as constants and returned texts, are messages of errors, too
_SENTENCES_OF = (
    "api/errors.py",
    "console/access.py",
    "jobs/processing.py",
    "jobs/service.py",
    "links",
    "quotas/disk.py",
    "rate_limits/service.py",
    "splits/derived/service.py",
    "splits/model_selection.py",
    "tools/speaking.py",
    "webhooks/attempts.py",
)
_PHRASES_OF = ("health/incidents.py",)  # the same, without a full stop
_PHRASE = re.compile(r"[A-Z0-9{].* .* .*", re.DOTALL)
_SENTENCE = re.compile(r"[A-Z{].* .* .*\.", re.DOTALL)
_HOLDERS = (ast.Assign, ast.Dict, ast.IfExp, ast.Lambda, ast.Return, ast.Tuple, ast.keyword)
_LEAST_LETTERS = 8  # of the message of an error without its values: a shorter one matches too many texts
_FOREIGN = ("htmx.min.js",)
_MARK = re.compile(rb"\b(_|gettext|marked|ngettext|pgettext|trans)\b")
# errors that pages show are raised, or are stored with a job, in these
_ERRORS_OF = (
    "accounts",
    "api/routes",
    "api/errors.py",
    "audio",
    "console",
    "credits",
    "fetching",
    "idempotency",
    "jobs",
    "links",
    "payments",
    "probing",
    "quotas",
    "rate_limits",
    "service_errors.py",
    "sessions",
    "shares",
    "splits",
    "storage",
    "tool_jobs",
    "tools",
    "uploads",
    "webhooks",
    "worker",
)


def template_catalog() -> Catalog:
    """Return all messages of the sources, without translations."""
    catalog = Catalog(project="Stem Splitter", charset="utf-8", fuzzy=False)
    for pattern, method, options in _SOURCES:
        for path in sorted(PACKAGE.glob(pattern)):
            if path.name in _FOREIGN or not _MARK.search(source := path.read_bytes()):
                continue
            for _, text, _, context in extract(method, BytesIO(source), keywords=_KEYWORDS, options=options):
                _add(catalog, text, path, context)
    for path in sorted(PACKAGE.glob("**/*.py")):
        name = str(path.relative_to(PACKAGE))
        if name.startswith((*_ERRORS_OF, *_PHRASES_OF)):
            others = _PHRASE if name in _PHRASES_OF else _SENTENCE if name.startswith(_SENTENCES_OF) else None
            for text in errors(path.read_text(encoding="utf-8"), others):
                _add(catalog, text, path, ERROR)
    return catalog


def errors(source: str, others: re.Pattern[str] | None = None) -> Iterator[str]:
    """Yield the messages of the errors and warnings of a module, and its other texts that match a pattern.

    The values of an f-string become {0}, {1} and so on.
    """
    for node in ast.walk(ast.parse(source)):
        for each in ast.iter_child_nodes(node):
            text = _text(each) or ""
            is_error = isinstance(node, ast.Call) and node.args[:1] == [each] and _is_error(node.func)
            is_other = others and isinstance(node, _HOLDERS) and others.fullmatch(text)
            if (is_error or is_other) and _letters(text) >= _LEAST_LETTERS:
                yield text


def update(language: str, found: Catalog, folder: Path = FOLDER) -> bytes:
    """Return the catalog of a language with the messages of ``found``: new ones without a translation."""
    path = folder / language / "LC_MESSAGES" / "messages.po"
    catalog = Catalog(locale=language)
    if path.exists():
        with path.open("rb") as file:
            catalog = read_po(file, locale=language)
    catalog.update(found, no_fuzzy_matching=True)
    catalog.obsolete.clear()
    written = BytesIO()
    write_po(written, catalog, width=120, omit_header=False, sort_by_file=True, include_lineno=False)
    # without the header's dates, which would change each time
    lines = written.getvalue().decode().splitlines(keepends=True)
    kept = ("Language", "Plural-Forms", "MIME-Version", "Content-Type", "Content-Transfer-Encoding")
    text = "".join(
        line
        for at, line in enumerate(lines)
        if not (at < 30 and _is_header(line) and not line[1:].startswith(kept))
    )
    return text.encode()


def _is_header(line: str) -> bool:
    return (line.startswith("#") and not line.startswith("#:")) or (
        line.startswith('"') and line.endswith('\\n"\n')
    )


def _add(catalog: Catalog, text: str | Sequence[str], path: Path, context: str | None) -> None:
    ids = tuple(part for part in text if part) if isinstance(text, tuple) else text
    place = [(str(path.relative_to(ROOT)), 1)]
    catalog.add(ids[0] if len(ids) == 1 and isinstance(ids, tuple) else ids, locations=place, context=context)


def _is_error(function: ast.expr) -> bool:
    """Return true for the class of an error, for ``super().__init__`` in one, and for ``warnings.append``."""
    if isinstance(function, ast.Attribute):
        owner = function.value
        is_warning = "warnings" in (getattr(owner, "attr", ""), getattr(owner, "id", ""))
        return (function.attr == "append" and is_warning) or (
            function.attr == "__init__" and isinstance(owner, ast.Call)
        )
    return isinstance(function, ast.Name) and function.id in ERROR_NAMES


ERROR_NAMES = {
    "AudioError",
    "Busy",
    "Conflict",
    "Expired",
    "FetchError",
    "FetchFailed",
    "FetchRefused",
    "Forbidden",
    "HeadersInvalid",
    "InProgress",
    "Incomplete",
    "InsufficientCredits",
    "JobError",
    "LengthMismatch",
    "LimitReached",
    "LinkError",
    "NotFound",
    "OffsetMismatch",
    "PaymentUnavailable",
    "QuotaExceeded",
    "RateLimited",
    "RequestError",
    "SeparationFailed",
    "TokenInvalid",
    "TypeMismatch",
    "Unauthorized",
    "Used",
    "ValidationFailed",
}


def _letters(text: str) -> int:
    return sum(map(str.isalpha, text))


def _text(node: ast.expr) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if not isinstance(node, ast.JoinedStr):
        return None
    parts, number = [], 0
    for part in node.values:
        if isinstance(part, ast.Constant):
            parts.append(str(part.value))
        else:
            parts.append(f"{{{number}}}")
            number += 1
    return "".join(parts)


def main() -> None:
    """Write the catalogs of all languages, and of those named as arguments."""
    found = template_catalog()
    for language in {*LANGUAGES, *sys.argv[1:]} - {SOURCE}:
        path = FOLDER / language / "LC_MESSAGES" / "messages.po"
        text = update(language, found)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)


if __name__ == "__main__":
    main()
