"""What looking at one thing has found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from helpdesk_assets.errors import HelpdeskAssetsError


class Verdict(StrEnum):
    OK = "ok"
    FAILED = "FAILED"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """`detail`: what was seen, or what is wrong and what to do about it."""

    what: str
    verdict: Verdict
    detail: str


def examined(what: str, look: Callable[[], str]) -> Finding:
    """Look at one thing; whatever goes wrong is a finding."""
    try:
        return Finding(what, Verdict.OK, look())
    except HelpdeskAssetsError as error:
        return Finding(what, Verdict.FAILED, " ".join(str(error).split()))
    except Exception as error:  # noqa: BLE001 - the other things are still to be looked at
        detail = f"{type(error).__name__}: {' '.join(str(error).split())} (a bug; please report it)"
        return Finding(what, Verdict.FAILED, detail)


def skipped(what: str, because: str) -> Finding:
    return Finding(what, Verdict.SKIPPED, because)
