"""What is said of an output that is there already."""

import pytest

from fake_run import write
from pmcmc.errors import UsageError
from pmcmc.options import RunOptions
from pmcmc.prepare.output import OutputClaim


def claim(path, **options):
    output = OutputClaim(path)
    try:
        return output.claim(RunOptions(output=str(path), **options))
    finally:
        output.release()


@pytest.mark.parametrize(
    ("commits", "how_far"),
    [(((2, 1),), "1 of 3 burn-in steps"), (((5, 4),), "3 of 9 steps")],
)
def test_a_stopped_run_that_is_begun_again_hears_of_resume_first(tmp_path, commits, how_far):
    path = tmp_path / "x.h5"
    write(path, commits=commits, finish=False)
    before = path.read_bytes()
    with pytest.raises(UsageError) as caught:
        claim(path)
    said = str(caught.value)
    assert f"x.h5 holds a run that was stopped, {how_far}: --resume goes on with it" in said
    assert said.index("--resume") < said.index("--overwrite")
    assert path.read_bytes() == before
    assert claim(path, resume=True) is not None
    assert claim(path, overwrite=True) is None


def test_a_finished_run_and_another_file_are_just_there(tmp_path):
    write(tmp_path / "x.h5")
    (tmp_path / "y.h5").write_text("mine")
    for name in ("x.h5", "y.h5"):
        with pytest.raises(UsageError, match="exists, and nothing was changed"):
            claim(tmp_path / name)
