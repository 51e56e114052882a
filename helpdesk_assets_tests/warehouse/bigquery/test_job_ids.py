from __future__ import annotations

import re

from helpdesk_assets.warehouse.bigquery.job_ids import JobName, label

RUN = "7F3c9a1e-5b2d-4c6f-8e1a-000000000000"


def test_job_id_names_run_step_and_attempt() -> None:
    assert re.fullmatch(
        r"helpdesk_7f3c9a1e_tickets_0_[0-9a-f]{12}", JobName(RUN, "tickets").job_id("SELECT 1")
    )


def test_job_ids_are_deterministic_and_unique() -> None:
    first = JobName(RUN, "tickets")
    others = [first.next(), JobName(RUN, "raw"), JobName("another1", "tickets")]
    assert first.job_id("a") == JobName(RUN, "tickets").job_id("a")
    ids = {first.job_id("a"), first.job_id("b"), *(other.job_id("a") for other in others)}
    assert len(ids) == 5


def test_any_step_name_gives_a_valid_id_and_label() -> None:
    step = "a/b c`é" * 40
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,1024}", JobName("", step).job_id(""))
    assert re.fullmatch(r"[a-z0-9_-]{1,63}", label(step))
