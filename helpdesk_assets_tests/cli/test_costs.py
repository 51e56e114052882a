"""The command `costs`."""

from __future__ import annotations

import json

import pytest

from helpdesk_assets.cli import costs
from helpdesk_assets.model.job_costs import StepCost
from helpdesk_assets.settings import Settings
from helpdesk_assets_tests.cli.conftest import Run

STEPS = (
    StepCost("desk", "tickets", 360, 1, 1 << 39, 7200.0),
    StepCost("desk", "sync_state", 360, 0, 1 << 38, 3600.0),
)


def test_local_warehouse_says_what_to_set(environment: Settings, run: Run) -> None:
    result = run("costs")
    assert result.exit_code == 1
    assert "The local warehouse bills nothing" in result.output


def test_costs_are_shown_by_step(
    environment: Settings, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(costs, "read_costs", lambda *_: STEPS)
    monkeypatch.setenv("BIGQUERY_PRICE_PER_TIB", "8")
    shown = run("costs", "--days", "15").stdout
    found = json.loads(run("costs", "--days", "15", "--json").stdout)

    lines = [line.split() for line in shown.splitlines()]
    assert lines[1] == ["desk", "tickets", "360", "1", "549.8", "GB", "4.00", "2.00"]
    assert shown.endswith(
        "$6.00 in 15 days at $8.00 a TiB (BIGQUERY_PRICE_PER_TIB), $12.00 a month. "
        "Projects on editions pay for slots instead.\n"
    )
    assert found["dollars_a_month"] == 12.0
    assert found["steps"][0]["dollars"] == 4.0


def test_no_jobs_yet(environment: Settings, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(costs, "read_costs", lambda *_: ())
    assert run("costs").stdout == ("BigQuery ran no job of helpdesk-assets in the last 30 days.\n")
