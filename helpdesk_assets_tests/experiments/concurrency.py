"""What statements do that change one table at the same time."""

from __future__ import annotations

from collections import Counter
from itertools import count

from google.api_core import exceptions as google

from helpdesk_assets_tests.experiments.lab import Finding, Lab, merge, one_row, reason_of

# Two run and 20 wait.
ACCEPTED = 22


def double_a_new_key(lab: Lab) -> Finding:
    """Start two MERGEs of one new key together, and count its rows."""
    lab.make_table("pairs")
    target = lab.name("pairs")
    for number in range(lab.sizes.pairs):
        jobs = [lab.start(merge(target, one_row(f"k{number}", value))) for value in (1, 2)]
        for job in jobs:
            lab.wait(job)
    rows = lab.run(f"SELECT id, COUNT(*) AS n FROM {target} GROUP BY id HAVING COUNT(*) > 1")
    return Finding(
        "Do two insert-only MERGEs of one new key, started together, both insert it?",
        f"{len(rows)} of {lab.sizes.pairs} keys have two rows",
        "yes, without an error: so one process at a time writes",
        bool(rows),
    )


def starve_a_long_merge(lab: Lab) -> Finding:
    """Run a MERGE of everything beside a writer that never stops."""
    lab.fill("busy")
    target = lab.name("busy")
    everything = f"SELECT id, made, value + 1 AS value FROM {target}"
    long = lab.start(merge(target, everything))
    rounds = 0
    for rounds in count(1):
        lab.run(merge(target, one_row("t1", rounds), "AND T.made > TIMESTAMP '2020-01-01'"))
        if long.done():
            break
    try:
        lab.wait(long)
        answer, failed = "it commits", False
    except google.GoogleAPICallError as error:
        answer, failed = f"it fails: {reason_of(error)}", True
    return Finding(
        "Does a long MERGE beside a busy writer of its partitions ever commit?",
        f"{answer}, after {rounds} others",
        "it is run again three times and fails with `Could not serialize access`",
        failed,
    )


def crowd_a_table(lab: Lab) -> Finding:
    """Start more statements than a table's queue takes."""
    lab.make_table("crowd")
    told: Counter[str] = Counter()
    jobs = []
    for number in range(lab.sizes.crowd):
        try:
            jobs.append(lab.start(merge(lab.name("crowd"), one_row(f"k{number}", 1))))
        except google.GoogleAPICallError as error:
            told[reason_of(error)] += 1
    for job in jobs:
        try:
            lab.wait(job)
            told["done"] += 1
        except google.GoogleAPICallError as error:
            told[reason_of(error)] += 1
    answer = "; ".join(f"{number} {text}" for text, number in told.most_common())
    return Finding(
        f"What happens to {lab.sizes.crowd} MERGEs of one table at once?",
        answer,
        f"{ACCEPTED} are taken; the rest fail with `Too many DML statements outstanding` or a "
        "quota named max_dml_outstanding_per_table, both of which pass in seconds",
        told["done"] >= min(ACCEPTED, lab.sizes.crowd),
    )
