"""What a refusal of BigQuery (403) is about, and the one thing to do about each kind.

BigQuery answers 403 for a missing right, a perimeter, a policy, an API that is switched off and a
project without billing alike. Only reason and text tell them apart. Pure text, no google library.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_PERIMETER_ID = re.compile(r"UniqueIdentifier:?\s*([\w-]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Denial:
    """One kind of refusal.

    Attributes:
        said: matches its text, in lower case.
        reasons: BigQuery's reasons for it; any of them is enough.
        cause: what it is; completes "BigQuery refused while ...: ".
        advice: what to do; `{project}`, `{paying}` (the project that pays), `{dataset}` and
            `{location}` are filled in.
        is_rights: whether another identity, or more rights of this one, would help.
    """

    said: str
    cause: str
    advice: str
    reasons: frozenset[str] = frozenset()
    is_rights: bool = False

    def matches(self, reason: str, text: str) -> bool:
        """Return whether a refusal is of this kind."""
        return reason in self.reasons or bool(self.said and re.search(self.said, text.lower()))


_ROLES = (
    "The identity needs roles/bigquery.jobUser on project {paying} and roles/bigquery.dataEditor "
    "on dataset {dataset}"
)

# The first that matches counts: a perimeter's text speaks of a policy too.
DENIALS = (
    # https://cloud.google.com/vpc-service-controls/docs/troubleshooting
    Denial(
        said=r"vpc ?service ?controls|request is prohibited by organi[sz]ation's policy",
        cause="a VPC Service Controls perimeter forbids it",
        advice="Give the identifier to whoever manages the perimeter: it needs an ingress rule for "
        "this identity and network. Roles do not help",
        reasons=frozenset({"SECURITY_POLICY_VIOLATED"}),
    ),
    # https://cloud.google.com/service-usage/docs/troubleshoot-api-errors
    Denial(
        said=r"has not been used in project .* before|api is disabled|service_disabled"
        r"|api \[?\S*\]? ?not enabled",
        cause="the BigQuery API is switched off",
        advice="Switch it on: `gcloud services enable bigquery.googleapis.com --project {paying}`",
        reasons=frozenset({"accessNotConfigured", "SERVICE_DISABLED"}),
    ),
    # https://cloud.google.com/bigquery/docs/sandbox#limits
    Denial(
        said=r"free tier|billing has not been enabled|billing (must be|is not) enabled"
        r"|billing account",
        cause="project {paying} has no billing",
        advice="Without billing, BigQuery takes no MERGE: link a billing account to project "
        "{paying} under Billing",
        reasons=frozenset({"billingNotEnabled", "BILLING_DISABLED"}),
    ),
    # https://cloud.google.com/resource-manager/docs/organization-policy/org-policy-constraints
    Denial(
        said=r"constraints/|organi[sz]ation(al)? policy|violates (a )?constraint|org policy",
        cause="a policy of the organisation forbids it",
        advice="Ask whoever manages the organisation's policies, or set BIGQUERY_PROJECT and "
        "BIGQUERY_LOCATION ({location}) to what they allow. Roles do not help",
        reasons=frozenset({"policyViolation", "ORG_POLICY_VIOLATION"}),
    ),
    # https://cloud.google.com/docs/quotas/set-quota-project
    Denial(
        said=r"serviceusage|user_project_denied|quota project|permission to use project",
        cause="the identity may not use its quota project",
        advice="Give it roles/serviceusage.serviceUsageConsumer on that project, or choose "
        "another: `gcloud auth application-default set-quota-project {paying}`",
        reasons=frozenset({"USER_PROJECT_DENIED"}),
        is_rights=True,
    ),
    # https://cloud.google.com/bigquery/docs/column-level-security-writes
    Denial(
        said=r"policy tag|fine-grained reader",
        cause="a column has a policy tag, and the identity may not read it",
        advice="Give it roles/datacatalog.categoryFineGrainedReader on the tag, or take the tag "
        "off: a MERGE reads the columns that it compares",
        is_rights=True,
    ),
    # https://cloud.google.com/bigquery/docs/customer-managed-encryption#grant_permission
    Denial(
        said=r"cloudkms|cryptokey|kms key",
        cause="the key that encrypts the data may not be used",
        advice="Give BigQuery's own service account of project {project} "
        "roles/cloudkms.cryptoKeyEncrypterDecrypter on the key",
        is_rights=True,
    ),
    # BigQuery hides from a stranger whether a table or a dataset is there.
    Denial(
        said=r"or it may not exist",
        cause="a right is missing, or the dataset or table is not there",
        advice="Check BIGQUERY_PROJECT ({project}) and BIGQUERY_DATASET ({dataset}): without the "
        "dataset somebody who may has to create it. " + _ROLES,
        is_rights=True,
    ),
)
NO_RIGHT = Denial(said="", cause="the identity lacks a right", advice=_ROLES, is_rights=True)
NO_LOGIN = Denial(
    said="",
    cause="the credentials are not valid",
    advice="Renew the login with `gcloud auth application-default login`, or correct the file that "
    "GOOGLE_APPLICATION_CREDENTIALS names",
    is_rights=True,
)


def denial_of(reason: str, text: str) -> Denial:
    """Return the kind of a refusal: by BigQuery's reason, else by its text."""
    return next((each for each in DENIALS if each.matches(reason, text)), NO_RIGHT)


def perimeter_id(text: str) -> str:
    """Return the identifier by which a perimeter's manager finds the refusal; empty if none."""
    found = _PERIMETER_ID.search(text)
    return found[1] if found else ""
