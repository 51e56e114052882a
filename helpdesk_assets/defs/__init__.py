"""The Dagster definitions. The only folder that imports Dagster."""
