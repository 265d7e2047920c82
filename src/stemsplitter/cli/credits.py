"""``stemsplitter credits``: what accounts have left, and why. One credit is one second of audio."""

from typing import Annotated

import typer

from stemsplitter.cli.service import AccountName, AsJson, DataDir, print_rows, server
from stemsplitter.errors import StemSplitterError

app = typer.Typer(
    help="Show, grant, take back and check credits.", no_args_is_help=True, rich_markup_mode=None
)
Amount = Annotated[int, typer.Argument(metavar="CREDITS", min=1, help="Seconds of audio.")]
Note = Annotated[str, typer.Option("--note", help="Why, for the history.")]


@app.command()
def show(account: AccountName, data_dir: DataDir = None) -> None:
    """Print an account's balance."""
    with server(data_dir) as services, services.database.read() as session:
        found = services.accounts.find_account(session, account)
        print(services.credits.balance(session, found.id))


@app.command()
def grant(account: AccountName, amount: Amount, note: Note = "", data_dir: DataDir = None) -> None:
    """Give credits. Prints the new balance."""
    _change(account, amount, note, data_dir)


@app.command()
def deduct(account: AccountName, amount: Amount, note: Note = "", data_dir: DataDir = None) -> None:
    """Take credits back, as far as there are any. Prints the new balance."""
    _change(account, -amount, note, data_dir)


@app.command()
def purchase(
    account: AccountName,
    amount: Amount,
    reference: Annotated[
        str,
        typer.Option("--reference", help="The payment's number: it counts once, however often it is given."),
    ],
    note: Note = "",
    data_dir: DataDir = None,
) -> None:
    """Add credits that were paid for. Prints the new balance."""
    with server(data_dir) as services, services.database.write() as session:
        found = services.accounts.find_account(session, account)
        services.credits.purchase(session, found.id, amount, reference, note)
        balance = services.credits.balance(session, found.id)
    print(balance)


@app.command()
def history(
    account: AccountName,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many entries at most.")] = 50,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """List an account's ledger, the newest entry first."""
    with server(data_dir) as services, services.database.read() as session:
        found = services.accounts.find_account(session, account)
        rows = [
            (each.created_at, each.kind, each.amount, each.split_id or each.reference, each.note)
            for each in services.credits.page(session, found.id, limit=limit)[0]
        ]
    print_rows(("at", "kind", "amount", "for", "note"), rows, as_json)


@app.command()
def audit(data_dir: DataDir = None) -> None:
    """Add up every ledger and compare it with the account's balance."""
    with server(data_dir) as services, services.database.read() as session:
        wrong = services.credits.audit(session)
    for each in wrong:
        print(f"{each.email}: balance {each.balance}, entries {each.sum_of_entries}")
    if wrong:
        raise StemSplitterError(
            f"{len(wrong)} balances differ from their ledgers: stop the server and restore a backup, or report it."
        )
    print("Every balance is the sum of its ledger.")


def _change(account: str, amount: int, note: str, data_dir: DataDir) -> None:
    with server(data_dir) as services, services.database.write() as session:
        found = services.accounts.find_account(session, account)
        services.credits.grant(session, found.id, amount, note)
        balance = services.credits.balance(session, found.id)
    print(balance)
