"""What looking at one thing has found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from helpdesk_assets.errors import HelpdeskAssetsError


class DiagnosticStatus(StrEnum):
    OK = "ok"
    FAILED = "FAILED"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class DiagnosticResult:
    """`detail`: what was seen, or what is wrong and what to do about it."""

    what: str
    status: DiagnosticStatus
    detail: str


def run_check(what: str, probe: Callable[[], str]) -> DiagnosticResult:
    """Look at one thing; whatever goes wrong is a finding."""
    try:
        return DiagnosticResult(what, DiagnosticStatus.OK, probe())
    except HelpdeskAssetsError as error:
        return DiagnosticResult(what, DiagnosticStatus.FAILED, " ".join(str(error).split()))
    except Exception as error:  # noqa: BLE001 - the other things are still to be looked at
        detail = f"{type(error).__name__}: {' '.join(str(error).split())} (a bug; please report it)"
        return DiagnosticResult(what, DiagnosticStatus.FAILED, detail)


def skipped(what: str, reason: str) -> DiagnosticResult:
    return DiagnosticResult(what, DiagnosticStatus.SKIPPED, reason)
