"""A list ends where the helpdesk says so, and nowhere else."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from helpdesk_assets.errors import EndpointFailed
from helpdesk_assets.providers.paging.by_token import (
    MOST_EMPTY_PAGES,
    Answer,
    rows_and_token,
    walk_tokens,
)

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)


def answer(*rows: str, then: str | None) -> Answer[str]:
    return Answer(rows, (), then, NOW)


def test_short_and_empty_pages_do_not_end_the_list() -> None:
    pages = {
        None: answer("a", "b", then="1"),
        "1": answer(then="2"),
        "2": answer("c", then="3"),
        "3": answer("d", then=None),
    }
    assert [row for page in walk_tokens(pages.__getitem__) for row in page.rows] == list("abcd")


def test_a_token_that_comes_back_is_an_error() -> None:
    pages = {None: answer("a", then="1"), "1": answer("b", then="2"), "2": answer("c", then="1")}
    with pytest.raises(EndpointFailed, match="same page token twice"):
        list(walk_tokens(pages.__getitem__))


def test_empty_pages_without_end_are_an_error() -> None:
    calls: list[str | None] = []

    def fetch(token: str | None) -> Answer[str]:
        calls.append(token)
        return answer(then=str(len(calls)))

    with pytest.raises(EndpointFailed, match="empty pages"):
        list(walk_tokens(fetch))
    assert len(calls) == MOST_EMPTY_PAGES + 1


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"status": "ok"}, 'no list "tickets"'),
        ({"tickets": None}, 'no list "tickets"'),
        ({"tickets": {}}, 'no list "tickets"'),
        ([], 'no list "tickets"'),
        (None, 'no list "tickets"'),
        ({"tickets": [], "nextPageToken": 7}, '"nextPageToken" that is no text'),
        ({"tickets": [], "nextPageToken": False}, '"nextPageToken" that is no text'),
        ({"tickets": [], "nextPageToken": {}}, '"nextPageToken" that is no text'),
    ],
)
def test_a_page_that_is_none_is_an_error_and_no_end(body: Any, problem: str) -> None:
    with pytest.raises(EndpointFailed, match=problem):
        rows_and_token(body, "/v2/tickets", "tickets", "nextPageToken")


@pytest.mark.parametrize("end", [{}, {"nextPageToken": None}, {"nextPageToken": ""}])
def test_a_page_without_a_next_token_is_the_last(end: dict[str, Any]) -> None:
    assert rows_and_token({"tickets": [1], **end}, "/", "tickets", "nextPageToken") == ([1], None)
