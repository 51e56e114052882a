"""By which the rows of our tables are told apart, where a statement does not say so."""

from __future__ import annotations

from collections.abc import Mapping

from helpdesk_assets.warehouse import tables

KEYS: Mapping[str, tuple[str, ...]] = {
    spec.name: spec.key for spec in (*tables.SYNC_TABLES, *tables.RECONCILIATION_TABLES)
}
