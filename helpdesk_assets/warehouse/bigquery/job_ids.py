"""Names for jobs, made on our side: a job whose answer was lost is found again by its name.

Without them a re-sent request runs a second time. Pure text, no google library.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from typing import Self

from helpdesk_assets.model.batch import short_run_id

_NOT_ALLOWED = re.compile(r"[^A-Za-z0-9_-]+")
_NOT_IN_LABEL = re.compile(r"[^a-z0-9_-]+")
_LABEL_LIMIT = 63


@dataclass(frozen=True, slots=True)
class JobName:
    """Which job of which run. The same name and content is the same job, also for BigQuery: a
    second call with both gets the first one's result, so a step that reads twice needs two names.
    """

    run_id: str
    step: str
    attempt: int = 0

    def next(self) -> Self:
        """A job that failed keeps its id for ever; trying again takes the next one."""
        return replace(self, attempt=self.attempt + 1)

    def job_id(self, content: str) -> str:
        return job_id(self.run_id, self.step, self.attempt, content)


def job_id(run_id: str, step: str, attempt: int, content: str) -> str:
    """`helpdesk_<run8>_<step>_<attempt>_<hash of content>`."""
    digest = hashlib.sha256(content.encode()).hexdigest()[:12]
    step = _NOT_ALLOWED.sub("-", step)[:100]
    return f"helpdesk_{short_run_id(run_id)}_{step}_{attempt}_{digest}"


def label(text: str) -> str:
    return _NOT_IN_LABEL.sub("-", text.lower())[:_LABEL_LIMIT]
