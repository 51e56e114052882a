"""Read one window from the helpdesk into a batch; list everything when the change endpoint fails.

Knows pages and plans. It must not know which vendor answers, nor where the batch is stored.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from helpdesk_assets.errors import EndpointFailed
from helpdesk_assets.extract.batch_writer import BatchWriter
from helpdesk_assets.extract.checkpoint import Checkpointer, CheckpointPolicy
from helpdesk_assets.extract.plan import AllToBeRead, Plan
from helpdesk_assets.extract.progress import Progress, ProgressTracker
from helpdesk_assets.model.batch import Manifest, Mode, NewestSeen
from helpdesk_assets.model.tickets import ApiUsage, Page, Window
from helpdesk_assets.naming import batch_id
from helpdesk_assets.providers.base import Helpdesk
from helpdesk_assets.spool import Spool

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Batch:
    """What a run fetched: the manifest describes it, the spool holds the rows."""

    manifest: Manifest
    spool: Spool


class BatchFetcher:
    """Fetches the batch of one run."""

    def __init__(
        self,
        helpdesk: Helpdesk,
        spool: Spool,
        *,
        run_id: str,
        attempt: int = 0,
        checkpoint_policy: CheckpointPolicy | None = None,
        may_read_all: bool = True,
        on_page: Callable[[Progress], None] = lambda _: None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
    ) -> None:
        """Prepare a fetch.

        Args:
            helpdesk: where from.
            spool: takes the rows.
            run_id: names the batch.
            attempt: names it too.
            checkpoint_policy: where and how often checkpoints are saved.
            may_read_all: False: raise `AllToBeRead` before every ticket is read.
            on_page: called after every page.
            now: this machine's clock, for names and order.
            monotonic: seconds, for progress.
            rng: chooses samples.
        """
        self._helpdesk = helpdesk
        self._spool = spool
        self._run_id = run_id
        self._now = now
        self._attempt = attempt
        self._checkpoint_policy = checkpoint_policy
        self._may_read_all = may_read_all
        self._on_page = on_page
        self._monotonic = monotonic
        self._rng = rng or random.Random(0)  # noqa: S311 - a sample, no secret
        self._read_since: datetime | None = None

    def run(self, plan: Plan) -> Batch:
        """Fetch what the plan asks for.

        If the change endpoint fails, the listing is read at once: it has other limits, and retrying
        would spend the time that the listing needs. Bad credentials, unreadable tickets and a tick
        with too many changes end the run instead. So does a failure while a range is read, since
        listing everything is not what was asked for, or after a checkpoint, which is not thrown
        away for the listing.

        Raises:
            EndpointFailed: the listing failed as well, or a range could not be read.
            AllToBeRead: every ticket would have to be read, and may not be.
            CredentialsRefused, PositionLost, TicketUnreadable, WindowTooDense: see
                `Helpdesk.changes`.
        """
        began, used = self._monotonic(), self._helpdesk.use
        self._read_since = None
        # Left by a call whose checkpoint could not be read.
        self._spool.clear()
        self._prepare(plan)
        try:
            plan, last = self._read_changes(plan)
        except EndpointFailed as error:
            if self._checkpointer.has_checkpoint:
                raise EndpointFailed(
                    f"{error} What has been read is kept, and the next run goes on from there."
                ) from error
            if plan.is_range or not self._helpdesk.capabilities.listing_is_independent:
                raise
            log.warning("%s Listing every ticket instead.", error)
            plan, last = self._read_listing(plan, error)
        self._checkpointer.finish()
        manifest = self._manifest(plan, last)
        manifest = replace(
            manifest, api=_usage_since(used, self._helpdesk.use), seconds=self._monotonic() - began
        )
        return Batch(manifest, self._spool)

    def _prepare(self, plan: Plan) -> None:
        previous, helpdesk = plan.checkpoint, self._helpdesk
        # A resumed batch gets an id of its own: the interrupted one may have been merged, and the
        # two must not be taken for one.
        self._batch_id = batch_id(self._now(), self._run_id, self._attempt)
        self._writer = BatchWriter(
            self._spool,
            run_id=self._run_id,
            batch_id=self._batch_id,
            rng=self._rng,
            # Rows stored after the checkpoint are read again, and must win over the earlier ones.
            first_seq=_microseconds(self._now()) if previous else 0,
            previous=previous,
        )
        self._checkpointer = Checkpointer(
            None if plan.is_range else self._checkpoint_policy,
            plan,
            capabilities=helpdesk.capabilities,
            batch_id=self._batch_id,
            spool=self._spool,
            writer=self._writer,
        )
        self._progress = ProgressTracker(
            monotonic=self._monotonic,
            calls=lambda: helpdesk.use.calls,
            share=previous.share if previous else None,
        )

    def _read_changes(self, plan: Plan) -> tuple[Plan, Page]:
        self._expect_leave(plan)
        resume = plan.checkpoint.resume if plan.checkpoint else None
        pages = self._helpdesk.changes(plan.since, plan.until, plan.cursor, resume)
        last = self._consume(pages)
        if self._is_behind(plan):
            # The helpdesk's clock had run ahead and was set back behind our watermark. Changes
            # since then have times before any window that starts at the watermark.
            log.warning("The helpdesk's clock is behind the watermark; reading everything.")
            reason = "the helpdesk's clock is behind the watermark"
            plan = replace(
                plan, mode=Mode.FULL, since=None, cursor=None, reason=reason, newest=None
            )
            self._expect_leave(plan)
            self._checkpointer.plan = plan
            last = self._consume(self._helpdesk.changes(None))
        return plan, last

    def _is_behind(self, plan: Plan) -> bool:
        """Return whether the first answer's clock is behind what earlier runs have read."""
        if plan.until is not None or plan.since is None or self._read_since is None:
            return False
        reached = plan.since if plan.is_range else plan.clock_reached
        settle_delay = self._helpdesk.capabilities.settle_delay
        return reached is not None and self._read_since - settle_delay < reached

    def _read_listing(self, plan: Plan, error: EndpointFailed) -> tuple[Plan, Page]:
        """Read the listing in place of the changes.

        Pages that shift while tickets change silently skip old ones, so the watermark moves only if
        the listing's order is stable.
        """
        plan = replace(
            plan,
            mode=Mode.FULL,
            since=None,
            reason=f"fallback to the listing: {error}",
            advances_watermark=self._helpdesk.capabilities.listing_is_stable,
            fallback=True,
        )
        self._expect_leave(plan)
        return plan, self._consume(self._helpdesk.listing())

    def _expect_leave(self, plan: Plan) -> None:
        if plan.mode is Mode.FULL and not self._may_read_all:
            raise AllToBeRead(plan)

    def _consume(self, pages: Iterator[Page]) -> Page:
        last = None
        for page in self._pages(pages):
            last = page
        if last is None:
            raise EndpointFailed("The helpdesk gave no page at all. Try again later.")
        return last

    def _pages(self, pages: Iterator[Page]) -> Iterator[Page]:
        for page in pages:
            self._read_since = self._read_since or page.served_at
            self._writer.add(page)
            self._checkpointer.save_if_due(page)
            self._on_page(self._progress.progress(self._writer.rows, self._writer.pages, page))
            yield page

    def _manifest(self, plan: Plan, last: Page) -> Manifest:
        writer = self._writer
        has_checkpoint = self._checkpointer.has_checkpoint
        # Nothing is staged where nothing was read.
        is_forced = plan.forced and writer.rows > 0
        is_listed = writer.versions is not None and not has_checkpoint
        is_small = is_listed and not is_forced
        p50, p95, longest = writer.lag_percentiles()
        return Manifest(
            batch_id=self._batch_id,
            run_id=self._run_id,
            mode=plan.mode,
            reason=plan.reason,
            window=Window(plan.since, self._covered_until(plan, last)),
            served_at=last.served_at,
            advances_watermark=plan.advances_watermark,
            expected_version=plan.expected_version,
            initial_watermark=plan.initial_watermark,
            first_load=plan.first_load,
            rows=writer.rows,
            pages=writer.pages,
            api=ApiUsage(),
            versions=tuple(writer.versions or ()) if is_listed else None,
            staging=None if is_small else self._checkpointer.staging,
            created_months=None if has_checkpoint else writer.created_months(),
            digests=writer.digests if is_listed else (),
            oldest_modified=None if has_checkpoint else writer.oldest_modified,
            lag_p50=p50,
            lag_p95=p95,
            lag_max=longest,
            cursor=last.cursor,
            fallback=plan.fallback,
            is_range=plan.is_range,
            bad=tuple(writer.bad),
            bad_count=writer.bad_count,
            tombstones=writer.tombstones,
            has_checkpoint=has_checkpoint,
            read_since=self._read_since,
            forced=is_forced,
            ground_reason=plan.ground_reason,
            lookback=plan.lookback,
            newest=self._newest(plan, last),
        )

    def _covered_until(self, plan: Plan, last: Page) -> datetime:
        """Return where the window ends: by the helpdesk's clock, if ours or a ticket confirms it.

        A clock that is ahead in one answer would put the watermark ahead of changes to come. Where
        ours is the wrong one, a window that ends too early costs rows that are read again.
        """
        if plan.is_range:
            return last.until
        settle_delay = self._helpdesk.capabilities.settle_delay
        times = [last.until - self._helpdesk.clock_lead]
        if self._writer.newest is not None:
            times.append(min(self._writer.newest - settle_delay, last.until))
        # All that changed up to its beginning was read before.
        if plan.since is not None:
            times.append(plan.since)
        return max(times)

    def _newest(self, plan: Plan, last: Page) -> NewestSeen | None:
        """See `Manifest.newest`; a run that may have skipped tickets proves nothing."""
        before, newest = plan.newest, self._writer.newest
        if newest is None or not plan.advances_watermark:
            return before
        if before is not None and newest <= before.changed_at:
            return before
        clocks_agree = not self._helpdesk.clock_lead and not self._helpdesk.clock_lag
        return NewestSeen(newest, newest if clocks_agree else last.served_at)


def _usage_since(previous: ApiUsage, now: ApiUsage) -> ApiUsage:
    return ApiUsage(
        calls=now.calls - previous.calls,
        bytes_received=now.bytes_received - previous.bytes_received,
        retries=now.retries - previous.retries,
        seconds_waited=now.seconds_waited - previous.seconds_waited,
        numbers_as_text=now.numbers_as_text - previous.numbers_as_text,
    )


def _microseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000)
