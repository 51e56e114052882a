"""What is judged of webhooks and what is not: loads, rows removed by hand, days without events."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from helpdesk_assets.model.batch import Mode
from helpdesk_assets.model.tickets import Window
from helpdesk_assets.model.webhooks import LedgerSource
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets_tests.warehouse.ledger_cases import POLICY, LedgerCases, at

LISTENING = -9_000.0


@pytest.fixture
def cases(warehouse: BigQueryClient) -> LedgerCases:
    cases = LedgerCases(warehouse)
    cases.event("long ago", LISTENING, LISTENING)
    return cases


@pytest.mark.parametrize(
    "load", [{"first_load": True}, {"ground_reason": "tickets was dropped"}], ids=["first", "lost"]
)
@pytest.mark.parametrize("source", LedgerSource)
def test_load_judges_nothing_whatever_shows_delivery(
    cases: LedgerCases, source: LedgerSource, load: dict[str, Any]
) -> None:
    cases.poll("absent", -60)
    cases.poll("stale", -60)
    cases.store("stale", -70)
    manifest = cases.manifest(
        ("absent", -60), ("stale", -60),
        mode=Mode.FULL, window=Window(None, at(0)), initial_watermark=None, **load,
    )  # fmt: skip
    assert cases.judge(manifest, replace(POLICY, ledger_source=source)) == {}


def test_versions_that_a_load_read_are_never_judged(cases: LedgerCases) -> None:
    cases.poll("loaded", -60)
    load = cases.manifest(
        ("loaded", -60), mode=Mode.FULL, window=Window(None, at(0)), initial_watermark=None,
        first_load=True, expected_version=0, run_id="load",
    )  # fmt: skip
    assert cases.judge(load) == {}
    facts = cases.close(load)
    assert (facts.webhooks.text, facts.webhooks.judged) == ("not judged: first load", 0)
    cases.poll("lost", 60, seen=120, run="run-2")
    after = cases.manifest(
        ("lost", 60), run_id="run-2", served_at=at(120), window=Window(at(-5), at(120)),
        initial_watermark=at(0), expected_version=1,
    )  # fmt: skip
    assert cases.judge(after) == {"lost": "missed"}
    facts = cases.close(after)
    assert (facts.webhooks.judged, facts.webhooks.loaded_until) == (1, at(0))


@pytest.mark.parametrize("source", LedgerSource)
@pytest.mark.parametrize(
    "manifest", [{}, {"mode": Mode.FULL}, {"is_range": True}], ids=["window", "full", "repair"]
)
def test_rows_somebody_removed_are_nobodys_missed_webhook(
    cases: LedgerCases, source: LedgerSource, manifest: dict[str, Any]
) -> None:
    days = {"yesterday": -1_440.0, "lately": -130.0}
    for ticket, changed in days.items():
        cases.poll(ticket, changed, seen=-125, run="run-0")
        cases.event(ticket, changed, changed + 0.2)
    cases.poll("replaced", -1_440, seen=-125, run="run-0")
    cases.event("replaced", -1_440, -1_439)
    cases.store("replaced", -3_000)
    cases.poll("long ago", -20_000, seen=-15_000, run="run-0")
    batch = [*days.items(), ("replaced", -1_440.0), ("long ago", -20_000.0)]
    policy = replace(POLICY, ledger_source=source)
    assert cases.judge(cases.manifest(*batch, **manifest), policy) == {}


def test_what_the_last_run_stored_after_its_window_is_merged(warehouse: BigQueryClient) -> None:
    cases = LedgerCases(warehouse)
    cases.poll("removed", -130, seen=-119, run="run-0")
    cases.written()
    before = cases.manifest(("removed", -130), run_id="run-0", window=Window(None, at(-120)))
    cases.close(before)
    warehouse.drop_table("tickets")
    cases.sync_tables.prepare()
    by_table = replace(POLICY, ledger_source=LedgerSource.TABLE)
    assert cases.judge(cases.manifest(("removed", -130)), by_table) == {}


def test_run_that_died_before_merging_hides_no_change(warehouse: BigQueryClient) -> None:
    cases = LedgerCases(warehouse)
    cases.poll("lost", -130, seen=-60, run="died")
    by_table = replace(POLICY, ledger_source=LedgerSource.TABLE)
    assert cases.judge(cases.manifest(("lost", -130)), by_table) == {"lost": "missing"}


def test_nothing_is_missed_before_the_first_event(warehouse: BigQueryClient) -> None:
    cases = LedgerCases(warehouse)
    cases.poll("before", -60)
    cases.poll("after", -20)
    cases.event("first", -30, -29.9)
    cases.poll("first", -30)
    assert cases.judge(cases.manifest()) == {"after": "missed"}


def test_table_judges_until_the_first_event(warehouse: BigQueryClient) -> None:
    cases = LedgerCases(warehouse)
    cases.poll("absent", -60)
    cases.poll("there", -60)
    cases.store("there", -60)
    batch = cases.manifest(("absent", -60), ("there", -60))
    assert cases.judge(batch) == {"absent": "missing"}
    assert warehouse.get_table("webhook_events", fresh=True) is None


@pytest.mark.parametrize("source", LedgerSource)
def test_without_any_event_auto_calls_nothing_missed(
    warehouse: BigQueryClient, source: LedgerSource
) -> None:
    cases = LedgerCases(warehouse)
    cases.poll("absent", -60)
    auto = replace(POLICY, enabled="auto", ledger_source=source)
    manifest = cases.manifest(("absent", -60))
    is_by_table = source is LedgerSource.TABLE
    assert cases.judge(manifest, auto) == ({"absent": "missing"} if is_by_table else {})
    facts = cases.close(manifest, auto)
    told = "judged by the tickets table", "not judged: no webhook has been stored yet"
    assert facts.webhooks.text == told[not is_by_table]
    assert facts.webhooks.judged == int(is_by_table)


def test_first_event_begins_the_judging_of_auto(warehouse: BigQueryClient) -> None:
    cases = LedgerCases(warehouse)
    auto = replace(POLICY, enabled="auto")
    cases.poll("before", -60)
    cases.poll("after", -20)
    manifest = cases.manifest(("before", -60), ("after", -20))
    assert cases.judge(manifest, auto) == {}
    cases.event("after", -30, -29.9)
    assert cases.judge(manifest, auto) == {"after": "missed"}


def test_by_events_reports_that_none_arrived(warehouse: BigQueryClient) -> None:
    cases = LedgerCases(warehouse)
    cases.poll("there", -60)
    cases.store("there", -60)
    assert cases.judge(
        cases.manifest(("there", -60)), replace(POLICY, ledger_source=LedgerSource.EVENTS)
    ) == {"there": "missed"}
