"""The views of a dataset, made as its tables are now."""

from __future__ import annotations

from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.merge.schema import Schema
from helpdesk_assets.warehouse.merge.table_check import is_json_as_text
from helpdesk_assets.warehouse.query import Dataset
from helpdesk_assets.warehouse.statements import history_view, live_view


def ensure_views(schema: Schema, dataset: Dataset) -> None:
    """Create the views, or update those whose text has changed.

    Args:
        schema: the schemas of the dataset.
        dataset: where the tables are.
    """
    held = schema.columns(tables.TICKETS)
    raw_json = next(each for each in tables.TICKETS.columns if each.name == "raw_json")
    json_as_text = is_json_as_text(raw_json, held)
    history = history_view.view_query(dataset, json_as_text=json_as_text)
    schema.ensure_view(history_view.NAME, history, history_view.DESCRIPTION)
    if schema.exists(tables.WEBHOOK_EVENTS):
        schema.ensure(tables.WEBHOOK_OUTCOMES)
        live = live_view.view_query(dataset, json_as_text=json_as_text)
        schema.ensure_view(live_view.NAME, live, live_view.DESCRIPTION)
