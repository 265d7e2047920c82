"""Commands in docs/operating.md exist with the options shown."""

import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stemsplitter.cli.main import app

TEXT = (Path(__file__).parents[1] / "docs" / "operating.md").read_text()
COMMANDS = [
    shlex.split(line, comments=True)[1:] for line in TEXT.splitlines() if line.startswith("    stemsplitter ")
]


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_documented_command_parses(arguments: list[str]) -> None:
    """``--help`` makes the command parse all arguments and exit before it runs."""
    assert CliRunner().invoke(app, [*arguments, "--help"]).exit_code == 0


def test_commands_are_found_in_page() -> None:
    assert len(COMMANDS) >= 15
