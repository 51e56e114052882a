from __future__ import annotations

from pathlib import Path

import pytest
from google.cloud import bigquery

from helpdesk_assets.local.simulator.dialects.zendesk_tokens import CLIENT_ID
from helpdesk_assets.local.simulator.server import SimulatedHelpdesk
from helpdesk_assets.settings import LOCAL_HELPDESK_URL, LOCAL_WAREHOUSE_URL, Settings
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets_tests.cli.conftest import Run
from helpdesk_assets_tests.warehouse.ledger_cases import LedgerCases

STATUSES = ("ok ", "warning ", "FAILED ", "skipped ")


def lines_of(output: str) -> dict[str, str]:
    """Return the verdict of each line by its subject."""
    rows = [line for line in output.splitlines() if line.startswith(STATUSES)]
    return {row[8:].partition(":")[0]: row[:8].strip() for row in rows}


def test_all_checks_pass(environment: Settings, run: Run) -> None:
    run("sync")

    result = run("doctor")

    verdicts = lines_of(result.stdout)
    assert (result.exit_code, set(verdicts.values())) == (0, {"ok"})
    assert {
        "settings", "HELPDESK_PROVIDER", "HELPDESK_BASE_URL", "HELPDESK_API_TOKEN",
        "WEBHOOKS_ENABLED", "helpdesk login", "helpdesk clock", "BIGQUERY_PROJECT",
        "BigQuery access", "right to run a query", "dataset", "table raw_ticket_changes",
        "table missed_updates", "table tickets", "table sync_state", "view ticket_history",
        "right to create, change and drop a table",
    } <= set(verdicts)  # fmt: skip
    assert "local-demo-token" not in result.output


def test_doctor_leaves_no_tables_behind(
    environment: Settings, warehouse: BigQueryClient, run: Run
) -> None:
    result = run("doctor")

    assert result.exit_code == 0
    for maker, count in (
        ("sync", len(tables.SYNC_TABLES) + 1),
        ("reconciliation", 2),
        ("receiver", 1),
    ):
        assert result.stdout.count(f"does not exist yet; the first {maker} creates it") == count
    for name in ("ticket_inventory", "inventory_differences", "webhook_events"):
        assert f"table {name}: does not exist yet" in result.stdout
    assert "view ticket_history: does not exist yet" in result.stdout
    assert list(warehouse.list_tables()) == []


def test_embedded_default_not_running(empty_environment: Path, run: Run) -> None:
    from helpdesk_assets.cli.connections import is_listening

    if is_listening(LOCAL_HELPDESK_URL) or is_listening(LOCAL_WAREHOUSE_URL):
        pytest.fail("Something runs at the default ports: stop `make dev`, then test again.")

    result = run("doctor")

    verdicts = lines_of(result.stdout)
    assert result.exit_code == 1
    assert verdicts["helpdesk login"] == verdicts["BigQuery access"] == "FAILED"
    assert "Start it with `make dev`, or with `helpdesk-assets simulate`" in result.stdout
    assert "`helpdesk-assets warehouse`" in result.stdout


