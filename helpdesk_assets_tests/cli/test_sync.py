from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from pydantic import SecretStr

from helpdesk_assets.local.simulator.server import SimulatedHelpdesk
from helpdesk_assets.settings import Settings
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets_tests.cli.conftest import TICKETS, Command, Run
from helpdesk_assets_tests.conformance.vendors import ZENDESK


def test_first_run_is_full_and_the_next_incremental(environment: Settings, run: Run) -> None:
    first = run("sync", "--json")
    second = run("sync", "--json")

    assert first.stderr == second.stderr == ""
    assert json.loads(first.stdout) == {
        "status": "ok",
        "tickets_synced": TICKETS,
        "missed_updates_detected": 0,
        "mode": "full",
        "webhooks": "not judged: first load",
    }
    assert json.loads(second.stdout)["mode"] == "incremental"


def test_missed_updates_are_reported(
    environment: Settings, run: Run, simulator: SimulatedHelpdesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEBHOOK_GRACE_SECONDS", "0")
    monkeypatch.setenv("WEBHOOK_LEDGER", "table")
    assert "not judged: first load" in run("sync").stdout
    (changed,) = simulator.change(1, spread_seconds=2)
    simulator.advance(2)

    result = run("sync")

    assert result.exit_code == 0
    assert "incremental: changes since the watermark" in result.stdout
    assert f"1: {changed.ticket_id} (stale)" in result.stdout
    for row in ("window", "inserted", "updated", "rejected", "API calls", "query jobs", "seconds"):
        assert row in result.stdout


def test_full_reads_everything_again(environment: Settings, run: Run) -> None:
    run("sync")

    result = json.loads(run("sync", "--full", "--json").stdout)

    assert (result["mode"], result["tickets_synced"]) == ("full", TICKETS)


def test_the_last_line_of_stdout_is_the_result(environment: Settings, command: Command) -> None:
    done = command("sync", "--json", "--verbose")

    assert done.returncode == 0
    assert done.stdout == (
        f'{{"status": "ok", "tickets_synced": {TICKETS}, "missed_updates_detected": 0, '
        '"mode": "full", "webhooks": "not judged: first load"}\n'
    )
    assert f"INFO helpdesk_assets.cli.sync: {done.stdout}" in done.stderr


def test_failed_change_endpoint_is_a_warning(
    environment: Settings, run: Run, simulator: SimulatedHelpdesk
) -> None:
    simulator.fault("error_500", on="search")

    result = run("sync", "--json")

    assert json.loads(result.stdout)["mode"] == "full"
    assert result.stderr.startswith("WARNING helpdesk_assets.extract.fetch: ")
    assert result.stderr.count("\n") == 1


def test_rejected_token_gives_one_line(
    environment: Settings, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HELPDESK_API_TOKEN", "not-the-token")

    done = command("sync", "--json")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1
    assert "HELPDESK_API_TOKEN" in done.stderr
    assert "not-the-token" not in done.stderr


def test_unreachable_warehouse_fails_at_once(
    environment: Settings, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", "http://127.0.0.1:1")

    result = run("sync")

    assert result.exit_code == 1
    assert result.stderr.startswith("Error: No warehouse answers at http://127.0.0.1:1. Start ")
    assert "helpdesk-assets warehouse" in result.stderr


def test_remote_emulator_is_rejected_before_any_call(
    environment: Settings, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", "http://emulator.example:9050")

    result = run("sync")

    assert result.exit_code == 1
    assert "is not on this machine" in result.stderr


def test_dotenv_settings_are_read(empty_environment: Path, run: Run) -> None:
    (empty_environment / ".env").write_text("HELPDESK_PAGE_SIZE=none\n")

    result = run("sync")

    assert result.exit_code == 1
    assert "HELPDESK_PAGE_SIZE" in result.stderr


def test_log_is_quiet_by_default(environment: Settings, run: Run) -> None:
    run("sync")

    assert logging.getLogger("helpdesk_assets").level == logging.WARNING


def test_changed_table_is_told_by_every_command(
    environment: Settings, run: Run, warehouse: BigQueryClient
) -> None:
    run("sync")
    warehouse.drop_table("tickets")
    reason = "the table tickets was not there"

    assert json.loads(run("status", "--json").stdout)["tables_changed"] == reason
    assert f"{reason}; the next run reads every ticket" in run("status").stdout
    doctor = run("doctor")
    assert (doctor.exit_code, reason in doctor.stdout) == (1, True)
    result = json.loads(run("sync", "--json").stdout)
    assert (result["mode"], result["reason"]) == ("full", reason)
    assert json.loads(run("status", "--json").stdout)["tables_changed"] is None
    assert run("doctor").exit_code == 0


def test_dataset_of_another_account_is_adopted_on_request(
    environment: Settings, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("sync")
    nothing = run("sync", "--adopt-account")
    assert "nothing to adopt" in nothing.stderr
    with SimulatedHelpdesk(tickets=5, dialect="zendesk") as simulator:
        for name, value in ZENDESK.settings(simulator).items():
            monkeypatch.setenv(
                name.upper(),
                value.get_secret_value() if isinstance(value, SecretStr) else str(value),
            )
        monkeypatch.setenv("HELPDESK_PROVIDER", "zendesk")
        monkeypatch.setenv("HELPDESK_BASE_URL", simulator.base_url)
        refused = run("sync")
        assert refused.exit_code == 1
        adopted = run("sync", "--adopt-account", "--json")
    assert "every sync in it loses its watermark" in adopted.stderr
    assert json.loads(adopted.stdout)["mode"] == "full"
