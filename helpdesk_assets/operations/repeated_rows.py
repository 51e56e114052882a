"""Removes the rows that a run counted as repeated, once the run has closed."""

from __future__ import annotations

import logging
from dataclasses import replace

from helpdesk_assets.model.batch import Manifest
from helpdesk_assets.model.state import RunCounts
from helpdesk_assets.warehouse.base import Warehouse

log = logging.getLogger(__name__)


def heal_repeated_rows(warehouse: Warehouse, manifest: Manifest, counted: RunCounts) -> RunCounts:
    """Remove what the run counted as repeated; return the counts with the outcome.

    The run has closed already, so whatever happens here, its batch is durable. A later run counts
    again and removes what this one left.

    Args:
        warehouse: whose rows were counted.
        manifest: the run.
        counted: what it counted.
    """
    outcomes = warehouse.remove_repeated_rows(manifest, counted)
    for outcome in outcomes:
        if outcome.problem:
            log.warning(
                "Removing %d repeated rows of %s failed; a later run tries again. %s",
                outcome.found - outcome.removed,
                outcome.table,
                outcome.problem,
            )
        else:
            log.warning(
                "%d rows of %s were beyond the first of their key; %d are removed. Last written "
                "by: %s. BigQuery enforces no keys: two writers can insert the same key at once.",
                outcome.found,
                outcome.table,
                outcome.removed,
                ", ".join(outcome.writers) or "nobody knows",
            )
    return replace(counted, repeated=outcomes)
