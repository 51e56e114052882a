from __future__ import annotations

import pytest

from helpdesk_assets.local.simulator.paging import (
    BadParameter,
    read_page_ask,
    read_range,
    write_token,
)


def test_a_token_carries_its_offset() -> None:
    ask = read_page_ask("search", {"pageSize": "7", "pageToken": write_token("search", 100, 2)})
    assert (ask.offset, ask.size, ask.hop) == (100, 7, 2)


def test_without_parameters_it_is_the_first_and_largest_page() -> None:
    ask = read_page_ask("listing", {})
    assert (ask.offset, ask.size, ask.token) == (0, 100, None)


@pytest.mark.parametrize("size", ["0", "101", "-1", "ten", "", "1.5", "²"])
def test_page_sizes_that_are_none(size: str) -> None:
    with pytest.raises(BadParameter, match="pageSize"):
        read_page_ask("search", {"pageSize": size})


@pytest.mark.parametrize(
    "token",
    ["", "100", "!!!", write_token("listing", 0), write_token("search", -1), "c2VhcmNoOng6MA=="],
)
def test_tokens_that_are_not_of_this_endpoint(token: str) -> None:
    with pytest.raises(BadParameter, match="pageToken"):
        read_page_ask("search", {"pageToken": token})


def test_a_range_is_in_seconds() -> None:
    query = {"modifiedTimeRange": "1970-01-01T00:00:01Z,1970-01-01T00:01:00Z"}
    assert read_range(query) == (1, 60)


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
def test_ranges_that_cannot_be_placed(text: str) -> None:
    with pytest.raises(BadParameter):
        read_range({"modifiedTimeRange": text})


def test_only_one_order_is_offered() -> None:
    with pytest.raises(BadParameter, match="sortBy"):
        read_range({"modifiedTimeRange": "", "sortBy": "createdTime"})
