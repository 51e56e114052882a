"""Posts that are answered with an error, and what each of our errors means to who posted.

The texts are for the other side's log and name nothing of ours: no project, no address, no secret.
"""

from __future__ import annotations

from helpdesk_assets.errors import DataRefused, HelpdeskAssetsError, RetryableError, UserError

# In seconds. Zendesk comes back after a short wait and takes a long one for a failure.
RETRY_AFTER_SECONDS = 5


class Rejection(Exception):
    """`retryable`: the same post may be taken later, so the vendor is asked to send it again."""

    def __init__(self, status: int, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.retryable = retryable


class QueueFull(Rejection):
    def __init__(self) -> None:
        super().__init__(503, "too much is waiting to be written", retryable=True)


class ReceiverStopping(Rejection):
    def __init__(self) -> None:
        super().__init__(503, "the receiver is being stopped", retryable=True)


def rejection_for(error: HelpdeskAssetsError) -> Rejection:
    """What an error on the way to the warehouse is answered with."""
    match error:
        case DataRefused():
            return Rejection(422, "the ticket cannot be stored as it is")
        case RetryableError():
            return Rejection(503, "the warehouse or the helpdesk does not answer", retryable=True)
        case UserError():
            return Rejection(503, "the receiver is not set up rightly", retryable=True)
        case _:
            return Rejection(503, "not written", retryable=True)
