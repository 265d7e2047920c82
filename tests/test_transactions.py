"""Transactions, one rule: a function that takes a session joins its caller's transaction, any other opens its own."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import stemsplitter

PACKAGE = Path(stemsplitter.__file__).parent


def violations(source: str) -> Iterator[str]:
    """Yield functions that open a transaction although they take a session, or take an optional session."""
    for function in ast.walk(ast.parse(source)):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        arguments = function.args.posonlyargs + function.args.args + function.args.kwonlyargs
        sessions = [argument for argument in arguments if argument.arg == "session"]
        if any(each.annotation is not None and "None" in ast.unparse(each.annotation) for each in sessions):
            yield f"{function.name} takes an optional session"
        if sessions and any(opens_transaction(node) for node in ast.walk(function)):
            yield f"{function.name} takes a session and opens a transaction"


def opens_transaction(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("read", "write")
        and ast.unparse(node.func.value).endswith("database")
    )


def test_functions_that_take_a_session_open_no_transaction() -> None:
    found = {
        path.relative_to(PACKAGE).as_posix(): list(violations(path.read_text()))
        for path in PACKAGE.rglob("*.py")
    }
    assert {path: names for path, names in found.items() if names} == {}


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("def get(self, session):\n  with self._database.write() as other: pass", 1),
        ("def get(self, *, session: Session):\n  with services.database.read() as other: pass", 1),
        ("def get(self, session: Session | None = None): pass", 1),
        ("def get(self, session: Session): return session.get(A, 1)", 0),
        ("def get(self):\n  with self._database.read() as session: return find(session)", 0),
    ],
)
def test_violations_are_found(source: str, count: int) -> None:
    assert len(list(violations(source))) == count
