"""The real definitions without their schedule, for a daemon.

The schedule would start a run every even hour.
"""

import dagster as dg

# The module, since Dagster loads none that holds two `Definitions`.
from helpdesk_assets import definitions

defs = dg.Definitions(
    assets=definitions.assets,
    asset_checks=definitions.checks,
    jobs=definitions.jobs,
    sensors=definitions.defs.sensors,
    resources=definitions.defs.resources,
    executor=dg.in_process_executor,
)
