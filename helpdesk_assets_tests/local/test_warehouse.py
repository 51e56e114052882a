from __future__ import annotations

import itertools
import subprocess
import sys
import threading
import time
from pathlib import Path
from unittest import mock

import pytest

from helpdesk_assets.errors import RetryableError, SettingsError
from helpdesk_assets.local import warehouse as local_warehouse
from helpdesk_assets.local.warehouse import LocalEmulator, LocalWarehouse, free_port
from helpdesk_assets.settings import Settings
from helpdesk_assets.warehouse.bigquery.connection import connect
from helpdesk_assets.warehouse.merge.writer import TableWriter
from helpdesk_assets.warehouse.query import Query
from helpdesk_assets.warehouse.table_spec import Column, ColumnType, MergePolicy, TableSpec

NOTES = TableSpec(
    "notes", (Column("id", ColumnType.STRING),), key=("id",), merge_policy=MergePolicy.INSERT_ONLY
)


def settings_for(endpoint: str) -> Settings:
    return Settings(bigquery_project="p", bigquery_dataset="d", bigquery_emulator_host=endpoint)


def add(endpoint: str, note: str) -> list[str]:
    """Store a note; returns all notes."""
    warehouse = connect(settings_for(endpoint))
    writer = TableWriter(warehouse)
    writer.merge(NOTES, Query(f"SELECT '{note}' AS id"), run_id=note, step="notes")
    notes = sorted(row["id"] for row in warehouse.list_rows("notes"))
    warehouse.close()
    return notes


@pytest.mark.slow
def test_data_survives_a_kill_and_a_stop(tmp_path: Path) -> None:
    running = LocalWarehouse(tmp_path / "data")
    with running:
        assert add(running.endpoint, "a") == ["a"]
        running.kill()
        assert not local_warehouse.is_ready(running.endpoint)
        running.start()
        assert add(running.endpoint, "b") == ["a", "b"]
        running.stop()
        running.start()
        assert add(running.endpoint, "c") == ["a", "b", "c"]
    assert not local_warehouse.is_ready(running.endpoint)


@pytest.mark.slow
def test_rows_listed_beside_statements_are_the_tables_own(tmp_path: Path) -> None:
    with LocalWarehouse(tmp_path) as running:
        add(running.endpoint, "a")
        right: dict[str, list[object]] = {"table": [{"id": "a"}], "statement": [{"n": 0}, {"n": 1}]}
        wrong: list[object] = []

        def ask(what: str) -> None:
            warehouse = connect(settings_for(running.endpoint))
            for n in range(60):
                try:
                    if what == "table":
                        rows = list(warehouse.list_rows("notes"))
                    else:
                        numbers = Query("SELECT n FROM UNNEST([0, 1]) AS n ORDER BY n")
                        rows = list(warehouse.run(numbers, run_id=f"{n}", step="n").rows)
                except Exception as error:  # noqa: BLE001 - told by the test's own thread
                    rows = [{"error": error}]
                wrong.extend(row for row in rows if row not in right[what])
            warehouse.close()

        threads = [threading.Thread(target=ask, args=(what,)) for what in [*right, *right]]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


def test_server_listens_on_loopback_only(tmp_path: Path) -> None:
    command = local_warehouse.BQEMULATOR.command(9050, tmp_path)
    hosts = [value for flag, value in itertools.pairwise(command) if "host" in flag]
    assert hosts
    assert set(hosts) == {"127.0.0.1"}


def test_serve_replaces_its_process(tmp_path: Path) -> None:
    port = free_port()
    code = (
        "import pathlib, sys; from helpdesk_assets.local.warehouse import serve; "
        "serve(int(sys.argv[1]), pathlib.Path(sys.argv[2]))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(port), str(tmp_path)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            deadline = time.monotonic() + local_warehouse.START_TIMEOUT
            while not local_warehouse.is_ready(f"http://127.0.0.1:{port}"):
                assert time.monotonic() < deadline
                assert process.poll() is None
                time.sleep(0.1)
        finally:
            process.kill()


def test_failed_start_shows_the_end_of_the_log(tmp_path: Path) -> None:
    broken = LocalEmulator("json", (), "print('no such door'); raise SystemExit(3)", ())
    with (
        mock.patch.object(local_warehouse, "_import_extensions"),
        pytest.raises(RetryableError, match=r"exit code 3(.|\n)*no such door"),
    ):
        LocalWarehouse(tmp_path, emulator=broken).start()


def test_silent_process_is_terminated(tmp_path: Path) -> None:
    silent = LocalEmulator("json", (), "import time; time.sleep(600)", ())
    ticks = iter([0.0, 1.0, 1000.0])
    running = LocalWarehouse(
        tmp_path, emulator=silent, monotonic=lambda: next(ticks), sleep=lambda _: None
    )
    with (
        mock.patch.object(local_warehouse, "_import_extensions"),
        pytest.raises(RetryableError, match="did not answer within 90 s"),
    ):
        running.start()
    assert running.pid is None


def test_one_that_is_not_installed_says_how_to_install_it() -> None:
    with (
        mock.patch("importlib.util.find_spec", return_value=None),
        pytest.raises(SettingsError, match=r"pip install '\.\[local\]' in a clone"),
    ):
        local_warehouse.check_installed()


def test_missing_extension_says_how_to_install_it() -> None:
    with pytest.raises(SettingsError, match=r"\.\[local\]"):
        local_warehouse._import_extensions(("no_such_extension",))


def test_lock_follows_no_link_and_stays_out_of_shared_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / "helpdesk-assets").mkdir()
    (tmp_path / "helpdesk-assets" / "duckdb.lock").symlink_to(victim)
    with local_warehouse._start_lock():
        assert victim.read_text() == "mine"


def test_concurrent_starts_install_extensions_in_turn() -> None:
    """Only one start at a time holds the lock."""
    inside, most = [0], [0]
    gate = threading.Lock()

    def install(*_: object, **__: object) -> subprocess.CompletedProcess[str]:
        with gate:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        threading.Event().wait(0.02)
        with gate:
            inside[0] -= 1
        return subprocess.CompletedProcess([], 0, "", "")

    with mock.patch("subprocess.run", install):
        threads = [
            threading.Thread(target=local_warehouse._import_extensions, args=(("x",),))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert most[0] == 1
