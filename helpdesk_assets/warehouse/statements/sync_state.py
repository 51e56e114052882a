"""The statements that write the one row of sync_state, each a compare-and-set.

They compare its version, so that no run closes over another's, and its fence, so that no writer
closes who was replaced.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill, indent

from helpdesk_assets.model.account import Account
from helpdesk_assets.model.batch import Manifest, Mode
from helpdesk_assets.model.codec import to_text
from helpdesk_assets.model.judging import UNJUDGED, Judging
from helpdesk_assets.model.run_history import read_counts_to_json, recent_runs_to_json
from helpdesk_assets.model.state import Checkpoint, ReadCounts, SyncState
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.base import ManualState
from helpdesk_assets.warehouse.query import Dataset, Parameter, Query
from helpdesk_assets.warehouse.statements.run_counts import run_counts_query
from helpdesk_assets.warehouse.table_spec import ColumnType

_WIDTH = 99
_KEPT_IF_NOT_SAID = ("full_load_at", "provider", "account", "mapping", "tickets_created")
# A full load of tables that were not to be relied on has read everything up to its end, and the
# watermark before it may be one that no run has read up to.
_FORWARDS = "IF(T.watermark IS NULL OR S.watermark > T.watermark, S.watermark, T.watermark)"


def compare_and_set(
    dataset: Dataset,
    values: Mapping[str, str],
    updates: Mapping[str, str],
    *,
    values_from: str = "",
) -> str:
    """Build the MERGE that writes the row if its version and fence are still the expected ones.

    Their parameters are `@expected_version` and `@fence`.

    Args:
        dataset: where sync_state is.
        values: a row by column, as SQL expressions; inserted if there is no row and 0 is expected.
        updates: what an existing row gets by column, as SQL expressions over `S` and `T`.
        values_from: the FROM clause of `values`.
    """
    source = ",\n".join(f"    {value} AS {column}" for column, value in values.items())
    assignments = ",\n".join(f"  {column} = {value}" for column, value in updates.items())
    return f"""\
