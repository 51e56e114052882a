"""How long statements and appends take, and what a MERGE reads."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from google.cloud import bigquery

from helpdesk_assets_tests.experiments.appends import open_stream
from helpdesk_assets_tests.experiments.lab import MONTHS, Finding, Lab, merge, one_row

LARGE_BATCH = 500
# 49 tickets of this month and one that is three years old, as `Lab.fill` numbers them: of 50
# changed tickets, one usually is old.
IDS = ["t35", *(f"t{number * MONTHS}" for number in range(1, 50))]
# What the project counts with for a MERGE, in seconds.
SLOW = 6.0
# The longest answer that every vendor waits for, in seconds.
PATIENCE = 1.0


def price_a_merge(lab: Lab) -> Finding:
    """Estimate and run one MERGE of 50 rows with each kind of bounds."""
    lab.fill("large")
    ids, times = bigquery.ArrayQueryParameter("ids", "STRING", IDS), _times_of_the_batch()
    span = "AND T.made BETWEEN @old_from AND @until"
    months = "AND (T.made BETWEEN @since AND @until OR T.made BETWEEN @old_from AND @old_to)"
    ways: Mapping[str, tuple[str, Sequence[Any]]] = {
        "no bounds": ("", ()),
        "oldest to newest": (span, times),
        "months": (months, times),
        "ids": ("AND T.id IN UNNEST(@ids)", (ids,)),
        "months and ids": (f"{months} AND T.id IN UNNEST(@ids)", (*times, ids)),
    }
    source = f"SELECT id, CURRENT_TIMESTAMP() AS made, 1 AS value FROM UNNEST({IDS!r}) AS id"
    told = {}
    for way, (bounds, parameters) in ways.items():
        sql = merge(lab.name("large"), source, bounds)
        estimate = lab.start(sql, parameters, dry_run=True).total_bytes_processed or 0
        job = lab.start(sql, parameters)
        lab.wait(job)
        told[way] = (estimate, int(job.total_bytes_billed or 0))
    answer = "; ".join(
        f"{way}: {dry:,} dry, {billed:,} billed" for way, (dry, billed) in told.items()
    )
    return Finding(
        f"What does a MERGE of {len(IDS)} rows bill, by what its ON bounds?",
        answer,
        "each bound bills less than none; what ids save shows only in the billed bytes",
        told["months and ids"][1] <= told["months"][1] < told["no bounds"][1],
    )


def _times_of_the_batch() -> Sequence[Any]:
    """Return the bounds of the months that have a ticket of the batch."""
    now = datetime.now(UTC)
    oldest = now - timedelta(days=30 * (MONTHS - 1))
    bounds = {
        "until": now,
        "since": now - timedelta(days=20),
        "old_from": oldest - timedelta(days=10),
        "old_to": oldest + timedelta(days=10),
    }
    return [bigquery.ScalarQueryParameter(name, "TIMESTAMP", at) for name, at in bounds.items()]


def time_merges(lab: Lab) -> Finding:
    """Run small and larger MERGEs into the current month, one after the other."""
    lab.make_table("timed")
    target = lab.name("timed")
    bounds = "AND T.made > TIMESTAMP '2020-01-01'"
    many = (
        "SELECT CONCAT('m', CAST(n AS STRING)) AS id, CURRENT_TIMESTAMP() AS made, 1 AS value "
        f"FROM UNNEST(GENERATE_ARRAY(1, {LARGE_BATCH})) AS n"
    )
    told, slowest = [], 0.0
    for rows, source in ((1, one_row("k", 1)), (LARGE_BATCH, many)):
        times = _times(lab, partial(lab.run, merge(target, source, bounds)))
        told.append(f"{rows} rows: {_percentiles(times, 0.95)}")
        slowest = max(slowest, _percentile(times, 0.95))
    return Finding(
        "How long does a MERGE take?",
        "; ".join(told),
        f"about 3 s, 95 % below {SLOW:g} s: so no answer to a vendor waits for one",
        slowest <= SLOW,
    )


def time_appends(lab: Lab) -> Finding:
    """Append single rows by a table's default stream."""
    lab.make_table("appended")
    with open_stream(lab, "appended") as append:
        append("warm")
        times = _times(lab, lambda: append("k"))
    return Finding(
        "How long does an append by the Storage Write API take from here?",
        _percentiles(times, 0.99),
        f"99 % below {PATIENCE:g} s: the receiver answers after it",
        _percentile(times, 0.99) <= PATIENCE,
    )


def read_after_a_merge(lab: Lab) -> Finding:
    """Read a row by tabledata.list right after the MERGE that changed it."""
    lab.make_table("state")
    table = lab.client.get_table(f"{lab.client.project}.{lab.dataset}.state")
    stale = 0
    for value in range(lab.sizes.reads):
        lab.run(merge(lab.name("state"), one_row("row", value)))
        found = [row["value"] for row in lab.client.list_rows(table)]
        stale += found != [value]
    return Finding(
        "Does tabledata.list show a MERGE at once?",
        f"{stale} of {lab.sizes.reads} reads were stale",
        "always: the state row is read that way",
        stale == 0,
    )


def _times(lab: Lab, work: Callable[[], object]) -> list[float]:
    times = []
    for _ in range(lab.sizes.samples):
        began = time.monotonic()
        work()
        times.append(time.monotonic() - began)
    return times


def _percentile(times: Sequence[float], share: float) -> float:
    return sorted(times)[min(len(times) - 1, int(len(times) * share))]


def _percentiles(times: Sequence[float], share: float) -> str:
    high = _percentile(times, share)
    return f"p50 {statistics.median(times):.2f} s, p{share * 100:.0f} {high:.2f} s"
