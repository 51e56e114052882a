"""The checks of a run. They read a report and a state row and cost no query job. No Dagster."""
