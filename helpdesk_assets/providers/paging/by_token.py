"""Walk a list by page tokens to its end, and make sure that it is the end.

Only an answer without a next token ends a list: short and empty pages do not. A token that comes
back would walk in a circle for ever, so it ends the run instead. What lies under a token may be an
offset, so a list that changes meanwhile may skip rows; who cannot bear that reads `time_paging`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from helpdesk_assets.errors import EndpointFailed
from helpdesk_assets.model.tickets import BadTicket

Row = TypeVar("Row")

# Pages may be empty where rows are hidden from the account; 200 of them hide 20,000 rows.
MAX_EMPTY_PAGES = 200


@dataclass(frozen=True, slots=True)
class ListPage(Generic[Row]):
    """One page as it came; `next_token` None: the list ends here. `total`: how many rows the whole
    list has, where the helpdesk counts them."""

    rows: tuple[Row, ...]
    bad: tuple[BadTicket, ...]
    next_token: str | None
    served_at: datetime
    total: int | None = None


def pages_by_token(fetch: Callable[[str | None], ListPage[Row]]) -> Iterator[ListPage[Row]]:
    """Every page from the first to the one without a next token.

    Raises:
        EndpointFailed: a token came a second time, or page after page was empty.
    """
    token: str | None = None
    used: set[str] = set()
    empty = 0
    while True:
        answer = fetch(token)
        token = answer.next_token
        if token in used:
            raise EndpointFailed(
                "The helpdesk gave the same page token twice, so the list has no end. "
                "Try again later."
            )
        empty = 0 if answer.rows or answer.bad else empty + 1
        if empty > MAX_EMPTY_PAGES:
            raise EndpointFailed(
                f"The helpdesk gave more than {MAX_EMPTY_PAGES} empty pages in a row and still "
                "promises more. Try again later."
            )
        yield answer
        if token is None:
            return
        used.add(token)


def rows_and_token(
    body: Any, path: str, rows_field: str, token_field: str
) -> tuple[list[Any], str | None]:
    """The two things every page must have, under the vendor's names for them.

    Raises:
        EndpointFailed: they are not what they must be. Read as "no more rows", that would end the
            list in silence.
    """
    rows = body.get(rows_field) if isinstance(body, dict) else None
    if not isinstance(rows, list):
        raise EndpointFailed(
            f'The answer to GET {path} has no list "{rows_field}". Check HELPDESK_BASE_URL and '
            "HELPDESK_PROVIDER."
        )
    token = body.get(token_field)
    if token is not None and not isinstance(token, str):
        raise EndpointFailed(
            f'The answer to GET {path} has a "{token_field}" that is no text, so what follows '
            "cannot be asked for. Check HELPDESK_PROVIDER."
        )
    return rows, token or None
