"""Docstrings, comments and texts of the package use standard words (CONTRIBUTING.md, "How we write")."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "src" / "stemsplitter"
FIRST_WORD = re.compile(r"(What|Who|Whose|How|Whether|Where|When|Which)\b")
# pattern of a word that is not used → the standard word
STANDARD = {
    r"eldest": "leader",
    r"chores?": "maintenance",
    r"hearts?": "heartbeat",
    r"heard of": "last heartbeat, last seen",
    r"nobody's": "the owner's, or no one",
    r"melt(s|ed|ing)?": "fold",
    r"patien(ce|t)": "retry, timeout",
    r"the version before": "(nothing was released before)",
    r"speaks? up": "touch",
    r"going away": "exit, disconnect",
    r"whoever": "the client, the caller",
    r"strangers?'?": "user-supplied, untrusted",
    r"the door": "the admission middleware",
    r"insist(s|ed)? on": "retry",
    r"not (just )?now": "temporarily unavailable",
    r"behind (its|their) back": "directly",
}
BANNED = re.compile("|".join(rf"(?P<w{i}>\b{word}\b)" for i, word in enumerate(STANDARD)), re.IGNORECASE)
MODULES = sorted(ROOT.rglob("*.py"))


def docstrings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield line and text of each docstring of the module, its classes, functions and attributes."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for statement in node.body:
            match statement:
                case ast.Expr(value=ast.Constant(value=str(text))):
                    yield statement.lineno, text


def texts(source: str) -> Iterator[tuple[int, str]]:
    """Yield line and text of each comment and string literal."""
    strings = (tokenize.STRING, tokenize.COMMENT, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING))
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in strings:
            yield token.start[0], token.string


def standard_word(match: re.Match[str]) -> str:
    return next(word for i, word in enumerate(STANDARD.values()) if match[f"w{i}"])


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_texts_use_standard_words(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    problems = [
        f"line {line}: a docstring begins with a verb or a noun, not {text.split()[0]!r}"
        for line, text in docstrings(ast.parse(source))
        if FIRST_WORD.match(text)
    ]
    problems += [
        f"line {line + text.count(chr(10), 0, match.start())}: {match[0]!r}; standard: {standard_word(match)}"
        for line, text in texts(source)
        for match in BANNED.finditer(text)
    ]
    assert not problems, "\n".join(problems)
