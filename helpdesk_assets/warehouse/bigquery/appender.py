"""Appends rows by the Storage Write API: no job, no DML, durable when it answers.

It uses a table's default stream, which any number of processes may share and which promises each
row at least once. Google's client for it takes 0.2 s to import, so this module is imported where
rows are appended and nowhere else. Must not know tickets.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from google.api_core import exceptions as google
from google.cloud.bigquery_storage_v1 import types

from helpdesk_assets.errors import DataRefused, HelpdeskAssetsError
from helpdesk_assets.warehouse.bigquery.append_channel import AppendChannel, invalid_argument
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.bigquery.errors import message_of, to_error
from helpdesk_assets.warehouse.bigquery.proto_rows import RowType, parts
from helpdesk_assets.warehouse.merge.schema import Schema
from helpdesk_assets.warehouse.table_spec import TableSpec

# BigQuery takes 10 MB in one request, which also holds the description of the row.
MAX_REQUEST_BYTES = 9_000_000
# A stream learns of a new table or column after a while.
FIRST_WAIT = 0.1
LONGEST_WAIT = 1.0
# The connection or the server broke: rows may or may not be there, and twice does no harm.
_BROKEN = (google.ServerError, google.Aborted, google.Cancelled)
# How the service, and one stand-in, say that the table lacks a column.
_LACKS_COLUMN = ("schema_mismatch_extra_field", "more fields than bigquery schema", "no such field")

Refused = dict[int, str]


class RowsRefused(DataRefused):
    """Some rows cannot be stored as they are; the others of the call were appended.

    Attributes:
        reasons: why, by the number of the row in the call, from 0.
    """

    def __init__(self, message: str, reasons: Mapping[int, str]) -> None:
        super().__init__(message)
        self.reasons = reasons


class RowAppender:
    """Appends rows to the tables of one dataset; safe to share between threads."""

    def __init__(
        self,
        warehouse: BigQueryClient,
        channel: AppendChannel,
        *,
        deadline: float,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Set up; nothing is called before the first row.

        Args:
            warehouse: creates missing tables and columns; not closed with the appender.
            channel: the connection, closed with the appender.
            deadline: seconds after which a call of `append` gives up.
            monotonic: seconds of a clock that never jumps.
            sleep: waits for a number of seconds.
        """
        self._warehouse = warehouse
        self._schema = Schema(warehouse)
        self._channel = channel
        self._deadline = deadline
        self._monotonic = monotonic
        self._sleep = sleep
        self._types: dict[str, RowType] = {}

    def append(self, spec: TableSpec, rows: Sequence[Mapping[str, Any]]) -> None:
        """Append rows, and return once BigQuery has acknowledged all of them.

        A row may be there twice afterwards, and after an error any of them may be there. A missing
        table or column is created.

        Args:
            spec: the table.
            rows: values by column; datetimes are aware, None is NULL.

        Raises:
            RowsRefused: some rows cannot be stored; the others were.
            HelpdeskAssetsError: BigQuery refused, or did not answer within the deadline.
        """
        until = self._monotonic() + self._deadline
        row_type = self._types.setdefault(spec.name, RowType(spec))
        refused: Refused = {}
        numbered: list[tuple[int, bytes]] = []
        for number, row in enumerate(rows):
            try:
                numbered.append((number, row_type.serialize(row)))
            except ValueError as error:
                refused[number] = message_of(error)
        for part in parts(numbered, MAX_REQUEST_BYTES):
            refused |= self._append_part(spec, row_type, part, until)
        if refused:
            raise _rows_refused(spec, rows, refused)

    def close(self) -> None:
        """Close the connection; calls in flight fail."""
        self._channel.close()

    def _append_part(
        self, spec: TableSpec, row_type: RowType, part: list[tuple[int, bytes]], until: float
    ) -> Refused:
        """Append the rows of one request. BigQuery takes none of them if it refuses one."""
        refused: Refused = {}
        while part:
            found = self._try_until(spec, row_type, [row for _, row in part], until)
            if not found:
                break
            refused |= {part[index][0]: reason for index, reason in found.items()}
            part = [each for index, each in enumerate(part) if index not in found]
        return refused

    def _try_until(
        self, spec: TableSpec, row_type: RowType, rows: Sequence[bytes], until: float
    ) -> Refused:
        """Send one request until it is answered.

        Returns:
            Why rows were refused, by their place in `rows`; if any was, none was appended.
        """
        is_second, wait = False, FIRST_WAIT
        while True:
            try:
                return self._send(spec, row_type, rows, until - self._monotonic())
            except google.GoogleAPICallError as error:
                left = until - self._monotonic()
                if _lacks_table_or_column(error) and left > wait:
                    self._create_missing(spec)
                    self._sleep(wait)
                    wait = min(2 * wait, LONGEST_WAIT)
                elif isinstance(error, _BROKEN) and not is_second and left > 0:
                    is_second = True
                else:
                    raise self._to_error(error, spec) from error

    def _send(
        self, spec: TableSpec, row_type: RowType, rows: Sequence[bytes], timeout: float
    ) -> Refused:
        dataset = self._warehouse.dataset
        stream = (
            f"projects/{dataset.project}/datasets/{dataset.name}/tables/{spec.name}"
            "/streams/_default"
        )
        request = types.AppendRowsRequest(
            write_stream=stream,
            proto_rows=types.AppendRowsRequest.ProtoData(
                writer_schema=types.ProtoSchema(proto_descriptor=row_type.descriptor),
                rows=types.ProtoRows(serialized_rows=rows),
            ),
        )
        answer = self._channel.append(request, timeout=timeout)
        reasons = {int(each.index): each.message for each in answer.row_errors}
        if any(_is_about_a_column(reason) for reason in reasons.values()):
            # The table's fault, and no row's.
            raise invalid_argument(min(reasons.values()))
        return reasons

    def _create_missing(self, spec: TableSpec) -> None:
        # Fresh, since the cache may know a table that somebody dropped.
        self._warehouse.get_table(spec.name, fresh=True)
        self._schema.ensure(spec)

    def _to_error(self, error: google.GoogleAPICallError, spec: TableSpec) -> HelpdeskAssetsError:
        target = replace(self._warehouse.target, endpoint=self._channel.host)
        action = f"appending rows to table {spec.name}"
        if isinstance(error, _BROKEN) or _lacks_table_or_column(error):
            return to_error(ConnectionError(message_of(error)), action, target)
        return to_error(error, action, target)


def _lacks_table_or_column(error: google.GoogleAPICallError) -> bool:
    return isinstance(error, google.NotFound) or _is_about_a_column(str(error))


def _is_about_a_column(text: str) -> bool:
    return any(each in text.lower() for each in _LACKS_COLUMN)


def _rows_refused(
    spec: TableSpec, rows: Sequence[Mapping[str, Any]], reasons: Refused
) -> RowsRefused:
    number, reason = min(reasons.items())
    name = ", ".join(f"{column} {rows[number].get(column)}" for column in spec.key)
    return RowsRefused(
        f"BigQuery cannot store {len(reasons)} of {len(rows)} rows in table {spec.name}. The first "
        f"is {name}: {reason}",
        reasons,
    )
