"""Options as words of a command line, and messages in Python's terms."""

import pytest

from pmcmc.cli.parsing import parse
from pmcmc.option_words import in_python, words
from pmcmc.options import OPTIONS, check


def test_words_are_read_back_as_they_were():
    given = {
        "nsteps": "auto", "burnin": 7, "rescue": False, "nwalkers": 32, "mode": "pool",
        "seed": 5, "moves": "de:0.5,stretch:0.5", "until_ess": 1e3, "checkpoint": 0.5,
        "max_time": "1h", "resume": True, "no_verify": False, "progress": False,
        "output": "-strange name.h5",
    }  # fmt: skip
    found = check(given)
    _, typed = parse(["run", "line", *words(found)])
    back = check({name: typed[name] for name in OPTIONS})
    assert {k: v for k, v in found.items() if v is not False or OPTIONS[k].default is None} == back


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("use --nwalkers 4 or more", "use nwalkers=4 or more"),
        ("the same command with --resume --nsteps auto goes on",
         'the same call with resume=True, nsteps="auto" goes on'),
        ("or --until-ess alone", "or until_ess alone"),
        ("give another --output, or, if it is surely gone, --break-lock",
         "give another output, or, if it is surely gone, break_lock=True"),
        ("--no-rescue leaves them", "rescue=False leaves them"),
        ("--mode pool is one team", 'mode="pool" is one team'),
        ("raise --nsteps", "raise nsteps"),
        ("srun --mpi=pmi2", "srun --mpi=pmi2"),
        ("status --verify", "status --verify"),
        ("--moves de:0.5 or --thin-by 3", "moves de:0.5 or thin_by=3"),
    ],
)  # fmt: skip
def test_messages_name_keywords(text, expected):
    assert in_python(text) == expected