def test_continues_after_a_rejected_token(
    environment: Settings, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HELPDESK_API_TOKEN", "not-the-token")

    result = run("doctor")

    verdicts = lines_of(result.stdout)
    assert result.exit_code == 1
    assert verdicts["helpdesk login"] == "FAILED"
    assert verdicts["helpdesk clock"] == "skipped"
    assert verdicts["right to create, change and drop a table"] == "ok"
    assert "not-the-token" not in result.output


@pytest.mark.parametrize(
    ("name", "value", "advice"),
    [
        ("HELPDESK_PROVIDER", "phone", "Set it to one of rest, zendesk"),
        ("HELPDESK_BASE_URL", "desk.example.com", "Write it like https://"),
        ("HELPDESK_BASE_URL", "https://me:secret@desk.example.com", "It holds a password"),
    ],
)
def test_invalid_setting(
    environment: Settings,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    value: str,
    advice: str,
) -> None:
    monkeypatch.setenv(name, value)

    result = run("doctor")

    verdicts = lines_of(result.stdout)
    assert result.exit_code == 1
    assert verdicts[name] == "FAILED"
    assert verdicts["helpdesk login"] == "skipped"
    assert advice in result.stdout
    assert "secret" not in result.output


def test_end_of_api_tokens_is_a_warning(
    environment: Settings, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SimulatedHelpdesk(tickets=5, dialect="zendesk") as zendesk:
        for name, value in (
            ("HELPDESK_PROVIDER", "zendesk"),
            ("HELPDESK_BASE_URL", zendesk.base_url),
            ("HELPDESK_USER", "ann@example.com"),
        ):
            monkeypatch.setenv(name, value)
        old = run("doctor")
        monkeypatch.setenv("ZENDESK_CLIENT_ID", CLIENT_ID)
        monkeypatch.setenv("ZENDESK_CLIENT_SECRET", zendesk.token)
        monkeypatch.setenv("HELPDESK_TOKEN_CACHE", "off")
        new = run("doctor")

    for result, verdict in ((old, "warning"), (new, "ok")):
        verdicts = lines_of(result.stdout)
        assert (verdicts["HELPDESK_API_TOKEN"], verdicts["helpdesk login"]) == (verdict, "ok")
        assert result.exit_code == 0
        assert zendesk.token not in result.output
    assert "2027-04-30" in old.stdout
    assert "2027-04-30" not in new.stdout


def test_unreadable_settings(
    empty_environment: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HELPDESK_PAGE_SIZE", "many")

    result = run("doctor")

    assert result.exit_code == 1
    assert result.stdout.startswith("FAILED  settings: Settings are invalid: HELPDESK_PAGE_SIZE")
    assert result.stdout.count("\n") == 1


def test_column_type_mismatch(environment: Settings, warehouse: BigQueryClient, run: Run) -> None:
    name = tables.TICKETS.name
    columns = [bigquery.SchemaField("ticket_id", "INTEGER")]
    warehouse.create_table(bigquery.Table(warehouse.dataset.table_id(name), columns))

    result = run("doctor")

    verdicts = lines_of(result.stdout)
    assert verdicts["table tickets"] == "FAILED"
    assert verdicts["table sync_state"] == "ok"
    assert "ticket_id is INT64 in the table" in result.stdout


def test_table_in_place_of_the_view(
    environment: Settings, warehouse: BigQueryClient, run: Run
) -> None:
    columns = [bigquery.SchemaField("status", "STRING")]
    warehouse.create_table(bigquery.Table(warehouse.dataset.table_id("ticket_history"), columns))

    doctor, sync = run("doctor"), run("sync")

    assert lines_of(doctor.stdout)["view ticket_history"] == "FAILED"
    advice = "ticket_history is a TABLE, and a sync keeps a view of that name."
    assert advice in doctor.stdout
    assert advice in sync.stderr
    assert sync.exit_code == 1
    found = warehouse.get_table("ticket_history", fresh=True)
    assert found is not None
    assert found.table_type == "TABLE"


def test_clock_skew_is_reported(
    environment: Settings, run: Run, simulator: SimulatedHelpdesk
) -> None:
    simulator.fault("clock_offset", seconds=7200)

    result = run("doctor")

    assert "helpdesk clock: is 1 h 59 min ahead" in result.stdout or "2 h" in result.stdout
    assert "The watermark goes no further than this machine's clock" in result.stdout
    simulator.fault("clock_offset", seconds=-7200)
    assert "behind this machine's. Windows end by the helpdesk's clock" in run("doctor").stdout


def test_doctor_names_what_webhooks_are_judged_by(
    environment: Settings, warehouse: BigQueryClient, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("sync")
    assert (
        "webhooks: not judged: no webhook has been stored yet, so no change is called missed. "
        "Judging begins with the first one that `helpdesk-assets webhooks` stores"
    ) in run("doctor").stdout
    monkeypatch.setenv("WEBHOOK_LEDGER", "table")
    assert "webhooks: judged by the tickets table\n" in run("doctor").stdout
    monkeypatch.delenv("WEBHOOK_LEDGER")
    cases = LedgerCases(warehouse)
    cases.event("1", -1, 0)
    cases.written()
    assert "webhooks: judged by the events of the receiver\n" in run("doctor").stdout
    monkeypatch.setenv("WEBHOOKS_ENABLED", "false")
    assert "webhooks: not judged: webhooks are switched off" in run("doctor").stdout
