"""What the command line's tests have: a simulated helpdesk, a dataset, settings for both."""

from helpdesk_assets_tests.cli.conftest import empty_environment as empty_environment
from helpdesk_assets_tests.cli.conftest import environment as environment
from helpdesk_assets_tests.cli.conftest import run as run
from helpdesk_assets_tests.cli.conftest import simulator as simulator
