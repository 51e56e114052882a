"""The memory as a text: nothing is lost in it, and it stays short."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from helpdesk_assets.alerts.cursor import MOST_EPISODES, Memory, from_text, to_text
from helpdesk_assets.alerts.findings import Finding
from helpdesk_assets.alerts.incidents import Told, Trying
from helpdesk_assets.checks.evidence import Severity
from helpdesk_assets_tests.alerts.samples import BEGIN, FAILS, GAPS, WARNS, episode

FULL = Memory(
    cursors={"RUN_SUCCESS": "abc", "RUN_FAILURE": "def"},
    episodes={
        GAPS: replace(
            episode(replace(FAILS, counts=(("missed", 3.0),), ticket_ids=("7", "ü"))),
            runs=3,
            waits_for=frozenset(("a", "b")),
            told={"1 (json)": Told(Severity.WARN, BEGIN), "2 (slack)": Told(None, BEGIN)},
            trying={"3 (mailto)": Trying(2, BEGIN)},
        ),
        "b": episode(replace(WARNS, subject="b"), over_after=timedelta(hours=2)),
    },
    refused=4,
)


def test_it_comes_back_as_it_was() -> None:
    assert from_text(to_text(FULL)) == FULL
    assert to_text(FULL) == to_text(
        replace(FULL, episodes=dict(reversed(list(FULL.episodes.items()))))
    )


@pytest.mark.parametrize(
    "text", [None, "", "null", "[]", "7", "no json", '{"version": 1}', '{"version": 2}']
)
def test_what_is_no_memory_of_this_version_is_none(text: str | None) -> None:
    assert from_text(text) is None


def test_a_memory_of_the_next_version_is_none() -> None:
    text = to_text(FULL)
    newer = json.dumps({**json.loads(text), "version": 2})
    assert from_text(newer) is None


def test_with_everything_wrong_it_fits_where_dagster_keeps_it() -> None:
    finding = Finding(
        "s" * 60,
        Severity.ERROR,
        "t" * 9000,
        (("n" * 900, 1.23456789e-5),) * 90,
        ("1" * 900,) * 900,
    )
    worst = replace(
        episode(finding),
        told={name: Told(Severity.ERROR, BEGIN) for name in ("1 (slack)", "2 (mailtos)")},
        trying={name: Trying(9, BEGIN) for name in ("1 (slack)", "2 (mailtos)")},
        run_id="r" * 36,
        root_run_id="r" * 36,
        waits_for=frozenset(f"asset_{n}.a_check_of_it" for n in range(900)),
    )
    many = {f"{'s' * 60}{n}": worst for n in range(MOST_EPISODES)}
    assert len(to_text(Memory({"RUN_SUCCESS": "c" * 64}, many)).encode()) < 65_000
