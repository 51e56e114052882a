"""Two accounts as two code locations on one instance, with a real daemon that runs both."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from helpdesk_assets.defs.assets.factory import SYNC_POOL
from helpdesk_assets.defs.sync_identity import SYNC_TAG, location_of
from helpdesk_assets_tests.alerts.alert_server import AlertServer
from helpdesk_assets_tests.defs.conftest import DagsterHarness
from helpdesk_assets_tests.defs.real_daemon import daemon, ticks, until

OURS = "helpdesk_assets_tests.end_to_end.our_location"
THEIRS = "helpdesk_assets_tests.end_to_end.their_location"


@pytest.mark.slow
def test_two_accounts_on_one_instance_keep_to_themselves(
    harness: DagsterHarness,
    instance: dg.DagsterInstance,
    home: Path,
    alert_server: AlertServer,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Both start a run at the same hour; theirs fails, which is no news to us."""
    log = tmp_path / "daemon.log"
    # A pool belongs to the instance: with a limit of 1 one account's run waits for the other's.
    instance.event_log_storage.set_concurrency_slots(SYNC_POOL, 2)
    dataset = harness.warehouse.dataset.name
    monkeypatch.setenv("ALERT_INTERVAL_SECONDS", "1")
    with AlertServer() as their_server:
        monkeypatch.setenv("ALERT_URLS", alert_server.alert_url)
        monkeypatch.setenv("THEIR_ALERT_URLS", their_server.alert_url)
        monkeypatch.setenv("THEIR_BIGQUERY_DATASET", f"{dataset}_b")
        monkeypatch.setenv("THEIR_HELPDESK_API_TOKEN", "wrong")
        with daemon(home, log, OURS, THEIRS):
            until(lambda: len([run for run in instance.get_runs() if run.is_finished]) == 2, log)
            until(lambda: bool(their_server.received), log)
            seen = ticks(instance)
            until(lambda: ticks(instance) > seen + 3, log)

        runs = {location_of(run): run for run in instance.get_runs()}
        assert runs[OURS].is_success, log.read_text()[-5000:]
        assert runs[THEIRS].is_failure
        assert runs[OURS].tags[SYNC_TAG].split("/")[0].endswith(f".{dataset}")
        assert runs[THEIRS].tags[SYNC_TAG].split("/")[0].endswith(f".{dataset}_b")
        assert harness.stored() == harness.truth()
        assert their_server.titles == ["helpdesk-assets: job helpdesk_sync"]
        assert "HELPDESK_API_TOKEN" in their_server.received[0].body
        assert alert_server.received == []
