"""Every experiment runs, in a small form, on a stand-in that answers as the service does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from helpdesk_assets.settings import Settings
from helpdesk_assets.warehouse.bigquery.connection import open_client
from helpdesk_assets_tests.experiments.lab import SMALL, Finding, Lab, open_lab
from helpdesk_assets_tests.experiments.report import EXPERIMENTS, Experiment, as_table, run_all
from helpdesk_assets_tests.service_proxy.clocks import JumpingClock
from helpdesk_assets_tests.service_proxy.proxy import ServiceProxy

# Nothing runs and nothing is billed for less.
LEAST_BYTES = 10_485_760


@pytest.fixture
def lab(warehouse_settings: Settings) -> Iterator[Lab]:
    settings = warehouse_settings

    def durations(sql: str) -> float:
        return 20.0 if "value + 1" in sql else 3.0

    def price(sql: str, parameters: object) -> int:
        return LEAST_BYTES if "@" in sql else 3 * LEAST_BYTES

    with ServiceProxy(
        settings.bigquery_emulator_host, JumpingClock(), durations=durations, price=price
    ) as proxy:
        client = open_client(settings.model_copy(update={"bigquery_emulator_host": proxy.endpoint}))
        with open_lab(client, settings, SMALL) as opened:
            yield opened
            proxy.finish()
        client.close()  # type: ignore[no-untyped-call]


@pytest.mark.slow
@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda each: each.__name__)
def test_experiment_runs_and_finds_what_is_assumed(lab: Lab, experiment: Experiment) -> None:
    found = experiment(lab)
    assert found.holds, found
    assert found.question.endswith("?")


def test_failing_experiment_is_a_finding_and_others_go_on(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(lab: Lab) -> Finding:
        """Fail."""
        raise RuntimeError("no such thing")

    monkeypatch.setattr(
        "helpdesk_assets_tests.experiments.report.EXPERIMENTS", (fails, EXPERIMENTS[-1])
    )
    said: list[str] = []
    findings = run_all(lab, said.append)
    assert [found.holds for found in findings] == [False, True]
    assert said[0] == "1 of 2: Fail."


def test_table_shows_question_answer_and_assumption() -> None:
    found = Finding("Does it hold?", "no, " * 30, "that it does", holds=False)
    lines = as_table([found]).splitlines()
    assert lines[0].startswith("question")
    assert "Does it hold?" in lines[2]
    assert lines[2].endswith("NO")
    assert max(map(len, lines)) <= 140


def test_bytes_of_all_statements_are_counted_in_dollars(lab: Lab) -> None:
    lab.run("SELECT 1 AS one")
    assert lab.billed == 3 * LEAST_BYTES
    assert 0 < lab.dollars < 0.001