MERGE INTO {dataset.table(tables.SYNC_STATE.name)} AS T
USING (
  SELECT
{source}{values_from}
) AS S
ON T.sync_name = S.sync_name
WHEN MATCHED AND IFNULL(T.version, 0) = @expected_version AND IFNULL(T.fence, 0) = @fence
THEN UPDATE SET
{assignments}
WHEN NOT MATCHED AND @expected_version = 0 THEN INSERT
{_in_lines(values)}
VALUES
{_in_lines([f"S.{column}" for column in values])}"""


def _in_lines(items: Mapping[str, str] | list[str]) -> str:
    return fill(f"({', '.join(items)})", _WIDTH, initial_indent="  ", subsequent_indent="   ")


def _from_source(values: Mapping[str, str]) -> dict[str, str]:
    return {column: f"S.{column}" for column in values if column != "sync_name"}


def commit_statement(
    dataset: Dataset,
    sync_name: str,
    manifest: Manifest,
    seen: SyncState | None,
    judging: Judging = UNJUDGED,
    *,
    is_repeated: bool = False,
) -> Query:
    """Build the statement that commits a run and counts its facts.

    It writes nothing unless the whole batch is in tickets: looked at before, that could change.

    Args:
        dataset: where the tables are.
        sync_name: which row.
        manifest: the run.
        seen: the state row since the lease was taken; None if there was none.
        judging: what the run judges of webhooks.
        is_repeated: see `run_counts_query`.
    """
    counted = run_counts_query(dataset, manifest, judging, seen, is_repeated=is_repeated)
    values = {
        "sync_name": "@sync_name",
        "watermark": "@watermark",
        "cursor": "@cursor",
        "version": "@expected_version + 1",
        "window_since": "@window_since",
        "window_until": "@window_until",
        "run_id": "@run_id",
        "reason": "@reason",
        "closed_at": "CURRENT_TIMESTAMP()",
        "facts": "F.facts",
        "reading": "@reading",
        "recent_runs": "@recent_runs",
        "full_load_at": "@full_load_at",
        "provider": "@provider",
        "account": "@account",
        "mapping": "@mapping",
        "tickets_created": "@tickets_created",
    }
    updates = {
        **_from_source(values),
        "watermark": "S.watermark" if manifest.resets_watermark else _FORWARDS,
        "unfinished": "CAST(NULL AS STRING)",
        **{name: f"IFNULL(S.{name}, T.{name})" for name in _KEPT_IF_NOT_SAID},
    }
    counts = f"\n  FROM (\n{indent(counted.sql, '  ')}\n  ) AS F\n  WHERE F.is_whole"
    moved = manifest.window.until if manifest.advances_watermark else None
    # Told until somebody has had the rows rewritten.
    is_mapped = manifest.mapping_before is None or manifest.forced
    is_full_load = manifest.mode is Mode.FULL and manifest.advances_watermark
    own = (
        Parameter("sync_name", ColumnType.STRING, sync_name),
        Parameter("watermark", ColumnType.TIMESTAMP, moved),
        Parameter("cursor", ColumnType.STRING, manifest.cursor),
        Parameter("expected_version", ColumnType.INT64, manifest.expected_version),
        Parameter("fence", ColumnType.INT64, seen.fence if seen else 0),
        Parameter("window_since", ColumnType.TIMESTAMP, manifest.window.since),
        Parameter("window_until", ColumnType.TIMESTAMP, manifest.window.until),
        Parameter("reason", ColumnType.STRING, f"{manifest.mode}: {manifest.reason}"),
        Parameter("reading", ColumnType.STRING, read_counts_to_json(ReadCounts.of(manifest))),
        Parameter("recent_runs", ColumnType.STRING, recent_runs_to_json(seen)),
        Parameter(
            "full_load_at",
            ColumnType.TIMESTAMP,
            (manifest.read_since or manifest.served_at) if is_full_load else None,
        ),
        Parameter("provider", ColumnType.STRING, manifest.provider or None),
        Parameter("account", ColumnType.STRING, manifest.account or None),
        Parameter("mapping", ColumnType.INT64, manifest.mapping if is_mapped else None),
        Parameter("tickets_created", ColumnType.TIMESTAMP, manifest.tickets_created),
    )
    sql = compare_and_set(dataset, values, updates, values_from=counts)
    return Query(sql, (*counted.parameters, *own))


def adopt_statement(dataset: Dataset, account: Account, run_id: str) -> Query:
    """Build the statement that gives the rows of other accounts to this one.

    They lose watermark, checkpoint and newest change, which spoke of the other: each next run is a
    full load.
    """
    sql = f"""\
UPDATE {dataset.table(tables.SYNC_STATE.name)}
SET
  provider = @provider,
  account = @account,
  mapping = NULL,
  watermark = NULL,
  cursor = NULL,
  unfinished = NULL,
  reading = NULL,
  window_since = NULL,
  window_until = NULL,
  version = version + 1,
  run_id = @run_id,
  reason = @reason,
  closed_at = CURRENT_TIMESTAMP()
WHERE account IS DISTINCT FROM @account"""
    reason = f"{Mode.MANUAL}: adopted for another account"
    values = {
        "provider": account.provider,
        "account": account.digest,
        "run_id": run_id,
        "reason": reason,
    }
    return Query(
        sql, tuple(Parameter(name, ColumnType.STRING, value) for name, value in values.items())
    )


def checkpoint_statement(
    dataset: Dataset, sync_name: str, checkpoint: Checkpoint, expected_version: int, fence: int
) -> Query:
    """Build the statement that saves a checkpoint and leaves the row's version as it is."""
    values = {"sync_name": "@sync_name", "version": "0", "unfinished": "@unfinished"}
    return Query(
        compare_and_set(dataset, values, {"unfinished": "S.unfinished"}),
        (
            Parameter("sync_name", ColumnType.STRING, sync_name),
            Parameter("unfinished", ColumnType.STRING, to_text(checkpoint)),
            Parameter("expected_version", ColumnType.INT64, expected_version),
            Parameter("fence", ColumnType.INT64, fence),
        ),
    )


