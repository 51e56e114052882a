"""The errors that commands, runs and the receiver act on, sorted by what whoever catches one does.

| class | what to do |
| --- | --- |
| `UserError` and below | stop; a person changes a setting, right or table; no retry helps |
| `RetryableError` and below | nothing is half-written; the same run may succeed later |
| `DataRefused` and below | stop; a row is invalid; the message names it |
| `ConcurrentUpdate` | stop; another run moved the state; the next run starts from there |

Two refinements of `EndpointFailed` are beside their only users: `TransientError` in
providers/client/errors.py and `PageOutOfRange` in providers/freshdesk/account.py. The receiver's
`Rejection` is an HTTP answer, and the simulator has its own errors.

Each message says in one line what was tried, on what, and what to do next, without secrets.
"""

from __future__ import annotations


class HelpdeskAssetsError(Exception):
    """Base of all errors here."""


class UserError(HelpdeskAssetsError):
    """A person has to change something outside the code."""


class SettingsError(UserError):
    """A setting is missing or invalid."""


class CredentialsRefused(UserError):
    """The helpdesk answered 401 or 403, or BigQuery denied a right."""


class WarehouseRefused(UserError):
    """BigQuery refused a request: a right, a dataset, a location or a daily quota."""


class SchemaMismatch(UserError):
    """A column of the batch has a different type from the table's."""


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


class WarehouseUnavailable(RetryableError):
    """BigQuery did not answer, or kept failing until the retries were used up."""


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


class NullKey(DataRefused):
    """A row has a NULL key: it would never match, and every run would insert it again."""


class WindowTooDense(DataRefused):
    """One tick of the helpdesk's clock holds more tickets than one query returns."""


class ConcurrentUpdate(HelpdeskAssetsError):
    """Compare-and-set on the state row failed: another run moved it in between."""
