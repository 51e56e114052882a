"""Pages through a list by page tokens and verifies that it reached the end.

Only an answer without a next token ends a list; short and empty pages do not. A repeated token
would loop for ever, so it fails the run. A token may stand for an offset, so a list that changes
meanwhile may skip rows; `by_time` avoids that.
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
    """One page of a list.

    Attributes:
        rows: the rows in the order of the answer.
        bad: the rows that cannot be read.
        next_token: requests the next page; None at the end of the list.
        served_at: the helpdesk's clock when it answered.
        total: rows in the whole list, None if the helpdesk does not count them.
    """

    rows: tuple[Row, ...]
    bad: tuple[BadTicket, ...]
    next_token: str | None
    served_at: datetime
    total: int | None = None


def pages_by_token(fetch: Callable[[str | None], ListPage[Row]]) -> Iterator[ListPage[Row]]:
    """Yield every page from the first to the one without a next token.

    Raises:
        EndpointFailed: a token was repeated, or more than `MAX_EMPTY_PAGES` in a row were empty.
    """
    token: str | None = None
    used: set[str] = set()
    empty = 0
    while True:
        answer = fetch(token)
        token = answer.next_token
        if token in used:
            raise EndpointFailed(
                "The helpdesk gave the same page token twice, so the list would never end. "
                "Try again later."
            )
        empty = 0 if answer.rows or answer.bad else empty + 1
        if empty > MAX_EMPTY_PAGES:
            raise EndpointFailed(
                f"The helpdesk gave more than {MAX_EMPTY_PAGES} empty pages in a row and still "
                "announces another page. Try again later."
            )
        yield answer
        if token is None:
            return
        used.add(token)


def rows_and_token(
    body: Any, path: str, rows_field: str, token_field: str
) -> tuple[list[Any], str | None]:
    """Read the rows and the next page's token from an answer.

    Args:
        body: the parsed answer.
        path: the path that was requested, for messages.
        rows_field: the vendor's name for the rows.
        token_field: the vendor's name for the next token.

    Returns:
        The rows, and the next token or None.

    Raises:
        EndpointFailed: the rows are not a list or the token is not text. Reading that as "no more
            rows" would end the list silently.
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
            f'The answer to GET {path} has a "{token_field}" that is not text, so the next page '
            "cannot be requested. Check HELPDESK_PROVIDER."
        )
    return rows, token or None
