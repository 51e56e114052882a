"""What datasets and jobs do that the stand-ins do not."""

from __future__ import annotations

import uuid

from google.api_core import exceptions as google
from google.cloud import bigquery

from helpdesk_assets_tests.experiments.lab import NO_RETRY, Finding, Lab, merge, one_row

SIXTY_DAYS_MS = 60 * 24 * 3600 * 1000


def inherit_an_expiration(lab: Lab) -> Finding:
    """Insert a ticket of 2015 where the dataset drops partitions after 60 days."""
    dataset = bigquery.Dataset(f"{lab.client.project}.{lab.dataset}_60")
    dataset.location = lab.location
    dataset.default_partition_expiration_ms = SIXTY_DAYS_MS
    lab.client.create_dataset(dataset)
    try:
        table = lab.make_table("old", dataset=dataset.dataset_id)
        found = lab.client.get_table(table)
        inherited = found.time_partitioning.expiration_ms
        name = f"`{lab.client.project}.{dataset.dataset_id}.old`"
        source = "SELECT 'k' AS id, TIMESTAMP '2015-05-05' AS made, 1 AS value"
        lab.run(merge(name, source))
        rows = len(list(lab.client.list_rows(found)))
    finally:
        lab.client.delete_dataset(dataset, delete_contents=True, not_found_ok=True)
    return Finding(
        "Does a table inherit its dataset's partition expiration, and lose old rows at once?",
        f"it inherits {inherited} ms; {rows} of 1 old rows are left, and no error",
        "yes to both: so the expiration is taken off the tables that keep everything",
        inherited == SIXTY_DAYS_MS and rows == 0,
    )


def ask_for_a_used_id(lab: Lab) -> Finding:
    """Send a job id a second time, and ask for the job at once."""
    lab.make_table("ids")
    conflicts = lost = 0
    for number in range(lab.sizes.samples):
        job_id = f"experiment_{uuid.uuid4().hex}"
        sql = merge(lab.name("ids"), one_row(f"k{number}", 1))
        first = lab.start(sql, job_id=job_id)
        try:
            lab.start(sql, job_id=job_id)
        except google.Conflict:
            conflicts += 1
        try:
            lab.client.get_job(job_id, location=lab.location, retry=NO_RETRY)
        except google.NotFound:
            lost += 1
        lab.wait(first)
    return Finding(
        "Is a used job id refused, and is the job found at once?",
        f"{conflicts} of {lab.sizes.samples} refused with 409, {lost} then not found",
        "always refused; a 404 right after it is seldom, and passes",
        conflicts == lab.sizes.samples,
    )


def look_for_parameters(lab: Lab) -> Finding:
    """Ask jobs.get whether it shows the values of a statement's parameters."""
    lab.make_table("inline")
    secret = bigquery.ScalarQueryParameter("key", "STRING", "a ticket's text")
    source = "SELECT @key AS id, CURRENT_TIMESTAMP() AS made, 1 AS value"
    job = lab.start(merge(lab.name("inline"), source), [secret])
    lab.wait(job)
    found = lab.client.get_job(job.job_id, location=lab.location)
    shown = "a ticket's text" in str(found.to_api_repr())  # type: ignore[no-untyped-call]
    return Finding(
        "Does jobs.get show the values of parameters, for 180 days?",
        "yes" if shown else "no",
        "yes: who may see the project's jobs may see what small batches hold",
        shown,
    )
