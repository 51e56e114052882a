"""What people read, whole messages, and that none is too long for whoever takes it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from helpdesk_assets.alerts.findings import Finding
from helpdesk_assets.alerts.incidents import Kind
from helpdesk_assets.alerts.message import Level, Message, Terms, bounded, compose, sample
from helpdesk_assets.checks.evidence import Severity
from helpdesk_assets_tests.alerts.samples import BEGIN, DAY, FAILS, GAPS, WARNS, episode

TERMS = Terms(BEGIN + timedelta(hours=26), DAY, "https://dagster.example.com")


def test_a_message_whole() -> None:
    finding = replace(FAILS, counts=(("missed", 3.0), ("share", 0.075)), ticket_ids=("7", "9"))
    told = compose(GAPS, replace(episode(finding), runs=2), Kind.BEGAN, TERMS)
    assert told == Message(
        "helpdesk-assets: missed_updates.webhook_gaps",
        "ERROR: 3 of 40 changed tickets were not delivered.\n"
        "missed 3, share 0.075\n"
        "Tickets: 7, 9\n"
        "Since 2026-11-23 10:00:00Z, in 2 runs.\n"
        "https://dagster.example.com/runs/run-0\n"
        "Ref: missed_updates.webhook_gaps 20261123T100000Z began",
        Level.FAILURE,
    )


def test_without_an_address_of_the_ui_the_run_is_named() -> None:
    told = compose(GAPS, episode(), Kind.BEGAN, Terms(BEGIN, DAY))
    assert told.body.splitlines() == [
        "ERROR: 3 of 40 changed tickets were not delivered.",
        "Since 2026-11-23 10:00:00Z, in 1 run.",
        "Run run-0",
        "Ref: missed_updates.webhook_gaps 20261123T100000Z began",
    ]


@pytest.mark.parametrize(
    ("kind", "headline", "level"),
    [
        (Kind.WORSE, "ERROR, no longer a warning: 3 of", Level.FAILURE),
        (Kind.REMINDER, "ERROR, still, after 1 d 2 h: 3 of", Level.FAILURE),
        (Kind.OVER, "OK again, after 2 h. It was ERROR: 3 of", Level.SUCCESS),
        (Kind.PASSED_BY, "OK again. For 2 h it was ERROR: 3 of", Level.SUCCESS),
    ],
)
def test_the_first_line_says_why_one_is_told(kind: Kind, headline: str, level: Level) -> None:
    over = timedelta(hours=2) if kind in (Kind.OVER, Kind.PASSED_BY) else None
    told = compose(GAPS, episode(over_after=over), kind, TERMS)
    assert told.body.startswith(headline)
    assert told.level is level


def test_a_warning_is_coloured_as_one() -> None:
    assert compose(GAPS, episode(WARNS), Kind.BEGAN, TERMS).level is Level.WARNING


def test_all_messages_about_one_problem_have_one_title_and_each_its_own_reference() -> None:
    tomorrow = replace(TERMS, now=TERMS.now + DAY)
    told = [
        *(compose(GAPS, episode(), kind, TERMS) for kind in Kind),
        compose(GAPS, episode(), Kind.REMINDER, tomorrow),
    ]
    assert len({message.title for message in told}) == 1
    assert len({message.body.splitlines()[-1] for message in told}) == len(told)


def test_whatever_is_found_a_message_stays_short_and_a_line_stays_a_line() -> None:
    finding = Finding(
        "x" * 5000,
        Severity.ERROR,
        "Many\nlines\n" * 1000,
        tuple(("n" * 300, 1e300) for _ in range(50)),
        tuple("t" * 300 for _ in range(5000)),
    )
    for kind in Kind:
        told = compose(finding.subject, episode(finding), kind, TERMS)
        assert len(told.title) <= 120
        assert len(told.title + told.body) < 2000
        assert len(told.body.splitlines()) == 6
        assert "and more" in told.body


def test_what_is_remembered_of_a_finding_gives_the_same_message() -> None:
    finding = Finding(
        GAPS, Severity.ERROR, "y" * 999, (("n" * 99, 1.0),) * 20, tuple(map(str, range(99)))
    )
    told = compose(GAPS, episode(finding), Kind.BEGAN, TERMS)
    assert compose(GAPS, episode(bounded(finding)), Kind.BEGAN, TERMS) == told
    assert bounded(bounded(finding)) == bounded(finding)


def test_a_sample_says_that_it_is_one() -> None:
    told = sample(BEGIN, "https://dagster.example.com")
    assert told.level is Level.INFO
    assert "nothing is wrong" in told.body
