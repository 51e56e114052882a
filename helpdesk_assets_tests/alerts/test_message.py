"""Whole messages as people read them, within the length limits of receivers."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from helpdesk_assets.alerts.findings import Finding
from helpdesk_assets.alerts.incidents import NoticeKind
from helpdesk_assets.alerts.message import Level, Message, NoticeContext, compose, sample, truncated
from helpdesk_assets.checks.evidence import Severity
from helpdesk_assets_tests.alerts.samples import BEGIN, DAY, FAILS, GAPS, WARNS, incident

TERMS = NoticeContext(BEGIN + timedelta(hours=26), DAY, "https://dagster.example.com")


def test_full_message_text() -> None:
    finding = replace(FAILS, counts=(("missed", 3.0), ("share", 0.075)), ticket_ids=("7", "9"))
    told = compose(GAPS, replace(incident(finding), runs=2), NoticeKind.OPENED, TERMS)
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


def test_message_names_the_run_when_no_ui_url_is_set() -> None:
    told = compose(GAPS, incident(), NoticeKind.OPENED, NoticeContext(BEGIN, DAY))
    assert told.body.splitlines() == [
        "ERROR: 3 of 40 changed tickets were not delivered.",
        "Since 2026-11-23 10:00:00Z, in 1 run.",
        "Run run-0",
        "Ref: missed_updates.webhook_gaps 20261123T100000Z began",
    ]


@pytest.mark.parametrize(
    ("kind", "headline", "level"),
    [
        (NoticeKind.ESCALATED, "ERROR, was a warning: 3 of", Level.FAILURE),
        (NoticeKind.REMINDER, "Still ERROR after 1 d 2 h: 3 of", Level.FAILURE),
        (NoticeKind.RESOLVED, "OK again after 2 h. Was ERROR: 3 of", Level.SUCCESS),
        (NoticeKind.RESOLVED_UNNOTICED, "OK again. Was ERROR for 2 h: 3 of", Level.SUCCESS),
    ],
)
def test_first_line_states_the_reason(kind: NoticeKind, headline: str, level: Level) -> None:
    over = (
        timedelta(hours=2) if kind in (NoticeKind.RESOLVED, NoticeKind.RESOLVED_UNNOTICED) else None
    )
    told = compose(GAPS, incident(over_after=over), kind, TERMS)
    assert told.body.startswith(headline)
    assert told.level is level


def test_warning_uses_the_warning_colour() -> None:
    assert compose(GAPS, incident(WARNS), NoticeKind.OPENED, TERMS).level is Level.WARNING


def test_messages_of_one_incident_share_a_title_with_distinct_references() -> None:
    tomorrow = replace(TERMS, now=TERMS.now + DAY)
    told = [
        *(compose(GAPS, incident(), kind, TERMS) for kind in NoticeKind),
        compose(GAPS, incident(), NoticeKind.REMINDER, tomorrow),
    ]
    assert len({message.title for message in told}) == 1
    assert len({message.body.splitlines()[-1] for message in told}) == len(told)


def test_long_findings_are_truncated_to_single_lines() -> None:
    finding = Finding(
        "x" * 5000,
        Severity.ERROR,
        "Many\nlines\n" * 1000,
        tuple(("n" * 300, 1e300) for _ in range(50)),
        tuple("t" * 300 for _ in range(5000)),
    )
    for kind in NoticeKind:
        told = compose(finding.subject, incident(finding), kind, TERMS)
        assert len(told.title) <= 120
        assert len(told.title + told.body) < 2000
        assert len(told.body.splitlines()) == 6
        assert "and more" in told.body


def test_ticket_ids_and_texts_mention_and_link_nothing() -> None:
    markup = ("<!channel>", "@everyone", "![x](http://evil.example)", "<http://evil.example|x>")
    finding = Finding(GAPS, Severity.ERROR, f"Ticket {' '.join(markup[:3])}", (), markup)
    told = compose(GAPS, incident(finding), NoticeKind.OPENED, TERMS)
    for forbidden in ("<", ">", "@", "]("):
        assert forbidden not in told.body
    assert "://" not in next(line for line in told.body.splitlines() if "Tickets:" in line)
    assert truncated(truncated(finding)) == truncated(finding)


def test_stored_finding_renders_the_same_message() -> None:
    finding = Finding(
        GAPS, Severity.ERROR, "y" * 999, (("n" * 99, 1.0),) * 20, tuple(map(str, range(99)))
    )
    told = compose(GAPS, incident(finding), NoticeKind.OPENED, TERMS)
    assert compose(GAPS, incident(truncated(finding)), NoticeKind.OPENED, TERMS) == told
    assert truncated(truncated(finding)) == truncated(finding)


def test_sample_message_is_labelled_as_sample() -> None:
    told = sample(BEGIN, "https://dagster.example.com")
    assert told.level is Level.INFO
    assert "nothing is wrong" in told.body
