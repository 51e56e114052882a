"""What a subscription leaves out, as people write it, and what they are told otherwise."""

from __future__ import annotations

import pytest

from helpdesk_assets.config.unsubscribed import left_out
from helpdesk_assets.model.webhooks import LeftOut


def test_nothing_is_left_out_where_nothing_is_said() -> None:
    assert left_out("") == left_out("  ") == left_out("[]") == ()


def test_a_word_is_a_kind_of_change_and_an_object_needs_all_of_its_columns() -> None:
    text = '["created", {"change": ["updated"], "status": ["closed", "solved"], "priority": "low"}]'
    assert left_out(text) == (
        LeftOut((("change", ("created",)),)),
        LeftOut(
            (("change", ("updated",)), ("status", ("closed", "solved")), ("priority", ("low",)))
        ),
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("deleted", "is not JSON"),
        ('"deleted"', "is not a list"),
        ('{"status": "closed"}', "is not a list"),
        ("[3]", "neither a kind of change nor an object"),
        ("[{}]", "neither a kind of change nor an object"),
        ('["closed"]', "none of created, updated, deleted"),
        ('[{"subject": "x"}]', "none of change, status, priority, assignee"),
        ('[{"status": []}]', "gives status no word"),
        ('[{"status": [1]}]', "gives status no word"),
    ],
)
def test_a_mistake_is_told(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        left_out(text)
