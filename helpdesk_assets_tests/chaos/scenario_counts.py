"""What the scenarios did, summed over processes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable

ORDER = (
    "stories", "stories that ended badly", "steps", "checks", "syncs", "syncs that failed",
    "repairs", "reconciliations", "backfills", "tickets changed", "webhooks delivered",
    "webhooks lost", "webhooks doubled", "webhooks late", "helpdesk faults", "warehouse faults",
    "kills", "runs at once", "other hands", "settled", "missed recorded", "late recorded",
    "differences",
)  # fmt: skip


class Counts(Counter[str]):
    """Counts by name; names with a colon are details of the name before."""

    def to_json(self) -> str:
        return json.dumps(dict(self), indent=1, sort_keys=True)

    @classmethod
    def sum_of(cls, texts: Iterable[str]) -> Counts:
        total = cls()
        for text in texts:
            total.update(json.loads(text))
        return total

    def to_markdown(self) -> str:
        names = [*ORDER, *sorted(self.keys() - set(ORDER))]
        rows = [f"| {name} | {self[name]:,} |" for name in names if name in ORDER or self[name]]
        return "\n".join(["| what | how many |", "| --- | ---: |", *rows])