def fence_statement(dataset: Dataset, sync_names: Sequence[str]) -> Query:
    """Build the statement after which nobody closes who read the state before it.

    Args:
        dataset: where sync_state is.
        sync_names: syncs that need a row: without one, a first run would insert it.
    """
    sql = f"""\
MERGE INTO {dataset.table(tables.SYNC_STATE.name)} AS T
USING (SELECT sync_name FROM UNNEST(@sync_names) AS sync_name) AS S
ON T.sync_name = S.sync_name
WHEN MATCHED THEN UPDATE SET fence = IFNULL(T.fence, 0) + 1
WHEN NOT MATCHED BY SOURCE THEN UPDATE SET fence = IFNULL(T.fence, 0) + 1
WHEN NOT MATCHED THEN INSERT (sync_name, version, fence) VALUES (S.sync_name, 0, 1)"""
    return Query(sql, (Parameter("sync_names", ColumnType.STRING, tuple(sync_names)),))


def replace_row(dataset: Dataset, values: Mapping[str, str]) -> str:
    """Build the MERGE that puts one row in the place of all rows of `@sync_name`.

    It compares no version: a row that cannot be read whole may have none.

    Args:
        dataset: where sync_state is.
        values: the row by column, as SQL expressions.
    """
    source = ",\n".join(f"    {value} AS {column}" for column, value in values.items())
    return f"""\
MERGE INTO {dataset.table(tables.SYNC_STATE.name)} AS T
USING (
  SELECT
{source}
) AS S
ON FALSE
WHEN NOT MATCHED BY SOURCE AND T.sync_name = @sync_name THEN DELETE
WHEN NOT MATCHED THEN INSERT
{_in_lines(values)}
VALUES
{_in_lines([f"S.{column}" for column in values])}"""


def manual_state_statement(
    dataset: Dataset,
    sync_name: str,
    manual_state: ManualState,
    expected: SyncState | None,
    fence: int,
) -> Query:
    """Build the statement that sets the row by hand.

    The facts stay those of the last run; a row that cannot be read whole is replaced.

    Args:
        dataset: where sync_state is.
        sync_name: which row.
        manual_state: what the row shall say.
        expected: the row as it was read; None if there was none.
        fence: the row's since the lease was taken.
    """
    values = {
        "sync_name": "@sync_name",
        "watermark": "@watermark",
        "cursor": "@cursor",
        "version": "@version",
        "run_id": "@run_id",
        "reason": "@reason",
        "closed_at": "CURRENT_TIMESTAMP()",
        "recent_runs": "@recent_runs",
        "fence": "@fence",
    }
    updates = {
        **_from_source(values),
        "window_since": "CAST(NULL AS TIMESTAMP)",
        "window_until": "CAST(NULL AS TIMESTAMP)",
        "reading": "CAST(NULL AS STRING)",
        "unfinished": "CAST(NULL AS STRING)",
    }
    is_damaged = expected is not None and bool(expected.damaged)
    sql = replace_row(dataset, values) if is_damaged else compare_and_set(dataset, values, updates)
    return Query(
        sql,
        (
            Parameter("sync_name", ColumnType.STRING, sync_name),
            Parameter("watermark", ColumnType.TIMESTAMP, manual_state.watermark),
            Parameter("cursor", ColumnType.STRING, manual_state.cursor),
            Parameter("version", ColumnType.INT64, manual_state.version),
            Parameter("run_id", ColumnType.STRING, manual_state.run_id),
            Parameter("reason", ColumnType.STRING, f"{Mode.MANUAL}: {manual_state.reason}"),
            Parameter("recent_runs", ColumnType.STRING, recent_runs_to_json(expected)),
            Parameter("expected_version", ColumnType.INT64, expected.version if expected else 0),
            Parameter("fence", ColumnType.INT64, fence),
        ),
    )
