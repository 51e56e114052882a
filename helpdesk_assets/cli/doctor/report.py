"""The result of one check."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from helpdesk_assets.errors import HelpdeskAssetsError, MachineError
from helpdesk_assets.providers.base import DoctorWarning


class DiagnosticStatus(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "FAILED"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class DiagnosticResult:
    """One check. `detail`: what was found, or what is wrong and what to do about it."""

    what: str
    status: DiagnosticStatus
    detail: str


def run_check(what: str, probe: Callable[[], str]) -> DiagnosticResult:
    """Run one check; any exception is its result."""
    try:
        found = probe()
        is_warning = isinstance(found, DoctorWarning)
        status = DiagnosticStatus.WARNING if is_warning else DiagnosticStatus.OK
        return DiagnosticResult(what, status, found)
    except HelpdeskAssetsError as error:
        return DiagnosticResult(what, DiagnosticStatus.FAILED, " ".join(str(error).split()))
    except OSError as error:
        return DiagnosticResult(what, DiagnosticStatus.FAILED, str(MachineError.of(error, "It")))
    except Exception as error:  # noqa: BLE001 - the other checks still have to run
        detail = f"{type(error).__name__}: {' '.join(str(error).split())} (a bug; please report it)"
        return DiagnosticResult(what, DiagnosticStatus.FAILED, detail)


def skipped(what: str, reason: str) -> DiagnosticResult:
    """A check that was not run, and why."""
    return DiagnosticResult(what, DiagnosticStatus.SKIPPED, reason)
