from __future__ import annotations

from typing import Any

import pytest

from helpdesk_assets.local.simulator.fault_registry import (
    FAULTS,
    FaultRegistry,
    InvalidFault,
    RateWindow,
)


def _board(**wanted: Any) -> FaultRegistry:
    board = FaultRegistry()
    board.activate(wanted)
    return board


def _taken(board: FaultRegistry, name: str, *endpoints: str) -> list[bool]:
    return [board.consume(name, endpoint) is not None for endpoint in endpoints]


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_has_defaults(name: str) -> None:
    board = _board(**{name: {}})
    assert board.active(name) == FAULTS[name]
    assert board.consume(name, "search") == FAULTS[name]


def test_fault_count_runs_out() -> None:
    board = _board(not_json={"count": 2})
    assert _taken(board, "not_json", *["search"] * 4) == [True, True, False, False]
    assert board.describe() == {}


def test_other_endpoints_are_neither_hit_nor_counted() -> None:
    board = _board(not_json={"on": "listing", "count": 1})
    assert _taken(board, "not_json", "search", "listing", "listing") == [False, True, False]


def test_faults_can_skip_the_first_calls() -> None:
    board = _board(error_500={"after": 2, "count": 1})
    assert _taken(board, "error_500", *["search"] * 4) == [False, False, True, False]


def test_faults_are_cleared_one_by_one_or_all() -> None:
    board = _board(not_json={}, thin_rows={}, empty_page={})
    board.clear("not_json")
    assert set(board.describe()) == {"thin_rows", "empty_page"}
    board.clear()
    assert board.describe() == {}


@pytest.mark.parametrize(
    "wanted",
    [
        {"no_such": {}},
        {"error_500": {"no_such": 1}},
        {"error_500": {"on": "everything"}},
        {"error_500": {"count": 0}},
        {"error_500": {"status": "500"}},
        {"error_500": {"status": True}},
        {"error_500": 3},
        {"page_cut_short": {"keep": 1.5}},
        {"bad_ticket": {"kind": "odd"}},
        {"rate_limit": {"window_seconds": 0}},
        {"clock_offset": {"count": 1}},
    ],
)
def test_invalid_fault_is_rejected_and_not_applied(wanted: Any) -> None:
    board = _board(thin_rows={})
    with pytest.raises(InvalidFault):
        board.activate({"not_json": {}, **wanted})
    assert set(board.describe()) == {"thin_rows"}


def test_rate_window_reopens_after_its_time() -> None:
    window = RateWindow()
    spent = [window.count_call(now, 2, 10.0) for now in (100.0, 101.0, 102.5, 110.0)]
    assert [(each.remaining, each.exceeded) for each in spent] == [
        (1, False), (0, False), (0, True), (1, False),
    ]  # fmt: skip
    assert spent[2].reset_seconds == 8


def test_clock_turned_back_opens_a_new_window() -> None:
    window = RateWindow()
    assert not window.count_call(1000.0, 1, 10.0).exceeded
    assert not window.count_call(10.0, 1, 10.0).exceeded
