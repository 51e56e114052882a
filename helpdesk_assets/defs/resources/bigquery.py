"""The BigQuery resource: the fields of dagster-gcp's, completed from the settings.

Not a subclass of dagster-gcp's: its import brings every service of Google's that Dagster knows, and
google's client brings pandas, so code servers and the daemon would load both and use neither. Both
are imported when a client is opened.

Settings are read when a run needs them and never at import, so definitions load anywhere. If
nothing is set, the resource uses the local stand-in. Must not know SQL.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field, PrivateAttr

from helpdesk_assets.defs.resources.kept_client import KeptClient
from helpdesk_assets.garbage import collect_rarely
from helpdesk_assets.settings import Settings, load_settings
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.bigquery.connection import bind, open_client
from helpdesk_assets.warehouse.bigquery.lazy_imports import import_google_alone
from helpdesk_assets.warehouse.stores.sync_tables import SyncTables

if TYPE_CHECKING:
    from helpdesk_assets.warehouse.bigquery.connection import Client


class HelpdeskBigQuery(dg.ConfigurableResource[Any]):
    """Opens google's client, like dagster-gcp's `BigQueryResource`, or a `BigQueryClient`.

    Empty fields are taken from the settings `BIGQUERY_PROJECT`, `BIGQUERY_LOCATION` and
    `BIGQUERY_EMULATOR_HOST`; who pays, who calls, and with which key, always from the settings.
    """

    project: str | None = Field(
        default=None,
        description="Project of the dataset. Without it, the setting `BIGQUERY_PROJECT`.",
    )
    location: str | None = Field(
        default=None,
        description="Location of the dataset. Without it, the setting `BIGQUERY_LOCATION`.",
    )
    gcp_credentials: str | None = Field(
        default=None,
        description="Key of a service account, as base64 of its JSON. While a client is open, "
        "`GOOGLE_APPLICATION_CREDENTIALS` names a file with it.",
    )
    api_endpoint: str | None = Field(
        default=None,
        description="Address of a local stand-in on this machine. No credentials are sent to it. A "
        "project without this address means the real BigQuery.",
    )

    # Only while a run, or a tick of a schedule, holds this resource.
    _kept: KeptClient | None = PrivateAttr(default=None)

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Lets the run's steps share a client.

        In a run of our own code location, leaves out what only other people's assets need.
        """
        if _is_our_location(context.run):
            import_google_alone()
            collect_rarely()
        self._kept = KeptClient()

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:  # noqa: ARG002
        """Closes the client that the run's steps have shared."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def settings(self, dataset: str | None = None) -> Settings:
        """Returns the settings with this resource's fields applied."""
        settings = load_settings()
        filled: dict[str, object] = {}
        if self.project:
            filled = {"bigquery_project": self.project, "bigquery_emulator_host": ""}
        if self.api_endpoint:
            filled["bigquery_emulator_host"] = self.api_endpoint
        if self.location:
            filled["bigquery_location"] = self.location
        if dataset:
            filled["bigquery_dataset"] = dataset
        return settings.model_copy(update=filled)

    @contextmanager
    def get_client(self) -> Iterator[Client]:
        """Opens a client, as the settings say: address, paying project, key, impersonation."""
        settings = self.settings()
        with self._key_file(settings), closing(open_client(settings)) as client:
            yield client

    @contextmanager
    def warehouse(self, dataset: str | None = None) -> Iterator[BigQueryClient]:
        """Opens the dataset of the settings, or another one of the same project."""
        settings = self.settings(dataset)
        kept = self._kept
        with (
            self._key_file(settings),
            kept.use(self.settings()) if kept else closing(open_client(settings)) as client,
        ):
            yield bind(client, settings)

    def _key_file(self, settings: Settings) -> AbstractContextManager[None]:
        """Puts `gcp_credentials` where google's library looks for them, as dagster-gcp does."""
        if not self.gcp_credentials or settings.bigquery_emulator_host:
            return nullcontext()
        from dagster_gcp.bigquery.utils import setup_gcp_creds

        return setup_gcp_creds(self.gcp_credentials)

    @contextmanager
    def sync_tables(self) -> Iterator[SyncTables]:
        """Opens the tables of the sync."""
        settings = self.settings()
        with self.warehouse() as warehouse:
            yield SyncTables.from_settings(warehouse, settings)


def _is_our_location(run: dg.DagsterRun | None) -> bool:
    """Whether the run's process was started for a run of `helpdesk_assets.definitions` itself.

    Then nobody else's asset runs in it, which could want pandas of google's client. Nothing is
    known of a run that other code executes in its own process.
    """
    origin = run.job_code_origin if run else None
    pointer = origin.repository_origin.code_pointer if origin else None
    return getattr(pointer, "module", None) == "helpdesk_assets.definitions"
