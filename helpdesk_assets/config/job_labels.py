"""Reads BIGQUERY_LABELS, the user's own labels of jobs."""

from __future__ import annotations

import re

# https://docs.cloud.google.com/bigquery/docs/labels-intro#requirements, without other scripts.
_KEY = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_VALUE = re.compile(r"[a-z0-9_-]{0,63}")
# A job takes 64 labels, and has some of ours.
MOST_LABELS = 50
OWN_LABELS = ("app", "dataset", "table", "run")


def parse_labels(text: str) -> dict[str, str]:
    """Return the labels of `key=value,key=value`.

    Raises:
        ValueError: a label is not one that BigQuery accepts, or has the name of one of ours.
    """
    labels: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        key, separator, value = (each.strip() for each in part.partition("="))
        if not separator or not _KEY.fullmatch(key) or not _VALUE.fullmatch(value):
            raise ValueError(
                f"{part!r} is not key=value in lower-case letters, digits, _ and -, such as "
                "team=support"
            )
        if key in OWN_LABELS:
            raise ValueError(f"the label {key!r} is set by helpdesk-assets itself")
        labels[key] = value
    if len(labels) > MOST_LABELS:
        raise ValueError(f"more than {MOST_LABELS} labels")
    return labels
