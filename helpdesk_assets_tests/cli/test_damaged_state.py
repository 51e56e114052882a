"""A state row that somebody edited: commands go on, say so, and can mend it."""

from __future__ import annotations

import json

import pytest

from helpdesk_assets.settings import Settings
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets_tests.cli.conftest import Run

pytestmark = pytest.mark.slow

DAMAGES = {
    "reason": "reason = 'set back by Bob'",
    "no reason": "reason = NULL",
    "facts": "facts = '{}'",
    "half a JSON": "facts = '{', reading = '[', recent_runs = '{', unfinished = '{\"a\"'",
    "version": "version = NULL",
    "nothing but a name": (
        "version = NULL, reason = NULL, facts = NULL, reading = NULL, recent_runs = NULL, "
        "closed_at = NULL, window_until = NULL, cursor = '?'"
    ),
    "watermark": "watermark = TIMESTAMP '2099-01-01'",
}


def change(warehouse: BigQueryClient, sql: str) -> None:
    """Change a table with a separate client, as a person does."""
    table = warehouse.dataset.table_id("sync_state")
    warehouse._client.query(sql.replace("STATE_ROWS", f"`{table}`")).result()


def doctor_line(run: Run) -> str:
    return next(line for line in run("doctor").stdout.splitlines() if "state row:" in line)


@pytest.mark.parametrize("damage", DAMAGES)
def test_commands_go_on_and_a_person_can_mend_it(
    environment: Settings, warehouse: BigQueryClient, run: Run, damage: str
) -> None:
    run("sync")
    change(warehouse, f"UPDATE STATE_ROWS SET {DAMAGES[damage]} WHERE TRUE")
    assert doctor_line(run).startswith("FAILED")
    for arguments in (("status",), ("watermark", "show"), ("status", "--json")):
        done = run(*arguments)
        assert done.exit_code == 0, done.output
        assert done.stderr.count("\n") <= 1
    effect = run("watermark", "rebuild")
    assert "nothing to rebuild" not in effect.output
    done = run("watermark", "set", "2026-01-01T00:00:00Z", "--yes")
    assert done.exit_code == 0, done.output
    assert doctor_line(run).startswith("ok")
    synced = run("sync")
    assert synced.exit_code == 0, synced.output
    assert doctor_line(run).startswith("ok")


@pytest.mark.parametrize("damage", [name for name in DAMAGES if name != "watermark"])
def test_sync_alone_mends_the_row(
    environment: Settings, warehouse: BigQueryClient, run: Run, damage: str
) -> None:
    run("sync")
    change(warehouse, f"UPDATE STATE_ROWS SET {DAMAGES[damage]} WHERE TRUE")
    synced = run("sync", "--json")
    assert synced.exit_code == 0, synced.output
    assert json.loads(synced.stdout)
    assert synced.stderr.count("\n") == 1
    assert "sync_state" in synced.stderr
    assert doctor_line(run).startswith("ok")


def test_row_is_rebuilt_while_it_cannot_be_read(
    environment: Settings, warehouse: BigQueryClient, run: Run
) -> None:
    run("sync")
    before = json.loads(run("status", "--json").stdout)["watermark"]
    change(
        warehouse,
        "UPDATE STATE_ROWS SET watermark = TIMESTAMP '2099-01-01', reason = '' WHERE TRUE",
    )
    done = run("watermark", "rebuild", "--yes")
    assert done.exit_code == 0, done.output
    assert json.loads(run("status", "--json").stdout)["watermark"] == before
    assert doctor_line(run).startswith("ok")


def test_two_rows_of_one_name_are_read_and_become_one(
    environment: Settings, warehouse: BigQueryClient, run: Run
) -> None:
    run("sync")
    change(
        warehouse,
        "INSERT INTO STATE_ROWS (sync_name, watermark, version, run_id, reason, closed_at) "
        "SELECT sync_name, TIMESTAMP '2026-01-01', 9, 'x', 'full: x', closed_at FROM STATE_ROWS",
    )
    assert "2 rows of one name" in doctor_line(run)
    for _ in range(3):
        synced = run("sync")
        assert synced.exit_code == 0, synced.output
        assert "2 rows of one name" in synced.stderr
    assert run("watermark", "rebuild", "--yes").exit_code == 0
    assert doctor_line(run).startswith("ok")
    assert len(list(warehouse.list_rows("sync_state"))) == 1
