"""An SDK is small: at most 900 lines of code, without its driver and tests, blank lines and comments."""

import ast
from pathlib import Path

import pytest

from .drivers import SDKS

LIMIT = 900
SOURCES = {
    "python": "python/src/**/*.py",
    "node": "node/src/*",
    "go": "go/*.go",
    "php": "php/src/**/*.php",
    "lua": "lua/src/**/*.lua",
    "java": "java/src/main/**/*.java",
    "swift": "swift/Sources/StemSplitter/**/*.swift",
}
_COMMENTS = ("//", "/*", "*", "--", "#")


def code_lines(path: Path) -> int:
    text = path.read_text(encoding="utf-8")
    docs = set[int]()
    if path.suffix == ".py":
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                docs.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    lines = enumerate(text.splitlines(), 1)
    return sum(
        bool(line.strip()) and n not in docs and not line.strip().startswith(_COMMENTS) for n, line in lines
    )


def test_size(language: str) -> None:
    paths = [path for path in SDKS.glob(SOURCES[language]) if not path.name.endswith("_test.go")]
    assert paths, f"no source of {language}: correct SOURCES"
    total = sum(map(code_lines, paths))
    print(f"{language}: {total} lines of code")
    if total > LIMIT:
        pytest.fail(f"{language} has {total} lines of code, more than {LIMIT}", pytrace=False)
