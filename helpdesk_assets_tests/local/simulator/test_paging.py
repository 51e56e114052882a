from __future__ import annotations

import pytest

from helpdesk_assets.local.simulator.paging import (
    InvalidParameter,
    encode_page_token,
    parse_page_request,
    parse_range,
)


def test_token_carries_its_offset() -> None:
    ask = parse_page_request(
        "search", {"pageSize": "7", "pageToken": encode_page_token("search", 100, 2)}
    )
    assert (ask.offset, ask.size, ask.repeat_count) == (100, 7, 2)


def test_default_is_the_first_and_largest_page() -> None:
    ask = parse_page_request("listing", {})
    assert (ask.offset, ask.size, ask.token) == (0, 100, None)


@pytest.mark.parametrize("size", ["0", "101", "-1", "ten", "", "1.5", "²"])
def test_invalid_page_sizes(size: str) -> None:
    with pytest.raises(InvalidParameter, match="pageSize"):
        parse_page_request("search", {"pageSize": size})


@pytest.mark.parametrize(
    "token",
    [
        "",
        "100",
        "!!!",
        encode_page_token("listing", 0),
        encode_page_token("search", -1),
        "c2VhcmNoOng6MA==",
    ],
)
def test_tokens_of_another_endpoint(token: str) -> None:
    with pytest.raises(InvalidParameter, match="pageToken"):
        parse_page_request("search", {"pageToken": token})


def test_range_is_in_seconds() -> None:
    query = {"modifiedTimeRange": "1970-01-01T00:00:01Z,1970-01-01T00:01:00Z"}
    assert parse_range(query) == (1, 60)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-11-23T10:00:00Z",
        "2026-11-23,2026-11-24",
        "2026-11-23T10:00:00,2026-11-23T11:00:00",
        "2026-11-23T10:00:00+01:00,2026-11-23T11:00:00+01:00",
        "2026-11-23T11:00:00Z,2026-11-23T10:00:00Z",
        "2026-13-23T10:00:00Z,2026-11-23T10:00:00Z",
        "x,y",
    ],
)
def test_invalid_ranges(text: str) -> None:
    with pytest.raises(InvalidParameter):
        parse_range({"modifiedTimeRange": text})


def test_only_one_sort_order_is_offered() -> None:
    with pytest.raises(InvalidParameter, match="sortBy"):
        parse_range({"modifiedTimeRange": "", "sortBy": "createdTime"})
