"""The real definitions as a daemon loads them, but for the schedule, which would start a run of its
own whenever the clock strikes an even hour.
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
