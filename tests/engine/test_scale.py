"""The harness of thousands of teams, tests/benchmarks/scale.py, runs: with thirty here."""

from pathlib import Path

import conftest

HARNESS = Path(conftest.__file__).parent / "benchmarks" / "scale.py"
PARTS = (
    "the plan",
    "the first commit",
    "a commit of 5 rows each",
    "of that the check",
    "the last commit",
    "the file opened to be read",
)


def test_the_harness_takes_a_run_from_its_plan_to_its_last_commit(launch, tmp_path):
    done = launch(0, HARNESS, "--teams", "30", cwd=tmp_path, timeout=120)
    assert done.returncode == 0, done.stderr
    for part in PARTS:
        assert part in done.stdout
    assert "messages sent: " in done.stdout
