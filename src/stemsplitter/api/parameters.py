"""Parameters that requests of many kinds have."""

from typing import Annotated, Final

from fastapi import Query

# what ids are made of; a database cannot look a NUL up
ID: Final = r"^[0-9A-Za-z_]{1,64}$"
Cursor = Annotated[str | None, Query(pattern=ID, description="`nextCursor` of the page before.")]
