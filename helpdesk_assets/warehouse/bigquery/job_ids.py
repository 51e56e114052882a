"""Job ids chosen by the client, so that a job whose response was lost can be found by its id.

Without them a request that is sent again runs a second time. Pure text, no google library.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from typing import Self

from helpdesk_assets.naming import short_run_id

_NOT_ALLOWED = re.compile(r"[^A-Za-z0-9_-]+")
_NOT_IN_LABEL = re.compile(r"[^a-z0-9_-]+")
_LABEL_LIMIT = 63


@dataclass(frozen=True, slots=True)
class JobName:
    """Which job of which run.

    For BigQuery, the same name with the same content is the same job: a second call gets the
    first one's result, and a retry of the step too. A statement that is to run twice therefore
    needs two steps. `attempt` counts the jobs of the name that have failed.
    """

    run_id: str
    step: str
    attempt: int = 0

    def next(self) -> Self:
        """Return the name for another attempt: a failed job uses up its id for good."""
        return replace(self, attempt=self.attempt + 1)

    def job_id(self, content: str) -> str:
        """Return `helpdesk_<run8>_<step>_<attempt>_<hash of content>`."""
        digest = hashlib.sha256(content.encode()).hexdigest()[:12]
        step = _NOT_ALLOWED.sub("-", self.step)[:100]
        return f"helpdesk_{short_run_id(self.run_id)}_{step}_{self.attempt}_{digest}"


def label(text: str) -> str:
    """Return `text` as BigQuery accepts it in a label: lower case, at most 63 characters."""
    return _NOT_IN_LABEL.sub("-", text.lower())[:_LABEL_LIMIT]


def console_url(project: str, location: str, job_id: str) -> str:
    """Return the page of a job in Google's console, for people with the right to see it."""
    return (
        f"https://console.cloud.google.com/bigquery?project={project}"
        f"&j=bq:{location}:{job_id}&page=queryresults"
    )
