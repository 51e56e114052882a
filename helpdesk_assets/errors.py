"""Every error of ours, sorted by what the one who catches it should do.

| class | what to do |
| --- | --- |
| `UserError` and below | stop; a person changes a setting, a right or a table; no retry helps |
| `RetryableError` and below | nothing is half-written; the same run later may pass |
| `DataRefused` and below | stop; a row is not what it must be; the message names it |
| `ConcurrentUpdate` | stop; somebody else moved the state; the next run starts from theirs |

Each message says what was tried, on what, and what to do next, in one line and without secrets.
"""

from __future__ import annotations


class HelpdeskAssetsError(Exception):
    """Root of all errors that this package raises on purpose."""


class UserError(HelpdeskAssetsError):
    """Something outside the code has to be changed by a person."""


class SettingsError(UserError):
    """A setting is absent or cannot be read."""


class CredentialsRefused(UserError):
    """401 or 403 from the helpdesk, or no right in BigQuery."""


class WarehouseRefused(UserError):
    """BigQuery understood and said no: a right, a dataset, a location or a quota for the day."""


class SchemaMismatch(UserError):
    """A column of the batch has another type than the table's."""


class BatchExpired(UserError):
    """A step was run again, but the staged batch it should read has expired."""


class RetryableError(HelpdeskAssetsError):
    """The other side failed in a way that passes."""


class EndpointFailed(RetryableError):
    """One helpdesk endpoint did not give a whole, well-formed answer.

    From the change endpoint this leads to the full listing; from the listing it ends the run.
    """


class RateLimitExhausted(RetryableError):
    """The helpdesk will answer no call of any kind for longer than a run waits: no endpoint is
    another way, and asking on would only be refused."""


class WarehouseUnavailable(RetryableError):
    """BigQuery did not answer, or kept failing until the retries were used up."""


class AlertNotDelivered(RetryableError):
    """Nobody was there to take a message: no connection, a limit, or trouble of their own."""


class DataRefused(HelpdeskAssetsError):
    """Rows that may not be stored as they are."""


class TicketUnreadable(DataRefused):
    """A ticket without an id, or with a time that is no time."""


class NullKey(DataRefused):
    """A row whose key is NULL would never match and be inserted again on every run."""


class WindowTooDense(DataRefused):
    """One tick of the helpdesk's clock holds more tickets than one query may return."""


class ConcurrentUpdate(HelpdeskAssetsError):
    """Compare-and-set on the state row failed: another run has moved it meanwhile."""
