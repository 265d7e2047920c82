"""``stemsplitter keys``: what programs prove with whose they are."""

import sys
from typing import Annotated

import typer

from stemsplitter.cli.service import AccountName, AsJson, DataDir, print_rows, server

app = typer.Typer(help="Make, list and revoke API keys.", no_args_is_help=True, rich_markup_mode=None)


@app.command()
def create(
    account: AccountName,
    name: Annotated[str, typer.Option("--name", help="What it is for, to tell keys apart.")] = "",
    data_dir: DataDir = None,
) -> None:
    """Make an API key and print it, once: only its hash is kept."""
    with server(data_dir) as services, services.database.write() as session:
        found = services.accounts.find_account(session, account)
        key, shown = services.accounts.create_key(session, found.id, name)
    print(shown)
    print(f"Keep it: it is not shown again. Its id is {key.id}.", file=sys.stderr)


@app.command("list")
def list_keys(account: AccountName, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """List an account's keys, the oldest first: what they begin with, and when they were last used."""
    with server(data_dir) as services, services.database.read() as session:
        found = services.accounts.find_account(session, account)
        rows = [
            (each.id, each.name, each.prefix, each.created_at, each.last_used_at, each.revoked_at)
            for each in services.accounts.list_keys(session, found.id)
        ]
    print_rows(("id", "name", "prefix", "created", "last used", "revoked"), rows, as_json)


@app.command()
def revoke(
    account: AccountName,
    key_id: Annotated[str, typer.Argument(metavar="KEY_ID", help="The key's id, as `keys list` shows it.")],
    data_dir: DataDir = None,
) -> None:
    """Refuse a key from now on."""
    with server(data_dir) as services, services.database.write() as session:
        found = services.accounts.find_account(session, account)
        key = services.accounts.revoke_key(session, found.id, key_id)
    print(f"{key.id} ({key.prefix}…) is revoked.")
