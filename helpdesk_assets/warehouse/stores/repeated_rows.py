"""Removes the rows that a run counted as repeated, table by table."""

from __future__ import annotations

from itertools import islice

from helpdesk_assets.errors import HelpdeskAssetsError
from helpdesk_assets.model.batch import Manifest
from helpdesk_assets.model.state import RepeatedRows, RunCounts
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.statements.repeated_rows import (
    COUNTED_TABLES,
    CountedTable,
    counted_since,
    find_repeated,
    remove_repeated,
)

# Tickets per statement: their ids stay far below the 10 MB that BigQuery accepts in a request.
CHUNK_SIZE = 10_000
MAX_NAMED_WRITERS = 5


def remove_repeated_rows(
    client: BigQueryClient, manifest: Manifest, counts: RunCounts, *, chunk: int = CHUNK_SIZE
) -> tuple[RepeatedRows, ...]:
    """Keep one row of each key in every table of which the run counted repeated keys.

    A table that refuses keeps its rows, and its result says why. BigQuery refuses while rows are
    in a streaming buffer; a later run counts them again.

    Args:
        client: the dataset.
        manifest: the run.
        counts: what it counted.
        chunk: tickets per statement.
    """
    counted = [(each, int(getattr(counts, each.counted_as))) for each in COUNTED_TABLES]
    return tuple(
        _remove(client, manifest, each, found, chunk) for each, found in counted if found > 0
    )


def _remove(
    client: BigQueryClient, manifest: Manifest, counted: CountedTable, found: int, chunk: int
) -> RepeatedRows:
    name, run_id, since = counted.spec.name, manifest.run_id, counted_since(manifest)
    removed, number, writers = 0, 0, set[str]()
    try:
        repeated = client.run(
            find_repeated(client.dataset, counted, since), run_id=run_id, step=f"repeated_{name}"
        ).rows
        columns = _columns(client, name)
        while some := list(islice(repeated, chunk)):
            ids = tuple(dict.fromkeys(row["ticket_id"] for row in some))
            client.run(
                remove_repeated(client.dataset, counted, ids, since, columns),
                run_id=run_id,
                step=f"once_{name}_{number}",
                labels={"table": name},
            )
            number += 1
            removed += sum(int(row["row_count"]) - 1 for row in some)
            writers |= {str(row[name]) for row in some for name in ("one_writer", "other_writer")}
    except HelpdeskAssetsError as error:
        return RepeatedRows(name, found, removed, _named(writers), str(error))
    return RepeatedRows(name, found, removed, _named(writers))


def _columns(client: BigQueryClient, table: str) -> list[str]:
    """Return all columns as they are now: one that somebody has added must not lose its values."""
    found = client.get_table(table, fresh=True)
    return [field.name for field in found.schema] if found is not None else []


def _named(writers: set[str]) -> tuple[str, ...]:
    return tuple(sorted(writers)[:MAX_NAMED_WRITERS])
