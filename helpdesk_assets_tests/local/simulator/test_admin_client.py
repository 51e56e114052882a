"""The admin side, through its typed client."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from helpdesk_assets.local.simulator.admin_client import HelpdeskControl, SimulatorRefused
from helpdesk_assets.local.simulator.server import SimulatedHelpdesk
from helpdesk_assets_tests.local.simulator.conftest import Caller


def test_changes_are_told_whole_and_served(desk: SimulatedHelpdesk, caller: Caller) -> None:
    changed = desk.change(5, fields={"status": "Verloren", "extra": [1, None]})
    assert len({each.ticket_id for each in changed}) == 5
    for each in changed:
        assert each.modified_time == desk.clock().now
        assert each.whole == caller.ticket(each.ticket_id).json()
        assert each.whole is not None
        assert (each.whole["status"], each.whole["extra"]) == ("Verloren", [1, None])


def test_a_set_field_outlives_later_changes(desk: SimulatedHelpdesk) -> None:
    (changed,) = desk.change(1, fields={"subject": "stays"})
    (again,) = desk.change(ids=[changed.ticket_id])
    assert changed.whole
    assert again.whole
    assert again.whole["subject"] == "stays"
    assert again.whole["updateCount"] == changed.whole["updateCount"] + 1


def test_two_changes_in_one_second_differ_in_content_only(desk: SimulatedHelpdesk) -> None:
    (first,) = desk.change(1)
    (second,) = desk.change(ids=[first.ticket_id])
    assert first.modified_time == second.modified_time
    assert first.whole != second.whole


def test_changes_can_be_spread_over_seconds_of_their_own(desk: SimulatedHelpdesk) -> None:
    before = desk.clock().now
    times = [each.modified_time for each in desk.change(10, spread_seconds=100)]
    assert times == sorted(set(times))
    assert desk.clock().now == times[-1] == before + timedelta(seconds=100)


def test_changes_can_share_one_second(desk: SimulatedHelpdesk) -> None:
    desk.thaw()
    times = {each.modified_time for each in desk.change(200, same_second=True)}
    desk.freeze()
    assert len(times) == 1


def test_created_and_deleted_tickets_come_and_go(desk: SimulatedHelpdesk, caller: Caller) -> None:
    made = desk.create(3, fields={"subject": "new"})
    assert {each.created_time for each in made} == {desk.clock().now}
    newest = caller.listing().json()["tickets"][:3]
    assert sorted(row["id"] for row in newest) == [each.ticket_id for each in made]
    gone = desk.delete(ids=[each.ticket_id for each in made])
    assert gone == [each.ticket_id for each in made]
    assert [caller.ticket(each).status_code for each in gone] == [404] * 3
    for path in ("/v2/tickets", "/v2/tickets/search"):
        rows = caller.all_rows(path, modifiedTimeRange="2000-01-01T00:00:00Z,2098-01-01T00:00:00Z")
        assert not {row["id"] for row in rows} & set(gone)
    assert not {each.ticket_id for each in desk.truth()} & set(gone)


def test_random_tickets_can_be_deleted(desk: SimulatedHelpdesk, caller: Caller) -> None:
    desk.create(2)
    before = sum(1 for _ in desk.truth())
    gone = desk.delete(2)
    assert sum(1 for _ in desk.truth()) == before - 2
    assert caller.ticket(gone[0]).status_code == 404


def test_tickets_that_have_left_are_told_of_with_how_and_when(desk: SimulatedHelpdesk) -> None:
    made = [each.ticket_id for each in desk.create(5)]
    ways: dict[str, Callable[[], list[str]]] = {
        "deleted": lambda: desk.delete(ids=made[:1]),
        "spam": lambda: desk.mark_spam(ids=made[1:2]),
        "merged": lambda: desk.merge(made[2:4], into=made[4]),
    }
    left: dict[str, tuple[str, datetime]] = {}
    for end, leave in ways.items():
        at = desk.advance(10).now
        left.update(dict.fromkeys(leave(), (end, at)))
    living = {each.ticket_id for each in desk.truth()}
    assert not living & left.keys()
    told = {each.ticket_id: each for each in desk.truth(whole=True, gone=True)}
    assert told.keys() >= living | left.keys()
    assert {each: (told[each].end, told[each].ended_at) for each in left} == left
    assert all(told[each].modified_time == at for each, (_, at) in left.items())
    assert all(told[each].whole for each in left)
    assert (told[made[4]].end, told[made[4]].ended_at) == (None, None)


def test_a_merge_changes_the_ticket_that_it_goes_into(desk: SimulatedHelpdesk) -> None:
    into, merged = (each.ticket_id for each in desk.create(2))
    now = desk.advance(60).now
    assert desk.merge([merged], into) == [merged]
    assert {each.ticket_id: each.modified_time for each in desk.truth()}[into] == now


def test_archived_tickets_stay_in_the_truth(desk: SimulatedHelpdesk, caller: Caller) -> None:
    before = list(desk.truth(whole=True))
    archived = desk.archive(5)
    assert len(set(archived)) == 5
    assert list(desk.truth(whole=True)) == before
    # This API knows no archive.
    assert caller.ticket(archived[0]).status_code == 200


def test_a_silent_change_shows_the_time_it_had(desk: SimulatedHelpdesk, caller: Caller) -> None:
    (before,) = desk.create(1)
    desk.advance(100)
    (silent,) = desk.change(ids=[before.ticket_id], fields={"status": "x"}, silent=True)
    assert silent.modified_time == before.modified_time
    newest = caller.listing().json()["tickets"][0]
    assert newest == silent.whole
    assert newest["status"] == "x"


def test_tickets_of_ids_that_are_named(desk: SimulatedHelpdesk, caller: Caller) -> None:
    ids = ["98765432109876543210", "98765432109876543211"]
    made = desk.create(ids=ids, fields={"subject": "long"})
    assert [each.ticket_id for each in made] == ids
    assert caller.ticket(ids[1]).json()["subject"] == "long"


def test_a_new_token_replaces_the_one_that_is_in_use(caller: Caller) -> None:
    with SimulatedHelpdesk(tickets=1) as own:
        own.accept_token("newer")
        assert own.token == "newer"
        for token, status in (("local-demo-token", 401), ("newer", 200)):
            caller.session.headers["Authorization"] = f"Bearer {token}"
            assert caller.session.get(f"{own.base_url}/v2/tickets").status_code == status
        with pytest.raises(SimulatorRefused, match="token is needed"):
            own.accept_token("")


def test_the_truth_is_told_with_and_without_the_whole(
    desk: SimulatedHelpdesk, caller: Caller
) -> None:
    lean, whole = list(desk.truth()), list(desk.truth(whole=True))
    assert [each.ticket_id for each in lean] == [each.ticket_id for each in whole]
    assert {each.whole for each in lean} == {None}
    for each in whole[::50]:
        assert each.whole == caller.ticket(each.ticket_id).json()


def test_counters_count_the_production_side_only(desk: SimulatedHelpdesk, caller: Caller) -> None:
    size = len(caller.search(pageSize=10).content)
    caller.search(pageSize=0)
    known = caller.ticket(next(desk.truth()).ticket_id)
    unknown = caller.ticket("1")
    seen = desk.counters()
    assert seen.calls["search"] == {"200": 1, "400": 1}
    assert seen.calls["ticket"] == {"200": 1, "404": 1}
    assert (seen.of("search"), seen.of("listing"), seen.total) == (2, 0, 4)
    assert seen.tickets_served == 11
    assert seen.bytes >= size + len(known.content) + len(unknown.content)
    assert seen.max_concurrent == 1
    desk.reset_counters()
    assert desk.counters().total == 0


def test_the_clock_is_read_and_moved(desk: SimulatedHelpdesk) -> None:
    before = desk.clock()
    assert before.frozen
    assert desk.advance(90.0).now == before.now + timedelta(seconds=90)
    assert not desk.thaw().frozen
    moment = desk.clock().now + timedelta(days=1)
    assert desk.freeze(moment).now == moment
    assert desk.clock().frozen


def test_an_offset_is_from_real_time() -> None:
    with SimulatedHelpdesk(tickets=1, start=datetime(2020, 1, 1, tzinfo=UTC)) as desk:
        state = desk.set_offset(-3600)
    assert abs(state.offset_seconds + 3600) < 1
    assert abs(datetime.now(UTC) - state.now - timedelta(hours=1)) < timedelta(seconds=30)


def test_faults_in_force_are_told_with_what_is_left(desk: SimulatedHelpdesk) -> None:
    desk.fault("error_500", on="listing", count=3, after=1, status=502)
    assert desk.faults() == {"error_500": {"status": 502, "on": "listing", "count": 3, "after": 1}}
    desk.clear_faults()
    assert desk.faults() == {}


def test_what_cannot_be_followed_is_refused_with_the_reason(desk: SimulatedHelpdesk) -> None:
    with pytest.raises(SimulatorRefused, match="no fault 'typo'"):
        desk.fault("typo")
    with pytest.raises(SimulatorRefused, match="either ids or count"):
        desk.change()
    with pytest.raises(SimulatorRefused, match="no such tickets"):
        desk.delete(ids=["1"])
    (known,) = desk.create(1)
    with pytest.raises(SimulatorRefused, match="into another one"):
        desk.merge([known.ticket_id], into=known.ticket_id)
    with pytest.raises(SimulatorRefused, match="no such tickets"):
        desk.archive(ids=["1"])
    with pytest.raises(SimulatorRefused, match="either ids or count"):
        desk.mark_spam()
    with pytest.raises(SimulatorRefused, match="same_second"):
        desk.change(1, spread_seconds=5, same_second=True)
    with pytest.raises(SimulatorRefused, match="spread_seconds"):
        desk.change(1, spread_seconds=-1)


def test_another_client_can_control_it_too(desk: SimulatedHelpdesk) -> None:
    with HelpdeskControl(desk.base_url + "/") as control:
        assert control.clock().now == desk.clock().now


def test_the_client_needs_no_server_installed() -> None:
    code = (
        "import sys, helpdesk_assets.local.simulator.admin_client;"
        "print([name for name in ('starlette', 'uvicorn', 'dagster') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
