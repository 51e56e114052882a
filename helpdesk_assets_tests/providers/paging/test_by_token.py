"""A list ends where the helpdesk says so, and nowhere else."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from helpdesk_assets.errors import EndpointFailed
from helpdesk_assets.providers.paging.by_token import (
    MAX_EMPTY_PAGES,
    ListPage,
    pages_by_token,
    rows_and_token,
)

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)


def answer(*rows: str, then: str | None) -> ListPage[str]:
    return ListPage(rows, (), then, NOW)


def test_short_and_empty_pages_do_not_end_the_list() -> None:
    pages = {
        None: answer("a", "b", then="1"),
        "1": answer(then="2"),
        "2": answer("c", then="3"),
        "3": answer("d", then=None),
    }
    assert [row for page in pages_by_token(pages.__getitem__) for row in page.rows] == list("abcd")


def test_repeated_token_is_an_error() -> None:
    pages = {None: answer("a", then="1"), "1": answer("b", then="2"), "2": answer("c", then="1")}
    with pytest.raises(EndpointFailed, match="same page token twice"):
        list(pages_by_token(pages.__getitem__))


def test_endless_empty_pages_are_an_error() -> None:
    calls: list[str | None] = []

    def fetch(token: str | None) -> ListPage[str]:
        calls.append(token)
        return answer(then=str(len(calls)))

    with pytest.raises(EndpointFailed, match="empty pages"):
        list(pages_by_token(fetch))
    assert len(calls) == MAX_EMPTY_PAGES + 1


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"status": "ok"}, 'no list "tickets"'),
        ({"tickets": None}, 'no list "tickets"'),
        ({"tickets": {}}, 'no list "tickets"'),
        ([], 'no list "tickets"'),
        (None, 'no list "tickets"'),
        ({"tickets": [], "nextPageToken": 7}, '"nextPageToken" that is not text'),
        ({"tickets": [], "nextPageToken": False}, '"nextPageToken" that is not text'),
        ({"tickets": [], "nextPageToken": {}}, '"nextPageToken" that is not text'),
    ],
)
def test_malformed_page_is_an_error_not_the_end(body: Any, problem: str) -> None:
    with pytest.raises(EndpointFailed, match=problem):
        rows_and_token(body, "/v2/tickets", "tickets", "nextPageToken")


@pytest.mark.parametrize("end", [{}, {"nextPageToken": None}, {"nextPageToken": ""}])
def test_page_without_a_next_token_is_the_last(end: dict[str, Any]) -> None:
    assert rows_and_token({"tickets": [1], **end}, "/", "tickets", "nextPageToken") == ([1], None)
