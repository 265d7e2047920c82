"""``stemsplitter accounts``: accounts of a server."""

import getpass
import sys
from typing import Annotated

import typer

from stemsplitter.cli.admin import AccountName, DataDir, open_services
from stemsplitter.cli.output import AsJson, print_message, print_rows
from stemsplitter.errors import RequestError

app = typer.Typer(
    help="Create, list and disable accounts.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command()
def create(
    email: Annotated[str, typer.Argument(metavar="EMAIL", help="Email address of the account.")],
    name: Annotated[str, typer.Option("--name", help="Display name.")] = "",
    operator: Annotated[bool, typer.Option("--operator", help="Grant the operator role.")] = False,
    with_password: Annotated[
        bool, typer.Option("--password", help="Prompt for a password, or read it from standard input.")
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Create an account with the free credits. Prints its ID."""
    password_hash = _read_password() if with_password else None
    with open_services(data_dir) as services, services.database.write() as session:
        account = services.accounts.create_account(
            session, email, password_hash, name=name, role="operator" if operator else "user"
        )
    print(account.id)
    print_message(
        f"{account.email} has {account.balance} credits. Create an API key with "
        f"`stemsplitter keys create {account.email}`."
    )


@app.command("list")
def list_accounts(as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """List the accounts, oldest first."""
    with open_services(data_dir) as services, services.database.read() as session:
        rows = [
            (each.id, each.email, each.name, each.role, each.balance, each.created_at, each.disabled_at)
            for each in services.accounts.list_accounts(session)
        ]
    print_rows(("id", "email", "name", "role", "balance", "created", "disabled"), rows, as_json)


@app.command()
def disable(account: AccountName, data_dir: DataDir = None) -> None:
    """Disable an account: its keys and password stop working. Its splits and credits are kept."""
    with open_services(data_dir) as services, services.database.write() as session:
        found = services.accounts.find_account(session, account)
        services.accounts.disable_account(session, found.id)
    print(f"{found.email} is disabled.")


@app.command()
def enable(account: AccountName, data_dir: DataDir = None) -> None:
    """Enable a disabled account."""
    with open_services(data_dir) as services, services.database.write() as session:
        found = services.accounts.find_account(session, account)
        services.accounts.enable_account(session, found.id)
    print(f"{found.email} is enabled.")


@app.command()
def password(account: AccountName, data_dir: DataDir = None) -> None:
    """Set the password of an account, from a prompt or standard input. Ends all its sessions."""
    new = _read_password()
    with open_services(data_dir) as services, services.database.write() as session:
        found = services.accounts.find_account(session, account)
        services.accounts.set_password(session, found.id, new)
        services.sessions.end_all(session, found.id)
    print(f"{found.email} has a new password.")


@app.command("webhook-secret")
def webhook_secret(
    account: AccountName,
    rotate: Annotated[
        bool, typer.Option("--rotate", help="Replace the secret. The old one stays valid for 24 hours.")
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Create the secret that signs the webhooks of an account. It is printed once."""
    with open_services(data_dir) as services, services.database.write() as session:
        found = services.accounts.find_account(session, account)
        secrets = services.webhook_secrets
        make = secrets.rotate_secret if rotate else secrets.create_secret
        shown = make(session, found.id)
    print(shown)
    print_message("Save the secret: it is not shown again.")


@app.command("sign-in-link")
def sign_in_link(account: AccountName, data_dir: DataDir = None) -> None:
    """Print a link that signs a browser in to an account. It works once and expires after an hour."""
    from stemsplitter.processes.first_account import sign_in_link as make_link

    with open_services(data_dir) as services:
        with services.database.read() as session:
            found = services.accounts.find_account(session, account)
        print(make_link(services, found.id))


def _read_password() -> str:
    """Read a password and return its hash."""
    from stemsplitter.accounts.passwords import hash_password

    if not sys.stdin.isatty():
        return hash_password(sys.stdin.readline().rstrip("\r\n"))
    new = getpass.getpass("New password: ")
    if getpass.getpass("Repeat the password: ") != new:
        raise RequestError("The passwords differ: nothing was changed. Try again.")
    return hash_password(new)
