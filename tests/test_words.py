"""Docstrings, comments and texts use standard words, as CONTRIBUTING.md requires under "Style" and "Glossary"."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "stemsplitter"
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
MODULES = sorted(PACKAGE.rglob("*.py"))
OTHER_MODULES = sorted(
    path
    for folder in ("tests", "benchmarks", "evaluation", "examples", "scripts")
    for path in (ROOT / folder).rglob("*.py")
    if (ROOT / "tests" / "training") not in path.parents
)


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


def test_docstrings_begin_with_verb_or_noun() -> None:
    problems = [
        f"{path.relative_to(ROOT)}:{line}: {text.split()[0]!r} begins a docstring"
        for path in (*MODULES, *OTHER_MODULES)
        for line, text in docstrings(ast.parse(path.read_text(encoding="utf-8")))
        if FIRST_WORD.match(text)
    ]
    assert not problems, "\n".join(problems)


def test_package_uses_standard_words() -> None:
    problems = [
        f"{path.relative_to(ROOT)}:{line}: {match[0]!r}; standard: {standard_word(match)}"
        for path in MODULES
        for line, text in texts(path.read_text(encoding="utf-8"))
        for match in BANNED.finditer(text)
    ]
    assert not problems, "\n".join(problems)
