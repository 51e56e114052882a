from __future__ import annotations

import hashlib
import json
from collections import Counter

from helpdesk_assets.local.simulator.ticket_factory import (
    HISTORY_SECONDS,
    TicketVersion,
    population,
    raw_ticket,
    ticket_id,
)

START = 1_795_428_000


def _bytes(version: TicketVersion, seed: int = 7) -> bytes:
    return json.dumps(raw_ticket(seed, version), ensure_ascii=False).encode()


def test_same_seed_gives_the_same_bytes_in_any_order() -> None:
    versions = list(population(7, 300, START))
    forwards = [_bytes(version) for version in versions]
    backwards = [_bytes(version) for version in reversed(versions)]
    assert forwards == backwards[::-1]
    assert versions == list(population(7, 300, START))
    assert _bytes(versions[0]) != _bytes(versions[0], seed=8)


def test_bytes_are_reproducible() -> None:
    # For every Python version: a seed in a bug report must give the same tickets.
    versions = population(7, 100, START)
    digest = hashlib.sha256(b"".join(map(_bytes, versions))).hexdigest()
    assert digest[:16] == "beb9bb73f7eb0077"


def test_tickets_are_of_realistic_size() -> None:
    sizes = [len(_bytes(version)) for version in population(3, 500, START)]
    assert min(sizes) > 3_000
    assert max(sizes) < 6_200


def test_ids_are_distinct_text_beyond_what_a_float_holds() -> None:
    ids = [ticket_id(7, number) for number in range(5_000)]
    assert len(set(ids)) == 5_000
    assert ids == sorted(ids)
    assert all(len(each) == 18 and int(each) > 2**53 for each in ids)


def test_times_lie_in_the_two_years_before_the_start() -> None:
    for version in population(7, 2_000, START):
        assert START - HISTORY_SECONDS <= version.created <= version.modified <= START


def test_seconds_are_mostly_unique_and_some_are_shared() -> None:
    seconds = Counter(version.modified for version in population(7, 2_000, START))
    shared = sum(count for count in seconds.values() if count > 1)
    assert 5 < shared < 200


def test_some_fields_are_null_and_scripts_are_many() -> None:
    tickets = [raw_ticket(7, version) for version in population(7, 300, START)]
    for field in ("priority", "assignee", "dueDate", "parentId"):
        assert 0 < sum(ticket[field] is None for ticket in tickets) < 300
    text = "".join(ticket["description"] for ticket in tickets)
    for letter in "ßяم您ご안Ηש🙏":
        assert letter in text
    assert all(ticket["requester"]["company"]["id"] > 2**53 for ticket in tickets)
    kinds = {type(field["value"]) for ticket in tickets for field in ticket["customFields"]}
    assert kinds == {str, int, float, bool, list, dict, type(None)}


def test_revision_changes_volatile_fields_only() -> None:
    first = next(population(7, 1, START))
    second = first._replace(revision=1, modified=START)
    old, new = raw_ticket(7, first), raw_ticket(7, second)
    assert old["description"] == new["description"]
    assert old["requester"] == new["requester"]
    assert old["updateCount"] != new["updateCount"]


def test_overlay_overrides_every_field() -> None:
    version = next(population(7, 1, START))._replace(overlay={"status": "Gone fishing", "new": 1})
    ticket = raw_ticket(7, version)
    assert (ticket["status"], ticket["new"]) == ("Gone fishing", 1)
