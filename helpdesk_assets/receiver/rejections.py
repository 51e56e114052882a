"""Posts that are answered with an error, and what each of our errors means to who posted.

The texts are for the other side's log and name nothing of ours: no project, no address, no secret.
"""

from __future__ import annotations

from helpdesk_assets.errors import DataRefused, HelpdeskAssetsError, TryAgainLater, UserMistake

# In seconds. Zendesk comes back after a short wait and takes a long one for a failure.
RETRY_AFTER = 5


class Refusal(Exception):
    """`again`: the same post may be taken later, so the vendor is asked to send it again."""

    def __init__(self, status: int, message: str, *, again: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.again = again


class Full(Refusal):
    def __init__(self) -> None:
        super().__init__(503, "too much is waiting to be written", again=True)


class Stopping(Refusal):
    def __init__(self) -> None:
        super().__init__(503, "the receiver is being stopped", again=True)


def refusal_for(error: HelpdeskAssetsError) -> Refusal:
    """What an error on the way to the warehouse is answered with."""
    match error:
        case DataRefused():
            return Refusal(422, "the ticket cannot be stored as it is")
        case TryAgainLater():
            return Refusal(503, "the warehouse or the helpdesk does not answer", again=True)
        case UserMistake():
            return Refusal(503, "the receiver is not set up rightly", again=True)
        case _:
            return Refusal(503, "not written", again=True)
