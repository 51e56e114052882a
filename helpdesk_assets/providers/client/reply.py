"""A helpdesk's answer to one request, and how its body is read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from helpdesk_assets.errors import EndpointFailed, HelpdeskAssetsError
from helpdesk_assets.providers.client import errors
from helpdesk_assets.providers.client.error_text import excerpt
from helpdesk_assets.providers.parsing import exact_json
from helpdesk_assets.providers.parsing.turns import COMPUTING


@dataclass(frozen=True, slots=True)
class Reply:
    """One complete answer.

    Attributes:
        path: the path that was requested.
        status: the HTTP status.
        headers: the answer's headers.
        body: the decompressed body.
        served_at: the helpdesk's clock when it answered.
        number_kept_as_text: called for each number in the body that is kept as text.
        secrets: the texts that no message may show.
    """

    path: str
    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    served_at: datetime
    number_kept_as_text: Callable[[], None] = field(repr=False, default=lambda: None)
    secrets: Collection[str] = field(repr=False, default=())

    @property
    def said(self) -> str:
        """What the body of an error says, shortened and masked."""
        return excerpt(self.body, self.secrets)

    @property
    def is_of_the_helpdesk(self) -> bool:
        """Whether the body of an error is empty or JSON; gateways answer with HTML or text."""
        if not self.body.strip():
            return True
        try:
            exact_json.parse(self.body)
        except ValueError:
            return False
        return True

    @property
    def gateway_refusal(self) -> HelpdeskAssetsError | None:
        """The error of a 403 that no helpdesk sent; None for any other answer."""
        if self.status != 403 or self.is_of_the_helpdesk:
            return None
        return errors.gateway_refused_error(self.path, self.said)

    def json(self) -> Any:
        """Parse the body as JSON; see `exact_json` for how numbers are read.

        Raises:
            TransientError: the body is not JSON, for example a proxy's error page or a cut body.
        """
        try:
            with COMPUTING:
                return exact_json.parse(self.body, self.number_kept_as_text)
        except ValueError as error:
            raise errors.TransientError(
                f"The answer to GET {self.path} is not JSON ({error}). Try again later; if this "
                "persists, check HELPDESK_BASE_URL."
            ) from None

    def json_object(self) -> dict[str, Any]:
        """Parse the body as a JSON object.

        Raises:
            TransientError: the body is not JSON.
            EndpointFailed: the body is JSON, but not an object.
        """
        body = self.json()
        if not isinstance(body, dict):
            raise EndpointFailed(
                f"GET {self.path} did not answer with an object. Check HELPDESK_BASE_URL and "
                "HELPDESK_PROVIDER."
            )
        return body


ErrorParser = Callable[[Reply], HelpdeskAssetsError | None]


def default_error(reply: Reply) -> None:
    """Parse no error: for helpdesks whose error bodies add nothing to the status."""
