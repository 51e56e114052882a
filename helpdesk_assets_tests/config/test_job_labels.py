"""BIGQUERY_LABELS: what BigQuery accepts, and nothing that is ours."""

from __future__ import annotations

import pytest

from helpdesk_assets.config.job_labels import MOST_LABELS, parse_labels


def test_labels_are_read_by_key() -> None:
    assert parse_labels(" team=support, env=prod ,empty=,") == {
        "team": "support",
        "env": "prod",
        "empty": "",
    }
    assert parse_labels("") == {}


@pytest.mark.parametrize(
    "text",
    ["team", "Team=support", "team=Support", "1st=x", "=x", "team=a b", f"team={'x' * 64}"],
)
def test_what_bigquery_refuses_is_refused_here(text: str) -> None:
    with pytest.raises(ValueError, match="is not key=value"):
        parse_labels(text)


@pytest.mark.parametrize("key", ["app", "dataset", "table", "run"])
def test_own_labels_cannot_be_replaced(key: str) -> None:
    with pytest.raises(ValueError, match="set by helpdesk-assets itself"):
        parse_labels(f"{key}=x")


def test_too_many_labels_are_refused() -> None:
    labels = ",".join(f"label{number}=x" for number in range(MOST_LABELS + 1))
    with pytest.raises(ValueError, match="more than 50"):
        parse_labels(labels)
