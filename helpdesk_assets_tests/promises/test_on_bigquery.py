"""One story per promise once more, with its tables in the stand-in for BigQuery."""

import pytest

from helpdesk_assets_tests.promises.conftest import ON_BIGQUERY
from helpdesk_assets_tests.promises.test_manual_watermark import (
    test_next_run_starts_at_the_set_watermark,
    test_setting_the_watermark_drops_the_checkpoint,
)
from helpdesk_assets_tests.promises.test_missed_updates import (
    test_exactly_the_lost_webhooks_are_recorded,
    test_lost_new_ticket_is_missing_and_lost_change_stale,
)
from helpdesk_assets_tests.promises.test_missed_updates_by_webhooks import (
    harness_with_event,
    test_only_lost_webhooks_are_missed_despite_duplicates_and_delays,
    test_webhook_only_changes_are_reported,
)
from helpdesk_assets_tests.promises.test_no_lost_update import (
    test_edit_reverted_within_one_second,
    test_first_load_by_listing_sets_no_watermark,
    test_ticket_repeated_by_the_api_has_one_row,
    test_two_edits_in_one_second_with_a_sync_between,
)
from helpdesk_assets_tests.promises.test_other_writers import (
    test_foreign_function_that_inserts_beside_the_sync,
    test_reconciliation_heals_what_it_repairs,
    test_rows_doubled_between_runs_are_one_afterwards,
    test_rows_doubled_during_a_run_are_one_afterwards,
)
from helpdesk_assets_tests.promises.test_partial_batches import (
    fake_sync,
    test_later_of_two_reads_after_the_checkpoint_wins,
    test_tombstone_stored_after_the_checkpoint_stays_a_tombstone,
)
from helpdesk_assets_tests.promises.test_reconciliation import (
    ids,
    test_deleted_tickets_are_marked_after_each_is_checked,
    test_lost_and_stale_rows_are_found_repaired_and_published,
)
from helpdesk_assets_tests.promises.test_repair import (
    test_newer_row_is_kept,
    test_tickets_merged_before_a_failure_are_kept,
)
from helpdesk_assets_tests.promises.test_same_second import test_overtaken_run_does_not_overwrite
from helpdesk_assets_tests.promises.test_tombstones import (
    fake_syncs,
    small_batch_bytes,
    test_known_values_are_kept,
    test_version_in_the_same_batch_is_kept,
)
from helpdesk_assets_tests.promises.test_watermark import (
    test_older_version_never_overwrites_a_newer_one,
    test_one_of_two_concurrent_runs_fails,
    test_watermark_never_goes_backwards,
    test_webhooks_do_not_advance_the_watermark,
)

pytestmark = [pytest.mark.slow, ON_BIGQUERY]

__all__ = [
    "fake_sync",
    "fake_syncs",
    "harness_with_event",
    "ids",
    "small_batch_bytes",
    "test_deleted_tickets_are_marked_after_each_is_checked",
    "test_edit_reverted_within_one_second",
    "test_exactly_the_lost_webhooks_are_recorded",
    "test_first_load_by_listing_sets_no_watermark",
    "test_foreign_function_that_inserts_beside_the_sync",
    "test_known_values_are_kept",
    "test_later_of_two_reads_after_the_checkpoint_wins",
    "test_lost_and_stale_rows_are_found_repaired_and_published",
    "test_lost_new_ticket_is_missing_and_lost_change_stale",
    "test_newer_row_is_kept",
    "test_next_run_starts_at_the_set_watermark",
    "test_older_version_never_overwrites_a_newer_one",
    "test_one_of_two_concurrent_runs_fails",
    "test_only_lost_webhooks_are_missed_despite_duplicates_and_delays",
    "test_overtaken_run_does_not_overwrite",
    "test_reconciliation_heals_what_it_repairs",
    "test_rows_doubled_between_runs_are_one_afterwards",
    "test_rows_doubled_during_a_run_are_one_afterwards",
    "test_setting_the_watermark_drops_the_checkpoint",
    "test_ticket_repeated_by_the_api_has_one_row",
    "test_tickets_merged_before_a_failure_are_kept",
    "test_tombstone_stored_after_the_checkpoint_stays_a_tombstone",
    "test_two_edits_in_one_second_with_a_sync_between",
    "test_version_in_the_same_batch_is_kept",
    "test_watermark_never_goes_backwards",
    "test_webhook_only_changes_are_reported",
    "test_webhooks_do_not_advance_the_watermark",
]
