"""Reasons why a database cannot be used, as sentences for the operator."""

import re

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError

from stemsplitter.errors import SchemaError

_LOST_TABLE = re.compile(r"no such table: (?:main\.)?(\w+)|relation \"(?:\w+\.)?(\w+)\" does not exist")
_CORRECT = "correct STEMSPLITTER_DATABASE_URL"
# text of PostgreSQL, of its client library or of SQLite → sentence
_REASONS = (
    (
        "password authentication failed",
        "{server} rejects the password of the user {user}: " + _CORRECT,
    ),
    ("no password supplied", "{server} requires a password for the user {user}: add it to the URL"),
    (r"role \".*\" does not exist", "{server} has no user {user}: create it, or " + _CORRECT),
    (r"database \".*\" does not exist", "{server} has no database {name}: create it, or " + _CORRECT),
    (
        "no pg_hba.conf entry",
        "{server} does not accept connections of {user} to {name}: change its pg_hba.conf",
    ),
    ("permission denied for database", "{server} does not let {user} use {name}: grant the permission"),
    (
        "too many clients|remaining connection slots",
        "{server} has no free connection: raise its max_connections",
    ),
    ("starting up|shutting down", "{server} is starting or stopping: try again"),
    (
        "Connection refused|No such file or directory",
        "Nothing listens at {address}: start the database, or " + _CORRECT,
    ),
    ("resolve host|translate host name", "The host {host} of the database cannot be found: " + _CORRECT),
    (
        "timeout expired|timed out|No route|unreachable",
        "{address} does not answer: check the network, or " + _CORRECT,
    ),
    ("not a database|malformed", "{name} is not a database, or is damaged: restore a backup, or " + _CORRECT),
)


def connection_problem(url: URL, error: DBAPIError) -> str:
    """Return the reason why a connection failed, with what to do."""
    host = url.host or str(url.query.get("host", "localhost"))
    address = host if host.startswith("/") else f"{host}:{url.port or 5432}"
    known = {
        "server": f"The database at {address}",
        "address": address,
        "host": host,
        "user": url.username,
        "name": url.database,
    }
    for pattern, sentence in _REASONS:
        if re.search(pattern, str(error.orig)):
            return sentence.format_map(known) + "."
    return (
        f"The database {url.render_as_string(hide_password=True)} cannot be opened: start it, make its folder "
        f"writable, or {_CORRECT}."
    )


def lost_table(error: BaseException) -> SchemaError | None:
    """Return the error to raise instead if a statement failed because a table is missing."""
    match = _LOST_TABLE.search(str(error))
    return tables_missing([match[1] or match[2]]) if match else None


def tables_missing(names: list[str]) -> SchemaError:
    """Return the error for tables that a migrated database lacks."""
    noun = "table" if len(names) == 1 else "tables"
    return SchemaError(f"The database lacks the {noun} {', '.join(names)}: restore a backup.")
