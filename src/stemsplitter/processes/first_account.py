"""The first account of a server, and links that sign in to an account."""

from stemsplitter.processes.running import server_url
from stemsplitter.services import Services

EMAIL = "owner@example.com"


def create_first_account(services: Services) -> tuple[str, str] | None:
    """Create an operator's account and return its id and API key; None if there are accounts."""
    with services.database.write() as session:
        if services.accounts.has_accounts(session):
            return None
        account = services.accounts.create_account(session, EMAIL, name="Owner", role="operator")
        _, key = services.accounts.create_key(session, account.id, "first key")
        return account.id, key


def sign_in_link(services: Services, account_id: str) -> str:
    """Return a URL that signs a browser in to the account, once and within an hour."""
    with services.database.write() as session:
        token = services.sessions.make_link(session, account_id)
    return f"{server_url(services.settings)}/sign-in/link/{token}"
