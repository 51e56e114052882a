"""The Dagster definitions. The only folder that imports Dagster."""

import warnings

# Dagster asks pydantic in a deprecated way. Where warnings are errors, nothing here would import.
warnings.filterwarnings("ignore", message="The `__fields__` attribute is deprecated")
