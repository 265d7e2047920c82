"""Fixtures: one driver per language, the stub, a live server. Prints a table of languages and vectors."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.acceptance.server import Server

from .drivers import COMMANDS, DEFAULT, Driver, MissingToolchain
from .stub import Stub

_SHORT = {"passed": "ok", "failed": "FAILED", "error": "ERROR", "skipped": "-"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--sdk", action="append", choices=sorted(COMMANDS), help="languages to test; all but Swift by default"
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "language" in metafunc.fixturenames:
        languages = metafunc.config.getoption("--sdk") or DEFAULT
        metafunc.parametrize("language", languages, scope="session")


@pytest.fixture(scope="session")
def driver(language: str) -> Iterator[Driver]:
    """Driver of a language, which its tests share."""
    try:
        started = Driver(language)
    except (MissingToolchain, OSError) as error:
        pytest.fail(f"{language}: {error}", pytrace=False)
    with started:
        yield started


@pytest.fixture(scope="session")
def stub() -> Iterator[Stub]:
    started = Stub()
    yield started
    started.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    started = Server(tmp_path_factory.mktemp("server"))
    started.start()
    yield started
    started.stop()


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print one row per vector and one column per language."""
    languages = config.getoption("--sdk") or DEFAULT
    rows: dict[str, dict[str, str]] = {}
    for outcome in ("passed", "failed", "error"):
        for report in terminalreporter.getreports(outcome):
            name = report.nodeid.rpartition("::")[2]
            test, _, case = name.partition("[")
            language, _, vector = case.removesuffix("]").partition("-")
            if language in languages and (report.when == "call" or outcome != "passed"):
                rows.setdefault(vector or test.removeprefix("test_").replace("_", " "), {})[language] = (
                    _SHORT[outcome]
                )
    if rows:
        width = max(map(len, rows))
        terminalreporter.section("SDKs and vectors")
        terminalreporter.line(" ".join([" " * width, *(f"{language:8}" for language in languages)]))
        for vector, cells in rows.items():
            terminalreporter.line(
                " ".join([vector.ljust(width), *(f"{cells.get(each, '-'):8}" for each in languages)])
            )
    if not config.getoption("--sdk"):
        left = ", ".join(sorted(COMMANDS.keys() - set(DEFAULT)))
        terminalreporter.line(f"Not tested, because its toolchain is 3 GB: {left}. Run make test-sdk-{left}.")
