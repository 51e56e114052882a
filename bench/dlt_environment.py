"""dlt in an environment of its own: its pins would not fit beside ours."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / ".local" / "dlt"
PACKAGES = ("dlt[bigquery]>=1.20,<2", "requests>=2.32")


def install() -> Path:
    """Make the environment if there is none; returns its interpreter."""
    python = FOLDER / "bin" / "python"
    done = FOLDER / "installed"
    if not done.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(FOLDER)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
        done.touch()
    return python
