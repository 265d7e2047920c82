"""Scripts of the pages, tested without a browser. Requires Node.js."""

import os
import subprocess
from pathlib import Path

import pytest

from stemsplitter.console import assets

SCRIPTS = Path(assets.__file__).parent / "static"
TESTS = sorted((Path(__file__).parent / "scripts").glob("*.test.mjs"))


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.name)
def test_script(path: Path, tmp_path: Path) -> None:
    # Node.js loads .js files as modules only if package.json says so
    folder = tmp_path / "static"
    folder.mkdir()
    (folder / "package.json").write_text('{"type": "module"}')
    for script in SCRIPTS.glob("*.js"):
        (folder / script.name).write_bytes(script.read_bytes())
    done = subprocess.run(
        ["node", "--test", path],
        env={"PATH": os.environ["PATH"], "STATIC": folder.as_uri()},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert TESTS and "# fail 0" in done.stdout and "# pass 0" not in done.stdout


# in one process: node --check takes one file
COMPILE = """
import { readFileSync } from "node:fs";
import { SourceTextModule } from "node:vm";
for (const path of process.argv.slice(1)) new SourceTextModule(readFileSync(path, "utf8"), { identifier: path });
"""


def test_scripts_are_valid_modules() -> None:
    scripts = [path for path in SCRIPTS.glob("*.js") if not path.name.endswith(".min.js")]
    command = ["node", "--experimental-vm-modules", "--input-type=module", "--eval", COMPILE, *scripts]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert scripts and done.returncode == 0, done.stderr
