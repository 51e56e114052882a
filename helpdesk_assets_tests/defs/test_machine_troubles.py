"""The definitions load on any machine; what is wrong with it is said when a run needs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from helpdesk_assets.config.standalone import backfill_from, configured_alerts
from helpdesk_assets.defs.failures import as_failure
from helpdesk_assets.errors import SettingsError
from helpdesk_assets.settings import Settings, load_settings
from helpdesk_assets_tests.cli.machine_troubles import ENV_FILES


@pytest.mark.parametrize("trouble", ENV_FILES)
def test_definitions_load_beside_an_unreadable_env_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, trouble: str
) -> None:
    monkeypatch.chdir(tmp_path)
    ENV_FILES[trouble](monkeypatch, tmp_path)
    # These two are all that loading reads.
    assert configured_alerts() is not None
    assert backfill_from() == "2015-01"
    with pytest.raises(SettingsError, match=r"\.env"):
        load_settings()


@pytest.mark.slow
@pytest.mark.parametrize(
    "machine",
    [
        {"PYTHONWARNINGS": "error"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "TZ": "Nowhere/Bogus", "TERM": "dumb"},
        {"REQUESTS_CA_BUNDLE": "/no", "SSL_CERT_FILE": "/no", "HOME": "/nowhere"},
        {"GOOGLE_APPLICATION_CREDENTIALS": "/no", "BIGQUERY_PROJECT": "acme"},
    ],
)
def test_definitions_load_on_any_machine(tmp_path: Path, machine: dict[str, str]) -> None:
    (tmp_path / ".env").write_bytes("HELPDESK_USER=Jörg".encode("utf-16"))
    kept = {
        name: value
        for name, value in os.environ.items()
        if name.lower() not in Settings.model_fields
    }
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import helpdesk_assets.definitions, helpdesk_assets.receiver.server",
        ],
        env={**kept, "PYTHONPATH": os.pathsep.join(sys.path), **machine},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_failures_of_the_machine_are_sentences() -> None:
    with pytest.raises(dg.Failure, match=r"No space left on device.*TMPDIR"), as_failure():
        raise OSError(28, "No space left on device")
