"""The short version of `python tests/kills.py`, which says what it does."""

import subprocess
import sys
from pathlib import Path

import pytest

from conftest import clean_env


@pytest.mark.slow
def test_kills_at_random_instants_lose_nothing(launch, tmp_path):
    script = Path(__file__).with_name("kills.py")
    done = subprocess.run(
        [sys.executable, str(script), "--kills", "5", "--folder", str(tmp_path / "kills")],
        env=clean_env(),
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 kills" in done.stdout
