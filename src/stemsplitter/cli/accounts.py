"""``stemsplitter accounts``: who may use the server."""

import getpass
import sys
from typing import Annotated

import typer

from stemsplitter.cli.service import AccountName, AsJson, DataDir, print_rows, server
from stemsplitter.errors import RequestError

app = typer.Typer(
    help="Make, list and disable accounts; set passwords; make webhook secrets.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command()
def create(
    email: Annotated[str, typer.Argument(metavar="EMAIL", help="The new account's address.")],
    name: Annotated[str, typer.Option("--name", help="Whose it is, for people.")] = "",
    operator: Annotated[bool, typer.Option("--operator", help="May administer the server.")] = False,
    with_password: Annotated[
        bool, typer.Option("--password", help="Ask for a password (or read a line of standard input).")
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Make an account; it is granted the free credits. Prints its id."""
    password_hash = _read_password() if with_password else None
    with server(data_dir) as services, services.database.write() as session:
        account = services.accounts.create_account(
            session, email, password_hash, name=name, role="operator" if operator else "user"
        )
    print(account.id)
    print(
        f"{account.email} has {account.balance} credits; `stemsplitter keys create {account.email}` makes its "
        "API key.",
        file=sys.stderr,
    )


@app.command("list")
def list_accounts(as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """List the accounts, the oldest first."""
    with server(data_dir) as services, services.database.read() as session:
        rows = [
            (each.id, each.email, each.name, each.role, each.balance, each.created_at, each.disabled_at)
            for each in services.accounts.list_accounts(session)
        ]
    print_rows(("id", "email", "name", "role", "balance", "created", "disabled"), rows, as_json)


@app.command()
def disable(account: AccountName, data_dir: DataDir = None) -> None:
    """Refuse an account's keys and password from now on. Its splits and credits stay."""
    with server(data_dir) as services, services.database.write() as session:
        found = services.accounts.find_account(session, account)
        services.accounts.disable_account(session, found.id)
    print(f"{found.email} is disabled.")


@app.command()
def enable(account: AccountName, data_dir: DataDir = None) -> None:
    """Accept a disabled account's keys and password again."""
    with server(data_dir) as services, services.database.write() as session:
        found = services.accounts.find_account(session, account)
        services.accounts.enable_account(session, found.id)
    print(f"{found.email} is enabled.")


@app.command()
def password(account: AccountName, data_dir: DataDir = None) -> None:
    """Set an account's password: asked for, or a line of standard input. It is signed out everywhere."""
    new = _read_password()
    with server(data_dir) as services, services.database.write() as session:
        found = services.accounts.find_account(session, account)
        services.accounts.set_password(session, found.id, new)
        services.sessions.end_all(session, found.id)
    print(f"{found.email} has a new password.")


@app.command("webhook-secret")
def webhook_secret(
    account: AccountName,
    rotate: Annotated[
        bool, typer.Option("--rotate", help="Replace the secret; the old one signs for 24 more hours.")
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Make the secret that signs an account's webhooks, and print it, once."""
    with server(data_dir) as services, services.database.write() as session:
        found = services.accounts.find_account(session, account)
        secrets = services.webhook_secrets
        make = secrets.rotate_secret if rotate else secrets.create_secret
        shown = make(session, found.id)
    print(shown)
    print("Keep it: it is not shown again.", file=sys.stderr)


@app.command("sign-in-link")
def sign_in_link(account: AccountName, data_dir: DataDir = None) -> None:
    """Print a link that signs in to an account in a browser, once, within an hour."""
    from stemsplitter.processes.first_run import sign_in_link as make_link

    with server(data_dir) as services:
        with services.database.read() as session:
            found = services.accounts.find_account(session, account)
        print(make_link(services, found.id))


def _read_password() -> str:
    """The hash of a password that is asked for."""
    from stemsplitter.accounts.passwords import hash_password

    if not sys.stdin.isatty():
        return hash_password(sys.stdin.readline().rstrip("\r\n"))
    new = getpass.getpass("New password: ")
    if getpass.getpass("Again: ") != new:
        raise RequestError("The two passwords differ: nothing was changed, try again.")
    return hash_password(new)
