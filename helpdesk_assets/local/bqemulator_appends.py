"""Two changes of how bqemulator appends rows: inline, and no column is dropped in silence.

Its gRPC handlers run in threads, beside REST and on the same connection to its data, so rows of one
got lost in the other. A handler that is a coroutine runs where REST runs, one step at a time.

The service refuses a row with a column that the table lacks. bqemulator leaves the column out.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any


def mend_appends() -> None:
    """Change the handler of AppendRows."""
    from bqemulator.grpc_api import write_servicer

    handler, rows_for_request = (
        write_servicer.BigQueryWriteHandler,
        vars(write_servicer)["_rows_for_request"],
    )
    append_rows = vars(handler)["_handle_append_rows"]

    async def inline(self: Any, requests: AsyncIterator[bytes], context: Any) -> Any:
        # Each request for itself, so it has to bring its schema, as this project's do.
        async for request in requests:
            for answer in append_rows(self, iter([request]), context):
                yield answer

    def checked(request: Any, decoder: Any, arrow: Any, schema: Any) -> Any:
        rows, decoder, arrow = rows_for_request(request, decoder, arrow, schema)
        extra = set(decoder.field_names if decoder else ()) - set(schema.names)
        if extra:
            names = ", ".join(sorted(extra))
            raise ValueError(
                "SCHEMA_MISMATCH_EXTRA_FIELDS: input schema has more fields than BigQuery schema, "
                f"extra fields: {names}"
            )
        return rows, decoder, arrow

    setattr(handler, "_handle_append_rows", inline)  # noqa: B010 - mypy refuses the assignment
    vars(write_servicer)["_rows_for_request"] = checked
