"""The warehouse behind the tests: `pytest --warehouse=...`.

bqemulator      the local warehouse, as users have it.
local-bigquery  another emulator, in its own environment: `make test-local-bigquery`.
googlesql       bqemulator behind BigQuery's own parser and analyzer, which checks each statement.
bigquery        the real service, in datasets that the tests create and remove.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import Self

import requests

from helpdesk_assets.local.process import LocalProcess
from helpdesk_assets.local.warehouse import (
    BQEMULATOR,
    HOST,
    LocalEmulator,
    LocalWarehouse,
    free_port,
)
from helpdesk_assets_tests.port_forwarder import PortForwarder

ROOT = Path(__file__).parent.parent
JUDGE = "googlesql-judge"
# Where `make googlesql-judge` puts it.
LOCAL_PROGRAMS = ROOT / ".local" / "bin"
LOCAL_BIGQUERY = LocalEmulator(
    module="local_bigquery",
    extensions=("icu", "ducklake"),
    code="from helpdesk_assets_tests.local_bigquery import main; main()",
    arguments=(
        "--host", HOST, "--port", "{port}", "--grpc-port", "{grpc}", "--data-dir", "{data}",
    ),
)  # fmt: skip


class WarehouseKind(StrEnum):
    BQEMULATOR = "bqemulator"
    LOCAL_BIGQUERY = "local-bigquery"
    GOOGLESQL = "googlesql"
    BIGQUERY = "bigquery"


class WarehouseMissing(Exception):
    """The chosen warehouse lacks something; the message says what, and how to get it."""


@dataclass(frozen=True, slots=True)
class Verdicts:
    """GoogleSQL's verdicts so far.

    `unjudged` are statements that the local warehouse ran although the judge did not find a table,
    each a gap in the proof.
    """

    accepted: int
    refused: tuple[str, ...]
    unjudged: tuple[str, ...]


def require(kind: WarehouseKind, environ: Mapping[str, str]) -> None:
    """Check before the first test whatever would make all of them fail."""
    if kind is WarehouseKind.LOCAL_BIGQUERY and find_spec(LOCAL_BIGQUERY.module) is None:
        raise WarehouseMissing(
            "--warehouse=local-bigquery needs an environment of its own: run "
            "`make test-local-bigquery`."
        )
    if kind is WarehouseKind.GOOGLESQL:
        judge_program(environ)
    if kind is WarehouseKind.BIGQUERY:
        real_project(environ)
        _require_credentials()


def judge_program(environ: Mapping[str, str]) -> str:
    """The built judge, from the project's own folder or else from PATH.

    Raises:
        WarehouseMissing: it is in neither.
    """
    path = os.pathsep.join([str(LOCAL_PROGRAMS), environ.get("PATH", "")])
    found = shutil.which(JUDGE, path=path)
    if found is None:
        raise WarehouseMissing(
            f"--warehouse=googlesql needs the program {JUDGE}, which is neither in "
            f"{LOCAL_PROGRAMS} nor on PATH: run `make googlesql-judge` (Go 1.25 or newer, 8 GB of "
            "memory, 5 minutes the first time)."
        )
    return found


def real_project(environ: Mapping[str, str]) -> str:
    """The project that pays for tests on the real service.

    Raises:
        WarehouseMissing: none is named, or an emulator is.
    """
    project = environ.get("BIGQUERY_PROJECT", "")
    if not project:
        raise WarehouseMissing(
            "--warehouse=bigquery needs BIGQUERY_PROJECT, a project in which datasets may be made "
            "and removed, and credentials that may do so: `gcloud auth application-default login`, "
            "or GOOGLE_APPLICATION_CREDENTIALS."
        )
    if environ.get("BIGQUERY_EMULATOR_HOST"):
        raise WarehouseMissing(
            "--warehouse=bigquery is the real service, but BIGQUERY_EMULATOR_HOST is set: unset it."
        )
    return project


def _require_credentials() -> None:
    # Imported late: the other kinds need no credentials.
    import google.auth
    from google.auth.exceptions import DefaultCredentialsError

    try:
        google.auth.default()
    except DefaultCredentialsError as error:
        raise WarehouseMissing(
            "--warehouse=bigquery finds no credentials: run `gcloud auth application-default "
            "login`, or set GOOGLE_APPLICATION_CREDENTIALS to a key file."
        ) from error


class Judge(LocalProcess):
    """GoogleSQL in front of a stand-in, as a child process; use it as a context manager."""

    def __init__(self, upstream: str, directory: Path) -> None:
        port = free_port()
        listen = f"{HOST}:{port}"
        self.endpoint = f"http://{listen}"
        # It judges statements, and appends are none.
        self._grpc = PortForwarder.beside(port, upstream)
        command = [judge_program(os.environ), "-listen", listen, "-upstream", upstream]
        super().__init__(JUDGE, command, lambda: bool(self.verdicts()), directory / "googlesql.log")

    def __enter__(self) -> Self:
        self._grpc.__enter__()
        super().__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        super().__exit__(*_)
        self._grpc.__exit__()

    def verdicts(self) -> Verdicts:
        answer = requests.get(f"{self.endpoint}/verdicts", timeout=10).json()
        return Verdicts(
            accepted=answer["accepted"],
            refused=tuple(answer["refused"] or ()),
            unjudged=tuple(answer["unjudged"] or ()),
        )


@contextmanager
def open_warehouse(kind: WarehouseKind, directory: Path) -> Iterator[str]:
    """The address of the chosen warehouse; empty for the real service."""
    if kind is WarehouseKind.BIGQUERY:
        yield ""
        return
    stand_in = LOCAL_BIGQUERY if kind is WarehouseKind.LOCAL_BIGQUERY else BQEMULATOR
    with LocalWarehouse(directory, emulator=stand_in) as embedded:
        if kind is not WarehouseKind.GOOGLESQL:
            yield embedded.endpoint
            return
        with Judge(embedded.endpoint, directory) as judge:
            yield judge.endpoint
            unjudged = judge.verdicts().unjudged
            assert not unjudged, f"{len(unjudged)} unseen by GoogleSQL, the first: {unjudged[0]}"
