"""Each SDK passes each case of vectors.json."""

import json
from pathlib import Path
from typing import Any

import pytest

from .drivers import Driver
from .stub import Stub

_VECTORS = json.loads(Path(__file__).with_name("vectors.json").read_text(encoding="utf-8"))
CHUNK_BYTES = 65536


def named(vectors: list[dict[str, Any]]) -> list[Any]:
    return [pytest.param(vector, id=vector["name"]) for vector in vectors]


def filled(value: Any, base: str, folder: Path) -> Any:
    text = json.dumps(value).replace("BASE", base).replace("PATH", str(folder))
    return json.loads(text)


def assert_contains(given: Any, expected: Any, at: str = "result") -> None:
    """Compare recursively; objects may have more fields."""
    if isinstance(expected, dict):
        assert isinstance(given, dict), f"{at}: {given!r}"
        for name, value in expected.items():
            assert name in given or value is None, f"{at}.{name} is missing in {given!r}"
            assert_contains(given.get(name), value, f"{at}.{name}")
    elif isinstance(expected, list):
        assert isinstance(given, list) and len(given) == len(expected), f"{at}: {given!r}"
        for n, (each, value) in enumerate(zip(given, expected, strict=True)):
            assert_contains(each, value, f"{at}[{n}]")
    else:
        assert given == expected, f"{at}: {given!r}, not {expected!r}"


@pytest.mark.parametrize("vector", named(_VECTORS["webhooks"]))
def test_webhook(driver: Driver, vector: dict[str, Any]) -> None:
    fields = ("body", "headers", "secret", "tolerance", "now")
    result = driver.call("verify", **{name: vector[name] for name in fields})
    if vector["isValid"]:
        assert result.get("ok") == json.loads(vector["body"]), result
    else:
        assert result["error"]["code"] == "INVALID_SIGNATURE"


@pytest.mark.parametrize("vector", named(_VECTORS["exchanges"]))
def test_exchange(driver: Driver, stub: Stub, vector: dict[str, Any], tmp_path: Path) -> None:
    vector = filled(vector, stub.url, tmp_path)
    call = vector["call"]
    if size := call.pop("bytes", 0):
        Path(call["path"]).write_bytes(bytes(size))
    stub.play(vector["exchanges"])
    driver.ok("new", apiKey="ast_live_test", baseUrl=f"{stub.url}/v1/", chunkBytes=CHUNK_BYTES, isFast=True)
    result = driver.call(call.pop("op"), **call)
    assert stub.differences() == []
    if "error" in vector:
        assert_contains(result.get("error", result), vector["error"], "error")
    else:
        assert_contains(result.get("ok", result), vector["result"])
    if "slept" in vector:
        assert result["slept"] == pytest.approx(vector["slept"])
    if "files" in vector:
        found = {
            str(path.relative_to(tmp_path)): path.read_text()
            for path in tmp_path.rglob("*")
            if path.is_file()
        }
        assert found == vector["files"]
