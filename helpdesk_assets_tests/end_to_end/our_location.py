"""The code location of one account."""

from helpdesk_assets import definitions
from helpdesk_assets_tests.end_to_end.one_run import with_one_run

defs = with_one_run(definitions)
