"""What a statement would read, as the warehouse says before it runs."""

from __future__ import annotations

from dataclasses import dataclass

# https://cloud.google.com/bigquery/pricing: each table that a statement names counts as so much at
# least, and so does each statement.
MIN_BYTES_BILLED = 10 * (1 << 20)


@dataclass(frozen=True, slots=True)
class StatementEstimate:
    """One statement of a run that has not been sent.

    Attributes:
        step: the table that it writes.
        bytes_processed: what it would read; None if nobody can say.
        tables: how many tables it names.
        is_lower_bound: it also reads a batch that is not loaded yet.
        unknown: why nobody can say; empty if it is known.
    """

    step: str
    bytes_processed: int | None
    tables: int = 1
    is_lower_bound: bool = False
    unknown: str = ""

    @property
    def bytes_billed(self) -> int:
        """What on-demand prices would be asked for, at least; 0 if nobody can say."""
        if self.bytes_processed is None:
            return 0
        return max(self.bytes_processed, self.tables * MIN_BYTES_BILLED)
