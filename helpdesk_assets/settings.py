"""Every setting of the package, typed, from the environment and `.env`.

The command line and Dagster's resources read settings once and hand them down as values; only what
decides which definitions there are is read at import. The one other reader is the option
`simulate --webhooks-secret`, which takes WEBHOOK_SECRETS. Must not know clients, SQL or Dagster.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any, Literal, Self, cast
from urllib.parse import urlsplit

from pydantic import (
    Field,
    SecretStr,
    ValidationError,
    ValidatorFunctionWrapHandler,
    field_validator,
    model_validator,
)

from helpdesk_assets.config import redaction
from helpdesk_assets.config.job_labels import parse_labels
from helpdesk_assets.config.loading import load
from helpdesk_assets.config.standalone import AlertSettings, BackfillSettings
from helpdesk_assets.config.unsubscribed import parse_unsubscribed
from helpdesk_assets.model.webhooks import LedgerSource, WebhookPolicy

LOCAL_HELPDESK_URL = "http://127.0.0.1:8420"
LOCAL_WAREHOUSE_URL = "http://127.0.0.1:9050"
LOCAL_PROJECT = "helpdesk-local"
# The simulated helpdesk accepts this and nothing else; it gives access to nothing real.
LOCAL_TOKEN = "local-demo-token"  # noqa: S105
# Limits that all callers of a helpdesk share.
SHARED_LIMITS = (
    "helpdesk_concurrency",
    "helpdesk_calls_per_minute",
    "zendesk_exports_per_minute",
    "freshdesk_lists_per_minute",
)
# HELPDESK_CONCURRENCY where it is not set and the smallest plan allows fewer calls at once. Zoho
# Desk: 5 on Free, 10 to 25 on others.
CONCURRENCY_BY_PROVIDER = {"zoho_desk": 5}
MIN_HISTORY_DAYS = 7
# BigQuery bills at least so much for each query, and refuses a lower limit.
MIN_BYTES_BILLED = 10 * 1024 * 1024
RESERVATION = r"^(projects/[^/]+/locations/[^/]+/reservations/[^/]+)?$"
KMS_KEY = re.compile(r"projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+")
# Search indexes lag by seconds to minutes, and servers of one helpdesk may differ by as much.
MIN_LISTING_DELAY = timedelta(minutes=15)


class Settings(AlertSettings, BackfillSettings):
    """One field per environment variable, named like it. `.env.example` lists them all."""

    helpdesk_provider: str = "rest"
    helpdesk_base_url: str = LOCAL_HELPDESK_URL
    helpdesk_user: str = ""
    helpdesk_api_token: SecretStr = SecretStr("")
    helpdesk_page_size: int = Field(default=100, ge=1, le=1000)
    helpdesk_concurrency: int = Field(default=8, ge=1, le=64)
    helpdesk_overlap_seconds: int = Field(default=300, ge=0)
    helpdesk_fetch_details: bool = False
    helpdesk_skip_bad_tickets: bool = False
    helpdesk_timeout_seconds: float = Field(default=30.0, gt=0)
    helpdesk_calls_per_minute: int = Field(default=0, ge=0)
    helpdesk_result_cap: int = Field(default=0, ge=0)
    helpdesk_time_zone: str = ""
    helpdesk_token_cache: str = ""
    helpdesk_backfill_share: float = Field(default=0.25, gt=0, le=1)
    helpdesk_reconcile_share: float = Field(default=0.5, gt=0, le=1)

    redact_fields: str = ""
    redact_key: SecretStr = SecretStr("")

    zendesk_client_id: str = ""
    zendesk_client_secret: SecretStr = SecretStr("")
    zendesk_exports_per_minute: int = Field(default=10, ge=1)
    zendesk_tickets: Literal["all", "agent", "ai_agent"] = "all"

    zoho_accounts_url: str = ""
    zoho_org_id: str = ""
    zoho_client_id: str = ""
    zoho_client_secret: SecretStr = SecretStr("")
    zoho_refresh_token: SecretStr = SecretStr("")
    zoho_jwks_url: str = ""
    zoho_recycle_bin: bool = True
    zoho_credits_kept: int = Field(default=0, ge=0)

    freshdesk_include: str = ""
    freshdesk_lists_per_minute: int = Field(default=0, ge=0)
    freshdesk_archive: bool = False

    webhooks_enabled: bool | Literal["auto"] = "auto"
    webhook_grace_seconds: int = Field(default=300, ge=0)
    webhook_ledger: LedgerSource = LedgerSource.AUTO
    webhook_not_subscribed: str = ""
    webhook_gap_warn_count: int = Field(default=1, ge=1)
    webhook_gap_error_share: float = Field(default=0.2, ge=0, le=1)
    webhook_gap_error_count: int = Field(default=3, ge=1)
    webhook_minimum_changes: int = Field(default=10, ge=1)
    webhook_silence_seconds: int = Field(default=3600, ge=1)
    webhook_silence_changes: int = Field(default=3, ge=1)
    webhook_latency_seconds: float = Field(default=60.0, gt=0)
    webhook_secrets: SecretStr = SecretStr("")
    webhook_secret_header: str = "X-Webhook-Secret"  # noqa: S105 - a header's name
    webhook_tolerance_seconds: int = Field(default=300, ge=1)
    webhook_drain_seconds: int = Field(default=300, ge=0)
    webhook_queue_size: int = Field(default=5000, ge=1)

    reconcile_most_gone_share: float = Field(default=0.01, ge=0, le=1)

    bigquery_project: str = ""
    bigquery_dataset: str = "helpdesk_data"
    bigquery_location: str | None = None
    bigquery_emulator_host: str = ""
    bigquery_emulator_grpc_host: str = ""
    bigquery_max_bytes_billed: int | None = Field(default=None, ge=MIN_BYTES_BILLED)
    bigquery_priority: Literal["interactive", "batch"] = "interactive"
    bigquery_reservation: str = Field(default="", pattern=RESERVATION)
    bigquery_labels: str = ""
    bigquery_price_per_tib: float = Field(default=6.25, ge=0)
    bigquery_billing_project: str = ""
    bigquery_impersonate_service_account: str = ""
    bigquery_quota_project: str = ""
    bigquery_endpoint: str = ""
    bigquery_kms_key: str = ""
    bigquery_small_batch_bytes: int = Field(default=1_048_576, ge=1, le=8_000_000)

    sync_name: str = "tickets"
    history_days: int | None = Field(default=None, ge=0)

    @field_validator("history_days")
    @classmethod
    def _check_history_days(cls, days: int | None) -> int | None:
        """Retried steps re-read small batches from raw_ticket_changes, so it must outlive them."""
        if days and days < MIN_HISTORY_DAYS:
            raise ValueError(f"must be at least {MIN_HISTORY_DAYS}, or 0 to keep all versions")
        return days

    @field_validator("webhooks_enabled", mode="wrap")
    @classmethod
    def _check_webhooks_enabled(
        cls, value: Any, validate: ValidatorFunctionWrapHandler
    ) -> bool | Literal["auto"]:
        try:
            return cast(
                "bool | Literal['auto']",
                validate(value.strip().lower() if isinstance(value, str) else value),
            )
        except ValidationError:
            raise ValueError("must be auto, true or false") from None

    @field_validator("webhook_not_subscribed")
    @classmethod
    def _check_not_subscribed(cls, text: str) -> str:
        parse_unsubscribed(text)
        return text

    @field_validator("bigquery_labels")
    @classmethod
    def _check_labels(cls, text: str) -> str:
        parse_labels(text)
        return text

    @field_validator("bigquery_kms_key")
    @classmethod
    def _check_kms_key(cls, name: str) -> str:
        if name and not KMS_KEY.fullmatch(name):
            raise ValueError(
                "must look like projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY"
            )
        return name

    @field_validator("redact_fields")
    @classmethod
    def _check_redact_fields(cls, text: str) -> str:
        redaction.parse_paths(text)
        return text

    @model_validator(mode="after")
    def _check_redact_key(self) -> Self:
        hashed = any(path.hashed for path in redaction.parse_paths(self.redact_fields))
        if hashed and len(self.redact_key.get_secret_value()) < redaction.MIN_KEY_LENGTH:
            raise ValueError(
                "REDACT_FIELDS hashes a field, and REDACT_KEY has fewer than "
                f"{redaction.MIN_KEY_LENGTH} characters; make one with `openssl rand -hex 32`"
            )
        return self

    @model_validator(mode="after")
    def _fill_local_defaults(self) -> Self:
        """Without a project, use the local warehouse; for the simulated helpdesk, its token."""
        fill = object.__setattr__
        if not self.bigquery_project:
            fill(self, "bigquery_project", LOCAL_PROJECT)
            fill(self, "bigquery_emulator_host", self.bigquery_emulator_host or LOCAL_WAREHOUSE_URL)
        host = self.bigquery_emulator_host
        if host and "://" not in host:
            fill(self, "bigquery_emulator_host", f"http://{host}")
        if self.bigquery_emulator_host and not self.bigquery_emulator_grpc_host:
            fill(self, "bigquery_emulator_grpc_host", grpc_address(self.bigquery_emulator_host))
        fill(self, "helpdesk_base_url", self.helpdesk_base_url.rstrip("/"))
        if not self.helpdesk_api_token.get_secret_value() and (
            self.helpdesk_base_url == LOCAL_HELPDESK_URL
        ):
            fill(self, "helpdesk_api_token", SecretStr(LOCAL_TOKEN))
        return self

    @model_validator(mode="after")
    def _fill_concurrency(self) -> Self:
        default = CONCURRENCY_BY_PROVIDER.get(self.helpdesk_provider)
        if default is not None and "helpdesk_concurrency" not in self.model_fields_set:
            object.__setattr__(self, "helpdesk_concurrency", default)
        return self

    @property
    def paying_project(self) -> str:
        """The project in which jobs run, and which pays for them."""
        return self.bigquery_billing_project or self.bigquery_project

    @property
    def for_backfill(self) -> Self:
        """The same settings with the share of the helpdesk's limits that a backfill run may use."""
        return self._with_share(self.helpdesk_backfill_share)

    @property
    def for_reconciliation(self) -> Self:
        """The same settings with the share of the limits that a reconciliation may use."""
        return self._with_share(self.helpdesk_reconcile_share)

    def _with_share(self, share: float) -> Self:
        limits = {name: getattr(self, name) for name in SHARED_LIMITS}
        return self.model_copy(
            update={name: max(1, int(limit * share)) for name, limit in limits.items() if limit}
        )

    @property
    def job_labels(self) -> dict[str, str]:
        """The user's own labels of BigQuery's jobs."""
        return parse_labels(self.bigquery_labels)

    @property
    def overlap(self) -> timedelta:
        """How far a window reaches back behind the watermark."""
        return timedelta(seconds=self.helpdesk_overlap_seconds)

    @property
    def listing_delay(self) -> timedelta:
        """How long after a change every listing of the helpdesk includes it, whatever its index.

        A raised overlap means that somebody has seen an index lag by more.
        """
        return max(MIN_LISTING_DELAY, self.overlap)

    @property
    def grace(self) -> timedelta:
        """How long a webhook may take."""
        return timedelta(seconds=self.webhook_grace_seconds)

    @property
    def redaction(self) -> redaction.Redaction | None:
        """What to leave out of stored tickets; None to store everything."""
        paths = redaction.parse_paths(self.redact_fields)
        key = self.redact_key.get_secret_value().encode()
        return redaction.Redaction(paths, key) if paths else None

    @property
    def webhooks(self) -> WebhookPolicy:
        """What is expected of webhooks; with them, a window reaches back by the grace at least."""
        return WebhookPolicy(
            enabled=self.webhooks_enabled,
            ledger_source=self.webhook_ledger,
            grace=self.grace,
            lookback=self.overlap
            if self.webhooks_enabled is False
            else max(self.overlap, self.grace),
            unsubscribed=parse_unsubscribed(self.webhook_not_subscribed),
        )


def grpc_address(rest_url: str) -> str:
    """Return where a stand-in for BigQuery serves gRPC: the port of REST plus 10."""
    parts = urlsplit(rest_url)
    name = parts.hostname or ""
    host = f"[{name}]" if ":" in name else name
    return f"{host}:{(parts.port or 80) + 10}"


def load_settings() -> Settings:
    """Read the environment and `.env` of the current directory.

    Raises:
        SettingsError: names each invalid variable and the reason, never its value.
    """
    return load(Settings)
