"""Credits that are left to the portal's other integrations."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from helpdesk_assets.errors import RateLimitExhausted
from helpdesk_assets.providers.client.rate_limit import MAX_BLOCK_SECONDS
from helpdesk_assets.providers.zoho_desk.credits import CreditKeeper
from helpdesk_assets_tests.providers.loopback import CannedResponse, loopback
from helpdesk_assets_tests.providers.zoho_desk.canned import NOTHING, Connect, answering


class NoLogin:
    secrets = ("s3cret",)

    def __call__(self, request: Any) -> Any:
        return request

    def renew(self, rejected: str, *, again: bool = False) -> bool:
        return rejected == "t0ken" and not again


def left(credits_left: str) -> dict[str, str]:
    return {"X-Rate-Limit-Remaining-v3": credits_left, "X-Rate-Limit-Request-Weight-v3": "3"}


def spending(first: int) -> Any:
    """Every call costs three credits; the first answer has so many left."""
    remaining = [first]

    def answer(_: Any) -> CannedResponse:
        remaining[0] -= 3
        return CannedResponse(b"", 204, {**NOTHING.headers, **left(str(remaining[0]))})

    return answer


@pytest.mark.parametrize(("kept", "is_ended"), [(0, False), (900, False), (990, True)])
def test_run_ends_before_it_uses_kept_credits(connect: Connect, kept: int, is_ended: bool) -> None:
    spend = spending(990)
    with loopback(answering(bin=spend, modules=spend, search=spend)) as server:
        helpdesk = connect(server.url, zoho_credits_kept=kept)
        if not is_ended:
            list(helpdesk.changes(None))
            return
        with pytest.raises(RateLimitExhausted, match=r"987 API credits left.*lower ZOHO_CREDITS_K"):
            list(helpdesk.changes(None))
        assert len([each for each in server.seen if each.path.startswith("/api/")]) == 1


def test_old_news_of_credits_is_not_believed() -> None:
    now = [0.0]
    keeper = CreditKeeper(NoLogin(), 100, monotonic=lambda: now[0])
    keeper.observe(left("100"))
    with pytest.raises(RateLimitExhausted):
        keeper(object())  # type: ignore[arg-type]
    now[0] = MAX_BLOCK_SECONDS + 1
    keeper(object())  # type: ignore[arg-type]
    keeper.observe(left("101"))
    keeper(object())  # type: ignore[arg-type]
    keeper.observe({})
    keeper(object())  # type: ignore[arg-type]


def test_message_says_that_a_day_may_have_fewer() -> None:
    keeper = CreditKeeper(NoLogin(), 90_000)
    keeper.observe(left("25000"))
    with pytest.raises(RateLimitExhausted, match=r"25,000 .*higher than the day's credits, which"):
        keeper(object())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kept", "answers", "warnings"),
    [
        (100, [{}, {}], 1),
        (100, [{"X-Rate-Limit-Remaining-v3": "many"}], 1),
        (100, [left("500"), {}], 0),
        (0, [{}, {}], 0),
    ],
)
def test_setting_without_effect_is_warned_of_once(
    caplog: pytest.LogCaptureFixture, kept: int, answers: list[dict[str, str]], warnings: int
) -> None:
    keeper = CreditKeeper(NoLogin(), kept)
    with caplog.at_level(logging.WARNING):
        for answer in answers:
            keeper.observe(answer)
    told = [each for each in caplog.messages if f"ZOHO_CREDITS_KEPT={kept} has no effect" in each]
    assert len(told) == len(caplog.messages) == warnings


def test_login_behind_it_is_passed_on() -> None:
    keeper = CreditKeeper(NoLogin(), 0)
    keeper.observe(left("0"))
    keeper(object())  # type: ignore[arg-type]
    assert keeper.secrets == ("s3cret",)
    assert (keeper.renew("t0ken"), keeper.renew("another")) == (True, False)
    assert not keeper.renew("t0ken", again=True)
