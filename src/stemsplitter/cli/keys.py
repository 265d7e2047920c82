"""``stemsplitter keys``: API keys of an account."""

from typing import Annotated

import typer

from stemsplitter.cli.admin import AccountName, DataDir, open_services
from stemsplitter.cli.output import AsJson, print_message, print_rows

app = typer.Typer(help="Create, list and revoke API keys.", no_args_is_help=True, rich_markup_mode=None)


@app.command()
def create(
    account: AccountName,
    name: Annotated[str, typer.Option("--name", help="Name of the key.")] = "",
    test: Annotated[
        bool, typer.Option("--test", help="Create a test key, which splits a built-in song without credits.")
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Create an API key. It is printed once; only its hash is stored."""
    with open_services(data_dir) as services, services.database.write() as session:
        found = services.accounts.find_account(session, account)
        key, shown = services.accounts.create_key(session, found.id, name, is_test=test)
    print(shown)
    print_message(f"Save the key: it is not shown again. Its ID is {key.id}.")


@app.command("list")
def list_keys(account: AccountName, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """List the keys of an account, oldest first, with prefix and time of last use."""
    with open_services(data_dir) as services, services.database.read() as session:
        found = services.accounts.find_account(session, account)
        rows = [
            (each.id, each.name, each.prefix, each.created_at, each.last_used_at, each.revoked_at)
            for each in services.accounts.list_keys(session, found.id)
        ]
    print_rows(("id", "name", "prefix", "created", "last used", "revoked"), rows, as_json)


@app.command()
def revoke(
    account: AccountName,
    key_id: Annotated[str, typer.Argument(metavar="KEY_ID", help="ID of the key; see `keys list`.")],
    data_dir: DataDir = None,
) -> None:
    """Revoke a key."""
    with open_services(data_dir) as services, services.database.write() as session:
        found = services.accounts.find_account(session, account)
        key = services.accounts.revoke_key(session, found.id, key_id)
    print(f"{key.id} ({key.prefix}…) is revoked.")
