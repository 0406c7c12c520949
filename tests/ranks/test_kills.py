"""The short version of `python tests/kill_campaign.py`, which says what it does."""

import subprocess
import sys
from pathlib import Path

import pytest

from conftest import clean_env


@pytest.mark.slow
def test_kills_at_random_instants_lose_nothing(launch, tmp_path):
    script = Path(__file__).parents[1] / "kill_campaign.py"
    done = subprocess.run(
        [sys.executable, str(script), "--kills", "2", "--folder", str(tmp_path / "kills")],
        env=clean_env(),
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 kills" in done.stdout
