"""``stemsplitter credits``: credits of an account. One credit is one second of audio."""

from typing import Annotated

import typer

from stemsplitter.cli.admin import AccountName, DataDir, open_services
from stemsplitter.cli.output import AsJson, print_rows
from stemsplitter.errors import StemSplitterError

app = typer.Typer(help="Show, grant, deduct and audit credits.", no_args_is_help=True, rich_markup_mode=None)
Amount = Annotated[int, typer.Argument(metavar="CREDITS", min=1, help="Number of credits.")]
Note = Annotated[str, typer.Option("--note", help="Note for the ledger entry.")]


@app.command()
def show(account: AccountName, data_dir: DataDir = None) -> None:
    """Print the balance of an account."""
    with open_services(data_dir) as services, services.database.read() as session:
        found = services.accounts.find_account(session, account)
        print(services.credits.balance(session, found.id))


@app.command()
def grant(account: AccountName, amount: Amount, note: Note = "", data_dir: DataDir = None) -> None:
    """Grant credits. Prints the new balance."""
    _change(account, amount, note, data_dir)


@app.command()
def deduct(account: AccountName, amount: Amount, note: Note = "", data_dir: DataDir = None) -> None:
    """Deduct credits. Prints the new balance."""
    _change(account, -amount, note, data_dir)


@app.command()
def purchase(
    account: AccountName,
    amount: Amount,
    reference: Annotated[
        str,
        typer.Option("--reference", help="Payment reference. A reference is credited only once."),
    ],
    note: Note = "",
    data_dir: DataDir = None,
) -> None:
    """Add purchased credits. Prints the new balance."""
    with open_services(data_dir) as services, services.database.write() as session:
        found = services.accounts.find_account(session, account)
        services.credits.purchase(session, found.id, amount, reference, note)
        balance = services.credits.balance(session, found.id)
    print(balance)


@app.command()
def history(
    account: AccountName,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Maximum number of entries.")] = 50,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """List the ledger entries of an account, newest first."""
    with open_services(data_dir) as services, services.database.read() as session:
        found = services.accounts.find_account(session, account)
        rows = [
            (each.created_at, each.kind, each.amount, each.split_id or each.reference, each.note)
            for each in services.credits.page(session, found.id, limit=limit)[0]
        ]
    print_rows(("at", "kind", "amount", "for", "note"), rows, as_json)


@app.command()
def audit(data_dir: DataDir = None) -> None:
    """Compare the balance of every account with the sum of its ledger."""
    with open_services(data_dir) as services, services.database.read() as session:
        wrong = services.credits.audit(session)
    for each in wrong:
        print(f"{each.email}: balance {each.balance}, entries {each.sum_of_entries}")
    if wrong:
        raise StemSplitterError(
            f"{len(wrong)} balances differ from their ledgers: stop the server, and restore a backup or report this."
        )
    print("Every balance equals the sum of its ledger.")


def _change(account: str, amount: int, note: str, data_dir: DataDir) -> None:
    with open_services(data_dir) as services, services.database.write() as session:
        found = services.accounts.find_account(session, account)
        services.credits.grant(session, found.id, amount, note)
        balance = services.credits.balance(session, found.id)
    print(balance)
