"""Reasons why a database cannot be used, each told as it is (row 15)."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from stemsplitter.database import Database
from stemsplitter.errors import SchemaError, SettingsError
from stemsplitter.migrations.upgrade import check_database, check_opens, upgrade

LIMIT_S = 30


def problem(url: str) -> str:
    database = Database(url)
    try:
        with pytest.raises(SettingsError) as caught:
            check_opens(database)
    finally:
        database.close()
    assert "secret" not in str(caught.value)
    return str(caught.value)


@contextmanager
def refusing(code: str, message: str) -> Iterator[int]:
    """Answer each connection on a port with an error, in PostgreSQL's protocol (version 3)."""
    fields = b"".join(
        name + value.encode() + b"\0" for name, value in ((b"S", "FATAL"), (b"C", code), (b"M", message))
    )
    answer = b"E" + struct.pack("!I", len(fields) + 5) + fields + b"\0"

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                # requests of encryption are denied with N; the next message is the startup message
                while (head := connection.recv(8)) and head[4:] in (
                    struct.pack("!HH", 1234, 5679),
                    struct.pack("!HH", 1234, 5680),
                ):
                    connection.sendall(b"N")
                connection.recv(1 << 12)
                connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    ("code", "message", "told"),
    [
        (
            "28P01",
            'password authentication failed for user "me"',
            "The database at 127.0.0.1:{port} rejects the password of the user me: correct "
            "STEMSPLITTER_DATABASE_URL.",
        ),
        (
            "3D000",
            'database "stems" does not exist',
            "The database at 127.0.0.1:{port} has no database stems: create it, or correct "
            "STEMSPLITTER_DATABASE_URL.",
        ),
        (
            "28000",
            'role "me" does not exist',
            "The database at 127.0.0.1:{port} has no user me: create it, or correct STEMSPLITTER_DATABASE_URL.",
        ),
        (
            "53300",
            "sorry, too many clients already",
            "The database at 127.0.0.1:{port} has no free connection: raise its max_connections.",
        ),
    ],
)
def test_row_15_answer_of_postgresql_is_told(code: str, message: str, told: str) -> None:
    with refusing(code, message) as port:
        assert problem(f"postgresql://me:secret@127.0.0.1:{port}/stems") == told.format(port=port)


def test_row_15_nothing_that_listens_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert problem(f"postgresql://me:secret@127.0.0.1:{port}/stems") == (
        f"Nothing listens at 127.0.0.1:{port}: start the database, or correct STEMSPLITTER_DATABASE_URL."
    )


def test_row_15_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"only text " * 500)
    assert problem(f"sqlite:///{tmp_path}/x.db") == (
        f"{tmp_path}/x.db is not a database, or is damaged: restore a backup, or correct "
        "STEMSPLITTER_DATABASE_URL."
    )


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_row_15_usual_urls_of_postgresql_are_accepted(scheme: str) -> None:
    database = Database(f"{scheme}://me@127.0.0.1/stems")
    assert database.url == "postgresql+psycopg://me@127.0.0.1/stems" and not database.is_sqlite
    database.close()


def test_row_15_lost_table_is_told(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/x.db")
    check_database(database)  # an empty one is complete after the next start
    upgrade(database)
    check_database(database)
    with database.write() as session:
        session.execute(text("DROP TABLE split_totals"))
    message = r"^The database lacks the table split_totals: restore a backup\.$"
    for attempt in (upgrade, check_database):
        with pytest.raises(SchemaError, match=message):
            attempt(database)
    with database.read() as session, pytest.raises(SchemaError, match=message):
        session.execute(text("SELECT * FROM split_totals"))
    database.close()
