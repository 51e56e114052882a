"""A check's result as Dagster's."""

import dagster as dg

from helpdesk_assets.checks.evidence import CheckResult
from helpdesk_assets.defs import metadata


def to_dagster_result(
    check_result: CheckResult, asset_key: dg.AssetKey | None = None
) -> dg.AssetCheckResult:
    """Converts a check's result. `asset_key` may be None if the asset itself returns the result."""
    return dg.AssetCheckResult(
        asset_key=asset_key,
        check_name=check_result.name,
        passed=check_result.passed,
        severity=dg.AssetCheckSeverity(check_result.severity.value),
        description=check_result.description,
        metadata=metadata.check_metadata(check_result.facts),
    )
