"""Names are quoted or rejected, and no value ever enters the text of a statement."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from helpdesk_assets.errors import SettingsError
from helpdesk_assets.model.batch import Manifest, Version
from helpdesk_assets.model.judging import Judging
from helpdesk_assets.model.webhooks import JudgedBy, Unsubscribed, WebhookPolicy
from helpdesk_assets.settings import MIN_LISTING_DELAY
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.merge.statement import merge_statement, rows_source, table_source
from helpdesk_assets.warehouse.query import Dataset, Query, quote
from helpdesk_assets.warehouse.statements import batch, run_counts
from helpdesk_assets.warehouse.statements.missed_by_table import missed_by_table
from helpdesk_assets.warehouse.statements.missed_updates import missed_by_events
from helpdesk_assets.warehouse.table_spec import Column, ColumnType
from helpdesk_assets_tests.batches import SMALL
from helpdesk_assets_tests.hostile.strategies import texts
from helpdesk_assets_tests.warehouse.ledger_cases import POLICY

DATASET = Dataset("acme", "desk")
QUOTED = re.compile(r"`(?:[a-z0-9.-]+:)?[A-Za-z0-9_.-]+`")
names = (
    texts | st.text("abzAZ019_-`.:; \n'\"\\/*", max_size=12) | st.from_regex(r"[A-Za-z_]\w{0,8}")
)


def quoted_or_refused(make: Callable[[], str]) -> str:
    try:
        made = make()
    except SettingsError as error:
        said, made = str(error), ""
    else:
        said = ""
    assert not said or said.isprintable()
    outside = QUOTED.sub("", made)
    assert "`" not in outside
    assert "--" not in outside
    return made


@given(names)
@example("a` OR TRUE --")
@example("column\n")
@example("\uff43olumn")
def test_column_is_quoted_or_rejected(name: str) -> None:
    made = quoted_or_refused(lambda: quote(name))
    assert made in ("", f"`{name}`")


@given(names, names, names)
@example("acme", "desk", "tickets` WHERE TRUE --")
@example("acme:evil", "desk\n", "tickets")
def test_table_is_quoted_or_rejected(project: str, dataset: str, table: str) -> None:
    made = quoted_or_refused(lambda: Dataset(project, dataset).table(table))
    assert made in ("", f"`{project}.{dataset}.{table}`")


@given(st.lists(st.tuples(names, st.sampled_from(ColumnType)), min_size=1, max_size=4))
def test_batch_columns_are_quoted_or_rejected(columns: list[tuple[str, ColumnType]]) -> None:
    held = tuple(Column(name, kind) for name, kind in columns)
    spec = replace(tables.TICKETS, columns=held, write_once=(), partition_by=None)
    for source in (lambda: rows_source(held), lambda: table_source("`a.b.c`", held)):
        found = quoted_or_refused(source)
        if found:
            written = [column.name for column in held]
            quoted_or_refused(lambda: merge_statement(spec, "`a.b.c`", found, written))  # noqa: B023


def statements(manifest: Manifest, policy: WebhookPolicy) -> list[Query]:
    return [
        batch.batch(DATASET, manifest),
        batch.tickets_source(DATASET, manifest, MIN_LISTING_DELAY),
        missed_by_table(DATASET, manifest, Judging(JudgedBy.TABLE, policy)),
        missed_by_events(DATASET, manifest, Judging(JudgedBy.EVENTS, policy)),
        *(
            run_counts.run_counts_query(DATASET, manifest, Judging(judged_by, policy))
            for judged_by in JudgedBy
        ),
    ]


def parameters_of(query: Query) -> list[Any]:
    values = (parameter.value for parameter in query.parameters)
    return [each for value in values for each in (value if isinstance(value, tuple) else (value,))]


@given(ticket_id=texts, digest=texts, run_id=texts, word=texts, column=st.sampled_from(["status"]))
def test_values_are_only_ever_parameters(
    ticket_id: str, digest: str, run_id: str, word: str, column: str
) -> None:
    """A statement with hostile values has the same text as one with harmless values."""
    hostile = replace(
        SMALL,
        versions=(Version(ticket_id, digest),),
        run_id=run_id,
        batch_id=run_id,
        reason=word,
        cursor=word,
    )
    harmless = replace(SMALL, versions=(Version("7", "h1"),))
    odd = replace(POLICY, unsubscribed=(Unsubscribed(((column, (word,)),)),))
    plain = replace(POLICY, unsubscribed=(Unsubscribed(((column, ("closed",)),)),))
    about_hostile, about_harmless = statements(hostile, odd), statements(harmless, plain)
    assert [query.sql for query in about_hostile] == [query.sql for query in about_harmless]
    assert ticket_id in parameters_of(about_hostile[0])


@given(names)
def test_staging_table_is_quoted_or_rejected(staging: str) -> None:
    manifest = replace(SMALL, versions=None, staging=staging)
    quoted_or_refused(lambda: batch.batch(DATASET, manifest).sql)
