"""The ten experiments, and their findings as a table."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence

from google.api_core import exceptions as google

from helpdesk_assets_tests.experiments import behaviours, concurrency, measures
from helpdesk_assets_tests.experiments.lab import Finding, Lab

Experiment = Callable[[Lab], Finding]
EXPERIMENTS: tuple[Experiment, ...] = (
    concurrency.double_a_new_key,
    measures.price_a_merge,
    measures.time_merges,
    concurrency.starve_a_long_merge,
    concurrency.crowd_a_table,
    behaviours.inherit_an_expiration,
    measures.read_after_a_merge,
    behaviours.ask_for_a_used_id,
    measures.time_appends,
    behaviours.look_for_parameters,
)
HEAD = ("question", "answer", "the project assumes", "holds")
WIDTHS = (34, 44, 40, 5)


def run_all(lab: Lab, said: Callable[[str], None]) -> list[Finding]:
    """Run all experiments; one that fails is a finding too.

    Args:
        lab: where.
        said: told what is done next.
    """
    findings = []
    for number, experiment in enumerate(EXPERIMENTS, start=1):
        first_line = (experiment.__doc__ or "").splitlines()[0]
        said(f"{number} of {len(EXPERIMENTS)}: {first_line}")
        try:
            findings.append(experiment(lab))
        except (google.GoogleAPIError, RuntimeError) as error:
            answer = f"failed: {' '.join(str(error).split())[:200]}"
            findings.append(Finding(first_line, answer, "", holds=False))
    return findings


def as_table(findings: Sequence[Finding]) -> str:
    """Return the findings as a table of text, with wrapped cells."""
    lines = [_line(HEAD), _line(["-" * width for width in WIDTHS])]
    for found in findings:
        cells = (found.question, found.answer, found.assumed, "yes" if found.holds else "NO")
        wrapped = [textwrap.wrap(cell, width) for cell, width in zip(cells, WIDTHS, strict=True)]
        height = max(len(cell) for cell in wrapped)
        lines += [
            _line([cell[row] if row < len(cell) else "" for cell in wrapped])
            for row in range(height)
        ]
        lines.append("")
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return " | ".join(cell.ljust(width) for cell, width in zip(cells, WIDTHS, strict=True)).rstrip()
