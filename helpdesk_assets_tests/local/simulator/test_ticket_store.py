from __future__ import annotations

from helpdesk_assets.local.simulator.seeded_random import SeededRandom
from helpdesk_assets.local.simulator.ticket_factory import TicketVersion
from helpdesk_assets.local.simulator.ticket_store import TicketSlice, TicketStore


def _store(*times: int) -> TicketStore:
    """Tickets `0`, `1`, ... with these modified times."""
    return TicketStore(TicketVersion(str(n), 0, time, 0, None) for n, time in enumerate(times))


def _ids(found: TicketSlice) -> str:
    return "".join(version.ticket_id for version in found.versions)


def test_ranges_are_inclusive_and_ties_ordered_by_id() -> None:
    store = _store(30, 20, 20, 10, 40)
    assert _ids(store.modified_between(20, 30, 0, 100)) == "120"
    assert _ids(store.modified_between(11, 19, 0, 100)) == ""
    assert store.modified_between(0, 99, 0, 2).total == 5


def test_offsets_cover_both_orders_without_gap_or_overlap() -> None:
    store = _store(30, 20, 20, 10, 40)
    assert [_ids(store.modified_between(0, 99, o, 2)) for o in (0, 2, 4, 6)] == [
        "31",
        "20",
        "4",
        "",
    ]
    assert [_ids(store.newest_first(o, 2)) for o in (0, 2, 4, 6)] == ["40", "21", "3", ""]


def test_change_moves_the_ticket_and_shifts_the_rest() -> None:
    store = _store(10, 20, 30)
    store.change("0", 40, {"status": "x"})
    assert _ids(store.modified_between(0, 99, 0, 9)) == "120"
    changed = store.change("0", 40, {"subject": "y"})
    assert changed.revision == 2
    assert changed.overlay == {"status": "x", "subject": "y"}
    assert len(store) == 3


def test_deleted_ticket_is_nowhere() -> None:
    store = _store(10, 20)
    store.delete("0")
    assert store.get("0") is None
    assert store.ids() == ["1"]
    assert _ids(store.newest_first(0, 9)) == _ids(store.modified_between(0, 99, 0, 9)) == "1"


def test_horizon_shows_earlier_versions() -> None:
    store = _store(10, 20, 30)
    store.change("0", 40, None)
    store.change("0", 50, None)
    store.add(TicketVersion("9", 45, 45, 0, None))
    seen = store.modified_between(0, 99, 0, 9, horizon=42)
    assert [(v.ticket_id, v.modified) for v in seen.versions] == [("1", 20), ("2", 30), ("0", 40)]
    older = store.modified_between(0, 99, 0, 9, horizon=35)
    assert [(v.ticket_id, v.modified) for v in older.versions] == [("0", 10), ("1", 20), ("2", 30)]
    assert _ids(store.modified_between(0, 99, 1, 1, horizon=35)) == "1"


def test_choices_are_distinct_live_tickets() -> None:
    store = _store(*range(50))
    chosen = store.choose(SeededRandom("x"), 20)
    assert len(set(chosen)) == 20
    assert set(chosen) <= set(store.ids())
    assert chosen == store.choose(SeededRandom("x"), 20)


def test_versions_following_a_position() -> None:
    store = _store(30, 20, 20, 10, 40)

    def after(second: int, ticket_id: str, until: int = 99, limit: int = 9) -> str:
        return "".join(v.ticket_id for v in store.after((second, ticket_id), until, limit))

    assert after(0, "") == "31204"
    assert after(20, "") == "1204"
    assert after(20, "1") == "204"
    assert after(20, "1", until=30, limit=1) == "2"
    assert after(20, "1", until=19) == after(40, "4") == ""
