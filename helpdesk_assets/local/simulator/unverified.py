"""What nobody has confirmed of a vendor, in one place.

The simulated helpdesk gives the unfriendly answer to each until a test switches it: an adapter must
leave the table right with either. A dialect asks `HelpdeskBackend.is_friendly`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class UnverifiedFact:
    """A question about a vendor that its documentation does not answer.

    Attributes:
        key: the provider's name, a dot, and what the friendly answer claims.
        question: what nobody has confirmed.
        unfriendly: what the simulated helpdesk does by default.
        friendly: what it does once switched.
        source: where the answer was looked for.
    """

    key: str
    question: str
    unfriendly: str
    friendly: str
    source: str

    @property
    def provider(self) -> str:
        """The provider's name."""
        return self.key.partition(".")[0]


# Sorted by key.
FACTS: tuple[UnverifiedFact, ...] = (
    UnverifiedFact(
        key="freshdesk.deleted_answer_to_their_id",
        question="Does a ticket in the trash or the spam folder answer to its id?",
        unfriendly="no, it is a 404",
        friendly="yes, with `deleted` or `spam`",
        source="developers.freshdesk.com/api/#view_a_ticket",
    ),
    UnverifiedFact(
        key="freshdesk.include_spares_the_list_limit",
        question="Does what `include` adds to a call's cost count for the account's limit alone?",
        unfriendly="no, for the list's own limit too",
        friendly="yes",
        source="developers.freshdesk.com/api/#ratelimit, support.freshdesk.com 225439",
    ),
    UnverifiedFact(
        key="freshdesk.since_includes_its_second",
        question="Does updated_since include that second?",
        unfriendly="no, only later ones",
        friendly="yes",
        source="developers.freshdesk.com/api/#list_all_tickets",
    ),
    UnverifiedFact(
        key="freshdesk.unknown_parameter_is_ignored",
        question="Does Freshdesk ignore a query parameter that it does not know?",
        unfriendly="no, it is a 400 with the code invalid_field",
        friendly="yes",
        source="developers.freshdesk.com/api/#error; the refusal was seen on Freshservice",
    ),
    UnverifiedFact(
        key="request_tracker.ticket_times_are_utc",
        question="In which zone does a search for transactions read the times of their tickets?",
        unfriendly="in the user's, like all others",
        friendly="in UTC, as 5.0.3 does",
        source="github.com/bestpractical/rt lib/RT/Transactions.pm; seen on 5.0.3 only",
    ),
    UnverifiedFact(
        key="request_tracker.unknown_parameter_is_ignored",
        question="Does every release ignore a parameter that it does not know?",
        unfriendly="no, it is a 400",
        friendly="yes",
        source="github.com/bestpractical/rt-extension-rest2 README; seen on 5.0.3 only",
    ),
    UnverifiedFact(
        key="rest.unknown_parameter_is_ignored",
        question="Does a helpdesk behind this API ignore a parameter that it does not know?",
        unfriendly="no, it is a 400",
        friendly="yes",
        source="docs/helpdesks/rest.md, which leaves it to whoever writes the API",
    ),
    UnverifiedFact(
        key="zendesk.cursor_never_expires",
        question="Is a cursor of the export good for ever?",
        unfriendly="no, after a day it is a 422",
        friendly="yes, it is a position",
        source="developer.zendesk.com/documentation/ticketing/managing-tickets/"
        "using-the-incremental-export-api",
    ),
    UnverifiedFact(
        key="zendesk.empty_export_has_a_cursor",
        question="Does an export that finds nothing answer a cursor?",
        unfriendly="no, after_cursor is null",
        friendly="yes, one for the start time",
        source="developer.zendesk.com/api-reference/ticketing/ticket-management/"
        "incremental_exports/",
    ),
    UnverifiedFact(
        key="zendesk.token_answer_is_200",
        question="With which status does the token endpoint answer?",
        unfriendly="201",
        friendly="200",
        source="developer.zendesk.com/api-reference/ticketing/oauth/grant_type_tokens/",
    ),
    UnverifiedFact(
        key="zendesk.too_recent_start_is_400",
        question="How does the export by cursor refuse a start within the last minute?",
        unfriendly="with 422 and bare text, as was seen of the export by time",
        friendly="with 400 and StartTimeTooRecent",
        source="github.com/airbytehq/airbyte PR 23246; developer.zendesk.com/api-reference/"
        "ticketing/ticket-management/incremental_exports/",
    ),
    UnverifiedFact(
        key="zendesk.unknown_parameter_is_ignored",
        question="Does an endpoint ignore a parameter that it does not know?",
        unfriendly="no, it is a 400",
        friendly="yes",
        source="developer.zendesk.com/api-reference/introduction/requests/",
    ),
    UnverifiedFact(
        key="zoho_desk.archived_are_found",
        question="Does the search find archived tickets?",
        unfriendly="no",
        friendly="yes",
        source="github.com/zoho/zohodesk-oas v1.0/Search.json",
    ),
    UnverifiedFact(
        key="zoho_desk.bin_ids_are_text",
        question="Are ids in the recycle bin text?",
        unfriendly="no, numbers, as its schema allows",
        friendly="yes",
        source="github.com/zoho/zohodesk-oas v1.0/Recyclebin.json",
    ),
    UnverifiedFact(
        key="zoho_desk.bin_is_newest_first",
        question="In which order is the recycle bin?",
        unfriendly="oldest first",
        friendly="newest first",
        source="github.com/zoho/zohodesk-oas v1.0/Recyclebin.json",
    ),
    UnverifiedFact(
        key="zoho_desk.bin_is_sorted",
        question="Does the recycle bin take sortBy and module?",
        unfriendly="no, each is a 422, as in the revision 83b5c18",
        friendly="yes, as in the revision 3f7016e",
        source="github.com/zoho/zohodesk-oas v1.0/Recyclebin.json",
    ),
    UnverifiedFact(
        key="zoho_desk.bin_offset_is_unlimited",
        question="How far does `from` reach in the recycle bin?",
        unfriendly="to 4999, as in the search; beyond it is a 422",
        friendly="to the end, as its description gives no maximum",
        source="github.com/zoho/zohodesk-oas v1.0/Recyclebin.json and v1.0/Search.json",
    ),
    UnverifiedFact(
        key="zoho_desk.count_is_a_number",
        question="Is the count of a search a number?",
        unfriendly="no, it is text",
        friendly="yes",
        source="github.com/zoho/zohodesk-oas v1.0/Search.json",
    ),
    UnverifiedFact(
        key="zoho_desk.flags_are_booleans",
        question="Are the flags of a single ticket booleans?",
        unfriendly="no, isDeleted is text, as in the published example",
        friendly="yes",
        source="github.com/zoho/zohodesk-oas v1.0/Ticket.json",
    ),
    UnverifiedFact(
        key="zoho_desk.merged_are_in_the_bin",
        question="Where are tickets that were merged into another?",
        unfriendly="nowhere",
        friendly="in the recycle bin",
        source="github.com/zoho/zohodesk-oas v1.0/Ticket.json",
    ),
    UnverifiedFact(
        key="zoho_desk.modules_are_readable",
        question="Is Desk.settings.READ enough to read the modules?",
        unfriendly="no, all three scopes of the description are needed",
        friendly="yes",
        source="github.com/zoho/zohodesk-oas v1.0/Module.json",
    ),
    UnverifiedFact(
        key="zoho_desk.org_id_may_be_absent",
        question="Is a call without orgId accepted?",
        unfriendly="no, OAUTH_ORG_MISMATCH",
        friendly="yes",
        source="desk.zoho.com/DeskAPIDocument",
    ),
    UnverifiedFact(
        key="zoho_desk.range_includes_its_ends",
        question="Does a range of times include its ends?",
        unfriendly="no",
        friendly="yes",
        source="github.com/zoho/zohodesk-oas v1.0/Search.json",
    ),
    UnverifiedFact(
        key="zoho_desk.spam_is_found",
        question="Does the search find spam?",
        unfriendly="no",
        friendly="yes",
        source="github.com/zoho/zohodesk-oas v1.0/Search.json",
    ),
    UnverifiedFact(
        key="zoho_desk.trashed_are_readable",
        question="Can a ticket in the recycle bin be read by its id?",
        unfriendly="no, it is a 404",
        friendly="yes, with isTrashed",
        source="github.com/zoho/zohodesk-oas v1.0/Ticket.json",
    ),
)
