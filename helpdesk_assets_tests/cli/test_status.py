from __future__ import annotations

import json
from datetime import UTC, datetime

from helpdesk_assets.settings import Settings
from helpdesk_assets_tests.cli.conftest import TICKETS, Run


def test_before_the_first_run(environment: Settings, run: Run) -> None:
    result = run("status")

    assert result.exit_code == 0
    assert result.output == (
        f"Sync 'tickets' has not run yet in test-project.{environment.bigquery_dataset}. "
        "Run `helpdesk-assets sync`; the first run reads every ticket.\n"
    )
    assert json.loads(run("status", "--json").stdout) == {
        "sync_name": "tickets",
        "watermark": None,
        "watermark_age_seconds": None,
        "rows": None,
        "missed_last_24_hours": 0,
        "runs": [],
    }


def test_after_runs(environment: Settings, run: Run) -> None:
    run("sync")
    run("sync")

    told = json.loads(run("status", "--json").stdout)
    shown = run("status").stdout

    assert told["rows"] == TICKETS
    assert [each["mode"] for each in told["runs"]] == ["incremental", "full"]
    assert told["runs"][1] | {"run_id": 0, "closed_at": 0, "until": 0} == {
        "run_id": 0,
        "closed_at": 0,
        "mode": "full",
        "reason": "first load",
        "since": None,
        "until": 0,
        "tickets": TICKETS,
        "missed": 0,
    }
    watermark = datetime.fromisoformat(told["watermark"])
    age = (datetime.now(UTC) - watermark).total_seconds()
    assert abs(told["watermark_age_seconds"] - age) < 60
    assert f"{TICKETS} in tickets when the last run closed" in shown
    assert "0 recorded in the last 24 h" in shown
    assert "first load" in shown
