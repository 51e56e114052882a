"""The errors that commands, runs and the receiver act on, sorted by what whoever catches one does.

| class | what to do |
| --- | --- |
| `UserError` and below | stop; a person changes a setting, right or table; no retry helps |
| `RetryableError` and below | nothing is half-written; the same run may succeed later |
| `DataRefused` and below | stop; a row is invalid; the message names it |
| `ConcurrentUpdate` and below | stop; another run moved the state; the next run starts from there |
| `DeletionUnproven` | leave this ticket's row as it is, and go on with the others |

The refinements of `EndpointFailed` are beside their only users: `TransientError` and its own in
providers/client/errors.py, and `PageOutOfRange` in providers/freshdesk/account.py. The receiver's
`Rejection` is an HTTP answer, and the simulator has its own errors.

Each message says in one line what was tried, on what, and what to do next, without secrets.
"""

from __future__ import annotations

import errno
import os
from typing import Self

# What to do about it, by the kind of failure; `{path}` is the file, if there is one.
_ADVICE = {
    errno.ENOSPC: "Free some room, or set TMPDIR to a folder with more.",
    errno.EDQUOT: "Free some room, or set TMPDIR to a folder with more.",
    errno.EROFS: "Set TMPDIR to a folder that is writable, or start it in another folder.",
    errno.EACCES: "Give this user the right to it, or start it in another folder.",
    errno.EPERM: "Give this user the right to it, or start it in another folder.",
    errno.EMFILE: "Raise the limit of open files (`ulimit -n`).",
    errno.ENFILE: "Stop other programs: this machine has no file handles left.",
}
_NO_TEMPORARY_FOLDER = "No usable temporary directory"
_NO_CERTIFICATES = "CA certificate bundle"


class HelpdeskAssetsError(Exception):
    """Base of all errors here."""


class UserError(HelpdeskAssetsError):
    """A person has to change something outside the code."""


class SettingsError(UserError):
    """A setting is missing or invalid."""


class CredentialsRefused(UserError):
    """The helpdesk answered 401 or 403, or BigQuery denied a right."""


class RightMissing(CredentialsRefused):
    """The helpdesk answered 403: a right is missing.

    For one ticket by its id, `TicketForbidden` takes its place if lists may still be read.
    """


class WarehouseRefused(UserError):
    """BigQuery refused a request: a right, a dataset, a location or a daily quota."""


class MachineError(UserError):
    """This machine lacks room, a right, a folder or a file that the work needs."""

    @classmethod
    def of(cls, error: OSError, action: str) -> Self:
        """Return the error for one of the system's.

        Args:
            error: what the system said.
            action: what was tried; completes "... failed".
        """
        text = " ".join(str(error).split())
        if _NO_TEMPORARY_FOLDER in text:
            reason = "there is no folder for temporary files that this user may write to"
            advice = "Set TMPDIR to one."
        elif _NO_CERTIFICATES in text:
            reason = text
            advice = "Correct REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE, or leave both empty."
        else:
            reason = os.strerror(error.errno) if error.errno else text
            reason += f": {error.filename}" if error.filename else ""
            advice = _ADVICE.get(error.errno or 0, "Correct that, and run it again.")
        return cls(f"{action} failed: {reason}. {advice}")


class SchemaMismatch(UserError):
    """A column of the batch has a different type from the table's."""


class AccountMismatch(UserError):
    """The dataset holds the tickets of another account of a helpdesk."""


class BatchGone(UserError):
    """A batch, or what was merged of it, is no longer there. The watermark was not moved."""


class RetryableError(HelpdeskAssetsError):
    """The other side failed in a way that may pass."""


class EndpointFailed(RetryableError):
    """One endpoint of the helpdesk did not give a complete, well-formed answer.

    From the change endpoint, this leads to the full listing; from the listing, it ends the run.
    """


class RateLimitExhausted(RetryableError):
    """The account's limit blocks every call for longer than a run waits.

    No other endpoint helps, and further calls would only be refused.
    """


class PositionLost(RetryableError):
    """The position of an interrupted run cannot be read, so its window is read from the start."""


class WarehouseUnavailable(RetryableError):
    """BigQuery did not answer, kept failing, took too long, or does not take it at the moment."""


class WriterBusy(RetryableError):
    """Another process writes the dataset's tickets, and had not finished when the wait was over."""


class FirstSyncNeeded(RetryableError):
    """The table tickets is lost or an older sync's: a sync has to come before webhooks."""


class AlertNotDelivered(RetryableError):
    """A channel could not take a message: no connection, a limit, or a failure on its side."""


class DataRefused(HelpdeskAssetsError):
    """Rows cannot be stored as they are."""


class TicketUnreadable(DataRefused):
    """A ticket has no id, or a time that is not one.

    Attributes:
        ticket_id: the ticket, None if that is not known.
    """

    def __init__(self, message: str, ticket_id: str | None = None) -> None:
        super().__init__(message)
        self.ticket_id = ticket_id


class TicketForbidden(TicketUnreadable):
    """The helpdesk does not show this one ticket to an account that may read others."""


class NullKey(DataRefused):
    """A row has a NULL key: it would never match, and every run would insert it again."""


class DeletionUnproven(HelpdeskAssetsError):
    """The helpdesk finds no ticket by this id, and may keep it where nobody can ask for it.

    Whoever catches one leaves the ticket's row as it is.
    """


class WindowTooDense(DataRefused):
    """One tick of the helpdesk's clock holds more tickets than one query returns."""


class ConcurrentUpdate(HelpdeskAssetsError):
    """Compare-and-set on the state row failed: another run moved it in between."""


class LeaseLost(ConcurrentUpdate):
    """Another process took over the right to write while this one gave no sign of life."""
