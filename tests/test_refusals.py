import ast
from pathlib import Path

import stemsplitter
from stemsplitter import refusals

# position of the limit's name among the arguments
NAMES = {"RateLimited": 1, "Busy": 1, "OpenStreams": 1, "Policy": 0, "count": 0}


def test_every_limit_is_among_the_metrics() -> None:
    """A refusal by one that is not would be counted, and never shown."""
    named = set()
    for path in Path(stemsplitter.__file__).parent.rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(call, ast.Call):
                continue
            name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
            if name == "count" and ast.unparse(call.func) != "refusals.count":
                continue
            at = NAMES.get(name)
            given = call.args[at] if at is not None and len(call.args) > at else None
            if isinstance(given, ast.Constant):
                named.add(given.value)
    assert named - set(refusals.LIMITS) == set(), "add it to refusals.LIMITS"
    assert {"queued files", "files", "password reset"} <= named
