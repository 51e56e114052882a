"""What BigQuery has billed for a sync's jobs, and what that is in money."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

TIB = 1 << 40
MONTH = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class StepCost:
    """The jobs of one step.

    Attributes:
        dataset: the dataset that they write.
        step: the step, such as `tickets` or `sync_state`.
        jobs: how many ran.
        failed: how many of them failed.
        bytes_billed: what on-demand prices are asked for.
        slot_seconds: what capacity prices are asked for.
    """

    dataset: str
    step: str
    jobs: int
    failed: int
    bytes_billed: int
    slot_seconds: float


@dataclass(frozen=True, slots=True)
class CostReport:
    """What the jobs of some days cost.

    Attributes:
        days: how many days were looked at.
        price_per_tib: dollars for a TiB of billed bytes.
        steps: the dearest first.
    """

    days: int
    price_per_tib: float
    steps: tuple[StepCost, ...]

    def dollars(self, bytes_billed: int) -> float:
        """Return the on-demand price of so many bytes."""
        return dollars(bytes_billed, self.price_per_tib)

    @property
    def bytes_billed(self) -> int:
        """The bytes of all steps."""
        return sum(step.bytes_billed for step in self.steps)

    @property
    def dollars_a_month(self) -> float:
        """What thirty such days cost."""
        return self.dollars(self.bytes_billed) * MONTH.days / self.days


def dollars(bytes_billed: int, price_per_tib: float) -> float:
    """Return the on-demand price of so many bytes, in dollars."""
    return bytes_billed / TIB * price_per_tib
