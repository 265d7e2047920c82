"""The mode of pages for developers: they show what live keys have created, or what test keys have."""

from dataclasses import dataclass
from typing import Annotated, Literal
from urllib.parse import urlencode

from fastapi import Depends

from stemsplitter import account_ids
from stemsplitter.api.dependencies import ServicesDep
from stemsplitter.console.access import SignedInDep


@dataclass(frozen=True)
class Mode:
    """A mode, and the account that has the objects of the page: the test account in test mode."""

    account_id: str

    @property
    def is_test(self) -> bool:
        """True in test mode."""
        return account_ids.is_test(self.account_id)

    @property
    def query(self) -> dict[str, str]:
        """The parameters of a URL in this mode."""
        return {"mode": "test"} if self.is_test else {}

    def url(self, path: str, **parameters: str | int | None) -> str:
        """Return the URL of a page in this mode. Parameters that are None are left out."""
        given = {name: value for name, value in parameters.items() if value is not None}
        query = urlencode(given | self.query)
        return f"{path}?{query}" if query else path


def find_mode(services: ServicesDep, signed_in: SignedInDep, mode: Literal["live", "test"] = "live") -> Mode:
    """Return the mode that a request names."""
    account_id = signed_in.account.id
    return Mode(services.accounts.test_account(account_id) if mode == "test" else account_id)


ModeDep = Annotated[Mode, Depends(find_mode)]
