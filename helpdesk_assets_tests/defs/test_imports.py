"""What a code server imports, and what a run of our own code location leaves out."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import dagster as dg
import pytest
from dagster._core.code_pointer import CodePointer
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin

from helpdesk_assets.defs.resources import bigquery
from helpdesk_assets.defs.resources.bigquery import HelpdeskBigQuery

OURS = "helpdesk_assets.definitions"
HEAVY = ("dagster_gcp", "google.cloud.bigquery", "numpy", "pandas", "pyarrow")


def loaded_after(code: str, folder: Path) -> set[str]:
    report = f"\nimport sys\nprint(*(name for name in {HEAVY} if name in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code + report],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def test_definitions_load_neither_google_nor_pandas(tmp_path: Path) -> None:
    code = (
        "from dagster import Definitions\n"
        f"from {OURS} import defs\n"
        "Definitions.validate_loadable(defs)"
    )

    assert loaded_after(code, tmp_path) == set()


def run_of(module: str) -> dg.DagsterRun:
    pointer = CodePointer.from_module(module, "defs", None)
    location = RepositoryPythonOrigin(sys.executable, pointer)
    return dg.DagsterRun(
        "helpdesk_sync", job_code_origin=JobPythonOrigin("helpdesk_sync", location)
    )


@pytest.mark.parametrize(
    ("run", "alone"),
    [
        (run_of(OURS), True),
        # Somebody's own assets are in the same process, and may want DataFrames of the client.
        (run_of("acme.definitions"), False),
        (dg.DagsterRun("helpdesk_sync"), False),
        (None, False),
    ],
)
def test_only_runs_of_our_location_leave_out_what_others_need(
    run: dg.DagsterRun | None, alone: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    for name in ("import_google_alone", "collect_rarely"):
        monkeypatch.setattr(bigquery, name, partial(calls.append, name))

    HelpdeskBigQuery().setup_for_execution(cast(dg.InitResourceContext, SimpleNamespace(run=run)))

    assert calls == ["import_google_alone", "collect_rarely"] * alone


@pytest.mark.parametrize("before", ["", "import grpc, requests"])
def test_google_alone_leaves_pandas_for_later(before: str, tmp_path: Path) -> None:
    code = (
        f"{before}\n"
        "from helpdesk_assets.warehouse.bigquery.lazy_imports import import_google_alone\n"
        "import_google_alone()"
    )

    assert loaded_after(code, tmp_path) == {"google.cloud.bigquery"}
    assert "pandas" in loaded_after(f"{code}\nimport pandas", tmp_path)


def test_imported_pandas_keeps_google_whole(tmp_path: Path) -> None:
    code = (
        "import pandas\n"
        "from helpdesk_assets.warehouse.bigquery.lazy_imports import import_google_alone\n"
        "import_google_alone()\n"
        "from google.cloud.bigquery import table\n"
        "assert table.pandas is pandas"
    )

    assert "google.cloud.bigquery" in loaded_after(code, tmp_path)
