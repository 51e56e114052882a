"""The same tickets by dlt, incrementally and merged by key; runs in dlt's own environment.

dlt has no setting for the address of BigQuery. google's client under it takes the variable
`BIGQUERY_EMULATOR_HOST`, and here it gets credentials that nobody checks.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import dlt
import google.auth
import requests
from dlt.destinations import bigquery
from google.auth.credentials import AnonymousCredentials

PROJECT = os.environ["BIGQUERY_PROJECT"]


@dlt.resource(primary_key="id", write_disposition="merge", max_table_nesting=0)
def tickets(
    changed: dlt.sources.incremental[str] = dlt.sources.incremental("modifiedTime"),  # noqa: B008
) -> Iterator[list[dict[str, Any]]]:
    """Every ticket that has changed since the last run."""
    since = changed.last_value or "2000-01-01T00:00:00Z"
    query = {
        "pageSize": "100",
        "modifiedTimeRange": f"{since},2999-01-01T00:00:00Z",
        "sortBy": "modifiedTime",
    }
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {os.environ['HELPDESK_API_TOKEN']}"
        while True:
            url = os.environ["HELPDESK_BASE_URL"] + "/v2/tickets/search"
            answer = session.get(url, params=query, timeout=60)
            answer.raise_for_status()
            page = answer.json()
            yield [
                {"id": t["id"], "modifiedTime": t["modifiedTime"], "raw": json.dumps(t)}
                for t in page["tickets"]
            ]
            if not page.get("nextPageToken"):
                return
            query["pageToken"] = page["nextPageToken"]


if __name__ == "__main__":
    # BigQuery reads compressed files; the local warehouse does not.
    os.environ["NORMALIZE__DATA_WRITER__DISABLE_COMPRESSION"] = "true"
    google.auth.default = lambda *_, **__: (AnonymousCredentials(), PROJECT)
    pipeline = dlt.pipeline(
        "tickets",
        destination=bigquery(location="US", project_id=PROJECT),
        dataset_name=os.environ["BIGQUERY_DATASET"],
        pipelines_dir=os.environ["DLT_PIPELINES"],
    )
    pipeline.run(tickets()).raise_on_failed_jobs()
