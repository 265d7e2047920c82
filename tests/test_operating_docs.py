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
def test_the_commands_shown_are_there(arguments: list[str]) -> None:
    """They are parsed whole, and stop before they do anything."""
    assert CliRunner().invoke(app, [*arguments, "--help"]).exit_code == 0


def test_there_are_some() -> None:
    assert len(COMMANDS) >= 15
