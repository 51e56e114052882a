"""Maps our errors to the HTTP answers that a vendor gets.

The texts appear in the vendor's log and reveal nothing of ours: no project, address or secret.
"""

from __future__ import annotations

from helpdesk_assets.errors import DataRefused, HelpdeskAssetsError, RetryableError, UserError

# Zendesk retries after a short wait and treats a long one as a failure.
RETRY_AFTER_SECONDS = 5


class Rejection(Exception):
    """A post is answered with an error."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        cause: str | None = None,
        detail: str = "",
        retryable: bool = False,
    ) -> None:
        """Describe the answer.

        Args:
            status: the HTTP status.
            message: the text for the vendor's log.
            cause: the text to count and log it by, one of a few; by default `message`.
            detail: what our log says beside the cause.
            retryable: the same post may be accepted later, so the vendor is asked to send it again.
        """
        super().__init__(message)
        self.status = status
        self.cause = cause or message
        self.detail = detail
        self.retryable = retryable


class QueueFull(Rejection):
    """Too many events or bytes are held."""

    def __init__(self) -> None:
        super().__init__(503, "too much is waiting to be written", retryable=True)


class ReceiverStopping(Rejection):
    """The receiver accepts no more events."""

    def __init__(self) -> None:
        super().__init__(503, "the receiver is stopping", retryable=True)


class PostNotVerified(Rejection):
    """Nothing proves that the vendor sent the post."""

    def __init__(self, cause: str, detail: str) -> None:
        # The vendor's log says the same of each cause, so that nobody learns which part was right.
        super().__init__(401, "no valid signature or secret", cause=cause, detail=detail)


def rejection_for(error: HelpdeskAssetsError) -> Rejection:
    """Return the answer for an error on the way to the warehouse."""
    match error:
        case DataRefused():
            return Rejection(422, "the ticket cannot be stored as it is")
        case RetryableError():
            return Rejection(503, "the warehouse does not answer", retryable=True)
        case UserError():
            return Rejection(503, "the receiver is not configured correctly", retryable=True)
        case _:
            return Rejection(503, "not written", retryable=True)
