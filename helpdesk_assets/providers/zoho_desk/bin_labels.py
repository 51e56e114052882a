"""Tells the tickets in Zoho Desk's recycle bin from the rows of other modules.

    GET /api/v1/organizationModules                                  the id of the module of tickets

A row's `type` is the label of its module, which can be renamed and is translated. So the bin is
narrowed to the module's id, and the labels are the proof that this was kept to.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from helpdesk_assets.providers.client.connection import Connection
from helpdesk_assets.providers.zoho_desk.account import MODULES, UNPROCESSABLE

log = logging.getLogger(__name__)

TICKETS = "tickets"
# The vendor's names of the other modules, which the bin of every portal may have.
OTHER_LABELS = frozenset(
    {"accounts", "activities", "attachments", "calls", "contacts", "contracts", "events"}
    | {"products", "solutions", "tasks", "time entry", "timeentry", "topics"}
)
MAX_LABEL_CHARS = 200
MAX_NAMED_LABELS = 5
# Without this call the bin is read all the same, so no refusal of it ends a run.
ANY_ANSWER = frozenset({200, 204, 401, 403, 404, UNPROCESSABLE})


@dataclass(frozen=True, slots=True)
class TicketModule:
    """The module of tickets; a field is empty if that is not known."""

    module_id: str = ""
    label: str = ""


class BinLabels:
    """The labels that one reading of the bin has seen.

    Attributes:
        module_id: narrows the rows to tickets; empty if it does not.
    """

    def __init__(self, module: TicketModule) -> None:
        """Set up for one reading; `module` is what is known of the module of tickets."""
        self._label = module.label
        self._own = {TICKETS, module.label} - {""}
        self._seen: set[str] = set()
        self.module_id = module.module_id

    @property
    def module(self) -> TicketModule:
        """What the next reading can go by."""
        return TicketModule(self.module_id, self._label)

    def see(self, rows: Iterable[Any]) -> None:
        """Note the rows of a page, before they are used."""
        self._seen = self._seen.union(*map(labels_of, rows))
        foreign = self._seen - self._own
        # A module whose label is not known has one label all the same.
        is_one = not self._label and len(self._seen) == 1
        if self.module_id and foreign and (not is_one or foreign & OTHER_LABELS):
            # The rows are not only those of one module, so the filter was not kept to.
            self.module_id = ""

    def is_ticket(self, row: Any) -> bool:
        """Return whether a row that was seen is one of a ticket."""
        return bool(self.module_id or self._own & labels_of(row))

    @property
    def is_known(self) -> bool:
        """Whether the rows were told apart by more than a guess that found no ticket."""
        return bool(self._label) or not self._unknown

    @property
    def _unknown(self) -> list[str]:
        """The labels that may be those of tickets, if no row had a label that is known."""
        if self.module_id or self._own & self._seen:
            return []
        return sorted(self._seen - self._own - OTHER_LABELS)

    def warn_of_unknown(self) -> None:
        """Log the labels that may be those of tickets, if no row had a label that is known."""
        unknown = self._unknown
        if not unknown:
            return
        log.warning(
            "No row of the recycle bin has the label of tickets, but some have %s. If that is what "
            "this portal calls its tickets, their deletions are not read: make another "
            "ZOHO_REFRESH_TOKEN that also has the scopes Desk.basic.READ and Desk.modules.READ.",
            ", ".join(ascii(label)[:40] for label in unknown[:MAX_NAMED_LABELS]),
        )


def find_ticket_module(connection: Connection) -> TicketModule:
    """Return the module of tickets; an empty one if the token may not read it."""

    def request() -> Any:
        reply = connection.api.get(MODULES, None, ANY_ANSWER)
        return reply.json() if reply.status == 200 else None

    body = connection.retry(request)
    modules = body.get("data") if isinstance(body, Mapping) else None
    for module in modules if isinstance(modules, list) else ():
        if isinstance(module, Mapping) and module.get("apiName") == TICKETS:
            module_id, label = str(module.get("id")), module.get("displayLabel")
            return TicketModule(
                module_id if module_id.isascii() and module_id.isdigit() else "",
                _folded(label) if isinstance(label, str) else "",
            )
    return TicketModule()


def labels_of(row: Any) -> set[str]:
    """Return the label of a row's module; one revision of the vendor's examples has a list."""
    value = row.get("type") if isinstance(row, Mapping) else None
    labels = value if isinstance(value, list) else [value]
    return {_folded(label) for label in labels if isinstance(label, str)}


def _folded(label: str) -> str:
    return label.strip().casefold()[:MAX_LABEL_CHARS]
