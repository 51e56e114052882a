"""What a scenario must forget and what it still demands once somebody has touched its tables.

A run that ends green claims that the table is right. So after a green run everything is demanded
again; after a red one, or one that failed with a sentence, the next run may put it right.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from helpdesk_assets.checks import tables as checks
from helpdesk_assets.checks.evidence import Evidence
from helpdesk_assets.checks.repeated_rows import one_row_per_ticket
from helpdesk_assets.model.batch import Mode
from helpdesk_assets.operations.sync import SyncReport

TABLE_CHECKS = (
    checks.read_whole,
    one_row_per_ticket,
    checks.table_shrank,
    checks.no_null_keys_or_times,
)


class Interference:
    """The marks that other hands have left in a scenario.

    Attributes:
        is_open: tables were touched, and no green run has followed.
        needs_force: columns were edited under an unchanged modified time, which only
            `sync --full` and `repair` compare.
        needs_full_load: rows may have been put back to before the last full load. What was stored
            before it is no ground any more, since what the helpdesk does not have may be erased.
        needs_reconciliation: the helpdesk shows a ticket again without a new modified time, which
            no search by modified time returns.
        dead: living tickets that the table may call deleted meanwhile.
    """

    def __init__(self) -> None:
        self.is_open = False
        self.needs_force = False
        self.needs_full_load = False
        self.needs_reconciliation = False
        self.dead: set[str] = set()

    def touch(self) -> None:
        self.is_open = True

    def record_run(self, report: SyncReport) -> None:
        """Take a whole run's word: green means that everything is right again."""
        if report.manifest.is_range:
            return
        if report.manifest.mode is Mode.FULL and report.manifest.advances_watermark:
            self.needs_full_load = False
        if report.manifest.forced:
            self.needs_force = False
        if not failed_checks(report):
            self.is_open = False


def failed_checks(report: SyncReport) -> Sequence[str]:
    """Return the names of the checks on the table that are red after the run."""
    evidence = Evidence(report.manifest, report.facts, report.state, datetime.now(UTC))
    return [check(evidence).name for check in TABLE_CHECKS if not check(evidence).passed]
