"""The admin API through its typed client."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from helpdesk_assets.local.simulator.admin_client import AdminClient, SimulatorError
from helpdesk_assets.local.simulator.server import SimulatedHelpdesk
from helpdesk_assets_tests.local.simulator.conftest import Caller


def test_changes_are_returned_and_served(simulator: SimulatedHelpdesk, caller: Caller) -> None:
    changed = simulator.change(5, fields={"status": "Verloren", "extra": [1, None]})
    assert len({each.ticket_id for each in changed}) == 5
    for each in changed:
        assert each.modified_time == simulator.clock().now
        assert each.raw_ticket == caller.ticket(each.ticket_id).json()
        assert each.raw_ticket is not None
        assert (each.raw_ticket["status"], each.raw_ticket["extra"]) == ("Verloren", [1, None])


def test_set_field_outlives_later_changes(simulator: SimulatedHelpdesk) -> None:
    (changed,) = simulator.change(1, fields={"subject": "stays"})
    (again,) = simulator.change(ids=[changed.ticket_id])
    assert changed.raw_ticket
    assert again.raw_ticket
    assert again.raw_ticket["subject"] == "stays"
    assert again.raw_ticket["updateCount"] == changed.raw_ticket["updateCount"] + 1


def test_two_changes_in_one_second_differ_in_content_only(simulator: SimulatedHelpdesk) -> None:
    (first,) = simulator.change(1)
    (second,) = simulator.change(ids=[first.ticket_id])
    assert first.modified_time == second.modified_time
    assert first.raw_ticket != second.raw_ticket


def test_changes_can_be_spread_over_seconds_of_their_own(simulator: SimulatedHelpdesk) -> None:
    before = simulator.clock().now
    times = [each.modified_time for each in simulator.change(10, spread_seconds=100)]
    assert times == sorted(set(times))
    assert simulator.clock().now == times[-1] == before + timedelta(seconds=100)


def test_changes_can_share_one_second(simulator: SimulatedHelpdesk) -> None:
    simulator.thaw()
    times = {each.modified_time for each in simulator.change(200, same_second=True)}
    simulator.freeze()
    assert len(times) == 1


def test_created_and_deleted_tickets_appear_and_disappear(
    simulator: SimulatedHelpdesk, caller: Caller
) -> None:
    made = simulator.create(3, fields={"subject": "new"})
    assert {each.created_time for each in made} == {simulator.clock().now}
    newest = caller.listing().json()["tickets"][:3]
    assert sorted(row["id"] for row in newest) == [each.ticket_id for each in made]
    gone = simulator.delete(ids=[each.ticket_id for each in made])
    assert gone == [each.ticket_id for each in made]
    assert [caller.ticket(each).status_code for each in gone] == [404] * 3
    for path in ("/v2/tickets", "/v2/tickets/search"):
        rows = caller.all_rows(path, modifiedTimeRange="2000-01-01T00:00:00Z,2098-01-01T00:00:00Z")
        assert not {row["id"] for row in rows} & set(gone)
    assert not {each.ticket_id for each in simulator.truth()} & set(gone)


def test_random_tickets_can_be_deleted(simulator: SimulatedHelpdesk, caller: Caller) -> None:
    simulator.create(2)
    before = sum(1 for _ in simulator.truth())
    gone = simulator.delete(2)
    assert sum(1 for _ in simulator.truth()) == before - 2
    assert caller.ticket(gone[0]).status_code == 404


def test_removed_tickets_are_listed_with_kind_and_time(simulator: SimulatedHelpdesk) -> None:
    made = [each.ticket_id for each in simulator.create(5)]
    ways: dict[str, Callable[[], list[str]]] = {
        "deleted": lambda: simulator.delete(ids=made[:1]),
        "spam": lambda: simulator.mark_spam(ids=made[1:2]),
        "merged": lambda: simulator.merge(made[2:4], into=made[4]),
    }
    left: dict[str, tuple[str, datetime]] = {}
    for end, leave in ways.items():
        at = simulator.advance(10).now
        left.update(dict.fromkeys(leave(), (end, at)))
    living = {each.ticket_id for each in simulator.truth()}
    assert not living & left.keys()
    true_tickets = {
        each.ticket_id: each for each in simulator.truth(raw_ticket=True, include_removed=True)
    }
    assert true_tickets.keys() >= living | left.keys()
    assert {
        each: (true_tickets[each].removal_kind, true_tickets[each].removed_at) for each in left
    } == left
    assert all(true_tickets[each].modified_time == at for each, (_, at) in left.items())
    assert all(true_tickets[each].raw_ticket for each in left)
    assert (true_tickets[made[4]].removal_kind, true_tickets[made[4]].removed_at) == (None, None)


def test_merge_changes_the_target_ticket(simulator: SimulatedHelpdesk) -> None:
    into, merged = (each.ticket_id for each in simulator.create(2))
    now = simulator.advance(60).now
    assert simulator.merge([merged], into) == [merged]
    assert {each.ticket_id: each.modified_time for each in simulator.truth()}[into] == now


def test_restored_ticket_is_what_it_was(simulator: SimulatedHelpdesk, caller: Caller) -> None:
    before = list(simulator.truth(raw_ticket=True))
    simulator.advance(60)
    (gone,) = simulator.delete(1)
    assert caller.ticket(gone).status_code == 404
    simulator.restore([gone])
    assert caller.ticket(gone).status_code == 200
    by_id = {each.ticket_id: each for each in simulator.truth(raw_ticket=True)}
    assert by_id == {each.ticket_id: each for each in before}
    with pytest.raises(SimulatorError, match="not removed"):
        simulator.restore([gone])


def test_hidden_tickets_stay_in_the_truth_alone(
    simulator: SimulatedHelpdesk, caller: Caller
) -> None:
    before = {each.ticket_id: each for each in simulator.truth(raw_ticket=True)}
    (hidden,) = simulator.hide(1)
    assert caller.ticket(hidden).status_code == 404
    everything = "2000-01-01T00:00:00Z,2098-01-01T00:00:00Z"
    for path in ("/v2/tickets", "/v2/tickets/search"):
        assert hidden not in {
            row["id"] for row in caller.all_rows(path, modifiedTimeRange=everything)
        }
    assert {each.ticket_id: each for each in simulator.truth(raw_ticket=True)} == before
    simulator.show_hidden()
    assert caller.ticket(hidden).status_code == 200


def test_archived_tickets_stay_in_the_truth(simulator: SimulatedHelpdesk, caller: Caller) -> None:
    before = list(simulator.truth(raw_ticket=True))
    archived = simulator.archive(5)
    assert len(set(archived)) == 5
    assert list(simulator.truth(raw_ticket=True)) == before
    # This API has no archive.
    assert caller.ticket(archived[0]).status_code == 200


def test_silent_change_keeps_the_shown_time(simulator: SimulatedHelpdesk, caller: Caller) -> None:
    (before,) = simulator.create(1)
    simulator.advance(100)
    (silent,) = simulator.change(ids=[before.ticket_id], fields={"status": "x"}, silent=True)
    assert silent.modified_time == before.modified_time
    newest = caller.listing().json()["tickets"][0]
    assert newest == silent.raw_ticket
    assert newest["status"] == "x"


def test_tickets_can_be_created_with_given_ids(
    simulator: SimulatedHelpdesk, caller: Caller
) -> None:
    ids = ["98765432109876543210", "98765432109876543211"]
    made = simulator.create(ids=ids, fields={"subject": "long"})
    assert [each.ticket_id for each in made] == ids
    assert caller.ticket(ids[1]).json()["subject"] == "long"


def test_new_token_replaces_the_current_one(caller: Caller) -> None:
    with SimulatedHelpdesk(tickets=1) as own:
        own.accept_token("newer")
        assert own.token == "newer"
        for token, status in (("local-demo-token", 401), ("newer", 200)):
            caller.session.headers["Authorization"] = f"Bearer {token}"
            assert caller.session.get(f"{own.base_url}/v2/tickets").status_code == status
        with pytest.raises(SimulatorError, match="token must not be empty"):
            own.accept_token("")


def test_truth_is_available_with_and_without_whole_tickets(
    simulator: SimulatedHelpdesk, caller: Caller
) -> None:
    lean, raw_ticket = list(simulator.truth()), list(simulator.truth(raw_ticket=True))
    assert [each.ticket_id for each in lean] == [each.ticket_id for each in raw_ticket]
    assert {each.raw_ticket for each in lean} == {None}
    for each in raw_ticket[::50]:
        assert each.raw_ticket == caller.ticket(each.ticket_id).json()


def test_counters_count_only_production_endpoints(
    simulator: SimulatedHelpdesk, caller: Caller
) -> None:
    size = len(caller.search(pageSize=10).content)
    caller.search(pageSize=0)
    known = caller.ticket(next(simulator.truth()).ticket_id)
    unknown = caller.ticket("1")
    seen = simulator.counters()
    assert seen.calls["search"] == {"200": 1, "400": 1}
    assert seen.calls["ticket"] == {"200": 1, "404": 1}
    assert (seen.of("search"), seen.of("listing"), seen.total) == (2, 0, 4)
    assert seen.tickets_served == 11
    assert seen.bytes >= size + len(known.content) + len(unknown.content)
    assert seen.max_concurrent == 1
    simulator.reset_counters()
    assert simulator.counters().total == 0


def test_clock_can_be_read_and_moved(simulator: SimulatedHelpdesk) -> None:
    before = simulator.clock()
    assert before.frozen
    assert simulator.advance(90.0).now == before.now + timedelta(seconds=90)
    assert not simulator.thaw().frozen
    moment = simulator.clock().now + timedelta(days=1)
    assert simulator.freeze(moment).now == moment
    assert simulator.clock().frozen


def test_offset_is_relative_to_real_time() -> None:
    with SimulatedHelpdesk(tickets=1, start=datetime(2020, 1, 1, tzinfo=UTC)) as simulator:
        state = simulator.set_offset(-3600)
    assert abs(state.offset_seconds + 3600) < 1
    assert abs(datetime.now(UTC) - state.now - timedelta(hours=1)) < timedelta(seconds=30)


def test_active_faults_are_listed_with_remaining_counts(simulator: SimulatedHelpdesk) -> None:
    simulator.fault("error_500", on="listing", count=3, after=1, status=502)
    assert simulator.faults() == {
        "error_500": {"status": 502, "on": "listing", "count": 3, "after": 1}
    }
    simulator.clear_faults()
    assert simulator.faults() == {}


def test_invalid_requests_are_rejected_with_the_reason(simulator: SimulatedHelpdesk) -> None:
    with pytest.raises(SimulatorError, match="unknown fault 'typo'"):
        simulator.fault("typo")
    with pytest.raises(SimulatorError, match="either ids or count"):
        simulator.change()
    with pytest.raises(SimulatorError, match="unknown or repeated tickets"):
        simulator.delete(ids=["1"])
    (known,) = simulator.create(1)
    with pytest.raises(SimulatorError, match="into must name another ticket"):
        simulator.merge([known.ticket_id], into=known.ticket_id)
    with pytest.raises(SimulatorError, match="unknown or repeated tickets"):
        simulator.archive(ids=["1"])
    with pytest.raises(SimulatorError, match="either ids or count"):
        simulator.mark_spam()
    with pytest.raises(SimulatorError, match="same_second"):
        simulator.change(1, spread_seconds=5, same_second=True)
    with pytest.raises(SimulatorError, match="spread_seconds"):
        simulator.change(1, spread_seconds=-1)


def test_another_client_can_control_the_simulator(simulator: SimulatedHelpdesk) -> None:
    with AdminClient(simulator.base_url + "/") as control:
        assert control.clock().now == simulator.clock().now


def test_client_does_not_import_the_server() -> None:
    code = (
        "import sys, helpdesk_assets.local.simulator.admin_client;"
        "print([name for name in ('starlette', 'uvicorn', 'dagster') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
